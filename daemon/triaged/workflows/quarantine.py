"""Quarantine: a mail that could not be read or decided is looked at safely, decided again, or dropped with a reason.

Whoever does so is recorded with the mail, for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triaged.adapters.db import casebook, engine, erasure, ledger
from triaged.adapters.db.engine import Session
from triaged.domain.errors import PermanentError
from triaged.mail import preview
from triaged.settings import Mailbox

_INCARNATION = 2**32  # a folder made anew under its old UIDVALIDITY is stored that much higher


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one mail that somebody wanted released or dropped; empty `refusal`: it was done."""

    id: int
    refusal: str = ""


def listed(database: engine.Database) -> list[dict[str, Any]]:
    """What lies in quarantine, oldest first."""
    with database.read() as session:
        records = casebook.listed(session, "quarantined")
    return [{**record.row, "error": record.error, "truncated": record.truncated} for record in records]


def shown(database: engine.Database, mailboxes: Sequence[Mailbox], number: int) -> dict[str, Any]:
    """Everything that a person needs to decide what to do with it. Raises PermanentError when it is not there."""
    with database.read() as session:
        record = casebook.one(session, number)
        if record.row["state"] != "quarantined":
            raise PermanentError(
                f"message {number} is {record.row['state']}, not in quarantine: `triaged message show {number}`"
            )
        raw = _bytes(session, number)
        return {
            **record.document(),
            "place": _place(record, mailboxes),
            "truncated": record.truncated,
            "header": preview.head(raw) if raw is not None else None,
            "text": preview.text(raw) if raw is not None else None,
            "handled": erasure.handled(session, number),
            "next": _next(number, record.truncated, raw),
        }


def _bytes(session: Session, number: int) -> bytes | None:
    """As they came; None where they are damaged or gone, which is then its error."""
    try:
        return ledger.raw(session, number)
    except PermanentError:
        return None


def _place(record: casebook.MessageRecord, mailboxes: Sequence[Mailbox]) -> dict[str, Any]:
    """Where the server had it, and where it lies now, as far as we moved it."""
    row = record.row
    mailbox = next((one for one in mailboxes if one.name == row["mailbox"]), None)
    archived = mailbox is not None and mailbox.archive and record.tidied_at
    folder = None if mailbox is None else mailbox.archive if archived else mailbox.folder
    return {
        "mailbox": row["mailbox"],
        "uidvalidity": row["uidvalidity"] % _INCARNATION,
        "uid": row["uid"],
        "folder": folder,
        "since": record.tidied_at if archived else None,
    }


def _next(number: int, truncated: bool, raw: bytes | None) -> list[str]:
    drop = f"triaged quarantine drop {number} --why …   nobody needs it; the ledger keeps the row and your reason"
    if truncated:
        return ["raise [limits] message, move the mail out of the folder and back into it: it comes again", drop]
    if not raw:
        return ["look at it on the server: no bytes of it are here", drop]
    return [
        f"triaged quarantine release {number}   decide it again with today's code and policy",
        f"triaged message raw {number} > FILE.eml   its bytes as they came, for a bug report",
        drop,
    ]


def release(database: engine.Database, numbers: Sequence[int], actor: str, now: datetime) -> list[Handled]:
    """Let the daemon decide these mails again, or all of which it has the whole; each stands for itself."""
    wanted = numbers or [record["id"] for record in listed(database) if not record["truncated"]]
    return [_handled(database, number, "released", actor, "", now) for number in wanted]


def drop(database: engine.Database, numbers: Sequence[int], actor: str, why: str, now: datetime) -> list[Handled]:
    """Nobody needs these mails, or all that lie there: they stay in the ledger as dropped, with the reason."""
    if not why.strip():
        raise PermanentError("a mail is dropped for a reason: --why")
    wanted = numbers or [record["id"] for record in listed(database)]
    return [_handled(database, number, "dropped", actor, why, now) for number in wanted]


def _handled(database: engine.Database, number: int, kind: str, actor: str, why: str, now: datetime) -> Handled:
    try:
        with database.write() as session:
            _moved(session, number, kind, why)
            erasure.record(session, number, kind, actor, why, now)
    except PermanentError as error:
        return Handled(number, str(error))
    return Handled(number)


def _moved(session: Session, number: int, kind: str, why: str) -> None:
    if kind == "released":
        casebook.again(session, number)
    else:
        casebook.drop(session, number, why)
