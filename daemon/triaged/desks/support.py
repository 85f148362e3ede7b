"""The support desk: what one mail from a partner means, top to bottom (MISSION P rows, INTERFACE §4).

`consider` reads and decides, it stores nothing: the daemon and `explain` run the very same code. The first reason
that applies wins, in the order of `decision.Reason`.
"""

from collections.abc import Sequence
from dataclasses import replace

from triaged.adapters.db import tickets
from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.desks import answers, case
from triaged.desks.case import Case, Desk, Mail
from triaged.domain import entitlement, severity
from triaged.domain.decision import AccountFound, Decision, Reason, Step, Verdict
from triaged.domain.directory import AccountRecord
from triaged.domain.errors import PermanentError
from triaged.domain.identification import Outcome
from triaged.domain.message import Nature
from triaged.domain.notices import Notice
from triaged.domain.references import Reference, ReferenceKind
from triaged.mail import threads


def consider(mail: Mail, desk: Desk, session: Session) -> Decision:
    """The decision on one mail; nothing is stored."""
    one = case.look_up(mail, desk, session)
    aside = _set_aside(one)
    if aside:
        return aside
    ticket = _named(one, session)
    decision = _unauthenticated(one) or _reply(one, ticket, session) or _new_ticket(one)
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
    decision = replace(_classified(one, _of(ticket, one)), review=ticket.state == "review" and not settled)
    return _told(one, ticket, decision, tell=one.trusted and _linked(one))


def accept(ticket: TicketRecord, desk: Desk, session: Session) -> Decision:
    """An associate vouches for the sender: the ticket leaves review and is classified as any other."""
    one = case.of_ticket(ticket, ticket.evidence, desk, session)
    found = one.customer.account is not None
    decision = _classified(one, _of(ticket, one)) if found else replace(_of(ticket, one), review=False)
    return _told(one, ticket, decision, tell=True)


