"""The laboratory sees bugs that were made on purpose, each at the crash point where it does its harm; `python -m
tests.faults.mutants` finds them by the sweep alone. (The honest program passes every one of these points.)"""

import pytest
from tests.faults import mutants, seeded
from tests.faults.laboratory import Laboratory

_SEEN_AT = {
    "seen": ("C2 after FETCH", "is stored 0 times"),
    "move_first": ("C3 in TX1, before its rows", "is gone from INBOX and not in the database"),
    "by_message_id": ("C1 before SEARCH", "Bravo has 0 tickets"),
    "two_transactions": ("C10 after TX3, before its lines", "Charlie has 0 answers"),
    "sent_before_sending": ("C12 after TX5, before DATA", "has 0 answers"),
    "cursor_first": ("C3 in TX1, before its rows", "is stored 0 times"),
}


@pytest.mark.parametrize("bug", _SEEN_AT)
def test_a_bug_made_on_purpose_is_seen(lab: Laboratory, bug: str) -> None:
    step, sight = _SEEN_AT[bug]
    wrong = mutants.at_step(lab, bug, step)
    assert any(sight in one for one in wrong), f"{wrong}\n{lab.nursery.told()}"


def test_every_seeded_bug_has_its_sight() -> None:
    assert {*_SEEN_AT, "synchronous_normal"} == {*seeded.ALL}, "the last one is seen by the ordering check alone"
