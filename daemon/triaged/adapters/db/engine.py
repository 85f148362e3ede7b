"""The database: SQLite by default, PostgreSQL by changing the URL; one code path for both.

SQLite is told what it does not do by itself (measured: default settings lose updates silently): WAL, FULL, foreign
keys, BEGIN IMMEDIATE for writers, one writer at a time in the process. What was set is read
back, or we refuse to start.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.orm import Session as Session

from triaged.domain.errors import PermanentError, TransientError

Result = TypeVar("Result")

_SQLITE_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


class Database:
    """One engine. `write()` and `read()` give a Session that lives inside one `with`."""

    def __init__(self, url: str) -> None:
        self.url = url
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
    def write(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back on any exception.

        Raises TransientError where the database is locked, full, read-only or out of reach."""
        with self._writer, translated(), self.engine.connect() as connection:
            connection = connection.execution_options(triaged_writes=True)
            with Session(connection, expire_on_commit=False) as session, session.begin():
                yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with translated(), Session(self.engine) as session:
            yield session

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
    return {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 20}


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
    """A database that cannot be used now is a TransientError that says what to look at; errors of ours pass."""
    try:
        yield
    except exc.OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        raise TransientError(f"database: {reason}") from error
