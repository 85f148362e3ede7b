"""Mails we owe: one row = one recipient = finished bytes, written in the transaction that made us owe it (DESIGN §4.3).

A claim is a lease on a `queued` row; `sending` is committed just before DATA. The fence goes up whenever a row changes
hands, so that whoever was thought dead cannot settle what another has taken.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from triaged.adapters.db import brakes, hosts, installation
from triaged.adapters.db.contract_models import contract_number
from triaged.adapters.db.models import Outbox, Ticket
from triaged.domain import delivery
from triaged.domain.delivery import State

MOST_DOUBTS = delivery.MOST_DOUBTS

_FREE = Outbox.lease_owner.is_(None)
_QUEUED = Outbox.state == State.QUEUED
_RESENDABLE = sqlalchemy.and_(  # a sealed mail is never sent twice: its secret is replaced by a new mail's
    Outbox.state == State.UNCERTAIN, Outbox.doubts < MOST_DOUBTS, Outbox.seal.is_(None)
)
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class Owed:
    """A mail to one recipient. `cause` is what made us owe it (`m17`, `e45`): with notice and recipient it is the key.

    `due_at` is not-before, `deadline` that of the duty (the order of sending), `not_after` when it is no longer true.
    `seal` (`invitation:17`, `code:4`) marks a mail that holds a secret: its `body` is None and made when it is claimed;
    the mail that replaces it after a doubt carries its `doubts` on.
    `braked` marks an answer that brakes count and may hold: to automatic, unauthenticated, repeated mail (DESIGN §4.6).
    """

    cause: str
    log_id: str
    notice: str
    recipient: str
    envelope_from: str
    subject: str
    message_id: str
    body: bytes | None
    created_at: datetime
    due_at: datetime
    deadline: datetime
    not_after: datetime | None = None
    braked: bool = False
    ticket_id: int | None = None
    contract_id: int | None = None
    seal: str | None = None
    source_message_id: int | None = None
    doubts: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that is ours to send until its lease ends. `attempts` counts this one; `state` is queued or uncertain."""

    id: int
    fence: int
    log_id: str
    notice: str
    recipient: str
    envelope_from: str
    body: bytes | None
    state: State
    attempts: int
    doubts: int
    deadline: datetime
    not_after: datetime | None
    message_id: str
    seal: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What one claim took, by deadline, and what it found too late to be true and withdrew."""

    rows: tuple[Claimed, ...]
    withdrawn: tuple[Claimed, ...]


_CLAIMED_COLUMNS = [getattr(Outbox, name) for name in Claimed.__slots__]


# What we owe


def put(session: Session, rows: Sequence[Owed], limits: brakes.Limits = brakes.USUAL) -> tuple[str, ...]:
    """Owe these mails; one that is already owed (cause, notice, recipient) is left as it is.

    A braked one over the limits is stored as `held`, so that it stays visible, and so is what may have been sent before
    a backup was restored; returns the log ids of those.
    Raises IntegrityError when a Message-ID is used twice for different mails."""
    held = []
    for row in rows:
        reason = _restored(session, row)
        if row.braked and not reason:
            reason = brakes.check(session, row.recipient, row.created_at, limits)
        if _insert(session, row, reason) and reason:
            held.append(row.log_id)
    return tuple(held)


def _restored(session: Session, row: Owed) -> str:
    """Of a received mail's own answers; what a person does now goes out, whatever mail it is about."""
    answers = row.cause == f"m{row.source_message_id}"
    return installation.may_have_been_sent(session, row.source_message_id) if answers else ""


def _insert(session: Session, row: Owed, held: str) -> bool:
    build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = asdict(row) | ({"state": State.HELD, "last_error": held} if held else {})
    statement = build(Outbox).values(values).on_conflict_do_nothing(index_elements=["cause", "notice", "recipient"])
    return session.scalar(statement.returning(Outbox.id)) is not None


def owed_for(session: Session, cause: str) -> int:
    """How many mails this cause has owed so far."""
    return session.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(Outbox.cause == cause)) or 0


# Sending


def claim(session: Session, owner: str, now: datetime, limit: int, lease: timedelta) -> Claims:
    """Take up to `limit` rows that are due, the earliest deadline first; the attempt is counted here, before the work.

    Rows past their `not_after` are withdrawn on the way. On PostgreSQL no two owners ever take the same row; on SQLite
    there is one writer."""
    claims = _claim_some(session, _RESENDABLE, owner, now, limit, lease)
    fresh = _claim_some(session, _QUEUED, owner, now, limit - len(claims.rows), lease)
    rows = sorted(claims.rows + fresh.rows, key=lambda row: (row.deadline, row.id))
    return Claims(tuple(rows), claims.withdrawn + fresh.withdrawn)


