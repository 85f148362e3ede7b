"""Vitals: a loop is what it said it would be, back in time or hung."""

import threading

from triaged.workflows import vitals


def test_a_loop_that_is_back_in_time_lives_and_one_that_is_not_hangs_until_it_comes() -> None:
    lives = vitals.Vitals(slack=0.05)
    lives.pulse("fetching", 60)
    lives.pulse("hung")
    threading.Event().wait(0.1)
    assert lives.overdue() == ("hung",)
    lives.pulse("hung")
    assert lives.overdue() == ()
