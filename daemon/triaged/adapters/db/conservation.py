"""What the tables must say together: every mail its row, every row its decision, every duty its mail (DESIGN §4.5).

Nothing is written here. Tables are read page by page, each page in a transaction of its own, and what was written first
is read last: a daemon that works meanwhile makes no difference.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import hosts, ledger
from triaged.adapters.db.contract_models import Contract as ContractRow
from triaged.adapters.db.contract_models import EstateEntry, Invitation, PurchaseOrder
from triaged.adapters.db.models import Event, Handling, MessageRow, Outbox, RawRow, Ticket
from triaged.domain.accounting import Check, Difference, Page
from triaged.domain.delivery import State
from triaged.domain.errors import PermanentError

PAGE = 500
STANDSTILL = timedelta(minutes=10)  # without one decision although mails wait: nobody decides
OVERDUE = timedelta(hours=1)  # of a mail that could go, or a mail that was tried once: something hinders it
SETTLING = timedelta(minutes=1)  # until what the dead held has been taken over
NIGHTS = 30  # in which the stored bytes of every mail are verified once

_RESTORE = "Restore the database from a backup taken before, or mend it by hand"
_PERSON = (State.UNCERTAIN, State.FAILED, State.HELD)
_UNSENT = (State.QUEUED, State.SENDING, State.UNCERTAIN, State.HELD)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the looks share: the instant, which daemons live, whether one has lived long enough to have taken over what
    the dead held, and each mailbox's desk."""

    now: datetime
    alive: frozenset[str]
    settled: bool
    desks: Mapping[str, str]


def ground(session: Session, now: datetime, desks: Mapping[str, str]) -> Ground:
    alive = hosts.alive(session)
    since = [one.started_at for one in hosts.listed(session) if one.id in alive]
    return Ground(now, alive, any(started < now - SETTLING for started in since), desks)


# --- the server's side ------------------------------------------------------------------------------------------------


def known(
    session: Session, mailbox: str, uidvalidity: int, first: int, last: int | None
) -> tuple[frozenset[int], frozenset[int]]:
    """UIDs from `first` to `last` that have a row, and those of them that are not tidied yet."""
    query = sqlalchemy.select(MessageRow.uid, MessageRow.tidied_at).where(
        MessageRow.mailbox == mailbox, MessageRow.uidvalidity == uidvalidity, MessageRow.uid >= first
    )
    rows = session.execute(query.where(MessageRow.uid <= last) if last else query).all()
    return frozenset(uid for uid, _ in rows), frozenset(uid for uid, tidied in rows if tidied is None)


def began(session: Session, mailbox: str) -> datetime | None:
    """When the first mail of this mailbox was fetched: what came before was never ours."""
    query = sqlalchemy.select(sqlalchemy.func.min(MessageRow.fetched_at)).where(MessageRow.mailbox == mailbox)
    return session.scalar(query)


def arrivals(session: Session, mailbox: str, first: datetime, last: datetime) -> Counter[tuple[datetime, int]]:
    """(arrival, size) of the mails that arrived in between, both instants included."""
    found = session.execute(
        sqlalchemy.select(MessageRow.received_at, MessageRow.size).where(
            MessageRow.mailbox == mailbox, MessageRow.received_at >= first, MessageRow.received_at <= last
        )
    )
    return Counter((arrived, size) for arrived, size in found)


def seen(session: Session, sha256: str, content: str) -> bool:
    """Whether the ledger of any mailbox knows these bytes, or this content without what servers add to it."""
    same = sqlalchemy.or_(MessageRow.sha256 == sha256, MessageRow.content_hash == content)
    return session.scalar(sqlalchemy.select(sqlalchemy.exists().where(same))) or False


# --- ledger, decisions, duties, bytes ---------------------------------------------------------------------------------


_LEDGER = [
    getattr(MessageRow, name)
    for name in (
        "id", "mailbox", "uidvalidity", "uid", "state", "attempts", "lease_owner", "lease_until", "decision", "reason",
        "decided_at", "receipt", "duplicate_of", "ticket_id", "received_at", "fetched_at",
    )
]  # fmt: skip


# Since when a mail may be decided: since it was fetched, or last released from quarantine.
_WAITS_SINCE = sqlalchemy.func.coalesce(
    sqlalchemy.select(sqlalchemy.func.max(Handling.at))
    .where(Handling.message_id == MessageRow.id, Handling.kind == "released")
    .correlate(MessageRow)
    .scalar_subquery(),
    MessageRow.fetched_at,
)