def _claim_some(
    session: Session, wanted: ColumnElement[bool], owner: str, now: datetime, limit: int, lease: timedelta
) -> Claims:
    rows: tuple[Claimed, ...] = ()
    late: tuple[Claimed, ...] = ()
    while len(rows) < limit:
        found = session.execute(
            sqlalchemy.select(Outbox.id, Outbox.not_after)
            .where(wanted, _FREE, _due_by(now))
            .order_by(Outbox.deadline, Outbox.due_at)
            .limit(limit - len(rows))
            .with_for_update(skip_locked=True)
        ).all()
        too_late = [row_id for row_id, not_after in found if not_after is not None and not_after < now]
        mine = [row_id for row_id, _ in found if row_id not in too_late]
        late += _take(session, too_late, state=State.WITHDRAWN, last_error="too late: no longer true when it was due")
        rows += _take(session, mine, attempts=Outbox.attempts + 1, lease_owner=owner, lease_until=now + lease)
        if not too_late:
            break
    return Claims(rows, late)


def _due_by(now: datetime) -> ColumnElement[bool]:
    """Written so that no index on `due_at` is chosen for it: SQLite would sort the whole backlog for every claim."""
    return sqlalchemy.func.coalesce(Outbox.due_at, None) <= now


def _take(session: Session, ids: Sequence[int], **values: Any) -> tuple[Claimed, ...]:
    if not ids:
        return ()
    statement = sqlalchemy.update(Outbox).where(Outbox.id.in_(ids)).values(fence=Outbox.fence + 1, **values)
    found = session.execute(statement.returning(*_CLAIMED_COLUMNS), execution_options=_PLAIN)
    return tuple(_claimed(row) for row in found.mappings())


_PLAIN = {"synchronize_session": False}


def _claimed(row: Any) -> Claimed:
    return Claimed(**{**row, "state": State(row["state"])})


def mark_sending(session: Session, claims: Sequence[Claimed], now: datetime, lease: timedelta) -> frozenset[int]:
    """Note that DATA follows; returns the ids that are still ours. Only those may be transmitted, after the commit."""
    if not claims:
        return frozenset()
    mine = sqlalchemy.tuple_(Outbox.id, Outbox.fence).in_([(row.id, row.fence) for row in claims])
    statement = sqlalchemy.update(Outbox).where(mine).values(state=State.SENDING, lease_until=now + lease)
    return frozenset(session.scalars(statement.returning(Outbox.id), execution_options=_PLAIN))


def settle(
    session: Session,
    row: Claimed,
    answer: delivery.Answer,
    now: datetime,
    retry_at: datetime | None,
    quiet: timedelta,
) -> State | None:
    """Store the relay's answer; returns the new state, or None when the row was no longer ours.

    `retry_at` is when a deferred mail goes again (None: it waited long enough, failed); `quiet` how long an uncertain
    one rests before its one resend. May be repeated with the same values (a COMMIT whose reply was lost)."""
    values, ours = _values(row, answer, now, retry_at, quiet), Outbox.fence == row.fence
    if values["state"] == State.SENT:  # the truth is worth more than the fence: no resend of what surely arrived
        ours = sqlalchemy.or_(ours, sqlalchemy.and_(Outbox.state == State.UNCERTAIN, _FREE))
    statement = sqlalchemy.update(Outbox).where(Outbox.id == row.id, ours).values(**values, **_NO_LEASE)
    found = session.scalar(statement.returning(Outbox.id), execution_options=_PLAIN)
    return None if found is None else values["state"]


def _values(
    row: Claimed, answer: delivery.Answer, now: datetime, retry_at: datetime | None, quiet: timedelta
) -> dict[str, Any]:
    match answer:
        case delivery.Sent():
            return {"state": State.SENT, "sent_at": now, "last_error": None}
        case delivery.Uncertain(reason):
            return {"state": State.UNCERTAIN, "doubts": row.doubts + 1, "due_at": now + quiet, "last_error": reason}
        case delivery.Deferred(status) if retry_at is not None:
            return {"state": row.state, "due_at": retry_at, "last_error": status}
        case delivery.Deferred(status):
            return {
                "state": State.FAILED,
                "last_error": _doubted(row, f"gave up after {row.attempts} attempts: {status}"),
            }
        case delivery.Refused(status):
            return {"state": State.FAILED, "last_error": _doubted(row, status)}


def _doubted(row: Claimed, status: str) -> str:
    return f"{status} (an earlier attempt ended in doubt: it may have arrived)" if row.doubts else status


def give_back(session: Session, row: Claimed, reason: str | None) -> None:
    """Undo a claim and its attempt: the mail was not tried (relay down, stop). `reason` is shown as last error."""
    values = {"attempts": row.attempts - 1, "state": row.state, "last_error": reason}
    statement = sqlalchemy.update(Outbox).where(Outbox.id == row.id, Outbox.fence == row.fence)
    session.execute(statement.values(**values, **_NO_LEASE), execution_options=_PLAIN)


