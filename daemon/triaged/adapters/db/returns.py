"""What delivery reports say of mails that we sent: the outbox's second half, in the caller's transaction.

A report changes a row only where the mail can have left us; what waits, was withdrawn or failed before is left alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.models import Outbox
from triaged.domain import erasure
from triaged.domain.delivery import State

# Taken by the relay, or perhaps taken: only these can come back. `failed` can after a doubt: the mail may have left.
_LEFT_US = (State.SENT, State.UNCERTAIN, State.SENDING)


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that a report speaks of."""

    id: int
    log_id: str
    notice: str
    recipient: str
    envelope_from: str
    state: State
    doubts: int
    ticket_id: int | None
    seal: str | None
    bounced_at: datetime | None
    report_id: int | None

    @property
    def left_us(self) -> bool:
        """Whether the relay has it, or may have it; of one whose recipient was erased nobody needs to know any more."""
        if self.recipient.startswith(erasure.PREFIX):
            return False
        return self.state in _LEFT_US or (self.state is State.FAILED and self.doubts > 0 and self.bounced_at is None)


_COLUMNS = [getattr(Outbox, name) for name in Sent.__slots__]


def find(session: Session, message_id: str, *, lock: bool = False) -> Sent | None:
    """The mail that we made under this Message-ID."""
    query = sqlalchemy.select(*_COLUMNS).where(Outbox.message_id == message_id)
    row = session.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else Sent(**{**row, "state": State(row["state"])})


def bounced(session: Session, sent: Sent, report: int, status: str, now: datetime) -> None:
    """It did not arrive: what it discharged is owed again. Whoever is still waiting for the relay's answer loses it."""
    _set(
        session,
        sent,
        state=State.FAILED,
        bounced_at=now,
        report_id=report,
        last_error=f"bounced: {status}",
        fence=Outbox.fence + 1,
        lease_owner=None,
        lease_until=None,
    )


def delayed(session: Session, sent: Sent, report: int, now: datetime) -> None:
    """It is late, and somebody still tries: so the relay did take it."""
    _set(session, sent, delayed_at=now, report_id=report, **_taken(sent, now))


def arrived(session: Session, sent: Sent, report: int, now: datetime) -> None:
    """It arrived, or left the world of reports on its way: a doubt is over."""
    _set(session, sent, delivered_at=now, report_id=report, **_taken(sent, now))


def _taken(sent: Sent, now: datetime) -> dict[str, Any]:
    """Presence proves: a mail in doubt that somebody reports on was taken."""
    if sent.state not in (State.UNCERTAIN, State.FAILED):
        return {}
    freed = {"fence": Outbox.fence + 1, "lease_owner": None, "lease_until": None}
    return {"state": State.SENT, "sent_at": now, "last_error": None, **freed}


def _set(session: Session, sent: Sent, **values: Any) -> None:
    statement = sqlalchemy.update(Outbox).where(Outbox.id == sent.id).values(**values)
    session.execute(statement, execution_options={"synchronize_session": False})


def bounces(session: Session) -> int:
    """How many mails came back and were not sent again."""
    waiting = (Outbox.state == State.FAILED, Outbox.bounced_at.is_not(None))
    return session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(Outbox).where(*waiting)) or 0
