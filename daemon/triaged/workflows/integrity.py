"""Integrity: the database's file is looked at when the daemon starts and every night; what is found stops the daemon
or stands in `status`. Nothing is ever made anew in its place."""

from datetime import datetime

from triaged import log
from triaged.adapters.db import engine, inspections, soundness

NAME = "integrity"
LARGE_LOG = 64 << 20  # bytes


def look(database: engine.Database) -> None:
    """At the start. Raises engine.Broken when pages are damaged."""
    if found := soundness.quick(database):
        raise engine.Broken(f"database {database.path}: {found[0]} ({len(found)} findings). {engine.DAMAGED}")


def inspect(database: engine.Database, now: datetime) -> list[str]:
    """Every night: indexes and references, too."""
    found = soundness.whole(database)
    with database.write() as session:
        inspections.store(session, NAME, now, found)
    for problem in found:
        log.error("damaged", database=database.path, problem=problem, fix="triaged db backup, then look at the disk")
    return found


def checkpoint(database: engine.Database) -> int:
    """Every hour: SQLite's log of changes goes into the file. It only stays large while somebody reads for long."""
    left = soundness.checkpoint(database)
    if left >= LARGE_LOG:
        log.warning(
            "large -wal",
            bytes=left,
            reason="somebody has been reading the database for long, so its log cannot be emptied",
            fix="end long reads (sqlite3, copies); for backups take `triaged db backup`",
        )
    return left
