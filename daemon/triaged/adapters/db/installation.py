"""Which life of the database this is, and what a restored backup left behind (the gap).

Mails of the gap are read again, because the ledger does not know them, but may have been answered before; numbers that
were given in it are known to partners and not to us. So what is owed for the gap is held, and numbers leave room.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import contract_models
from triaged.adapters.db.ledger import insert_if_absent
from triaged.adapters.db.models import (
    Cursor,
    Event,
    Host,
    Inspection,
    Installation,
    MessageRow,
    Outbox,
    Ticket,
    TicketCounter,
)
from triaged.domain import delivery
from triaged.domain.credentials import ROWS
from triaged.domain.delivery import State

ROOM = 1000  # numbers left free at least, where a gap may have used them
LIVES = 10_000_000  # what a restore adds to the count: more than any host's note of it (each notes 5,760 a day)
_OFTENER = 4  # times the usual number of rows a day that a gap may have seen
_RESTORED = "restored from a backup"
_RESCUE = "archive:"  # the inspections by which rescues are known
_SETTLED = timedelta(hours=1)  # until what a rescue brought back was read again
_NUMBERED = (
    MessageRow,
    Ticket,
    Event,
    Outbox,
    contract_models.PurchaseOrder,
    contract_models.Contract,
    contract_models.Invitation,
    contract_models.SignInCode,
    contract_models.EstateEntry,
)
_SIGNS = (
    Cursor.polled_at,
    Host.beat_at,
    MessageRow.fetched_at,
    MessageRow.decided_at,
    Event.at,
    Outbox.created_at,
    Outbox.sent_at,
)


@dataclass(frozen=True, slots=True)
class Gap:
    """From the backup's last sign of life until the restore: what happened then is known to others only."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Marked:
    """A gap with what was found owed in it: `held` wait for a person, `doubted` were between DATA and its answer."""

    gap: Gap
    held: int
    doubted: int


def _row(session: Session) -> Installation:
    insert_if_absent(session, Installation, [{"id": 1, "starts": 0}])  # hosts may start at once for the first time
    return session.get_one(Installation, 1, with_for_update=True)


def lives(session: Session) -> int:
    """How often this database gave a sign of life; 0: never."""
    row = session.get(Installation, 1)
    return row.starts if row else 0


def live(session: Session) -> int:
    """One sign of life more; returns the count."""
    row = _row(session)
    row.starts += 1
    return row.starts


def gap(session: Session) -> Gap | None:
    """The gap of the last restore; None when there was none."""
    row = session.get(Installation, 1)
    return Gap(row.gap_from, row.gap_until) if row and row.gap_from and row.gap_until else None


def last_sign(session: Session) -> datetime | None:
    """When this database was last written to by a daemon or a person; None: never."""
    found = (session.scalar(sqlalchemy.select(sqlalchemy.func.max(column))) for column in _SIGNS)
    return max((at for at in found if at is not None), default=None)


def mark_restored(
    session: Session, regions: Collection[str], since: datetime | None, until: datetime, known_lives: int = 0
) -> Marked:
    """This database was restored: its gap begins with its last sign of life, or `since`. What it shows as waiting is
    held, what it shows in DATA is in doubt for good, numbers leave room, and no host's note is above its count."""
    begun = min(since or last_sign(session) or until, until)
    first = session.scalar(sqlalchemy.select(sqlalchemy.func.min(MessageRow.fetched_at)))
    _leave_room(session, regions, (until - begun).total_seconds(), (begun - first).total_seconds() if first else 0)
    row = _row(session)
    row.gap_from = begun if _rescued(session, row, begun) else min(row.gap_from or begun, begun)
    row.gap_until = until
    row.starts = max(row.starts, known_lives) + LIVES
    about = Gap(begun, until)
    return Marked(about, *_stopped(session, held(about)))


def rescue_of(mailbox: str) -> str:
    """The name under which the rescue of a mailbox's archive is noted among the inspections."""
    return f"{_RESCUE}{mailbox}"


