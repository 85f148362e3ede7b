"""The crash points C0-C17 (research §3.2): the process ends there, and clean lives lose and double nothing."""

import signal

import pytest
from tests.faults.laboratory import Laboratory
from tests.faults.steps import BOTH, STEPS


def _ends_and_mends(lab: Laboratory, name: str) -> None:
    lab.reset()
    crash = STEPS[name]
    code = lab.crash(crash)
    if crash.signal == signal.SIGKILL:
        assert code == -signal.SIGKILL, f"never came to {crash.step}:\n{lab.nursery.told()}"
    else:
        assert code == 0, lab.nursery.told()
    assert lab.moved_too_early() == []
    doubts = lab.doubts()
    assert doubts == ("in doubt" in name or name.startswith(("C12 after", "C12 before")))
    lab.mend()
    assert lab.violations(doubts) == []


@pytest.mark.parametrize("name", STEPS)
def test_an_end_at_this_step_loses_nothing_and_doubles_no_ticket(lab: Laboratory, name: str) -> None:
    _ends_and_mends(lab, name)


@pytest.mark.postgres
@pytest.mark.parametrize("name", BOTH)
def test_it_is_the_same_on_postgresql(shared_lab: Laboratory, name: str) -> None:
    _ends_and_mends(shared_lab, name)


def test_the_rest_of_an_uncertain_mail_is_kept_before_its_one_copy_goes(lab: Laboratory) -> None:
    lab.reset()
    lab.crash(STEPS["C13 in doubt: answered, not settled"])
    taken = [one.content for one in lab.taken()]
    lab.mend()
    again = [one.content for one in lab.taken()]
    assert sum(content == taken[0] for content in again) == 2
    assert again.index(taken[0]) == 0
    assert again[-1] == taken[0], "the copy goes last, after its rest, not with the others"
