"""Tickets and their append-only events. What is written here is written in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.models import Event, MessageRow, TicketCounter
from triaged.adapters.db.models import Ticket as TicketRow
from triaged.domain import ticket as rules
from triaged.domain.commitments import Deadlines
from triaged.domain.decision import AccountFound, Decision
from triaged.domain.directory import AccountRecord
from triaged.domain.errors import PermanentError
from triaged.domain.message import Message
from triaged.domain.references import Reference, ReferenceKind


@dataclass(frozen=True, slots=True)
class TicketRecord:
    """A ticket as everybody but the database sees it; times aware UTC."""

    id: int
    number: str
    state: rules.State
    region: str
    mailbox: str
    severity: str
    priority: bool
    reason: str
    subject: str
    requester: str
    authenticated: bool
    vouched: bool
    answerable: bool
    partner: str
    locale: str
    account: AccountFound | None
    service: str
    tier: str
    licences: int | None
    primary_customer_email: str
    evidence: tuple[Reference, ...]
    missing: tuple[str, ...]
    opened_at: datetime
    due_acknowledge: datetime
    due_determine: datetime
    due_resolve: datetime
    thread_message_id: str
    messages: tuple[int, ...] = ()

    @property
    def may_be_told(self) -> bool:
        """May its requester hear facts: an associate vouched for him, or our border server did and he is a partner's.
        Not by the ticket's reason: an associate who sets the customer changes that, and vouches for nobody."""
        return self.vouched or (self.authenticated and bool(self.partner))

    def is_about(self, account: AccountRecord) -> bool:
        return self.account is not None and (self.account.zoid, self.account.region) == (account.zoid, account.region)

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `ticket list --json`, and what else a person may want."""
        return {
            "number": self.number,
            "state": self.state.value,
            "region": self.region,
            "severity": self.severity,
            "priority_large_user": self.priority,
            "subject": self.subject,
            "requester": self.requester,
            "partner": self.partner or None,
            "account": self.account and self.account.zoid,
            "service": self.service or None,
            "primary_customer_email": self.primary_customer_email or None,
            "opened_at": self.opened_at,
            "due": {
                "acknowledge": self.due_acknowledge,
                "determine": self.due_determine,
                "resolve": self.due_resolve,
            },
            "messages": list(self.messages),
            "account_name": self.account and self.account.name,
            "reason": self.reason,
            "tier": self.tier or None,
            "licences": self.licences,
            "missing": list(self.missing),
        }


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One line of a ticket's history."""

    id: int
    at: datetime
    actor: str
    kind: str
    detail: dict[str, Any]
    policy_version: str
    message: int | None


def open_ticket(
    session: Session,
    decision: Decision,
    message: Message,
    mailbox: str,
    arrived: datetime,
    due: Deadlines,
) -> TicketRow:
    """A new ticket with the next number of its region."""
    linked = by_number(session, decision.linked) if decision.linked else None
    sender = decision.sender
    row = TicketRow(
        number=_next_number(session, decision.region),
        state=(rules.State.REVIEW if decision.review else rules.State.OPEN).value,
        region=decision.region,
        mailbox=mailbox,
        subject=message.subject,
        requester=sender.address if sender else "",
        authenticated=bool(sender and sender.authenticated),
        vouched=False,
        answerable=decision.answerable,
        partner=(sender.partner or None) if sender else None,
        locale=decision.locale,
        opened_at=arrived,
        thread_message_id=message.message_id,
        linked_to=linked.id if linked else None,
    )
    classify(row, decision, due)
    session.add(row)
    session.flush()
    return row


def classify(row: TicketRow, decision: Decision, due: Deadlines) -> None:
    """Customer, flag, severity and deadlines: always together (row P8)."""
    row.severity, row.priority, row.reason = decision.severity, decision.priority, decision.why.value
    row.tier, row.licences, row.service = decision.tier or None, decision.licences, decision.service or None
    account = decision.account
    row.account_zoid = account.zoid if account else None
    row.account_region = account.region if account else None
    row.account_name = account.name if account else None
    row.account_via = account.via if account else None
    row.primary_customer_email = decision.primary_customer_email or None
    row.evidence = [{"kind": r.kind.value, "value": r.value, "where": r.where} for r in decision.evidence]
    row.missing = list(decision.missing)
    row.due_acknowledge = due.acknowledge.limit
    row.due_determine = due.determine.limit
    row.due_resolve = due.resolve.limit


def enrich(row: TicketRow, decision: Decision) -> None:
    """A reply's evidence, the service it names, and what is no longer missing; nothing else changes."""
    row.evidence = [{"kind": r.kind.value, "value": r.value, "where": r.where} for r in decision.evidence]
    row.service, row.missing = decision.service or None, list(decision.missing)
    if decision.ticket_reason:
        row.reason = decision.ticket_reason.value


