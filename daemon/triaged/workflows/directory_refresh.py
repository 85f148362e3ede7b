"""The directory follows its source (issue 2, item 8): read, compare, replace; whatever goes wrong, the old one stays.

A source is the truth, so what it no longer has is removed; but a source that lost more than half of its entries is
taken for broken until a person says otherwise.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from triaged import log, settings
from triaged.adapters import directory_file, source
from triaged.adapters.db import directory_import, engine
from triaged.domain.directory import Diff
from triaged.domain.errors import PermanentError, TransientError


class Result(StrEnum):
    """What became of one source."""

    UNCHANGED = "unchanged"
    REFRESHED = "refreshed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One source after a refresh: `name` is partners or accounts, `error` is empty unless it failed."""

    name: str
    location: str
    result: Result
    diff: Diff | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A configured source, how its file is read and where its entries go."""

    name: str
    location: str
    token: str
    read: Callable[[bytes, directory_file.Rules], directory_file.Reading[Any]]
    write: Callable[..., Diff]


def refresh(
    database: engine.Database, directory: settings.Directory, rules: directory_file.Rules, now: datetime
) -> tuple[Outcome, ...]:
    """Bring accounts and partners up to the sources that are configured; one that holds what it held costs a read.

    Errors of a source are logged, kept for `status` and returned; only those of the database are raised."""
    return tuple(_refresh(database, watched, rules, now) for watched in _watched(directory))


def _watched(directory: settings.Directory) -> tuple[_Watched, ...]:
    token = directory.token.reveal()
    both = (
        _Watched("partners", directory.partners, token, directory_file.read_partners, directory_import.import_partners),
        _Watched("accounts", directory.accounts, token, directory_file.read_accounts, directory_import.import_accounts),
    )
    return tuple(watched for watched in both if watched.location)


def _refresh(database: engine.Database, watched: _Watched, rules: directory_file.Rules, now: datetime) -> Outcome:
    try:
        content = source.read(watched.location, watched.token)
        return _follow(database, watched, content, rules, now)
    except (TransientError, PermanentError) as error:
        with database.write() as session:
            directory_import.note_failure(session, watched.name, watched.location, str(error))
        log.warning("directory failed", source=watched.name, location=watched.location, error=str(error))
        return Outcome(watched.name, watched.location, Result.FAILED, error=str(error))


def _follow(
    database: engine.Database,
    watched: _Watched,
    content: source.Content,
    rules: directory_file.Rules,
    now: datetime,
) -> Outcome:
    with database.read() as session:
        held = directory_import.holds(session, watched.name, content.digest)
    if held:
        with database.write() as session:
            directory_import.note_success(session, watched.name, watched.location, content.digest, now)
        return Outcome(watched.name, watched.location, Result.UNCHANGED)
    reading = watched.read(content.data, rules)
    if reading.problems:
        raise PermanentError(directory_file.told(watched.location, reading.problems))
    with database.write(engine.IMPORTING) as session:
        diff = watched.write(session, reading.records, replace=True)
        if diff.removes_most:
            raise PermanentError(_too_few(watched, diff))
        directory_import.note_success(session, watched.name, watched.location, content.digest, now)
    log.event(
        "directory refreshed",
        source=watched.name,
        added=len(diff.added),
        changed=len(diff.changed),
        removed=len(diff.removed),
        unchanged=diff.unchanged,
    )
    return Outcome(watched.name, watched.location, Result.REFRESHED, diff)


def _too_few(watched: _Watched, diff: Diff) -> str:
    noun = watched.name.removesuffix("s")
    return (
        f"{watched.location} lacks {len(diff.removed):,} of the {diff.before:,} {watched.name} that we have, so it was "
        f"not taken. If that is right: triaged {noun} import --replace --force {shlex.quote(watched.location)}"
    )