def _rescued(session: Session, row: Installation, begun: datetime) -> bool:
    """Whether the gap before this one left nothing in any archive. Where that is not certain, the new gap begins with
    the old one: a host that marks a gap once more must not hide its beginning."""
    if row.gap_until is None:
        return True
    looked = sqlalchemy.select(Inspection.name).where(
        Inspection.at >= row.gap_until, Inspection.at <= begun - _SETTLED, Inspection.name.startswith(_RESCUE)
    )
    return {rescue_of(mailbox) for mailbox in session.scalars(sqlalchemy.select(Cursor.mailbox))} <= {
        *session.scalars(looked)
    }


def held(about: Gap) -> str:
    """Why a mail of the gap waits, for a person."""
    return (
        f"{_RESTORED} at {about.until:%Y-%m-%d %H:%M} UTC: it may have been sent before that; "
        "`triaged queue release` sends it, `triaged queue withdraw` never does"
    )


def may_have_been_sent(session: Session, received: int | None) -> str:
    """Why a mail that is owed now for received mail `received` waits for a person; empty when it need not."""
    about = gap(session) if received is not None else None
    if about is None:
        return ""
    arrived = session.scalar(sqlalchemy.select(MessageRow.received_at).where(MessageRow.id == received))
    return held(about) if arrived is not None and arrived < about.until else ""


def waiting(session: Session) -> tuple[int, ...]:
    """The mails that a restore holds."""
    where = (Outbox.state == State.HELD, Outbox.last_error.startswith(_RESTORED))
    return tuple(session.scalars(sqlalchemy.select(Outbox.id).where(*where).order_by(Outbox.id)))


def doubtful(session: Session) -> int:
    """How many mails the restored backup showed in DATA, and nobody has decided on."""
    where = (Outbox.state == State.UNCERTAIN, Outbox.last_error.startswith(_RESTORED))
    return session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Outbox).where(*where)) or 0


def _stopped(session: Session, reason: str) -> tuple[int, int]:
    """Nothing that the backup shows as owed goes out by itself any more."""
    free: dict[str, Any] = {"lease_owner": None, "lease_until": None, "fence": Outbox.fence + 1, "last_error": reason}
    plain = {"synchronize_session": False}
    moved = []
    for states, values in (
        ((State.QUEUED,), {"state": State.HELD}),
        ((State.SENDING, State.UNCERTAIN), {"state": State.UNCERTAIN, "doubts": delivery.MOST_DOUBTS}),
    ):
        statement = sqlalchemy.update(Outbox).where(Outbox.state.in_(states)).values(**free, **values)
        moved.append(len(session.scalars(statement.returning(Outbox.id), execution_options=plain).all()))
    return moved[0], moved[1]


def _leave_room(session: Session, regions: Collection[str], lost: float, lived: float) -> None:
    """Numbers given in a gap of `lost` seconds are in partners' hands: go on above them, by the pace of `lived`."""
    share = _OFTENER * lost / lived if lived > 0 else 0.0
    known = {counter.region: counter for counter in session.scalars(sqlalchemy.select(TicketCounter).with_for_update())}
    for region in {*regions, *known}:
        counter = known.get(region) or TicketCounter(region=region, last=0)
        session.add(counter)
        counter.last += _room(counter.last, share)
    session.flush()
    for table in _NUMBERED:
        last = session.scalar(sqlalchemy.select(sqlalchemy.func.max(table.id))) or 0
        _go_on_from(session, table.__tablename__, last + _room(last, share))


def _room(last: int, share: float) -> int:
    """At least ROOM, more where many numbers a day are given; never so much that they come to an end."""
    return max(ROOM, min(math.ceil(last * share), 50 * last, (ROWS - last) // 4))


def _go_on_from(session: Session, table: str, last: int) -> None:
    """The next row of this table gets a number above `last`."""
    if session.get_bind().dialect.name == "sqlite":
        statements = [
            "INSERT INTO sqlite_sequence (name, seq) SELECT :table, 0 "
            "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :table)",
            "UPDATE sqlite_sequence SET seq = max(seq, :last) WHERE name = :table",
        ]
    else:
        sequence = "pg_get_serial_sequence(:table, 'id')"
        statements = [f"SELECT setval({sequence}, greatest(:last, nextval({sequence})))"]  # no input
    for statement in statements:
        session.execute(sqlalchemy.text(statement), {"table": table, "last": last})
