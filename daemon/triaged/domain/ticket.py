"""A ticket's number and states. docs/architecture.md has the table of transitions too; a test compares them."""

from enum import StrEnum

from triaged.domain.errors import PermanentError


class State(StrEnum):
    """Where a ticket stands (INTERFACE §4)."""

    REVIEW = "review"  # an associate must look before it counts
    OPEN = "open"
    WAITING = "waiting"  # for the partner
    RESOLVED = "resolved"
    CLOSED = "closed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.REVIEW: frozenset({State.OPEN, State.CLOSED}),
    State.OPEN: frozenset({State.REVIEW, State.WAITING, State.RESOLVED, State.CLOSED}),
    State.WAITING: frozenset({State.REVIEW, State.OPEN, State.RESOLVED, State.CLOSED}),
    State.RESOLVED: frozenset({State.REVIEW, State.OPEN, State.CLOSED}),
    State.CLOSED: frozenset(),
}


def move(number: str, current: State, wanted: State) -> State:
    """The wanted state, if the ticket may go there. Raises PermanentError that names what is allowed."""
    if wanted == current or wanted in TRANSITIONS[current]:
        return wanted
    allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it is closed for good, a new mail opens a new ticket"
    raise PermanentError(f"ticket {number} is {current} and cannot become {wanted}. Allowed: {allowed}")


def number(region: str, serial: int) -> str:
    """EU-000123: the region says whose thresholds and hours hold."""
    return f"{region.upper()}-{serial:06d}"