@dataclass(frozen=True, slots=True)
class Recovered:
    """Rows taken from the dead: `requeued` were claimed only, `doubted` were between DATA and its answer."""

    requeued: tuple[Claimed, ...]
    doubted: tuple[Claimed, ...]


def recover(session: Session, owner: str, now: datetime, quiet: timedelta) -> Recovered:
    """Free what is leased by a host without heartbeat other than `owner`, who is us, or past its lease. Who lives is
    asked in the same statement: a host that came since an earlier look is none of the dead.

    Claimed rows are queued again, their attempt stays counted. Rows in `sending` are doubts: resent once after `quiet`,
    same bytes; from MOST_DOUBTS on they stay `uncertain`."""
    silent = sqlalchemy.and_(Outbox.lease_owner != owner, Outbox.lease_owner.not_in(hosts.living(session)))
    dead = sqlalchemy.or_(silent, Outbox.lease_until < now)
    return _recover(session, dead, now, quiet)


def recover_from(session: Session, owner: str, now: datetime, quiet: timedelta) -> Recovered:
    """The same for one owner that has nothing under way any more, whatever its rows say."""
    return _recover(session, Outbox.lease_owner == owner, now, quiet)


def holds(session: Session, owner: str) -> bool:
    """Whether `owner` has rows claimed or in DATA."""
    return session.scalar(sqlalchemy.select(sqlalchemy.exists().where(Outbox.lease_owner == owner))) or False


def _recover(session: Session, dead: ColumnElement[bool], now: datetime, quiet: timedelta) -> Recovered:
    leased = sqlalchemy.and_(Outbox.lease_owner.is_not(None), dead)
    doubted = _free(
        session,
        sqlalchemy.and_(leased, Outbox.state == State.SENDING),
        state=State.UNCERTAIN,
        doubts=Outbox.doubts + 1,
        due_at=now + quiet,
        last_error="the daemon stopped between DATA and the relay's answer",
    )
    return Recovered(_free(session, leased), doubted)


def _free(session: Session, where: ColumnElement[bool], **values: Any) -> tuple[Claimed, ...]:
    statement = sqlalchemy.update(Outbox).where(where).values(fence=Outbox.fence + 1, **_NO_LEASE, **values)
    found = session.execute(statement.returning(*_CLAIMED_COLUMNS), execution_options=_PLAIN)
    return tuple(sorted((_claimed(row) for row in found.mappings()), key=lambda row: row.id))


# The operator's hands. Each returns the ids that it changed: the others were in no state for it.


def hold(session: Session, ids: Collection[int], reason: str) -> tuple[int, ...]:
    """Keep a mail back that is waiting to go, even one already claimed; one in DATA cannot be held."""
    return _move(session, ids, (State.QUEUED, State.UNCERTAIN), state=State.HELD, last_error=f"held: {reason}")


def release(session: Session, ids: Collection[int], now: datetime) -> tuple[int, ...]:
    """Let a held mail go now."""
    return _move(session, ids, (State.HELD,), state=State.QUEUED, due_at=now, last_error=None)


def retry(session: Session, ids: Collection[int], now: datetime) -> tuple[int, ...]:
    """Try now, with all attempts and the resend before it again: a failed, uncertain or waiting mail."""
    states = (State.FAILED, State.UNCERTAIN, State.QUEUED)
    told = {"bounced_at": None, "delayed_at": None, "delivered_at": None}  # of the copy before
    return _move(session, ids, states, state=State.QUEUED, due_at=now, attempts=0, doubts=0, **told)


def withdraw(session: Session, ids: Collection[int], reason: str) -> tuple[int, ...]:
    """Never send it: superseded, cancelled, too late."""
    states = (State.QUEUED, State.HELD, State.UNCERTAIN, State.FAILED)
    return _move(session, ids, states, state=State.WITHDRAWN, last_error=reason)


def withdraw_sealed(session: Session, seal: str, reason: str) -> tuple[int, ...]:
    """Never send the mail with this secret, where it has not gone yet."""
    found = session.scalars(sqlalchemy.select(Outbox.id).where(Outbox.seal == seal))
    return withdraw(session, list(found), reason)


def withdraw_about(
    session: Session, contracts: Collection[int], notices: Collection[str], reason: str
) -> tuple[int, ...]:
    """Never send these notices about these contracts, where they have not gone yet."""
    where = (Outbox.contract_id.in_(contracts), Outbox.notice.in_(notices))
    return withdraw(session, list(session.scalars(sqlalchemy.select(Outbox.id).where(*where))), reason)