@dataclass(frozen=True, slots=True)
class _Around:
    """What other tables say of a page of mails."""

    kept: frozenset[int]
    owed: frozenset[tuple[str, str, str]]  # cause, notice, recipient
    told: frozenset[tuple[int, int, bool]]  # mail, ticket, whether it opened it
    orders: frozenset[int]
    mails: frozenset[int]


def messages(session: Session, on: Ground, after: int) -> Page:
    """Rows of the ledger: each has its decision, what it decided is there, what it owes is in the queue, and its bytes
    are kept until it is erased."""
    query = sqlalchemy.select(*_LEDGER, Ticket.state.label("ticket"), _WAITS_SINCE.label("since")).outerjoin(
        Ticket, Ticket.id == MessageRow.ticket_id
    )
    rows = session.execute(query.where(MessageRow.id > after).order_by(MessageRow.id).limit(PAGE)).all()
    around = _around(session, rows)
    found: list[Difference] = []
    duties = 0
    for row in rows:
        owed = _owed(row)
        duties += len(owed)
        found += _unsettled(row, around, on)
        found += _unowed(row, owed, around)
        found += _without_bytes(row, around)
    must = sum(_must_keep(row) for row in rows)
    looked_at = {Check.DECISIONS: len(rows), Check.DUTIES: duties, Check.BYTES: must}
    facts = Counter(f"mails {row.state}" for row in rows)
    return Page(rows[-1].id if len(rows) == PAGE else None, looked_at, tuple(found), facts)


def _around(session: Session, rows: Collection[Any]) -> _Around:
    ids, opened = [row.id for row in rows], Event.kind == "opened"
    tickets = {row.ticket_id for row in rows if row.ticket_id}
    orders = {_order(row) for row in rows}
    owed = sqlalchemy.select(Outbox.cause, Outbox.notice, Outbox.recipient)
    told = sqlalchemy.select(Event.message_id, Event.ticket_id, opened).where(Event.ticket_id.in_(tickets))
    return _Around(
        kept=_existing(session, RawRow.message_id, ids),
        owed=frozenset(
            (c, n, r) for c, n, r in session.execute(owed.where(Outbox.cause.in_([f"m{id}" for id in ids])))
        ),
        told=frozenset((m, t, bool(o)) for m, t, o in session.execute(told.where(Event.message_id.in_(ids))) if m),
        orders=_existing(session, PurchaseOrder.id, orders - {0}),
        mails=_existing(session, MessageRow.id, {row.duplicate_of for row in rows if row.duplicate_of}),
    )


def _existing(session: Session, column: Any, ids: Collection[int]) -> frozenset[int]:
    return frozenset(session.scalars(sqlalchemy.select(column).where(column.in_(ids)))) if ids else frozenset()


def _order(row: Any) -> int:
    """The row of the order that a decision names; 0: none."""
    number = (row.receipt or {}).get("order") or ""
    return int(number.rpartition("-")[2]) if number.startswith("ORD-") and number[4:].isdigit() else 0


def _unsettled(row: Any, around: _Around, on: Ground) -> Iterator[Difference]:
    differs = partial(_of_mail, Check.DECISIONS, row)
    if row.state == "received":
        yield from _held_up(row, differs, on)
    if row.state not in ("decided", "quarantined"):
        return
    lacks = [name for name in ("decision", "reason", "decided_at", "receipt") if getattr(row, name) is None]
    if lacks:
        yield differs(f"is {row.state} without {' and '.join(lacks)}", _RESTORE)
    elif (row.state == "quarantined") != (row.decision == "quarantine"):
        yield differs(f"is {row.state}, and its decision is {row.decision}", _RESTORE)
    if row.decision == "ticket" and (row.id, row.ticket_id, True) not in around.told:
        yield differs("was to open a ticket, and no ticket says that it did", f"{_RESTORE}, or open a ticket by hand")
    if row.decision == "update" and not {(row.id, row.ticket_id, told) for told in (True, False)} & around.told:
        yield differs("was added to a ticket whose history does not have it", _RESTORE)
    if row.decision == "order" and _order(row) not in around.orders:
        yield differs("is an order that is not among the orders", f"{_RESTORE}, or `triaged order import` it")
    if row.decision == "duplicate" and (row.duplicate_of not in around.mails or row.duplicate_of == row.id):
        yield differs("is a duplicate of no other mail", f"{_RESTORE}; see `triaged message show {row.id}`")