def record(
    session: Session,
    ticket_id: int,
    *,
    at: datetime,
    actor: str,
    kind: str,
    detail: dict[str, Any],
    policy_version: str,
    message: int | None = None,
) -> Event:
    """Add to the ticket's history: who, when, what, why, under which policy. Events are never changed."""
    event = Event(
        ticket_id=ticket_id,
        message_id=message,
        at=at,
        actor=actor,
        kind=kind,
        detail=detail,
        policy_version=policy_version,
    )
    session.add(event)
    session.flush()
    return event


def move(row: TicketRow, wanted: rules.State, now: datetime) -> None:
    """Raises PermanentError where the table of transitions does not allow it."""
    row.state = rules.move(row.number, rules.State(row.state), wanted).value
    row.closed_at = now if wanted is rules.State.CLOSED else None


def row_of(session: Session, number: str) -> TicketRow:
    """The ticket to be changed. Raises PermanentError when there is none."""
    wanted = sqlalchemy.select(TicketRow).where(TicketRow.number == number.upper()).with_for_update()
    row = session.scalar(wanted.execution_options(populate_existing=True))
    if row is None:
        raise PermanentError(f"there is no ticket {number}: `triaged ticket list` shows them")
    return row


def by_number(session: Session, number: str) -> TicketRecord | None:
    row = session.scalar(sqlalchemy.select(TicketRow).where(TicketRow.number == number.upper()))
    return _record(row, _messages(session, [row.id]).get(row.id, ())) if row else None


def listed(
    session: Session, state: str | None = None, region: str | None = None, limit: int | None = None
) -> list[TicketRecord]:
    """Newest last; critical tickets are found by their severity, not by their place."""
    wanted = sqlalchemy.select(TicketRow).order_by(TicketRow.id.desc()).limit(limit)
    if state:
        wanted = wanted.where(TicketRow.state == state)
    if region:
        wanted = wanted.where(TicketRow.region == region)
    rows = list(session.scalars(wanted))
    mails = _messages(session, [row.id for row in rows])
    return [_record(row, mails.get(row.id, ())) for row in reversed(rows)]


def history(session: Session, ticket_id: int) -> list[EventRecord]:
    rows = session.scalars(sqlalchemy.select(Event).where(Event.ticket_id == ticket_id).order_by(Event.id))
    return [EventRecord(e.id, e.at, e.actor, e.kind, e.detail, e.policy_version, e.message_id) for e in rows]


def counts(session: Session) -> dict[tuple[str, str], int]:
    """(state, severity) → how many."""
    found = session.execute(
        sqlalchemy.select(TicketRow.state, TicketRow.severity, sqlalchemy.func.count()).group_by(
            TicketRow.state, TicketRow.severity
        )
    )
    return {(state, severity): number for state, severity, number in found}


def _next_number(session: Session, region: str) -> str:
    """The region's counter, moved in this transaction: a rolled back mail leaves no gap."""
    counter = session.get(TicketCounter, region, with_for_update=True)
    if counter is None:
        counter = TicketCounter(region=region, last=0)
        session.add(counter)
    counter.last += 1
    session.flush()
    return rules.number(region, counter.last)


def _messages(session: Session, ticket_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    if ticket_ids:
        rows = session.execute(
            sqlalchemy.select(MessageRow.ticket_id, MessageRow.id)
            .where(MessageRow.ticket_id.in_(ticket_ids))
            .order_by(MessageRow.id)
        )
        for ticket_id, message_id in rows:
            assert ticket_id is not None  # the WHERE says so
            found[ticket_id] = (*found.get(ticket_id, ()), message_id)
    return found


def record_of(row: TicketRow) -> TicketRecord:
    """The row as a value, without its list of mails."""
    return _record(row, ())


def _record(row: TicketRow, messages: tuple[int, ...]) -> TicketRecord:
    account = (
        AccountFound(row.account_zoid, row.account_name or "", row.account_via or "", row.account_region or row.region)
        if row.account_zoid
        else None
    )
    return TicketRecord(
        id=row.id,
        number=row.number,
        state=rules.State(row.state),
        region=row.region,
        mailbox=row.mailbox,
        severity=row.severity,
        priority=row.priority,
        reason=row.reason,
        subject=row.subject,
        requester=row.requester,
        authenticated=row.authenticated,
        vouched=row.vouched,
        answerable=row.answerable,
        partner=row.partner or "",
        locale=row.locale,
        account=account,
        service=row.service or "",
        tier=row.tier or "",
        licences=row.licences,
        primary_customer_email=row.primary_customer_email or "",
        evidence=tuple(Reference(ReferenceKind(e["kind"]), e["value"], e["where"]) for e in row.evidence),
        missing=tuple(row.missing),
        opened_at=row.opened_at,
        due_acknowledge=row.due_acknowledge,
        due_determine=row.due_determine,
        due_resolve=row.due_resolve,
        thread_message_id=row.thread_message_id,
        messages=messages,
    )
