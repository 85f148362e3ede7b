"""From a case to what its ticket is: everything that was found, and how severe that makes it.

Shared by what opens a ticket, what adds to it, and what an associate does to it: the same rules, whoever asks.
"""

from dataclasses import replace

from triaged.desks.case import Case
from triaged.domain import entitlement, severity
from triaged.domain.decision import AccountFound, Decision, Reason, Step, Verdict
from triaged.domain.identification import Outcome

# Why an authenticated, registered sender's ticket is as it is when no account was found.
WITHOUT_ACCOUNT = {
    Outcome.NOTHING: Reason.NO_CUSTOMER_REFERENCE,
    Outcome.UNKNOWN: Reason.UNKNOWN_CUSTOMER,
    Outcome.CONFLICTING: Reason.CONFLICTING_REFERENCES,
}
_WHY = {
    Outcome.NOTHING: "the mail names no customer",
    Outcome.UNKNOWN: "no account by what the mail says",
    Outcome.CONFLICTING: "the references do not agree on one account",
}


def linked(one: Case) -> bool:
    """An account that names its partners is told only to those."""
    account = one.customer.account
    if account is None or not account.partners:
        return True
    return one.partner is not None and one.partner.name in account.partners


def plain(one: Case, reason: Reason) -> Decision:
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


def askable(one: Case) -> Decision:
    """A ticket whose customer was not found: the partner is asked."""
    outcome = one.customer.identification.outcome
    decision = plain(one, WITHOUT_ACCOUNT[outcome])
    return replace(decision, steps=(*decision.steps, Step("identify", _WHY[outcome])))


def classified(one: Case, decision: Decision) -> Decision:
    """Tier and service decide reason, severity and flag (rows P5, P6). Replies keep the reason `reply`."""
    policy, customer = one.desk.settings.policy, one.customer
    assert customer.tier is not None
    service = decision.service
    excluded = bool(service) and entitlement.is_excluded(service, policy)
    result = severity.classify(customer.tier, excluded, policy)
    why = f"{result.reason}: {result.severity}" + (f" ({service} is excluded)" if excluded else "")
    found = plain(one, result.reason)
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