def _held_up(row: Any, differs: Any, on: Ground) -> Iterator[Difference]:
    look = "See `triaged status`: does a daemon run?"
    if row.lease_owner and row.lease_owner not in on.alive and on.settled:
        yield differs(f"is held by the daemon {row.lease_owner}, which no longer lives", look)
    elif row.lease_until and row.lease_until < on.now - SETTLING:
        yield differs(f"is held by the daemon {row.lease_owner} past its time", look)
    elif row.attempts and not row.lease_owner and row.since < on.now - OVERDUE:
        yield differs(f"was tried {row.attempts} times and waits since {row.since:%Y-%m-%d %H:%M} UTC", look)


def _owed(row: Any) -> list[tuple[str, str]]:
    """(notice, recipient) of every mail that a decision owes."""
    if row.state == "received":
        return []
    notices = (row.receipt or {}).get("notices") or ()
    return [(notice["name"], recipient) for notice in notices for recipient in notice["to"]]


def _unowed(row: Any, owed: Collection[tuple[str, str]], around: _Around) -> Iterator[Difference]:
    for notice, recipient in owed:
        if (f"m{row.id}", notice, recipient) not in around.owed:
            text = f"owes {notice} to {recipient}, and the queue has no such mail"
            yield _of_mail(Check.DUTIES, row, text, f"Write to them by hand; {_RESTORE.lower()}")


def _must_keep(row: Any) -> bool:
    """Bytes go only when the mail is erased, by its retention or by hand."""
    return bool(row.state != "erased")


def _without_bytes(row: Any, around: _Around) -> Iterator[Difference]:
    if row.id not in around.kept and _must_keep(row):
        fix = f"{_RESTORE}; the mail may still lie on the server, in the folder or the archive"
        yield _of_mail(Check.BYTES, row, "has no stored bytes, and was not erased", fix)


def _of_mail(check: Check, row: Any, text: str, fix: str) -> Difference:
    told = f"message {row.id} ({row.mailbox}, UID {row.uidvalidity}/{row.uid}) {text}"
    return Difference(check, told, fix, row.mailbox, row.uidvalidity, row.uid, row.id)


def damaged(session: Session, after: int, night: int | None) -> Page:
    """Stored mails against their SHA-256: those whose turn it is this `night`, or all (None)."""
    query = sqlalchemy.select(RawRow.message_id).where(RawRow.message_id > after)
    if night is not None:
        query = query.where(RawRow.message_id % NIGHTS == night % NIGHTS)
    ids = list(session.scalars(query.order_by(RawRow.message_id).limit(PAGE)))
    found = []
    for row_id in ids:
        try:
            ledger.raw(session, row_id)
        except PermanentError as error:
            row = session.get(MessageRow, row_id)
            if row is not None and ledger.kept(session, row_id):  # purged between two statements is no damage
                place = (row.mailbox, row.uidvalidity, row.uid, row.id)
                found.append(Difference(Check.BYTES, str(error), "See docs/operator.md, Backup", *place))
        session.expunge_all()
    return Page(ids[-1] if len(ids) == PAGE else None, {Check.BYTES: 0}, tuple(found), {"bytes verified": len(ids)})


def standstill(session: Session, on: Ground, _after: int) -> Page:
    """Mails that wait although nothing was decided for a while, named together."""
    waiting = MessageRow.state == "received"
    number = session.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(waiting)) or 0
    longest = sqlalchemy.select(MessageRow, _WAITS_SINCE).where(waiting).order_by(_WAITS_SINCE, MessageRow.id)
    oldest, since = session.execute(longest.limit(1)).first() or (None, on.now)
    if oldest is None or since > on.now - STANDSTILL:
        return Page()
    lately = sqlalchemy.exists().where(MessageRow.decided_at > on.now - STANDSTILL)
    if session.scalar(sqlalchemy.select(lately)):
        return Page()
    text = f"waits for its decision since {since:%Y-%m-%d %H:%M} UTC, and {number - 1} more after it"
    return Page(differences=(_of_mail(Check.DECISIONS, oldest, text, "Nobody decides: see `triaged status`"),))