def _move(session: Session, ids: Collection[int], states: Collection[State], **values: Any) -> tuple[int, ...]:
    where = sqlalchemy.and_(Outbox.id.in_(ids), Outbox.state.in_(states))
    return tuple(row.id for row in _free(session, where, **values))


# Reading


@dataclass(frozen=True, slots=True)
class Entry:
    """One row for people: `ticket` is the ticket's number or empty."""

    id: int
    log_id: str
    cause: str
    notice: str
    recipient: str
    envelope_from: str
    subject: str
    message_id: str
    state: State
    attempts: int
    doubts: int
    created_at: datetime
    due_at: datetime
    deadline: datetime
    not_after: datetime | None
    sent_at: datetime | None
    last_error: str | None
    seal: str | None
    delayed_at: datetime | None
    delivered_at: datetime | None
    bounced_at: datetime | None
    ticket: str
    contract: str

    def document(self) -> dict[str, Any]:
        """The shape of `queue list --json` (INTERFACE §4); times are left to the writer."""
        return {
            "id": self.id,
            "notice": self.notice,
            "to": self.recipient,
            "subject": self.subject,
            "message_id": self.message_id,
            "state": self.state.value,
            "attempts": self.attempts,
            "due_at": self.due_at,
            "last_error": self.last_error,
            "ticket": self.ticket or None,
            "contract": self.contract or None,
            "delayed_at": self.delayed_at,
            "delivered_at": self.delivered_at,
            "bounced_at": self.bounced_at,
        }


def entries(
    session: Session,
    states: Collection[State] = tuple(State),
    ticket: str = "",
    limit: int = 1000,
    contract: int | None = None,
) -> tuple[Entry, ...]:
    """Rows in these states, of one ticket or contract if named, in the order they were owed; the newest `limit`."""
    query = _entry_query().where(Outbox.state.in_(states)).order_by(Outbox.id.desc()).limit(limit)
    if ticket:
        query = query.where(Ticket.number == ticket)
    if contract is not None:
        query = query.where(Outbox.contract_id == contract)
    found = session.execute(query)
    return tuple(reversed([_entry(row) for row in found.mappings()]))


def entry(session: Session, row_id: int) -> Entry | None:
    row = session.execute(_entry_query().where(Outbox.id == row_id)).mappings().one_or_none()
    return None if row is None else _entry(row)


def body(session: Session, row_id: int) -> bytes | None:
    """The finished bytes of a mail; None when there is no such row or they were purged."""
    return session.scalar(sqlalchemy.select(Outbox.body).where(Outbox.id == row_id))


def _entry_query() -> sqlalchemy.Select[Any]:
    columns = [getattr(Outbox, name) for name in Entry.__slots__ if name not in ("ticket", "contract")]
    query = sqlalchemy.select(*columns, Ticket.number.label("ticket"), Outbox.contract_id.label("contract"))
    return query.outerjoin(Ticket, Outbox.ticket_id == Ticket.id)


def _entry(row: Any) -> Entry:
    contract = contract_number(row["contract"]) if row["contract"] else ""
    return Entry(**{**row, "state": State(row["state"]), "ticket": row["ticket"] or "", "contract": contract})


def counts(session: Session) -> dict[State, int]:
    """How many rows stand in each state; every state is named."""
    found = session.execute(sqlalchemy.select(Outbox.state, sqlalchemy.func.count()).group_by(Outbox.state))
    return dict.fromkeys(State, 0) | {State(state): number for state, number in found}


def relay_trouble(session: Session, relay: str, now: datetime) -> tuple[int, str]:
    """How many mails are due and were given back untried, because the relay cannot be used, and what it said: their
    last error begins with its name, `relay`."""
    untried = (_QUEUED, _FREE, Outbox.due_at <= now, Outbox.last_error.startswith(relay, autoescape=True))
    query = sqlalchemy.select(sqlalchemy.func.count(), sqlalchemy.func.max(Outbox.last_error)).where(*untried)
    count, reason = session.execute(query).one()
    return count, reason or ""


def sealed_states(session: Session, seals: Collection[str]) -> dict[str, str]:
    """How the mail with each of these secrets stands: a failed one invites nobody, whatever its invitation says."""
    rows = session.execute(sqlalchemy.select(Outbox.seal, Outbox.state).where(Outbox.seal.in_(seals)))
    return {str(seal): str(state) for seal, state in rows}


def oldest_due(session: Session) -> datetime | None:
    """When the first row that nobody has claimed is, or was, due; None when nothing waits."""
    times = [
        session.scalar(sqlalchemy.select(Outbox.due_at).where(wanted, _FREE).order_by(Outbox.due_at).limit(1))
        for wanted in (_QUEUED, _RESENDABLE)
    ]
    return min((time for time in times if time is not None), default=None)
