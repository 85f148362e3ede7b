"""Purchase orders as they came in and as they stand. What is written here is written in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import engine
from triaged.adapters.db.contract_models import PurchaseOrder, order_number, row_id
from triaged.domain import order as rules
from triaged.domain.errors import PermanentError
from triaged.domain.order import Checked, Draft, State


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as everybody but the database sees it."""

    id: int
    po_number: str
    state: State
    reason: str
    placed_by: str
    sender: str
    locale: str
    mailbox: str
    draft: Draft
    fingerprint: str
    problems: tuple[dict[str, str], ...]
    warnings: tuple[dict[str, str], ...]
    received_at: datetime
    message: int | None
    thread_message_id: str
    decided_by: str
    note: str

    @property
    def number(self) -> str:
        return order_number(self.id)

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `order list --json`, and what else a person may want."""
        return {
            "number": self.number,
            "po_number": self.po_number or None,
            "state": self.state.value,
            "problems": [problem["code"] for problem in self.problems],
            "reason": self.reason,
            "placed_by": self.placed_by,
            "sender": self.sender,
            "received_at": self.received_at,
            "message": self.message,
        }

    def details(self) -> dict[str, Any]:
        """For `order show`: everything, as it was written."""
        more = {"findings": list(self.problems), "warnings": list(self.warnings), "order": self.draft.document()}
        return {**self.document(), **more, "decided_by": self.decided_by or None, "note": self.note or None}


@dataclass(frozen=True, slots=True)
class Incoming:
    """An order on its way in: who placed it, who is answered, where it came from."""

    draft: Draft
    checked: Checked
    state: State
    reason: str
    placed_by: str
    sender: str
    locale: str
    mailbox: str
    received_at: datetime
    message: int | None = None
    thread_message_id: str = ""


def add(session: Session, incoming: Incoming) -> PurchaseOrder:
    """A new row."""
    row = PurchaseOrder(
        placed_by=incoming.placed_by,
        sender=incoming.sender,
        mailbox=incoming.mailbox,
        received_at=incoming.received_at,
        locale=incoming.locale,
    )
    fill(row, incoming)
    session.add(row)
    session.flush()
    return row


def fill(row: PurchaseOrder, incoming: Incoming) -> None:
    """What the order says now: a new one, or one that an answer of its party completes."""
    order = incoming.checked.order
    row.po_number = incoming.draft.po_number
    row.po_folded = rules.folded(incoming.draft.po_number)
    row.state, row.reason = incoming.state.value, incoming.reason
    row.draft = incoming.draft.document()
    row.fingerprint = order.fingerprint if order else None
    row.problems = [finding.document() for finding in incoming.checked.problems]
    row.warnings = [finding.document() for finding in incoming.checked.warnings]
    row.message_id = incoming.message or row.message_id
    row.thread_message_id = incoming.thread_message_id or row.thread_message_id or ""


def move(row: PurchaseOrder, wanted: State) -> None:
    """Raises PermanentError where the table of transitions does not allow it."""
    if wanted not in rules.TRANSITIONS[State(row.state)]:
        raise PermanentError(f"order {order_number(row.id)} is {row.state}: it cannot become {wanted}")
    row.state = wanted.value


def supersede(session: Session, accepted: PurchaseOrder) -> None:
    """What was incomplete under the number of an order that is accepted now waits for nothing any more."""
    where = (PurchaseOrder.placed_by == accepted.placed_by, PurchaseOrder.po_folded == accepted.po_folded)
    query = sqlalchemy.select(PurchaseOrder).where(*where, PurchaseOrder.state == State.INCOMPLETE)
    for row in session.scalars(query):
        if row.id != accepted.id:
            move(row, State.REJECTED)
            row.note = f"{order_number(accepted.id)} stands under this number"


def accepted(session: Session, placed_by: str, po_number: str) -> PurchaseOrder | None:
    """The order that stands under this number of this party."""
    where = (PurchaseOrder.placed_by == placed_by, PurchaseOrder.po_folded == rules.folded(po_number))
    return session.scalar(sqlalchemy.select(PurchaseOrder).where(*where, PurchaseOrder.state == State.ACCEPTED))


def incomplete(session: Session, placed_by: str, po_number: str) -> PurchaseOrder | None:
    """The order of this party under this number that still lacks something."""
    where = (PurchaseOrder.placed_by == placed_by, PurchaseOrder.po_folded == rules.folded(po_number))
    query = sqlalchemy.select(PurchaseOrder).where(*where, PurchaseOrder.state == State.INCOMPLETE)
    return session.scalar(query.order_by(PurchaseOrder.id.desc()).limit(1)) if po_number else None


def waiting(session: Session, message: int) -> int | None:
    """The order that this mail brought and that waits because nobody vouched for its sender."""
    where = (PurchaseOrder.message_id == message, PurchaseOrder.state == State.REVIEW)
    unvouched = PurchaseOrder.reason == "unauthenticated_sender"
    return session.scalar(sqlalchemy.select(PurchaseOrder.id).where(*where, unvouched).limit(1))


def numbered(session: Session, number: str) -> PurchaseOrder | None:
    """The row of `ORD-000012`."""
    found = row_id(number, "ORD")
    return (
        session.get(PurchaseOrder, found, with_for_update=True, populate_existing=True) if found is not None else None
    )


def listed(session: Session, state: str = "", limit: int = 1000) -> list[OrderRecord]:
    """In the order they came, the newest `limit` of them."""
    query = sqlalchemy.select(PurchaseOrder).order_by(PurchaseOrder.id.desc()).limit(limit)
    rows = session.scalars(query.where(PurchaseOrder.state == state) if state else query)
    return [record(row) for row in reversed(list(rows))]


def record(row: PurchaseOrder) -> OrderRecord:
    return OrderRecord(
        id=row.id,
        po_number=row.po_number,
        state=State(row.state),
        reason=row.reason,
        placed_by=row.placed_by,
        sender=row.sender,
        locale=row.locale,
        mailbox=row.mailbox,
        draft=rules.draft_of(row.draft),
        fingerprint=row.fingerprint or "",
        problems=tuple(row.problems),
        warnings=tuple(row.warnings),
        received_at=row.received_at,
        message=row.message_id,
        thread_message_id=row.thread_message_id,
        decided_by=row.decided_by or "",
        note=row.note or "",
    )


def counts(session: Session) -> dict[str, int]:
    """How many stand in each state."""
    return engine.tally(session, PurchaseOrder.state)
