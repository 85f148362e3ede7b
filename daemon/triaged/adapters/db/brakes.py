"""Brakes on answers that nobody vouches for: automatic, unauthenticated, or to what was said before (DESIGN §4.6).

What is over a limit is held and stays visible; the operator hears of each kind of brake once an hour, not once a mail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db import alarms
from triaged.adapters.db.models import PASSED, MessageRow, Outbox

REPEATS = 3  # so often is the same text answered within an hour; whatever comes of it again is braked
_WITHIN = timedelta(hours=1)
_LOCK = 0x6272616B65  # "brake": two processes must not both count before either has written


@dataclass(frozen=True, slots=True)
class Limits:
    """So many braked answers to one address, to one domain, in all."""

    per_address: int = 1
    address_window: timedelta = timedelta(days=1)
    per_domain: int = 20
    in_all: int = 200
    window: timedelta = timedelta(hours=1)


USUAL = Limits()


def check(session: Session, recipient: str, now: datetime, limits: Limits = USUAL) -> str:
    """As `allowed`; a brake that holds is told to the operator."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_LOCK)))
    name, brake = _brake(session, recipient, now, limits)
    if brake:
        text = f"a brake holds answers, first to {recipient} ({brake}): `triaged queue withdraw --to {recipient}`"
        alarms.ring(session, f"brake-{name}", text, now)
    return f"brake: {brake}" if brake else ""


def allowed(session: Session, recipient: str, now: datetime, limits: Limits = USUAL) -> str:
    """Empty when one more braked mail may go to `recipient`, else the brake that holds it, for a person to read."""
    return _brake(session, recipient, now, limits)[1]


def _brake(session: Session, recipient: str, now: datetime, limits: Limits) -> tuple[str, str]:
    domain = recipient.rpartition("@")[2]
    day, hour = now - limits.address_window, now - limits.window
    to_domain = Outbox.recipient.endswith(f"@{domain}", autoescape=True)
    if found := _reached(session, limits.per_address, day, Outbox.recipient == recipient):
        return "address", f"limit: {found} to this address in {_hours(limits.address_window)}"
    if found := _reached(session, limits.per_domain, hour, to_domain):
        return "domain", f"limit: {found} to {domain} in {_hours(limits.window)}"
    if found := _reached(session, limits.in_all, hour):
        return "all", f"limit: {found} in {_hours(limits.window)}"
    return "", ""


def waiting(session: Session, recipient: str) -> tuple[int, ...]:
    """The mails to this address that are held, by a brake or by a person."""
    where = (Outbox.state == "held", Outbox.recipient == recipient)
    return tuple(session.scalars(sqlalchemy.select(Outbox.id).where(*where).order_by(Outbox.id)))


def _reached(session: Session, limit: int, since: datetime, *where: ColumnElement[bool]) -> int:
    """`limit` where so many braked mails were let through, else 0. The condition is that of the index, word for word:
    held ones, which may be ten thousand, are not even looked at, and nobody counts beyond the limit."""
    passed = sqlalchemy.select(Outbox.id).where(sqlalchemy.text(PASSED), Outbox.created_at > since, *where)
    return limit if len(session.scalars(passed.limit(limit)).all()) == limit else 0


def _hours(window: timedelta) -> str:
    return f"{window / timedelta(hours=1):g} h"


def says_the_same(session: Session, row_id: int, said: str, now: datetime) -> bool:
    """Whether just this (sender, recipients, subject, text: the first half of the content's hash) came REPEATS times
    within the hour before."""
    earlier = sqlalchemy.select(MessageRow.id).where(
        MessageRow.content_hash >= said,
        MessageRow.content_hash < f"{said}g",  # behind every hex digit
        MessageRow.decided_at > now - _WITHIN,
        MessageRow.id < row_id,
    )
    return len(session.scalars(earlier.limit(REPEATS)).all()) == REPEATS