# --- tickets ----------------------------------------------------------------------------------------------------------


def tickets(session: Session, _on: Ground, after: int) -> Page:
    """Every ticket was opened once, by one mail that says so, too."""
    query = sqlalchemy.select(Ticket.id, Ticket.number, Ticket.mailbox).where(Ticket.id > after)
    rows = session.execute(query.order_by(Ticket.id).limit(PAGE)).all()
    openings = (
        sqlalchemy.select(Event.ticket_id, Event.message_id, MessageRow.id, MessageRow.ticket_id, MessageRow.state)
        .outerjoin(MessageRow, MessageRow.id == Event.message_id)
        .where(Event.ticket_id.in_([row.id for row in rows]), Event.kind == "opened")
    )
    opened: dict[int, list[Any]] = {}
    for one in session.execute(openings):
        opened.setdefault(one[0], []).append(one)
    found = [one for row in rows for one in _opening(row, opened.get(row.id, []))]
    return Page(rows[-1].id if len(rows) == PAGE else None, {Check.TICKETS: len(rows)}, tuple(found))


def _opening(row: Any, opened: Collection[Any]) -> Iterator[Difference]:
    def differs(text: str, message: int | None = None) -> Difference:
        place = {"mailbox": row.mailbox, "message": message, "about": row.number}
        return Difference(Check.TICKETS, f"ticket {row.number} {text}", _RESTORE, **place)

    if not opened:
        yield differs("has no mail that opened it in its history")
    if len(opened) > 1:
        yield differs(f"was opened {len(opened)} times: by messages {', '.join(str(one[1]) for one in opened)}")
    for _ticket, named, message, belongs, state in opened:
        if named is not None and message is None:
            yield differs(f"was opened by message {named}, which is not in the ledger", named)
        elif message is not None and belongs != row.id and state != "erased":
            yield differs(f"was opened by message {message}, which does not say so", message)


def twins(session: Session, on: Ground, _after: int) -> Page:
    """One mail opens one ticket, at each desk."""
    count = sqlalchemy.func.count()
    opened = (Event.kind == "opened", Event.message_id.is_not(None))
    twice = sqlalchemy.select(Event.message_id).where(*opened).group_by(Event.message_id).having(count > 1)
    found = [
        Difference(Check.DUPLICATES, f"message {one} opened more than one ticket", _CLOSE, message=one)
        for one in session.scalars(twice)
    ]
    ticketed = (MessageRow.decision == "ticket", MessageRow.state == "decided")
    by_content = (MessageRow.message_id, MessageRow.content_hash)
    for keys, has in (((MessageRow.sha256,), MessageRow.sha256 != ""), (by_content, MessageRow.message_id != "")):
        same = sqlalchemy.select(*keys).where(*ticketed, has)
        for values in session.execute(same.group_by(*keys).having(count > 1)).all():
            where = (*ticketed, *(key == value for key, value in zip(keys, values, strict=True)))
            found += _same(session, on, where)
    number = session.scalar(sqlalchemy.select(count).select_from(Ticket)) or 0
    return Page(None, {Check.DUPLICATES: number}, tuple(dict.fromkeys(found)))


_CLOSE = "Close one of the tickets with a note that names the other"


def _same(session: Session, on: Ground, where: Collection[Any]) -> Iterator[Difference]:
    query = sqlalchemy.select(MessageRow, Ticket.number).outerjoin(Ticket, Ticket.id == MessageRow.ticket_id)
    rows = session.execute(query.where(*where).order_by(MessageRow.id)).all()
    for desk in dict.fromkeys(on.desks.get(row.mailbox, "") for row, _number in rows):
        copies = [(row, number) for row, number in rows if on.desks.get(row.mailbox, "") == desk]
        if len(copies) > 1:
            first = copies[0][0]
            each = ", ".join(f"message {row.id} ({row.mailbox} {row.uid}) {number}" for row, number in copies)
            yield _of_mail(Check.DUPLICATES, first, f"came again and opened a ticket each time: {each}", _CLOSE)


# --- the queue --------------------------------------------------------------------------------------------------------