def _of(ticket: TicketRecord, one: Case) -> Decision:
    """The ticket as it stands, as a decision to be changed."""
    return replace(
        _plain(one, Reason(ticket.reason)),
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


def _named(one: Case, session: Session) -> TicketRecord | None:
    """The ticket that this mail names: proved by our keyed Message-ID, or, weaker, by the number in its subject."""
    message, desk = one.mail.message, one.desk
    proved = threads.ticket_of(message, desk.settings.service.domain, desk.key)
    number = proved or threads.number_in_subject(message.subject)
    return tickets.by_number(session, number) if number else None


def _reply(one: Case, ticket: TicketRecord | None, session: Session) -> Decision | None:
    """An authenticated participant, or a colleague of the same partner, adds to a ticket that is not closed."""
    sender = one.mail.message.sender
    if ticket is None or sender is None or ticket.state == "closed":
        return None
    colleague = one.partner is not None and one.partner.name == ticket.partner
    if sender.address != ticket.requester and not colleague:
        return None
    return _update(one, ticket, session)


def _update(one: Case, ticket: TicketRecord, session: Session) -> Decision:
    decision = Decision(
        verdict=Verdict.UPDATE,
        reason=Reason.REPLY,
        desk=one.mail.mailbox.desk,
        region=ticket.region,
        locale=ticket.locale,
        sender=one.sender,
        evidence=one.evidence,
        service=one.service or ticket.service,
        severity=ticket.severity,
        priority=ticket.priority,
        ticket=ticket.number,
        tier=ticket.tier,
        licences=ticket.licences,
        account=ticket.account,
        primary_customer_email=ticket.primary_customer_email,
        steps=(Step("reply", f"adds to {ticket.number}"),),
    )
    names_customer = any(r.kind is not ReferenceKind.SERVICE for r in one.evidence)
    if one.partner is None or not names_customer:
        return decision
    evidence = one.evidence if ticket.account else _merged(ticket.evidence, one.evidence)
    customer = case.weigh(evidence, one.partner, one.desk.settings, session, ticket.opened_at)
    mail = replace(one.mail, arrived=ticket.opened_at)  # the clock runs from the first mail (row P8)
    whole = replace(one, mail=mail, customer=customer, evidence=evidence, locale=ticket.locale)
    return _raised(whole, ticket, decision)


def _raised(one: Case, ticket: TicketRecord, decision: Decision) -> Decision:
    """What a reply that names the customer does to its ticket (row P8); a contradiction only asks for a look."""
    customer, account = one.customer, one.customer.account
    contradicts = customer.identification.outcome is Outcome.CONFLICTING or (
        account is not None and ticket.account is not None and not ticket.is_about(account)
    )
    decision = replace(decision, steps=decision.steps + customer.steps, excluded=customer.left_out)
    if contradicts or (account is not None and not _linked(one)):
        why = "names another customer than the ticket" if contradicts else "the account is not this partner's"
        return replace(decision, review=True, steps=(*decision.steps, Step("contradiction", why)))
    if ticket.account is not None or ticket.state == "review":
        return decision
    if account is None:
        decision = replace(decision, ticket_reason=Reason.UNKNOWN_CUSTOMER, missing=one.missing)
        return replace(decision, notices=answers.opened(one, decision))
    raised = _classified(one, decision)
    letters = answers.granted(one, raised) if raised.priority else answers.opened(one, raised)
    return replace(raised, notices=letters + answers.alert(one, raised))


def _merged(before: Sequence[Reference], new: Sequence[Reference]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys((*before, *new)))


def _new_ticket(one: Case) -> Decision:
    """A ticket from an authenticated sender: known, linked, naming a customer that we have, and how large it is."""
    customer = one.customer
    if one.partner is None and (one.desk.settings.trust.require or one.desk.settings.trust.unknown_sender == "review"):
        return _stranger(one)
    if customer.account is not None and not _linked(one):
        return _review(one, Reason.UNLINKED_PARTNER, f"the account answers only to {_partners(customer.account)}")
    match customer.identification.outcome:
        case Outcome.NOTHING:
            return _opened(one, _askable(one, Reason.NO_CUSTOMER_REFERENCE))
        case Outcome.UNKNOWN:
            return _opened(one, _askable(one, Reason.UNKNOWN_CUSTOMER))
        case Outcome.CONFLICTING:
            return _review(one, Reason.CONFLICTING_REFERENCES, "the references do not agree on one account")
        case _:
            return _opened(one, _classified(one, _plain(one, Reason.STANDARD_ACCOUNT)))


def _stranger(one: Case) -> Decision:
    """Authenticated, but no registered partner: review, or an ordinary ticket where the operator accepts strangers."""
    if one.desk.settings.trust.unknown_sender == "review":
        return _review(one, Reason.UNKNOWN_SENDER, "no registered partner has this address or its domain")
    decision = _plain(one, Reason.UNKNOWN_SENDER)
    return replace(decision, notices=answers.for_review(one))


def _linked(one: Case) -> bool:
    """An account that names its partners is told only to those."""
    account = one.customer.account
    if account is None or not account.partners:
        return True
    return one.partner is not None and one.partner.name in account.partners


def _partners(account: AccountRecord) -> str:
    return ", ".join(account.partners)


def _plain(one: Case, reason: Reason) -> Decision:
    """A ticket with everything that was found, at the default severity."""
    customer, account = one.customer, one.customer.account
    return Decision(
        verdict=Verdict.TICKET,
        reason=reason,
        desk=one.mail.mailbox.desk,
        region=one.region.code,
        locale=one.locale,
        sender=one.sender,
        evidence=one.evidence,
        account=AccountFound(account.zoid, account.name, customer.identification.via, account.region)
        if account
        else None,
        service=one.service,
        licences=customer.licences,
        tier=customer.tier.value if customer.tier else "",
        thresholds=(customer.region.key_account, customer.region.large_user) if customer.region else None,
        severity=one.desk.settings.policy.default_severity,
        missing=one.missing,
        primary_customer_email=(account.super_admin or "") if account else "",
        answerable=one.answerable,
        steps=customer.steps,
        excluded=customer.left_out,
    )


def _review(one: Case, reason: Reason, why: str) -> Decision:
    decision = _plain(one, reason)
    return replace(
        decision,
        review=True,
        primary_customer_email="",
        notices=answers.for_review(one),
        steps=(*decision.steps, Step("review", why)),
    )


def _askable(one: Case, reason: Reason) -> Decision:
    why = "the mail names no customer" if reason is Reason.NO_CUSTOMER_REFERENCE else "no account by what the mail says"
    decision = _plain(one, reason)
    return replace(decision, steps=(*decision.steps, Step("identify", why)))


def _classified(one: Case, decision: Decision) -> Decision:
    """Tier and service decide reason, severity and flag (rows P5, P6). Replies keep the reason `reply`."""
    policy, customer = one.desk.settings.policy, one.customer
    assert customer.tier is not None
    service = decision.service
    excluded = bool(service) and entitlement.is_excluded(service, policy)
    result = severity.classify(customer.tier, excluded, policy)
    why = f"{result.reason}: {result.severity}" + (f" ({service} is excluded)" if excluded else "")
    found = _plain(one, result.reason)
    steps = (*decision.steps, *(s for s in found.steps if s not in decision.steps), Step("severity", why))
    if decision.verdict is Verdict.UPDATE:
        found = replace(
            found,
            verdict=Verdict.UPDATE,
            reason=decision.reason,
            ticket_reason=result.reason,
            ticket=decision.ticket,
            region=decision.region,
        )
    return replace(found, service=service, severity=result.severity, priority=result.priority, steps=steps)


def _opened(one: Case, decision: Decision) -> Decision:
    return replace(decision, notices=answers.opened(one, decision) + answers.alert(one, decision))
