"""Invitations: one row is one mail to one person. What is written here is written in the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import engine, outbox
from triaged.adapters.db.contract_models import Contract, Invitation, contract_number
from triaged.adapters.db.models import Outbox
from triaged.domain import delivery
from triaged.domain import invitation as rules
from triaged.domain.errors import PermanentError
from triaged.domain.invitation import Access, State

_WAITING = (delivery.State.QUEUED, delivery.State.SENDING, delivery.State.HELD)  # its mail may still go


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation as everybody but the database sees it; times aware UTC. `replaced_on` is when the mail that
    replaces it was sent, or owed."""

    id: int
    contract_id: int
    recipient: str
    access: Access
    generation: int
    state: State
    named_by: str
    locale: str
    created_at: datetime
    sent_at: datetime | None
    expires_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    ended_because: str
    resent: bool
    replaced_on: datetime | None = None

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `invite list --json`, and what else a person may want."""
        return {
            "id": self.id,
            "recipient": self.recipient,
            "contract": contract_number(self.contract_id),
            "state": self.state.value,
            "sent_at": self.sent_at,
            "expires_at": self.expires_at,
            "access": self.access.value,
            "generation": self.generation,
            "named_by": self.named_by or None,
            "accepted_at": self.accepted_at,
            "ended_at": self.ended_at,
            "ended_because": self.ended_because or None,
        }


def owe(
    session: Session,
    contract: Contract,
    recipient: str,
    *,
    access: Access,
    locale: str,
    now: datetime,
    named_by: str = "",
    resent: bool = False,
    asked_by: str = "",
) -> Invitation:
    """The next generation for this person: what was sent before is replaced by it."""
    stands = _of(contract.id, recipient).with_for_update().execution_options(populate_existing=True)
    before = list(session.scalars(stands))
    for row in before:
        if State(row.state) in (*rules.LIVE, State.EXPIRED):
            _end(session, row, State.REPLACED, "a newer invitation replaces it", now)
    row = Invitation(
        contract_id=contract.id,
        recipient=recipient,
        access=access.value,
        generation=max((row.generation for row in before), default=0) + 1,
        state=State.OWED.value,
        named_by=named_by or None,
        locale=locale,
        created_at=now,
        resent=resent,
        asked_by=asked_by or None,
    )
    session.flush()
    session.add(row)
    session.flush()
    return row


def revoke(session: Session, ids: Collection[int], because: str, now: datetime) -> tuple[int, ...]:
    """These links stop working at once; returns the ids that still could be revoked."""
    rows = [session.get(Invitation, one, with_for_update=True, populate_existing=True) for one in ids]
    live = [row for row in rows if row is not None and State.REVOKED in rules.TRANSITIONS[State(row.state)]]
    for row in live:
        _end(session, row, State.REVOKED, because, now)
    return tuple(row.id for row in live)


def claimed(session: Session, row_id: int, now: datetime, valid: timedelta) -> Invitation | None:
    """Its mail is about to be sent: the 30 days begin. None when it is no longer owed."""
    row = session.get(Invitation, row_id, with_for_update=True, populate_existing=True)
    if row is None or State(row.state) is not State.OWED:
        return None
    row.expires_at = rules.expires(now, valid)
    return row


def sent(session: Session, row_id: int, now: datetime) -> None:
    """The relay took its mail."""
    row = session.get(Invitation, row_id, with_for_update=True, populate_existing=True)
    if row is not None:
        row.sent_at = now
        if State(row.state) is State.OWED:
            move(row, State.SENT)


def returned(session: Session, row_id: int) -> None:
    """Its mail came back: it is owed again, by a new one. Its 30 days run on, so that nobody waits for ever."""
    row = session.get(Invitation, row_id, with_for_update=True, populate_existing=True)
    if row is not None and State(row.state) is State.SENT:
        move(row, State.OWED)
        row.sent_at = None


def accept(session: Session, row_id: int, now: datetime) -> Invitation | None:
    """The recipient proved to be himself. None when the link no longer works; whoever asked sees why by its state."""
    row = session.get(Invitation, row_id, with_for_update=True, populate_existing=True)
    if row is None or not rules.open_at(State(row.state), row.expires_at, now):
        return None
    move(row, State.ACCEPTED)
    row.accepted_at = now
    return row


def expire(session: Session, now: datetime) -> int:
    """Those whose time is over, their mail sent or given up; returns how many. One that still waits to go keeps its
    30 days until then."""
    waits = sqlalchemy.select(Outbox.seal).where(Outbox.state.in_(_WAITING), Outbox.seal.is_not(None))
    sealed = sqlalchemy.literal("invitation:") + sqlalchemy.cast(Invitation.id, sqlalchemy.String)
    over = sqlalchemy.or_(
        Invitation.state == State.SENT, sqlalchemy.and_(Invitation.state == State.OWED, sealed.not_in(waits))
    )
    late = sqlalchemy.select(Invitation).where(over, Invitation.expires_at < now)
    rows = list(session.scalars(late.with_for_update(skip_locked=True)))
    for row in rows:
        move(row, State.EXPIRED)
    return len(rows)


def resends(session: Session, contract_id: int, recipient: str, since: datetime) -> int:
    """How many times it was sent again since then: at most `rules.RESENDS_A_DAY` a day."""
    query = sqlalchemy.select(sqlalchemy.func.count()).select_from(Invitation)
    where = (Invitation.contract_id == contract_id, Invitation.recipient == recipient, Invitation.resent)
    return session.scalar(query.where(*where, Invitation.created_at > since)) or 0


def move(row: Invitation, wanted: State) -> None:
    """Raises PermanentError where the table of transitions does not allow it."""
    if wanted not in rules.TRANSITIONS[State(row.state)]:
        raise PermanentError(f"invitation {row.id} is {row.state}: it cannot become {wanted}")
    row.state = wanted.value


def _end(session: Session, row: Invitation, state: State, because: str, now: datetime) -> None:
    move(row, state)
    row.ended_at, row.ended_because = now, because
    outbox.withdraw_sealed(session, seal(row.id), because)


def seal(row_id: int) -> str:
    """How an outbox row says which invitation it carries."""
    return f"invitation:{row_id}"


# Reading


def record(session: Session, row_id: int) -> InvitationRecord | None:
    row = session.get(Invitation, row_id)
    return _record(session, row) if row else None


def listed(session: Session, contract_id: int | None = None, recipient: str = "") -> list[InvitationRecord]:
    """All, or those of a contract, or those of a person; oldest first."""
    query = sqlalchemy.select(Invitation).order_by(Invitation.id)
    if contract_id is not None:
        query = query.where(Invitation.contract_id == contract_id)
    if recipient:
        query = query.where(Invitation.recipient == recipient)
    return [_record(session, row) for row in session.scalars(query)]


def latest(session: Session, contract_id: int, recipient: str) -> InvitationRecord | None:
    """The newest generation for this person."""
    rows = list(session.scalars(_of(contract_id, recipient)))
    return _record(session, rows[-1]) if rows else None


def _of(contract_id: int, recipient: str) -> sqlalchemy.Select[Invitation]:
    where = (Invitation.contract_id == contract_id, Invitation.recipient == recipient)
    return sqlalchemy.select(Invitation).where(*where).order_by(Invitation.generation)


def _record(session: Session, row: Invitation) -> InvitationRecord:
    return InvitationRecord(
        id=row.id,
        contract_id=row.contract_id,
        recipient=row.recipient,
        access=Access(row.access),
        generation=row.generation,
        state=State(row.state),
        named_by=row.named_by or "",
        locale=row.locale,
        created_at=row.created_at,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        ended_at=row.ended_at,
        ended_because=row.ended_because or "",
        resent=row.resent,
        replaced_on=_replaced_on(session, row),
    )


def _replaced_on(session: Session, row: Invitation) -> datetime | None:
    if State(row.state) is not State.REPLACED:
        return None
    newest = list(session.scalars(_of(row.contract_id, row.recipient)))[-1]
    return newest.sent_at or newest.created_at


def counts(session: Session) -> dict[str, int]:
    """How many stand in each state."""
    return engine.tally(session, Invitation.state)
