"""The database: SQLite by default, PostgreSQL by changing the URL; one code path for both.

SQLite is told what it does not do by itself (measured: default settings lose updates silently): WAL, FULL, foreign
keys, BEGIN IMMEDIATE for writers, one writer at a time in the process. What was set is read
back, or we refuse to start.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.orm import Session as Session

from triaged.domain.errors import PermanentError, TransientError

Result = TypeVar("Result")

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_DISK = ("SQLITE_FULL", "SQLITE_IOERR")
_CLOSED = ("SQLITE_CANTOPEN", "SQLITE_READONLY")
_UNSYNCED = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")
_STANDBY = "25006"  # PostgreSQL: read_only_sql_transaction
IDLE = 20  # seconds; less than the silence after which a host is dead (hosts.SILENCE)
IMPORTING = 600  # a large file is compared between two statements, and its rows are nobody else's
_POSTGRESQL = {  # a server that is cut off is noticed within a minute, and not never
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": 10_000,
    "secure_delete": 1,  # what is erased is overwritten
}

DAMAGED = (
    "Stop triaged, keep the file and those beside it (-wal, -shm) as they are: nothing is made anew. Look at the disk, "
    "then `triaged db restore BACKUP`; mails wait on their servers"
)
UNSYNCED = (
    "This process ends, so that the next one reads what the disk has kept. Look at the disk (dmesg, SMART); mails wait "
    "on their servers"
)


class Broken(PermanentError):
    """The database is damaged, or the disk would not say what it has kept: this process must not go on with it."""


class Database:
    """One engine. `write()` and `read()` give a Session that lives inside one `with`.

    `broken` says why nothing more may be written by this process (empty: nothing is wrong): after a failed fsync the
    kernel may have dropped what it could not write, and only a new process reads what the disk really has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broken = ""
        try:
            self.engine = sqlalchemy.create_engine(url, **_options(url))
        except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
            raise PermanentError(
                f"[database] url: {error}. Use sqlite:////path/to/triaged.db or "
                "postgresql+psycopg://user@host/db (pip install 'triaged[postgres]')"
            ) from error
        self.dialect = self.engine.dialect.name
        self._writer = threading.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def write(self, idle: int = IDLE) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back on any exception. PostgreSQL ends one in
        which nothing is said for `idle` seconds, so that the rows that a stopped host had locked are free before it
        counts as dead.

        Raises TransientError where the database is locked, full, read-only or out of reach, and Broken."""
        if self.broken:
            raise Broken(self.broken)
        with self._writer, self._watched(), self.engine.connect() as connection:
            connection = connection.execution_options(triaged_writes=True)
            with Session(connection, expire_on_commit=False) as session, session.begin():
                if self.dialect == "postgresql":
                    session.connection().exec_driver_sql(
                        f"SET LOCAL idle_in_transaction_session_timeout = '{int(idle)}s'"
                    )
                yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self._watched(), Session(self.engine) as session:
            yield session

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except Broken as error:
            self.broken = self.broken or str(error)
            raise

    @property
    def name(self) -> str:
        """Which database this is, without its password."""
        return self.engine.url.set(password=None).render_as_string()

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database; None for PostgreSQL and for a database in memory."""
        name = self.engine.url.database
        return Path(name) if self.dialect == "sqlite" and name and name != ":memory:" else None

    def dispose(self) -> None:
        self.engine.dispose()


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"check_same_thread": False}}
    return {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 20, "connect_args": dict(_POSTGRESQL)}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: pysqlite's own handling loses updates
    cursor = connection.cursor()
    for pragma, wanted in _SQLITE_PRAGMAS.items():
        cursor.execute(f"PRAGMA {pragma}={wanted}")
        found = cursor.execute(f"PRAGMA {pragma}").fetchone()[0]
        if found != wanted and found != "memory":
            raise PermanentError(
                f"SQLite would not set {pragma}={wanted} (it says {found!r}): is the database on a network file "
                "system? Put state_dir on a local disk"
            )
    cursor.execute("PRAGMA journal_size_limit=67108864")
    cursor.close()


def _begin_sqlite(connection: sqlalchemy.Connection) -> None:
    writes = connection.get_execution_options().get("triaged_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def in_savepoint(session: Session, step: Callable[[], Result]) -> Result:
    """What `step` does, all or nothing; once more where another process has just written the very row that it wrote.

    Raises TransientError where the database cannot go on, as after a deadlock: then the whole transaction is over."""
    try:
        with translated(), session.begin_nested():
            return step()
    except exc.IntegrityError:
        with translated(), session.begin_nested():
            return step()


def tally(session: Session, column: Any) -> dict[str, int]:
    """How many rows have each value of a column, sorted by value."""
    query = sqlalchemy.select(column, sqlalchemy.func.count()).group_by(column).order_by(column)
    return {str(value): int(number) for value, number in session.execute(query)}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """A database that cannot be used now is a TransientError that says what to look at, one that is damaged is Broken;
    errors of ours pass."""
    try:
        yield
    except exc.DatabaseError as error:
        known = _told(error)
        if known is None:
            raise
        raise known from error


def _told(error: exc.DatabaseError) -> TransientError | Broken | None:
    """None: no trouble of the database's, but of whoever asked."""
    known = told(error.orig) if isinstance(error.orig, sqlite3.Error) else None
    if known is None and (isinstance(error, exc.OperationalError) or _gone(error)):
        return TransientError(f"database: {_first_line(error.orig or error)}")
    return known


def told(error: sqlite3.Error) -> TransientError | Broken | None:
    """What an error of SQLite's own means to us; None: it is no trouble of the database's."""
    name, reason = getattr(error, "sqlite_errorname", ""), _first_line(error)
    if name.startswith(_CLOSED):
        reason = f"{reason}: look at the rights and the mount of its file and folder"
    if name.startswith(_DAMAGED):
        return Broken(f"database: {reason}. {DAMAGED}")
    if name.startswith(_DISK) and name not in _UNSYNCED:
        reason = f"{reason}: is the disk of its folder full? Make room; nothing was stored, nothing is lost"
    if name in _UNSYNCED:
        return Broken(f"database: {reason}: the disk would not write down a commit. {UNSYNCED}")
    return TransientError(f"database: {reason}") if isinstance(error, sqlite3.OperationalError) else None


def _gone(error: exc.DatabaseError) -> bool:
    """A standby, or a connection that the server has closed."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") == _STANDBY


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
