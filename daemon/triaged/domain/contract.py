"""A service contract: its term, until when it can be cancelled, its states (rows C5, C8, C13, C17).

Days are the customer's: those of the country's calendar, not of the server's.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from triaged.domain.catalogue import Catalogue, TermStart

UNDO = timedelta(hours=24)  # how long a cancellation can be undone
JUMPSTART_DAYS = 90  # row C17


class State(StrEnum):
    """Of a contract (INTERFACE §4)."""

    ACTIVE = "active"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ACTIVE: frozenset({State.CANCELLED, State.EXPIRED}),
    State.CANCELLED: frozenset({State.ACTIVE}),  # undone within 24 h
    State.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Term:
    """First and last day of cover, both included; None while no licence was assigned (TermStart.FIRST_ASSIGNMENT)."""

    starts: date | None
    ends: date | None


def term(purchased: date, years: int, first_assigned: date | None, today: date, catalogue: Catalogue) -> Term:
    """When a contract begins and ends. With FIRST_ASSIGNMENT: the day of the first assignment, or `term_latest` after
    the purchase, whichever is first; open until one of the two has come."""
    starts: date | None = purchased
    if catalogue.term_start is TermStart.FIRST_ASSIGNMENT:
        latest = purchased + catalogue.term_latest if catalogue.term_latest is not None else None
        known = [day for day in (first_assigned, latest) if day is not None and day <= today]
        starts = min(known, default=None)
    return Term(starts, last_day(starts, years) if starts else None)


def last_day(starts: date, years: int) -> date:
    """The last day of `years` years that begin on `starts`: the day before its anniversary."""
    return anniversary(starts, years) - timedelta(days=1)


def anniversary(day: date, years: int) -> date:
    """The same day `years` later; of 29 February the 1 March where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def cancellable_until(purchased: date, catalogue: Catalogue) -> date:
    """The last day on which the purchase can be cancelled (row C8)."""
    return purchased + catalogue.cancellation


def day_of(moment: datetime, zone: tzinfo = UTC) -> date:
    """The calendar day of an instant in a zone."""
    return moment.astimezone(zone).date()


def covered_until(first_purchase: date, ends: date, catalogue: Catalogue) -> date:
    """The end of a device's warranty: never beyond `warranty_max_years` from its first purchase (row C13)."""
    return min(ends, last_day(first_purchase, catalogue.warranty_max_years))


def jumpstart_ends(purchased: date) -> date:
    """The last day of a JumpStart's 90 days from its purchase (row C17)."""
    return purchased + timedelta(days=JUMPSTART_DAYS)
