"""States and numbers of tickets (INTERFACE §4)."""

import pytest

from triaged.domain import ticket
from triaged.domain.errors import PermanentError
from triaged.domain.ticket import State


def test_a_number_carries_its_region() -> None:
    assert ticket.number("eu", 123) == "EU-000123"


@pytest.mark.parametrize(
    ("current", "wanted"), [(s, w) for s, all_ in ticket.TRANSITIONS.items() for w in sorted(all_)]
)
def test_allowed_moves_are_made(current: State, wanted: State) -> None:
    assert ticket.move("EU-000001", current, wanted) is wanted


def test_a_closed_ticket_stays_closed_and_the_error_says_what_to_do() -> None:
    with pytest.raises(PermanentError, match="a new mail opens a new ticket"):
        ticket.move("EU-000001", State.CLOSED, State.OPEN)


def test_review_ends_by_acceptance_not_by_resolution() -> None:
    with pytest.raises(PermanentError, match="Allowed: closed, open"):
        ticket.move("EU-000001", State.REVIEW, State.RESOLVED)
