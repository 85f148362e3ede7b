"""Copies of the database: a whole one or none, checked before it counts.

SQLite's own `VACUUM INTO` reads one moment of a database that is being written; copying the file would not. Only SQLite
opens a live database's file, because closing any descriptor of it drops SQLite's locks.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from triaged.adapters.db import engine, soundness
from triaged.domain.errors import PermanentError, TransientError

_SIDES = ("-wal", "-shm")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def dump(database: engine.Database, target: Path) -> None:
    """A copy of the database as it is now, at `target`, mode 0600; what stood there is replaced when it is complete.

    Raises TransientError (disk full, database away) and PermanentError; then nothing is left behind."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with _alone(partial), _cleared(partial):
            if database.dialect == "sqlite":
                _vacuum(database, partial)
                problems = check(partial)
                if problems:
                    raise engine.Broken(f"the copy is not sound ({problems[0]}). {engine.DAMAGED}")
            else:
                _pg_dump(database, partial)
            sync(partial)
            partial.replace(target)
            sync(target.parent)
    except OSError as error:
        raise TransientError(f"{target}: {error.strerror}. Make room or name another place") from error


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """One backup to a place at a time; what a killed one left is overwritten."""
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        yield
    except BlockingIOError as error:
        raise TransientError(f"another backup is being written to {partial}") from error
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _cleared(partial: Path) -> Iterator[None]:
    """Whatever happens, nothing is left under this name: what became whole has its own by then."""
    try:
        yield
    finally:
        partial.unlink(missing_ok=True)


def _vacuum(database: engine.Database, partial: Path) -> None:
    with engine.translated():
        connection = database.engine.raw_connection()
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(partial),))
        except sqlite3.Error as error:
            raise engine.told(error) or error from error
        finally:
            connection.close()


def check(file: Path) -> list[str]:
    """What is wrong with an SQLite file that nobody writes; [] is sound."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            return soundness.problems(connection.execute)
    except sqlite3.Error as error:
        return [str(error)]


def revision(file: Path) -> str | None:
    """The schema that an SQLite file has; None when it is no database of ours."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(found[0]) if found else None
    except sqlite3.Error:
        return None


def clone(file: Path, target: Path) -> None:
    """The bytes of a backup to `target`, mode 0600. Raises TransientError where the disk does not take them."""
    try:
        with open(file, "rb") as source, open(os.open(target, _NEW, 0o600), "wb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise TransientError(f"{file} → {target}: {error.strerror}") from error


def close_down(database: engine.Database) -> None:
    """Bring all that the side files hold into the file, which then stands alone.

    Raises TransientError while somebody else has the database open."""
    try:
        with contextlib.closing(sqlite3.connect(str(database.path), timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise TransientError(
                f"somebody else has {database.path} open (triaged web? sqlite3?): stop them, then restore again"
            ) from error


def put_in_place(fresh: Path, database: Path, aside: Path) -> bool:
    """`fresh` becomes the database, which is kept as `aside` with its side files. There is a database at every moment.

    Returns whether there was one before."""
    try:
        sync(fresh)
        for side in _SIDES:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{database}{side}", f"{aside}{side}")
        existed = database.exists()
        if existed:
            os.link(database, aside)
        fresh.replace(database)
        sync(database.parent)
    except OSError as error:
        raise PermanentError(f"{database}: {error.strerror}. Nothing was restored; {fresh} is the copy") from error
    return existed


def sync(path: Path) -> None:
    """Until the disk has it; of a folder: its names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# PostgreSQL


def _pg_dump(database: engine.Database, partial: Path) -> None:
    program = _pg_program("pg_dump")
    told = connection_text(database)
    if program is None:
        raise PermanentError(
            "pg_dump is not installed here: apt install postgresql-client, or run where it is: "
            f"pg_dump --format=custom --file={partial.name.strip('.')[:-8]} --dbname='{told}'"
        )
    with _password(database, partial) as environment:
        command = [program, "--format=custom", "--no-password", f"--file={partial}", f"--dbname={told}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise TransientError(f"pg_dump: {' '.join(done.stderr.split())[:500]}")


def _pg_program(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


def connection_text(database: engine.Database) -> str:
    """The database's place as libpq takes it, without the password."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in _parameters(database).items() if name != "password")


def _parameters(database: engine.Database) -> Mapping[str, str]:
    """libpq's, and `context`, which is psycopg's own."""
    _nothing, parameters = database.engine.dialect.create_connect_args(database.engine.url)
    return {name: str(value) for name, value in parameters.items() if name != "context"}


def _quoted(value: str) -> str:
    plain = value.replace("\\", "\\\\").replace("'", "\\'")
    return plain if plain.isalnum() or (plain and not set(plain) & set(" '\\")) else f"'{plain}'"


@contextlib.contextmanager
def _password(database: engine.Database, partial: Path) -> Iterator[dict[str, str]]:
    """The environment in which pg_dump finds the password: in a file, where no other user sees it."""
    password = _parameters(database).get("password")
    if not password:
        yield dict(os.environ)
        return
    file = partial.with_name(f"{partial.name}.pgpass")
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    with open(os.open(file, _NEW, 0o600), "w") as pgpass:
        pgpass.write(f"*:*:*:*:{escaped}\n")
    try:
        yield {**os.environ, "PGPASSFILE": str(file)}
    finally:
        file.unlink(missing_ok=True)
