"""The ledger's second half: who works on a mail, what was decided, what stands in quarantine (DESIGN §4.2).

Attempts are counted and committed before the work, so that a mail that kills the process counts too.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from triaged.adapters.db.models import MessageRow, RawRow, Ticket
from triaged.domain.decision import Decision
from triaged.domain.errors import PermanentError

LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Work:
    """A mail that this process has claimed; `attempts` counts this one too."""

    id: int
    mailbox: str
    uidvalidity: int
    uid: int
    size: int
    sha256: str
    received_at: datetime
    truncated: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A row of the ledger for people and scripts."""

    row: dict[str, Any]
    receipt: dict[str, Any] | None
    error: str | None
    truncated: bool
    tidied_at: datetime | None = None  # since when it is archived or flagged on the server

    def document(self) -> dict[str, Any]:
        return {**self.row, "decision": self.receipt or self.row["decision"], "error": self.error}


def claim(session: Session, owner: str, now: datetime, limit: int) -> tuple[Work, ...]:
    """Take mails to decide: up to `limit` that were never tried, or one alone that was, so that a mail that kills
    the process never charges its neighbours; the least tried first, so that whoever else kills us hits all alike."""
    free = sqlalchemy.and_(
        MessageRow.state == "received",
        sqlalchemy.or_(
            MessageRow.lease_until.is_(None),
            MessageRow.lease_until < now,
            MessageRow.lease_owner == owner,  # one thread decides per process: what it left behind is free
        ),
    )
    order = sqlalchemy.select(MessageRow).where(free).order_by(MessageRow.id).with_for_update(skip_locked=True)
    rows = list(session.scalars(order.where(MessageRow.attempts == 0).limit(limit)))
    tried = order.where(MessageRow.attempts > 0).order_by(None).order_by(MessageRow.attempts, MessageRow.id)
    rows = rows or list(session.scalars(tried.limit(1)))
    for row in rows:
        row.attempts += 1
        row.lease_owner, row.lease_until = owner, now + LEASE
    return tuple(_work(row) for row in rows)


def _work(row: MessageRow) -> Work:
    return Work(
        id=row.id,
        mailbox=row.mailbox,
        uidvalidity=row.uidvalidity,
        uid=row.uid,
        size=row.size,
        sha256=row.sha256,
        received_at=row.received_at,
        truncated=row.truncated,
        attempts=row.attempts,
    )


def ours(session: Session, owner: str, claimed: Sequence[Work]) -> frozenset[int]:
    """Which of these are still ours: nobody took them since. They stay so until this transaction ends."""
    query = sqlalchemy.select(MessageRow.id).where(_ours(owner, claimed)).order_by(MessageRow.id).with_for_update()
    return frozenset(session.scalars(query))


def release(session: Session, owner: str, claimed: Sequence[Work]) -> None:
    """Give claimed mails back untouched (a stop, a database that was lost in the middle): the attempt is refunded,
    where they are still ours."""
    if claimed:
        session.execute(
            sqlalchemy.update(MessageRow)
            .where(_ours(owner, claimed))
            .values(lease_owner=None, lease_until=None, attempts=MessageRow.attempts - 1),
            execution_options={"synchronize_session": False},
        )


def _ours(owner: str, claimed: Sequence[Work]) -> sqlalchemy.ColumnElement[bool]:
    """The attempt is the fence: it goes up whenever a mail is claimed."""
    each = [sqlalchemy.and_(MessageRow.id == work.id, MessageRow.attempts == work.attempts) for work in claimed]
    attempt = sqlalchemy.or_(sqlalchemy.false(), *each)  # not "(id, attempts) IN": SQLite 3.40 finds nothing by it
    return sqlalchemy.and_(MessageRow.state == "received", MessageRow.lease_owner == owner, attempt)


