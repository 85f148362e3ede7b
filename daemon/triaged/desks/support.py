"""The support desk: what one mail from a partner means, top to bottom (MISSION P rows, INTERFACE §4).

`consider` reads and decides, it stores nothing: the daemon and `explain` run the very same code. The first reason
that applies wins, in the order of `decision.Reason`.
"""

from dataclasses import replace

from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.desks import answers, case, replies, triage
from triaged.desks.case import Case, Desk, Mail
from triaged.domain.decision import Decision, Reason, Step, Verdict
from triaged.domain.directory import AccountRecord
from triaged.domain.errors import PermanentError
from triaged.domain.identification import Outcome
from triaged.domain.message import Nature
from triaged.domain.notices import Notice
from triaged.domain.references import Reference, ReferenceKind


def consider(mail: Mail, desk: Desk, session: Session) -> Decision:
    """The decision on one mail; nothing is stored."""
    one = case.look_up(mail, desk, session)
    aside = _set_aside(one)
    if aside:
        return aside
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


def _set_aside(one: Case) -> Decision | None:
    """What opens no ticket: unreadable, too large, our own, reports, automatic and list mail of strangers."""
    message, mail = one.mail.message, one.mail
    registered = one.trusted and one.partner is not None
    if message.unreadable:
        step = Step("read", message.unreadable)
        letters = answers.unreadable(one) if registered and not message.dirty and one.answerable else ()
        return _quiet(one, Verdict.QUARANTINE, Reason.UNREADABLE, step, letters)
    if mail.truncated:
        step = Step("read", "larger than [limits] message: only the header was taken")
        return _quiet(one, Verdict.QUARANTINE, Reason.TOO_LARGE, step, answers.too_large(one))
    match message.nature:
        case Nature.OWN:
            return _quiet(one, Verdict.IGNORE, Reason.OWN_MAIL, Step("recognise", "written by ourselves"))
        case Nature.DELIVERY_REPORT:
            displayed = message.report is not None and message.report.action == "displayed"
            verdict = Verdict.IGNORE if displayed else Verdict.BOUNCE
            return _quiet(one, verdict, Reason.DELIVERY_REPORT, Step("recognise", "a delivery report"))
        case Nature.AUTO_REPLY:
            return _quiet(one, Verdict.IGNORE, Reason.AUTO_REPLY, Step("recognise", "an automatic reply"))
        case Nature.MACHINE if not registered:
            return _quiet(one, Verdict.IGNORE, Reason.AUTO_REPLY, Step("recognise", "a machine of no partner"))
        case Nature.LIST if not registered:
            return _quiet(one, Verdict.IGNORE, Reason.MAILING_LIST, Step("recognise", "a list, not a partner"))
        case _:
            return None


def _quiet(one: Case, verdict: Verdict, reason: Reason, step: Step, letters: tuple[Notice, ...] = ()) -> Decision:
    return Decision(
        verdict=verdict,
        reason=reason,
        desk=one.mail.mailbox.desk,
        region=one.region.code,
        locale=one.locale,
        sender=one.sender,
        notices=letters,
        steps=(step,),
    )


def _unauthenticated(one: Case) -> Decision | None:
    """From is a claim: without our border server's word the mail waits for an associate (DESIGN §5)."""
    return None if one.trusted else _review(one, Reason.UNAUTHENTICATED_SENDER, one.mail.authentication.reason)


def _new_ticket(one: Case) -> Decision:
    """A ticket from an authenticated sender: known, linked, naming a customer that we have, and how large it is."""
    account = one.customer.account
    if one.partner is None:
        return _stranger(one)
    if account is not None and not triage.linked(one):
        return _review(one, Reason.UNLINKED_PARTNER, f"the account answers only to {', '.join(account.partners)}")
    if account is not None:
        return _opened(one, triage.classified(one, triage.plain(one, Reason.STANDARD_ACCOUNT)))
    if one.customer.identification.outcome is Outcome.CONFLICTING:
        return _review(one, Reason.CONFLICTING_REFERENCES, "the references do not agree on one account")
    return _opened(one, triage.askable(one))


def _stranger(one: Case) -> Decision:
    """Authenticated, but no registered partner: review, or an ordinary ticket where the operator accepts strangers."""
    if one.desk.settings.trust.unknown_sender == "review":
        return _review(one, Reason.UNKNOWN_SENDER, "no registered partner has this address or its domain")
    decision = replace(triage.plain(one, Reason.UNKNOWN_SENDER), primary_customer_email="")
    return replace(decision, notices=answers.for_review(one))


def _partners(account: AccountRecord) -> str:
    return ", ".join(account.partners)


def _review(one: Case, reason: Reason, why: str) -> Decision:
    decision = triage.plain(one, reason)
    return replace(
        decision,
        review=True,
        primary_customer_email="",
        notices=answers.for_review(one),
        steps=(*decision.steps, Step("review", why)),
    )


def _opened(one: Case, decision: Decision) -> Decision:
    return replace(decision, notices=answers.opened(one, decision) + answers.alert(one, decision))
