"""What an associate does to a ticket by hand: set its customer, vouch for its sender, move it on (rows P7, P8, P12).

Each is one transaction: the change, its event, the mails that it owes.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from triaged.adapters.db import casebook, ledger, tickets
from triaged.adapters.db.casebook import MessageRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.models import Ticket
from triaged.desks import correspondence, placing, reception, support
from triaged.desks.bureau import Bureau
from triaged.desks.case import Mail
from triaged.desks.contracts import Considered
from triaged.domain import commitments
from triaged.domain import ticket as rules
from triaged.domain.decision import Decision, Reason, Sender, Verdict
from triaged.domain.errors import PermanentError
from triaged.domain.message import Authentication


def set_customer(bureau: Bureau, number: str, address: str, now: datetime) -> Decision:
    """The "primary customer e-mail" field: the classification runs again (row P8).

    Raises PermanentError when there is no such ticket, it is closed or the contracts desk's, or no account answers to
    the address."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        if row.state == rules.State.CLOSED:
            raise PermanentError(f"ticket {row.number} is closed: open a new one for a new customer")
        if _desk(session, bureau, row) == "contracts":
            raise PermanentError(
                f"ticket {row.number} is the contracts desk's, whose customers are those of its contracts: nothing was "
                "changed. See `triaged contract list`"
            )
        before = row.primary_customer_email
        decision = support.set_customer(tickets.record_of(row), address, bureau.desk, session)
        if row.state == rules.State.REVIEW and not decision.review:
            tickets.move(row, rules.State.OPEN, now)
        detail = {"address": address, "before": before}
        _reclassified(session, bureau, row, decision, "set_customer", detail, now)
    return decision


def accept(bureau: Bureau, number: str, now: datetime) -> Decision:
    """Take a ticket out of review: the associate vouches for its sender, so what was an order or a request is carried
    out. Raises PermanentError when it is not there."""
    with bureau.database.write() as session:
        row = tickets.row_of(session, number)
        if row.state != rules.State.REVIEW:
            raise PermanentError(f"ticket {row.number} is {row.state}, not in review: there is nothing to accept")
        if _desk(session, bureau, row) == "contracts":
            return _vouched(session, bureau, row, now)
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


# --- the contracts desk -----------------------------------------------------------------------------------------------


def _desk(session: Session, bureau: Bureau, row: Ticket) -> str:
    """The desk of the ticket's mailbox; where that is configured no more, the one that decided its mail."""
    found = next((one.desk for one in bureau.desk.settings.mailboxes if one.name == row.mailbox), "")
    first = None if found else _first(session, row)
    return found or str((first.receipt or {}).get("desk") if first else "") or "support"


def _first(session: Session, row: Ticket) -> MessageRecord | None:
    """The mail that opened the ticket."""
    ticket = tickets.by_number(session, row.number)
    return casebook.one(session, ticket.messages[0]) if ticket and ticket.messages else None


def _vouched(session: Session, bureau: Bureau, row: Ticket, now: datetime) -> Decision:
    """The mail is decided again as if our border server had vouched for it. Where that leaves it a matter for people,
    or its bytes are gone, the ticket is open and nobody is written to."""
    ticket, first = tickets.record_of(row), _first(session, row)
    mail = _mail(session, bureau, first) if first else None
    considered = reception.vouched(mail, ticket, bureau.desk, session) if mail else None
    row.vouched = True
    tickets.move(row, rules.State.OPEN, now)
    detail = {"requester": row.requester}
    if considered is not None and considered.work is not None and first is not None:
        return _carried_out(session, bureau, row, considered, first.row["id"], now)
    decision = considered.decision if considered else None
    if decision is not None and decision.ticket == row.number and not decision.review:
        _reclassified(session, bureau, row, decision, "accepted", detail, now)
        return decision
    _record(session, bureau, row.id, "accepted", {**detail, "answer": "by hand"}, now)
    return _as_it_stands(row)


def _mail(session: Session, bureau: Bureau, first: MessageRecord) -> Mail | None:
    """The stored mail with the associate's word for its sender; None where its bytes are gone."""
    mailboxes = [one for one in bureau.desk.settings.mailboxes if one.desk == "contracts"]
    mailbox = next((one for one in mailboxes if one.name == first.row["mailbox"]), next(iter(mailboxes), None))
    if mailbox is None or not ledger.kept(session, first.row["id"]):
        return None
    raw = ledger.raw(session, first.row["id"])
    mail = reception.read_mail(raw, mailbox, bureau.desk, first.row["received_at"], first.truncated)
    return replace(mail, authentication=Authentication("pass", f"{bureau.actor} vouches for the sender"))


def _carried_out(
    session: Session, bureau: Bureau, row: Ticket, considered: Considered, message: int, now: datetime
) -> Decision:
    """An order or a request, and the answer to it: the ticket is resolved."""
    decided = considered.decision
    detail = {"requester": row.requester, "decision": decided.verdict.value, "reason": decided.reason.value}
    event = _record(session, bureau, row.id, "accepted", {**detail, "refused": decided.refused or None}, now)
    cause = replace(_cause(row, event, decided.desk), message_id=message)
    books = placing.Books(session, bureau.desk, bureau.post, row.requester, now, cause, message)
    decision = reception.carry_out(books, considered)
    tickets.move(row, rules.State.RESOLVED, now)
    return replace(decision, ticket=row.number)


def _as_it_stands(row: Ticket) -> Decision:
    return Decision(
        verdict=Verdict.UPDATE,
        reason=Reason(row.reason),
        desk="contracts",
        region=row.region,
        locale=row.locale,
        sender=Sender(row.requester, row.partner or "", row.authenticated),
        severity=row.severity,
        ticket=row.number,
    )


# --- what all of them write -------------------------------------------------------------------------------------------


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
    cause = _cause(row, event, _desk(session, bureau, row))
    correspondence.owe(session, bureau.post, decision.notices, row.number, cause, now)


def _cause(row: Ticket, event: int, desk: str) -> correspondence.Cause:
    return correspondence.Cause(
        key=f"e{event}",
        log_id=f"{row.number}.e{event}",
        desk=desk,
        mailbox=row.mailbox,
        replies_to=row.thread_message_id,
        ticket_id=row.id,
    )


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
