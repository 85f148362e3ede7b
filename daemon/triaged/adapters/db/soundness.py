"""Whether the database's file is sound, and how large its log of changes (`-wal`) has grown. PostgreSQL sees to
both by itself."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from triaged.adapters.db import engine

MOST = 20  # problems that are named: a broken file has thousands

Execute = Callable[[str], Any]


def quick(database: engine.Database) -> list[str]:
    """What a fast look finds wrong: pages and their order; [] is sound."""
    return _asked(database, lambda execute: _said(execute, f"PRAGMA quick_check({MOST})"))


def whole(database: engine.Database) -> list[str]:
    """What a thorough look finds wrong: indexes and references, too."""
    return _asked(database, problems)


def problems(execute: Execute) -> list[str]:
    """The thorough look by somebody's own connection."""
    references = execute("PRAGMA foreign_key_check").fetchmany(MOST)
    told = [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in references]
    return _said(execute, f"PRAGMA integrity_check({MOST})") + told


def checkpoint(database: engine.Database) -> int:
    """Bring the log of changes into the file and empty it. Returns the bytes it still has, because somebody reads."""
    if database.path is None:
        return 0
    _asked(database, lambda execute: execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    log = database.path.with_name(f"{database.path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _asked(database: engine.Database, question: Callable[[Execute], list[Any]]) -> list[Any]:
    """By a connection of its own, outside any transaction."""
    if database.dialect != "sqlite":
        return []
    with engine.translated(), closing(database.engine.raw_connection()) as connection:
        try:
            return question(connection.cursor().execute)
        except sqlite3.Error as error:
            raise engine.told(error) or error from error


def _said(execute: Execute, pragma: str) -> list[str]:
    return [str(row[0]) for row in execute(pragma).fetchall() if row[0] != "ok"]