def charge(session: Session, owner: str, work: Work, attempts: int) -> None:
    """Let a mail of ours stand with so many attempts: one less than claimed while it is only rehearsed, because whoever
    kills the daemon then is not this mail."""
    session.execute(
        sqlalchemy.update(MessageRow)
        .where(MessageRow.id == work.id, MessageRow.state == "received", MessageRow.lease_owner == owner)
        .values(attempts=attempts),
        execution_options={"synchronize_session": False},
    )


def orphaned(session: Session, alive: Collection[str]) -> int:
    """Free what processes that no longer live had claimed; their attempt stays counted. Returns how many."""
    freed = session.execute(
        sqlalchemy.update(MessageRow)
        .where(
            MessageRow.state == "received",
            MessageRow.lease_owner.is_not(None),
            MessageRow.lease_owner.not_in(alive),
        )
        .values(lease_owner=None, lease_until=None)
        .returning(MessageRow.id)
    )
    return len(freed.all())


def failed(session: Session, row_id: int, error: str) -> None:
    """This attempt did not work; the mail waits for the next."""
    session.execute(
        sqlalchemy.update(MessageRow)
        .where(MessageRow.id == row_id)
        .values(error=error, lease_owner=None, lease_until=None)
    )


@dataclass(frozen=True, slots=True)
class Twin:
    """The first copy of a mail: its row, and its ticket's number or empty."""

    id: int
    ticket: str


