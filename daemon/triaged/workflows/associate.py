"""What an associate does to a ticket by hand: set its customer, vouch for its sender, move it on (rows P7, P8, P12).

Each is one transaction: the change, its event, the mails that it owes.
"""

from datetime import datetime
from typing import Any

from triaged.adapters.db import tickets
from triaged.adapters.db.engine import Session
from triaged.adapters.db.models import Ticket
from triaged.desks import correspondence, support
from triaged.desks.bureau import Bureau
from triaged.domain import commitments
from triaged.domain import ticket as rules
from triaged.domain.decision import Decision
from triaged.domain.errors import PermanentError


def set_customer(bureau: Bureau, number: str, address: str, now: datetime) -> Decision:
    """The "primary customer e-mail" field: the classification runs again (row P8).

    Raises PermanentError when there is no such ticket, it is closed, or no account answers to the address."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        if row.state == rules.State.CLOSED:
            raise PermanentError(f"ticket {row.number} is closed: open a new one for a new customer")
        before = row.primary_customer_email
        decision = support.set_customer(tickets.record_of(row), address, bureau.desk, session)
        if row.state == rules.State.REVIEW and not decision.review:
            tickets.move(row, rules.State.OPEN, now)
        detail = {"address": address, "before": before}
        _reclassified(session, bureau, row, decision, "set_customer", detail, now)
    return decision


def accept(bureau: Bureau, number: str, now: datetime) -> Decision:
    """Take a ticket out of review: the associate vouches for its sender. Raises PermanentError when it is not there."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        if row.state != rules.State.REVIEW:
            raise PermanentError(f"ticket {row.number} is {row.state}, not in review: there is nothing to accept")
        decision = support.accept(tickets.record_of(row), bureau.desk, session)
        row.vouched = True
        tickets.move(row, rules.State.OPEN, now)
        _reclassified(session, bureau, row, decision, "accepted", {"requester": row.requester}, now)
    return decision


def move(bureau: Bureau, number: str, wanted: rules.State, why: str, now: datetime) -> None:
    """Resolve, close or reopen. Raises PermanentError where the table of transitions does not allow it."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        before = row.state
        tickets.move(row, wanted, now)
        _record(session, bureau, row.id, wanted.value, {"before": before, "why": why}, now)


def note(bureau: Bureau, number: str, text: str, now: datetime) -> None:
    """A word for the colleagues; the partner never sees it."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        _record(session, bureau, row.id, "note", {"text": text}, now)


def determine(bureau: Bureau, number: str, text: str, now: datetime) -> None:
    """The problem is determined (row P10's second commitment): what it is, in a sentence for the history."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        if row.state in (rules.State.REVIEW, rules.State.CLOSED):
            raise PermanentError(f"ticket {row.number} is {row.state}: nothing can be determined there")
        _record(session, bureau, row.id, "determined", {"text": text}, now)


def _reclassified(
    session: Session,
    bureau: Bureau,
    row: Ticket,
    decision: Decision,
    kind: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    """Flag, severity, deadlines from the original arrival, event and mails: together (row P8)."""
    level = bureau.desk.settings.policy.severities[decision.severity]
    tickets.classify(row, decision, commitments.deadlines(level, row.opened_at))
    outcome = {"severity": decision.severity, "priority_large_user": decision.priority, "reason": decision.why.value}
    event = _record(session, bureau, row.id, kind, {**detail, **outcome}, now)
    cause = correspondence.Cause(
        key=f"e{event}",
        log_id=f"{row.number}.e{event}",
        desk="support",
        mailbox=row.mailbox,
        replies_to=row.thread_message_id,
        ticket_id=row.id,
    )
    correspondence.owe(session, bureau.post, decision.notices, row.number, cause, now)


def _record(session: Session, bureau: Bureau, ticket_id: int, kind: str, detail: dict[str, Any], now: datetime) -> int:
    event = tickets.record(
        session,
        ticket_id,
        at=now,
        actor=bureau.actor,
        kind=kind,
        detail=detail,
        policy_version=bureau.desk.settings.policy.version,
    )
    return event.id
