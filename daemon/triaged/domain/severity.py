"""How severe is the ticket, and for which reason (row P6): the last step of the triage."""

from dataclasses import dataclass

from triaged.domain.decision import Reason
from triaged.domain.entitlement import Tier
from triaged.domain.policy import Policy

CRITICAL = "S1"


@dataclass(frozen=True, slots=True)
class Classification:
    """Severity, the flag "priority customer – large-user account", and why."""

    severity: str
    priority: bool
    reason: Reason


def classify(tier: Tier, excluded_service: bool, policy: Policy) -> Classification:
    """A large-user account's ticket is S1 at once, unless it is about an excluded service (rows P5, P6)."""
    if excluded_service:
        return Classification(policy.default_severity, False, Reason.EXCLUDED_SERVICE)
    match tier:
        case Tier.LARGE_USER:
            return Classification(CRITICAL, True, Reason.LARGE_ACCOUNT)
        case Tier.KEY_ACCOUNT:
            return Classification(policy.default_severity, False, Reason.KEY_ACCOUNT)
        case _:
            return Classification(policy.default_severity, False, Reason.STANDARD_ACCOUNT)
