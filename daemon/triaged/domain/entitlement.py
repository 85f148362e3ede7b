"""How many user licences count, and what that makes the account (rows P3, P5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from triaged.domain.directory import SubscriptionRecord
from triaged.domain.policy import Policy, Region


class Tier(StrEnum):
    """The FAQ's classes of accounts."""

    LARGE_USER = "large_user"
    KEY_ACCOUNT = "key_account"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted and what was not: (subscription, why not)."""

    licences: int
    counted: tuple[SubscriptionRecord, ...]
    left_out: tuple[tuple[SubscriptionRecord, str], ...]


def count(subscriptions: Iterable[SubscriptionRecord], policy: Policy, on: date) -> Count:
    """Licences of the active, eligible subscriptions on the day of arrival; summed or the largest, as policy says."""
    counted: list[SubscriptionRecord] = []
    left_out: list[tuple[SubscriptionRecord, str]] = []
    for subscription in subscriptions:
        why = _why_not(subscription, policy, on)
        if why:
            left_out.append((subscription, why))
        else:
            counted.append(subscription)
    numbers = [subscription.licences for subscription in counted]
    total = max(numbers, default=0) if policy.count_licences == "max" else sum(numbers)
    return Count(total, tuple(counted), tuple(left_out))


def tier(licences: int, region: Region) -> Tier:
    """Thresholds are inclusive: `large_user = 200` means 200 is large."""
    if licences >= region.large_user:
        return Tier.LARGE_USER
    return Tier.KEY_ACCOUNT if licences >= region.key_account else Tier.STANDARD


def _why_not(subscription: SubscriptionRecord, policy: Policy, on: date) -> str:
    if subscription.status.casefold() != "active":
        return f"status {subscription.status}"
    if subscription.starts and on < subscription.starts:
        return f"starts {subscription.starts.isoformat()}"
    if subscription.ends and on > subscription.ends:
        return f"ended {subscription.ends.isoformat()}"
    return "excluded service" if is_excluded(subscription.service, policy) else ""


def is_excluded(service: str, policy: Policy) -> bool:
    """Is the service one of the five that never count (row P5), by its name or any alias of it?"""
    wanted = _fold(service)
    return any(
        wanted == _fold(name)
        for excluded in policy.excluded_services
        for name in (excluded, *policy.service_aliases.get(excluded, ()))
    )


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())
