"""A PostgreSQL cluster of its own below one directory, reached by a unix socket; never by a network."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

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
    """`fresh_database()` gives the URL of an empty database, as fast as CREATE DATABASE is."""

    def __init__(self) -> None:
        self._bin = binaries() or Path()
        self._home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._user = _unprivileged() if os.getuid() == 0 else None
        self._numbers = itertools.count(1)
        if self._user:
            shutil.chown(self._home, self._user)
        data = str(self._home / "data")
        self._run("initdb", "-D", data, "-U", "triaged", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
        # A test's database need not survive the machine; a crash of the server itself loses nothing without fsync.
        options = f"-c listen_addresses='' -k {self._home} -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", data, "-o", options, "-l", str(self._home / "log"), "-w", "start")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            user=self._user,
            cwd=self._home,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            log = self._home / "log"
            raise RuntimeError(f"{program} failed: {done.stdout} {log.read_text() if log.exists() else ''}")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://triaged@/{database}?host={self._home}"

    def fresh_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(host=str(self._home), user="triaged", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._home / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._home, ignore_errors=True)


def _unprivileged() -> str:
    """PostgreSQL refuses to run as root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in ("postgres", "nobody") if user in known)
