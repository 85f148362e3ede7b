"""Which mails a decision owes, to whom, and what they may say (MISSION P9, N9; DESIGN §5).

An answer goes to the one From, says never more about an account than the sender wrote, and at most one goes out per
mail. Associates hear of every S1 at once.
"""

from dataclasses import replace

from triaged.desks.case import Case
from triaged.domain import commitments, entitlement
from triaged.domain.decision import Decision, Reason
from triaged.domain.notices import Facts, Notice, NoticeName, Written
from triaged.domain.policy import Policy
from triaged.domain.references import Reference, ReferenceKind
from triaged.mail import compose

# Row P5: what each excluded service is measured by, found by a word of its name.
_UNITS = {
    "campaigns": "contacts",
    "dataprep": "rows",
    "pagesense": "visitors",
    "writer": "credits",
    "automation": "contacts",
}
_ASKING = (Reason.NO_CUSTOMER_REFERENCE, Reason.UNKNOWN_CUSTOMER)


def opened(one: Case, decision: Decision) -> tuple[Notice, ...]:
    """`ticket_opened`: the decision, what is missing, the right mailbox, why not eligible: parts of one mail."""
    return _to_sender(one, NoticeName.TICKET_OPENED, full_facts(one, decision)) if one.answerable else ()


def granted(one: Case, decision: Decision) -> tuple[Notice, ...]:
    """`priority_granted`: the customer is found, the ticket is critical now (row P8)."""
    return _to_sender(one, NoticeName.PRIORITY_GRANTED, full_facts(one, decision)) if one.answerable else ()


def for_review(one: Case) -> tuple[Notice, ...]:
    """`received_for_review`: neutral; to an unauthenticated sender without a word of his mail."""
    if not one.answerable:
        return ()
    facts = _frame(one, subject=one.mail.message.subject if one.mail.authentication.passed else "")
    return _to_sender(one, NoticeName.RECEIVED_FOR_REVIEW, facts)


def unreadable(one: Case) -> tuple[Notice, ...]:
    return _to_sender(one, NoticeName.UNREADABLE, _frame(one, subject=one.mail.message.subject))


def too_large(one: Case) -> tuple[Notice, ...]:
    """`too_large`, to a sender whom our border server vouches for: anybody else could make us write to a victim."""
    if not (one.trusted and one.answerable):
        return ()
    facts = _frame(one, subject=one.mail.message.subject, size_limit=one.desk.settings.limits.message)
    return _to_sender(one, NoticeName.TOO_LARGE, facts)


def alert(one: Case, decision: Decision) -> tuple[Notice, ...]:
    """`priority_alert` to the region's associates: an S1 that no human hears of is worth nothing."""
    region = one.region
    if not decision.priority or not region.associates:
        return ()
    locale = region.locale if region.locale in one.desk.locales else one.locale
    facts = full_facts(one, decision, locale, decision.account.name if decision.account else "")
    facts = replace(facts, subject=one.about)
    return (Notice(NoticeName.PRIORITY_ALERT, region.associates, locale, facts),)


def full_facts(one: Case, decision: Decision, locale: str = "", account: str = "") -> Facts:
    """Everything about the ticket that the reader may know; `account` only for associates."""
    policy, region = one.desk.settings.policy, one.region
    level = policy.severities[decision.severity]
    due = commitments.deadlines(level, one.mail.arrived)
    excluded = bool(decision.service) and entitlement.is_excluded(decision.service, policy)
    return _frame(
        one,
        ticket=decision.ticket,
        subject=one.mail.message.subject,
        reason=decision.why.value,
        severity=decision.severity,
        severity_label=level.label_in(locale or decision.locale),
        priority=decision.priority,
        tier=decision.tier,
        service=decision.service,
        licences=decision.licences,
        threshold=region.large_user,
        excluded_unit=_unit(decision.service, policy) if excluded else "",
        understood=written(decision.evidence),
        missing=decision.missing,
        ask=decision.why in _ASKING or bool(decision.missing) or decision.account is None,
        right_mailbox=_right_mailbox(one),
        unread=tuple(attachment.name for attachment in one.mail.message.attachments if attachment.tnef),
        acknowledge=due.acknowledge,
        determine=due.determine,
        resolve=due.resolve,
        requester=one.requester,
        partner=one.partner.name if one.partner else "",
        account=account,
        account_zoid=decision.account.zoid if account and decision.account else "",
    )


def written(evidence: tuple[Reference, ...]) -> tuple[Written, ...]:
    """What the sender wrote of his customer, said back to him once each."""
    kept = (r for r in evidence if r.kind is not ReferenceKind.SERVICE)
    return tuple(Written(kind, value) for kind, value in dict.fromkeys((r.kind.value, r.value) for r in kept))


def _frame(one: Case, **said: object) -> Facts:
    """What every mail may say."""
    settings = one.desk.settings
    return Facts(
        region=one.region.code,
        region_name=one.region.name,
        timezone=one.region.timezone,
        mailbox=one.mail.mailbox.address,
        received_at=one.mail.arrived,
        desk_name=settings.senders[one.mail.mailbox.desk].name,
        **said,  # type: ignore[arg-type]  # a closed set of names: Facts refuses any other
    )


def _to_sender(one: Case, name: NoticeName, facts: Facts) -> tuple[Notice, ...]:
    sender = one.mail.message.sender
    subject = compose.subject_for(facts.subject, "") if facts.subject else ""
    return (Notice(name, (sender.address,), one.locale, facts, subject),) if sender else ()


def _right_mailbox(one: Case) -> str:
    """The partner's own mailbox, if he wrote to another (row P1): his region decides, not the customer's."""
    here, partner = one.mail.mailbox, one.partner
    if partner is None or not partner.region or partner.region in here.regions:
        return ""
    serving = (m for m in one.desk.settings.mailboxes if m.desk == here.desk and partner.region in m.regions)
    return next((mailbox.address for mailbox in serving), "")


def _unit(service: str, policy: Policy) -> str:
    """What an excluded service is measured by (row P5); by its canonical name, whatever alias the mail used."""
    names = [service, *(name for name, aliases in policy.service_aliases.items() if service in aliases)]
    words = " ".join(names).casefold()
    return next((unit for word, unit in _UNITS.items() if word in words), "contacts")