# What a mail's cause says, and the table that must have it; an import's stamp and a one-time code leave none for ever.
_CAUSES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"m(\d+)"), MessageRow.id),
    (re.compile(r"e(\d+)"), Event.id),
    (re.compile(r"x(\d+)"), EstateEntry.id),
    (re.compile(r"o(\d+)"), PurchaseOrder.id),
    (re.compile(r"ORD-(\d+)\..*"), PurchaseOrder.id),
    (re.compile(r"c(\d+)\.\d+"), ContractRow.id),
    (re.compile(r"invitation(\d+)"), Invitation.id),
    (re.compile(r"f\d+\.\d+|code\d+"), None),
)
_QUEUE = [
    getattr(Outbox, name)
    for name in (
        "id", "cause", "notice", "recipient", "state", "sent_at", "lease_owner", "lease_until", "bounced_at",
        "report_id",
    )
]  # fmt: skip


def queue(session: Session, on: Ground, after: int) -> Page:
    """Mails that we owe: each has its cause, what was sent says when, nothing is held by the dead."""
    purged = sqlalchemy.and_(Outbox.body.is_(None), Outbox.seal.is_(None)).label("purged")
    query = sqlalchemy.select(*_QUEUE, purged).where(Outbox.id > after).order_by(Outbox.id).limit(PAGE)
    rows = session.execute(query).all()
    causeless = _causeless(session, {row.cause for row in rows})
    found = [one for row in rows for one in _astray(row, causeless, on)]
    facts = Counter(f"queue {row.state}, for a person" for row in rows if row.state in _PERSON)
    return Page(rows[-1].id if len(rows) == PAGE else None, {Check.QUEUE: len(rows)}, tuple(found), facts)


def _causeless(session: Session, causes: Collection[str]) -> frozenset[str]:
    """Those of the causes that do not exist."""
    named: dict[Any, dict[str, int]] = {}
    unknown = set(causes)
    for cause in causes:
        for pattern, column in _CAUSES:
            if match := pattern.fullmatch(cause):
                unknown.discard(cause)
                if column is not None:
                    named.setdefault(column, {})[cause] = int(match[1])
                break
    for column, rows in named.items():
        there = _existing(session, column, set(rows.values()))
        unknown |= {cause for cause, row in rows.items() if row not in there}
    return frozenset(unknown)


def _astray(row: Any, causeless: Collection[str], on: Ground) -> Iterator[Difference]:
    def differs(text: str, fix: str) -> Difference:
        told = f"mail {row.id} of the queue ({row.notice} to {row.recipient}, {row.state}) {text}"
        message = int(row.cause[1:]) if re.fullmatch(r"m\d+", row.cause) else None
        return Difference(Check.QUEUE, told, fix, message=message, queue=row.id)

    look = "See `triaged status`: does a daemon run?"
    if row.cause in causeless:
        yield differs(f"is owed because of {row.cause}, which is not there", _RESTORE)
    if row.state == State.SENT and row.sent_at is None:
        yield differs("was sent and does not say when", _RESTORE)
    if row.bounced_at is not None and row.report_id is None:
        yield differs("came back and does not say by which report", _RESTORE)
    if row.purged and row.state in _UNSENT:
        yield differs("is still owed, and its bytes are gone", "Write by hand what it said")
    if row.lease_owner and row.lease_owner not in on.alive and on.settled:
        yield differs(f"is held by the daemon {row.lease_owner}, which no longer lives", look)
    elif row.lease_owner and row.lease_until and row.lease_until < on.now - SETTLING:
        yield differs(f"is held by the daemon {row.lease_owner} past its time", look)


def overdue(session: Session, on: Ground, _after: int) -> Page:
    """Mails that could have gone long ago, named together: the relay is down, or nobody delivers."""
    late = (Outbox.state == State.QUEUED, Outbox.lease_owner.is_(None), Outbox.due_at < on.now - OVERDUE)
    number = session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Outbox).where(*late)) or 0
    oldest = (
        sqlalchemy.select(Outbox.id, Outbox.due_at, Outbox.last_error).where(*late).order_by(Outbox.due_at).limit(1)
    )
    first = session.execute(oldest).first()
    if first is None:
        return Page()
    since = f"{first.due_at:%Y-%m-%d %H:%M} UTC"
    text = f"mail {first.id} of the queue should have gone at {since}, and {number - 1} more are over an hour late"
    fix = f"The relay said: {first.last_error}" if first.last_error else "See `triaged status`: does a daemon run?"
    return Page(differences=(Difference(Check.QUEUE, text, fix, queue=first.id),))
