"""What a reply does to its ticket: it may add the missing customer, correct the service, or contradict (rows P8, P9).

Only a registered partner changes anything; whoever else may join adds a message. A reply raises a ticket, it never
lowers one; what contradicts goes to a person.
"""

from dataclasses import replace

from triaged.adapters.db import tickets
from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.desks import answers, case, triage
from triaged.desks.case import Case, Customer
from triaged.domain.decision import Decision, Reason, Step, Verdict
from triaged.domain.identification import Outcome
from triaged.domain.references import Reference, ReferenceKind
from triaged.domain.ticket import State
from triaged.mail import threads


def named(one: Case, session: Session) -> TicketRecord | None:
    """The ticket that this mail names: proved by our keyed Message-ID, or, weaker, by the number in its subject."""
    message, desk = one.mail.message, one.desk
    proved = threads.ticket_of(message, desk.settings.service.domain, desk.key)
    number = proved or threads.number_in_subject(message.subject)
    return tickets.by_number(session, number) if number else None


def reply(one: Case, ticket: TicketRecord | None, session: Session) -> Decision | None:
    """An authenticated participant, or a colleague of the same partner, adds to a ticket that is not closed."""
    if ticket is None or not joins(one, ticket):
        return None
    decision = as_it_stands(one, ticket)
    unsettled = ticket.state is State.REVIEW and ticket.reason != Reason.CONFLICTING_REFERENCES
    if one.partner is None or not one.evidence or unsettled:
        return decision
    return _weighed(one, ticket, decision, session)


def joins(one: Case, ticket: TicketRecord) -> bool:
    """Whether the sender may add: he opened it, or is a colleague at the same partner; never to a closed one."""
    sender = one.mail.message.sender
    if sender is None or ticket.state is State.CLOSED:
        return False
    colleague = one.partner is not None and one.partner.name == ticket.partner
    return sender.address == ticket.requester or colleague


def as_it_stands(one: Case, ticket: TicketRecord) -> Decision:
    """A message more on the ticket, which stays as it is."""
    return Decision(
        verdict=Verdict.UPDATE,
        reason=Reason.REPLY,
        desk=one.mail.mailbox.desk,
        region=ticket.region,
        locale=ticket.locale,
        sender=one.sender,
        evidence=one.evidence,
        service=ticket.service,
        severity=ticket.severity,
        priority=ticket.priority,
        ticket=ticket.number,
        tier=ticket.tier,
        licences=ticket.licences,
        account=ticket.account,
        primary_customer_email=ticket.primary_customer_email,
        missing=ticket.missing,
        answerable=ticket.answerable,
        steps=(Step("reply", f"adds to {ticket.number}"),),
    )


def _weighed(one: Case, ticket: TicketRecord, decision: Decision, session: Session) -> Decision:
    """What the reply says alone, and if that names nobody we know, what it says together with the ticket."""
    customer = _customer(one, ticket, session)
    evidence = tuple(dict.fromkeys((*one.evidence, *ticket.evidence)))  # the newest word on the service comes first
    mail = replace(one.mail, arrived=ticket.opened_at)  # the clock runs from the first mail (row P8)
    whole = replace(
        one,
        mail=mail,
        customer=customer,
        evidence=evidence,
        locale=ticket.locale,
        requester=ticket.requester,
        about=ticket.subject,
    )
    decision = replace(decision, steps=decision.steps + customer.steps, excluded=customer.left_out)
    against = _contradiction(whole, ticket)
    if against:
        return replace(decision, review=True, steps=(*decision.steps, Step("contradiction", against)))
    service = whole.service or ticket.service
    decision = replace(decision, evidence=evidence, service=service, missing=whole.missing and ticket.missing)
    if customer.account is None:
        fresh = _names_customer(_beyond(ticket, one.evidence))
        return _still_unknown(whole, decision) if fresh else replace(decision, enriches=True)
    return _raised(whole, ticket, decision)


def _customer(one: Case, ticket: TicketRecord, session: Session) -> Customer:
    def weigh(evidence: tuple[Reference, ...]) -> Customer:
        return case.weigh(evidence, one.partner, one.desk.settings, session, ticket.opened_at)

    alone = weigh(one.evidence)
    if alone.identification.outcome in (Outcome.IDENTIFIED, Outcome.CONFLICTING):
        return alone
    return weigh((*ticket.evidence, *one.evidence))


def _beyond(ticket: TicketRecord, evidence: tuple[Reference, ...]) -> tuple[Reference, ...]:
    """What the ticket does not know yet: who only says again what we asked about is not asked again (a responder that
    quotes our question would be, for ever)."""
    known = {(reference.kind, reference.value) for reference in ticket.evidence}
    return tuple(reference for reference in evidence if (reference.kind, reference.value) not in known)


def _names_customer(evidence: tuple[Reference, ...]) -> bool:
    return any(reference.kind is not ReferenceKind.SERVICE for reference in evidence)


def _contradiction(one: Case, ticket: TicketRecord) -> str:
    """Why a person must look, or empty. A contradiction of the first mail is settled by one of its own accounts."""
    account = one.customer.account
    if one.customer.identification.outcome is Outcome.CONFLICTING:
        return "its references do not agree on one account"
    if account is None:
        return ""
    if ticket.account is not None and not ticket.is_about(account):
        return "names another customer than the ticket"
    return "" if triage.linked(one) else "the account is not this partner's"


def _still_unknown(one: Case, decision: Decision) -> Decision:
    decision = replace(decision, ticket_reason=Reason.UNKNOWN_CUSTOMER, enriches=True)
    return replace(decision, notices=answers.opened(one, decision))


def _raised(one: Case, ticket: TicketRecord, decision: Decision) -> Decision:
    """The customer is known: classify, and tell whoever must know. Nothing is ever lowered."""
    after = triage.classified(one, decision)
    if ticket.account is not None and (ticket.priority or not after.priority) and ticket.service == after.service:
        return replace(decision, enriches=True)
    if ticket.priority and not after.priority:
        return replace(decision, steps=after.steps, enriches=True)
    letters = answers.granted(one, after) if after.priority else answers.opened(one, after)
    return replace(after, notices=letters + answers.alert(one, after), reclassifies=True)
