"""The support desk: what one mail from a partner means, top to bottom (MISSION P rows, INTERFACE §4).

`consider` reads and decides, it stores nothing: the daemon and `explain` run the very same code. The first reason
that applies wins, in the order of `decision.Reason`.
"""

from dataclasses import replace

from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.desks import answers, aside, case, replies, triage
from triaged.desks.case import Case, Desk, Mail
from triaged.domain.decision import Decision, Reason, Verdict
from triaged.domain.errors import PermanentError
from triaged.domain.identification import Outcome
from triaged.domain.references import Reference, ReferenceKind


def consider(mail: Mail, desk: Desk, session: Session) -> Decision:
    """The decision on one mail; nothing is stored."""
    one = case.look_up(mail, desk, session)
    return replace(_considered(one, session), trust=one.rung, unknown=one.unknown)


def _considered(one: Case, session: Session) -> Decision:
    put = aside.set_aside(one, registered=one.trusted and one.partner is not None)
    if put:
        return put
    ticket = replies.named(one, session)
    decision = _unauthenticated(one) or replies.reply(one, ticket, session) or _new_ticket(one)
    return replace(decision, linked=ticket.number) if ticket and decision.verdict is Verdict.TICKET else decision


def set_customer(ticket: TicketRecord, address: str, desk: Desk, session: Session) -> Decision:
    """The "primary customer e-mail" field, filled by an associate: the same classification runs again (row P8).

    His word alone decides, whatever the mail said. Raises PermanentError when no account answers to the address."""
    told = Reference(ReferenceKind.SUPER_ADMIN, address, "associate")
    kept = tuple(r for r in ticket.evidence if r.kind is ReferenceKind.SERVICE)
    one = case.of_ticket(ticket, (told, *kept), desk, session)
    if one.customer.account is None:
        raise PermanentError(
            f"no single account answers to {address}: nothing was changed. See `triaged account lookup {address}`, "
            "or import the account first"
        )
    settled = ticket.reason == Reason.CONFLICTING_REFERENCES
    decision = replace(triage.classified(one, _of(ticket, one)), review=ticket.state == "review" and not settled)
    return _told(one, ticket, decision, tell=one.trusted and triage.linked(one))


def accept(ticket: TicketRecord, desk: Desk, session: Session) -> Decision:
    """An associate vouches for the sender: the ticket leaves review and is classified as any other."""
    one = case.of_ticket(ticket, ticket.evidence, desk, session)
    reason = triage.WITHOUT_ACCOUNT.get(one.customer.identification.outcome)
    decision = _of(ticket, one)
    decision = replace(decision, ticket_reason=reason) if reason else triage.classified(one, decision)
    return _told(one, ticket, decision, tell=True)


def vouched(mail: Mail, ticket: TicketRecord, desk: Desk, session: Session) -> Decision:
    """A second copy of a mail that waited because nobody vouched for it, and this one is vouched for (DESIGN §5):
    the decision that the mail deserves, for the ticket that the first copy opened."""
    decision = consider(mail, desk, session)
    if decision.verdict is not Verdict.TICKET:
        return decision
    return replace(
        decision, verdict=Verdict.UPDATE, ticket=ticket.number, ticket_reason=decision.reason, reclassifies=True
    )


def _of(ticket: TicketRecord, one: Case) -> Decision:
    """The ticket as it stands, as a decision to be changed."""
    return replace(
        triage.plain(one, Reason(ticket.reason)),
        verdict=Verdict.UPDATE,
        ticket=ticket.number,
        region=ticket.region,
        missing=ticket.missing,
        service=ticket.service,
        severity=ticket.severity,
        priority=ticket.priority,
    )


def _told(one: Case, ticket: TicketRecord, decision: Decision, tell: bool) -> Decision:
    """Who hears of it: the partner unless nobody vouches for him, the associates of every new S1."""
    raised = decision.priority and not ticket.priority
    letters = (answers.granted(one, decision) if decision.priority else answers.opened(one, decision)) if tell else ()
    return replace(decision, notices=letters + (answers.alert(one, decision) if raised else ()))


def _unauthenticated(one: Case) -> Decision | None:
    """From is a claim: without our border server's word the mail waits for an associate (DESIGN §5)."""
    return None if one.trusted else aside.review(one, Reason.UNAUTHENTICATED_SENDER, one.mail.authentication.reason)


def _new_ticket(one: Case) -> Decision:
    """A ticket from an authenticated sender: known, linked, naming a customer that we have, and how large it is."""
    account = one.customer.account
    if one.partner is None:
        return _stranger(one)
    if account is not None and not triage.linked(one):
        return aside.review(one, Reason.UNLINKED_PARTNER, f"the account answers only to {', '.join(account.partners)}")
    if account is not None:
        return _opened(one, triage.classified(one, triage.plain(one, Reason.STANDARD_ACCOUNT)))
    if one.customer.identification.outcome is Outcome.CONFLICTING:
        return aside.review(one, Reason.CONFLICTING_REFERENCES, "the references do not agree on one account")
    return _opened(one, triage.askable(one))


def _stranger(one: Case) -> Decision:
    """Authenticated, but no registered partner: review, or an ordinary ticket where the operator accepts strangers."""
    if one.desk.settings.trust.unknown_sender == "review":
        return aside.review(one, Reason.UNKNOWN_SENDER, "no registered partner has this address or its domain")
    decision = replace(triage.plain(one, Reason.UNKNOWN_SENDER), primary_customer_email="")
    return replace(decision, notices=answers.for_review(one))


def _opened(one: Case, decision: Decision) -> Decision:
    return replace(decision, notices=answers.opened(one, decision) + answers.alert(one, decision))
