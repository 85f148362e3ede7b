"""Licences, thresholds and what they make of an account (rows P3, P5, P6, P10)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from triaged.domain import commitments, entitlement, severity
from triaged.domain.decision import Reason
from triaged.domain.directory import SubscriptionRecord
from triaged.domain.entitlement import Tier
from triaged.domain.policy import Policy, Region, Severity, Span

HOUR = timedelta(hours=1)
REGION = Region("eu", "Europe", "Europe/Paris", "fr", (), 50, 200, timedelta(days=730))
S1 = Severity(
    "S1", {"en": "S1-Critical"}, Span(HOUR, 3 * HOUR), Span(2 * HOUR, 8 * HOUR), Span(24 * HOUR, 48 * HOUR), 24 * HOUR
)
POLICY = Policy(
    version="1",
    default_severity="S3",
    count_licences="sum",
    excluded_services=("Zoho Campaigns", "Zoho Writer add-ons"),
    public_mail_domains=frozenset(),
    service_aliases={"Zoho Writer add-ons": ("Modules complémentaires Zoho Writer",)},
    severities={"S1": S1},
    regions={"eu": REGION},
)
DAY = date(2026, 6, 15)


def crm(licences: int, **changes: object) -> SubscriptionRecord:
    return replace(SubscriptionRecord("Zoho CRM", licences, "active"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("licences", "tier"),
    [
        (0, "standard"),
        (49, "standard"),
        (50, "key_account"),
        (199, "key_account"),
        (200, "large_user"),
        (9999, "large_user"),
    ],
)
def test_thresholds_are_exact(licences: int, tier: str) -> None:
    assert entitlement.tier(licences, REGION) == tier


def test_eligible_active_subscriptions_are_summed() -> None:
    assert entitlement.count([crm(100), crm(99)], POLICY, DAY).licences == 199


def test_or_the_largest_counts_where_the_operator_says_so() -> None:
    assert entitlement.count([crm(100), crm(99)], replace(POLICY, count_licences="max"), DAY).licences == 100


@pytest.mark.parametrize("service", ["Zoho Campaigns", "zoho  campaigns", "MODULES COMPLÉMENTAIRES ZOHO WRITER"])
def test_excluded_services_never_count_by_any_name(service: str) -> None:
    counted = entitlement.count([crm(500, service=service), crm(10)], POLICY, DAY)
    assert counted.licences == 10
    assert counted.left_out[0][1] == "excluded service"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "expired"}, "status expired"),
        ({"starts": date(2026, 6, 16)}, "starts 2026-06-16"),
        ({"ends": date(2026, 6, 14)}, "ended 2026-06-14"),
    ],
)
def test_what_is_not_active_on_the_day_of_arrival_does_not_count(changes: dict[str, object], why: str) -> None:
    counted = entitlement.count([crm(500, **changes)], POLICY, DAY)
    assert (counted.licences, counted.left_out[0][1]) == (0, why)


@pytest.mark.parametrize(
    "changes", [{"starts": DAY}, {"ends": DAY}, {"starts": DAY, "ends": DAY}, {"status": "Active"}]
)
def test_first_and_last_day_count(changes: dict[str, object]) -> None:
    assert entitlement.count([crm(500, **changes)], POLICY, DAY).licences == 500


@pytest.mark.parametrize(
    ("tier", "excluded", "expected"),
    [
        (Tier.LARGE_USER, False, ("S1", True, Reason.LARGE_ACCOUNT)),
        (Tier.KEY_ACCOUNT, False, ("S3", False, Reason.KEY_ACCOUNT)),
        (Tier.STANDARD, False, ("S3", False, Reason.STANDARD_ACCOUNT)),
        (Tier.LARGE_USER, True, ("S3", False, Reason.EXCLUDED_SERVICE)),
    ],
)
def test_only_a_large_account_off_the_excluded_services_is_critical(
    tier: Tier, excluded: bool, expected: tuple[str, bool, Reason]
) -> None:
    result = severity.classify(tier, excluded, POLICY)
    assert (result.severity, result.priority, result.reason) == expected


def test_deadlines_run_from_the_arrival() -> None:
    arrived = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
    due = commitments.deadlines(S1, arrived)
    assert (due.acknowledge.target, due.acknowledge.limit) == (arrived + HOUR, arrived + 3 * HOUR)
    assert due.resolve.limit == arrived + 48 * HOUR