def one_copy_at_a_time(session: Session, contents: Iterable[str]) -> None:
    """Whoever decides copies of one mail waits here for whoever does so at the same moment, or both would open a
    ticket. Always in the same order, so that two batches never wait for each other; SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        names = sorted({int(content[:15], 16) for content in contents if content})
        copies = sqlalchemy.func.unnest(sqlalchemy.cast(names, postgresql.ARRAY(sqlalchemy.BigInteger))).column_valued()
        session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(copies)))


def twin(
    session: Session, work: Work, message_ids: Collection[str], content: str, elsewhere: Collection[str] = ()
) -> Twin | None:
    """The mail, decided before, that this one is again: the same bytes, or the same Message-ID with the same content.
    It may have come later: after a crash, what was tried already waits for what was not. A copy in a mailbox
    `elsewhere`, at another desk, is no duplicate: each desk does its own with it."""
    ways = [MessageRow.sha256 == work.sha256]
    if message_ids:
        ways.append(sqlalchemy.and_(MessageRow.message_id.in_(message_ids), MessageRow.content_hash == content))
    firsts = [  # each by its own index: "or" would sort ten thousand copies for each further one
        session.execute(
            sqlalchemy.select(MessageRow.id, Ticket.number)
            .join(Ticket, Ticket.id == MessageRow.ticket_id, isouter=True)
            .where(same, MessageRow.id != work.id, MessageRow.state.in_(("decided", "quarantined", "erased")))
            .where(MessageRow.mailbox.not_in(elsewhere), MessageRow.duplicate_of.is_(None))
            .order_by(MessageRow.id)
            .limit(1)
        ).first()
        for same in ways
    ]
    found = min((first for first in firsts if first), key=lambda first: int(first[0]), default=None)
    return Twin(found[0], found[1] or "") if found else None


def decided(
    session: Session,
    row_id: int,
    decision: Decision,
    *,
    now: datetime,
    policy_version: str,
    message_id: str = "",
    content: str | None = None,
    ticket_id: int | None = None,
    duplicate_of: int | None = None,
    error: str | None = None,
) -> None:
    """The decision, in the transaction that carries it out."""
    session.execute(
        sqlalchemy.update(MessageRow)
        .where(MessageRow.id == row_id)
        .values(
            state="quarantined" if decision.verdict == "quarantine" else "decided",
            decision=decision.verdict.value,
            reason=decision.reason.value,
            decided_at=now,
            policy_version=policy_version,
            receipt=decision.document(),
            sender=decision.sender.address if decision.sender else None,
            trust=decision.trust,
            message_id=message_id,
            content_hash=content,
            ticket_id=ticket_id,
            duplicate_of=duplicate_of,
            error=error,
            lease_owner=None,
            lease_until=None,
        )
    )


def announced(session: Session, ids: Sequence[int]) -> None:
    """Their decision lines were printed."""
    if ids:
        session.execute(sqlalchemy.update(MessageRow).where(MessageRow.id.in_(ids)).values(announced=True))


def unannounced(session: Session, limit: int) -> list[MessageRow]:
    """Decisions that were committed, but whose line may not have been printed before the process died."""
    return list(
        session.scalars(
            sqlalchemy.select(MessageRow)
            .where(~MessageRow.announced, MessageRow.decision.is_not(None))
            .order_by(MessageRow.id)
            .limit(limit)
        )
    )


def waiting(session: Session) -> int:
    """How many mails wait for a decision."""
    return session.scalar(_count().where(MessageRow.state == "received")) or 0


def counts(session: Session) -> dict[str, int]:
    found = session.execute(sqlalchemy.select(MessageRow.state, sqlalchemy.func.count()).group_by(MessageRow.state))
    return dict(found.all())


def _count() -> sqlalchemy.Select[int]:
    return sqlalchemy.select(sqlalchemy.func.count()).select_from(MessageRow)


def listed(session: Session, state: str | None = None, limit: int | None = None) -> list[MessageRecord]:
    """Oldest first, the newest `limit`."""
    wanted = _with_ticket().order_by(MessageRow.id.desc()).limit(limit)
    if state:
        wanted = wanted.where(MessageRow.state == state)
    return [_record(row, number) for row, number in reversed(session.execute(wanted).all())]


def one(session: Session, row_id: int) -> MessageRecord:
    """Raises PermanentError when there is no such row."""
    found = session.execute(_with_ticket().where(MessageRow.id == row_id)).one_or_none()
    if found is None:
        raise PermanentError(f"there is no message {row_id}: `triaged message list` shows them")
    row, number = found
    return _record(row, number)


def _with_ticket() -> sqlalchemy.Select[MessageRow, str]:
    return sqlalchemy.select(MessageRow, Ticket.number).join(Ticket, Ticket.id == MessageRow.ticket_id, isouter=True)


def _record(row: MessageRow, ticket: str | None) -> MessageRecord:
    """INTERFACE §4 `message list --json`."""
    columns = (
        "id",
        "mailbox",
        "uidvalidity",
        "uid",
        "message_id",
        "sha256",
        "received_at",
        "state",
        "decision",
        "reason",
    )
    values = {name: getattr(row, name) for name in columns}
    more = {"ticket": ticket, "from": row.sender, "size": row.size, "attempts": row.attempts}
    return MessageRecord({**values, **more}, row.receipt, row.error, row.truncated, row.tidied_at)


def again(session: Session, row_id: int) -> None:
    """Let the daemon decide a quarantined mail anew with today's code and policy, alone: it may be what killed a
    process before. Raises PermanentError where there is nothing to decide, or nothing to decide on."""
    row = _quarantined(session, row_id)
    if row.truncated:
        raise PermanentError(
            f"of message {row_id} only the header was kept: raise [limits] message, move the mail out of the folder "
            "and back into it, and it comes again"
        )
    if session.get(RawRow, row_id) is None:
        raise PermanentError(f"message {row_id} has no stored bytes any more: nothing to decide on")
    row.state, row.attempts, row.announced = "received", 1, False
    row.decision, row.reason, row.receipt, row.error = None, None, None, None


def _quarantined(session: Session, row_id: int) -> MessageRow:
    row = session.get(MessageRow, row_id, with_for_update=True, populate_existing=True)
    if row is None or row.state != "quarantined":
        state = row.state if row else "not there"
        raise PermanentError(f"message {row_id} is {state}, not in quarantine: `triaged quarantine list` shows what is")
    return row


def drop(session: Session, row_id: int, reason: str) -> None:
    """A quarantined mail that nobody needs: the row stays with the reason."""
    row = _quarantined(session, row_id)
    row.state, row.error = "dropped", f"dropped: {reason} (was: {row.error or row.reason})"
