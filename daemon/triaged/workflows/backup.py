"""Backup: a copy of the whole database while the daemon works, and how it comes back.

A restored backup does not know what happened since: mails were answered, numbers given, mails moved to the archive.
So whatever it owes is held until a person has looked, numbers go on far above, and the archive is read again.
"""

import contextlib
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from triaged import log
from triaged.adapters import lifenote, runlock
from triaged.adapters.db import copies, engine, hosts, installation, migrations
from triaged.domain.errors import PermanentError, TransientError


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that is the database now; `aside` is where the one before lies (None: there was none)."""

    marked: installation.Marked
    aside: Path | None


def backup(database: engine.Database, target: Path, *, force: bool = False) -> int:
    """A copy at `target`, checked and on the disk when this returns its size in bytes."""
    if target.exists() and not force:
        raise PermanentError(f"{target} is there already: name another file, or add --force")
    if database.path is not None and target.exists() and target.samefile(database.path):
        raise PermanentError(f"{target} is the database itself: name another file")
    copies.dump(database, target)
    return target.stat().st_size


def restore(
    database: engine.Database, file: Path, scripts: Path, regions: Collection[str], state_dir: Path, now: datetime
) -> Restored:
    """`file` takes the place of an SQLite database that nobody works on, with its gap marked."""
    path = database.path
    if path is None:
        raise PermanentError(
            "PostgreSQL is restored by its own tools: stop every `triaged run`, then pg_restore --clean --if-exists "
            f'--no-owner --dbname="{copies.connection_text(database)}" {file}, then `triaged db restored`'
        )
    with _alone(database):
        _refuse_unsound(file, scripts)
        fresh = path.with_name(f"{path.name}.restoring")
        for left in (fresh, *(fresh.with_name(f"{fresh.name}{side}") for side in ("-wal", "-shm", "-journal"))):
            left.unlink(missing_ok=True)
        copies.clone(file, fresh)
        marked = _prepared(fresh, database, scripts, regions, state_dir, now)
        database.dispose()
        copies.close_down(database)
        aside = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}")
        existed = copies.put_in_place(fresh, path, aside)
    return Restored(marked, aside if existed else None)


def _alone(database: engine.Database) -> AbstractContextManager[object]:
    """No daemon works on an SQLite database meanwhile; those on a PostgreSQL are known by their heartbeat."""
    path = database.path
    return runlock.RunLock(path.with_name(f"{path.name}.lock")) if path else contextlib.nullcontext()


def _refuse_unsound(file: Path, scripts: Path) -> None:
    if not file.is_file():
        raise PermanentError(f"{file}: no such file")
    if problems := copies.check(file):
        raise PermanentError(f"{file} is not a sound SQLite database ({problems[0]}): take another backup")
    revision = copies.revision(file)
    if revision is None:
        raise PermanentError(f"{file} is a database, but none of triaged")
    if revision not in migrations.known(scripts):
        raise PermanentError(
            f"{file} has schema {revision}, which this program does not know: restore it with the triaged that wrote "
            "it, or a newer one"
        )


def _prepared(
    fresh: Path, database: engine.Database, scripts: Path, regions: Collection[str], state_dir: Path, now: datetime
) -> installation.Marked:
    """All that is to be done to the copy before it counts, so that a stop in between leaves the old database."""
    copy = engine.Database(f"sqlite:///{fresh}")
    try:
        with engine.translated():
            migrations.upgrade(copy, scripts)
        with copy.write() as session:
            noted = lifenote.read(state_dir, database.name)
            marked = installation.mark_restored(session, regions, None, now, noted)
    finally:
        copy.dispose()
    copies.close_down(copy)
    return marked


def declare(
    database: engine.Database, regions: Collection[str], state_dir: Path, since: datetime | None, now: datetime
) -> installation.Marked:
    """Somebody restored the database by other means: mark the gap. Raises TransientError while a daemon works on it."""
    with _alone(database), database.write() as session:
        if database.path is None and hosts.alive(session):
            raise TransientError("a `triaged run` works on this database: stop every one of them, then say so again")
        noted = lifenote.read(state_dir, database.name)
        return installation.mark_restored(session, regions, since, now, noted)


def live(
    database: engine.Database, state_dir: Path, regions: Collection[str], now: datetime
) -> installation.Marked | None:
    """A sign of life in the database and in the note beside it; where the note is ahead, the database is an old
    backup, and its gap is marked before anything is sent. At every start, before all else, and every 15 s."""
    noted = lifenote.read(state_dir, database.name)
    with database.write() as session:
        old = noted > installation.lives(session)
        marked = installation.mark_restored(session, regions, None, now, noted) if old else None
        lives = installation.live(session)
    lifenote.write(state_dir, database.name, lives)
    if marked:
        log.error(
            "restored",
            backup_of=marked.gap.since,
            until=marked.gap.until,
            held=marked.held,
            uncertain=marked.doubted,
            reason="an old backup took the database's place: what it owes may have been sent since, and is held",
            fix="triaged queue list --state held, then triaged queue release --restored or withdraw --restored",
        )
    return marked
