"""A PostgreSQL cluster of its own below one directory, reached by a unix socket; by this machine's own network only
where a test wants to cut a wire."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

# The server goes when our end of its input does: also when the tests are killed. Nobody waits for its files to go.
_WITH_US = """
ctl=$1 data=$2; shift 2
"$ctl" "$@" >/dev/null 2>&1 </dev/null && echo ready
exec >/dev/null 2>&1
read -r _
"$ctl" -D "$data" -m immediate -w stop
rm -rf "${data%/*}" &
"""

ADVICE = "PostgreSQL is not installed: apt-get install postgresql"


def binaries() -> Path | None:
    """Where initdb and postgres lie: on the PATH, or in Debian's place."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


def installed() -> bool:
    return binaries() is not None


class Postgres:
    """`fresh_database()` gives the URL of an empty database, as fast as CREATE DATABASE is. With a `port` it listens
    on 127.0.0.1, too; `die()` and `revive()` are a crash of the server and what follows."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port
        self._bin = binaries() or Path()
        self._home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._user = _unprivileged() if os.getuid() == 0 else None
        self._numbers = itertools.count(1)
        if self._user:
            shutil.chown(self._home, self._user)
        data = str(self._home / "data")
        self._run("initdb", "-D", data, "-U", "triaged", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
        # A test's database need not survive the machine; a crash of the server itself loses nothing without fsync.
        network = f"-c listen_addresses='127.0.0.1' -c port={port}" if port else "-c listen_addresses=''"
        options = f"{network} -k {self._home} -c fsync=off -c max_connections=200"
        self._start = ["-D", data, "-o", options, "-l", str(self._home / "log"), "-w", "start"]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_US, "sh", str(self._bin / "pg_ctl"), data, *self._start],
            user=self._user,
            cwd=self._home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"PostgreSQL did not start: {(self._home / 'log').read_text()}")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            user=self._user,
            cwd=self._home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            log = self._home / "log"
            raise RuntimeError(f"{program} failed: {done.stdout} {log.read_text() if log.exists() else ''}")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://triaged@/{database}?host={self._home}{f'&port={self.port}' if self.port else ''}"

    def by_network(self, url: str, port: int | None = None) -> str:
        """The same database by TCP, or by a proxy on `port`."""
        name = url.partition("@/")[2].partition("?")[0]
        return f"postgresql+psycopg://triaged@127.0.0.1:{port or self.port}/{name}"

    def die(self) -> None:
        """As a crash: nothing is finished, nothing is said."""
        self._run("pg_ctl", "-D", str(self._home / "data"), "-m", "immediate", "-w", "stop")

    def revive(self) -> None:
        self._run("pg_ctl", *self._start)

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """As the superuser, beside whoever works."""
        with self._connect() as connection:
            return connection.execute(question.encode()).fetchall()

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self._home), port=self.port or 5432, user="triaged", dbname="postgres", autocommit=True
        )

    def fresh_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        self._process.communicate(timeout=20)  # closes its input


def _unprivileged() -> str:
    """PostgreSQL refuses to run as root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in ("postgres", "nobody") if user in known)
