"""A child that goes through mails which may kill it: how it ended is told in a sentence, and the next one is begun."""

import sys
from collections.abc import Iterator

import pytest

from triaged.adapters import confinement
from triaged.adapters.confinement import Rehearsal

CHILD = """
import ctypes, os, re, sys, time
from triaged.adapters import confinement

def recursion():
    sys.setrecursionlimit(10**9)
    one, other = [], []
    for _ in range(200_000):
        one, other = [one], [other]
    one == other

FAULTS = {
    "memory": lambda: bytearray(1 << 30),
    "recursion": recursion,
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "loop": lambda: [None for _ in iter(int, 1)],
    "regex": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),
    "asleep": lambda: time.sleep(60),
    "17": lambda: None,
}
confinement.CHILD_CPU = 0.5
confinement.perform(sys.stdin, sys.stdout.buffer, lambda task: FAULTS[task]())
"""


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    rehearsal = Rehearsal([sys.executable, "-c", CHILD])
    yield rehearsal
    rehearsal.rest()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("memory", "reading it took more than 400 MB of memory"),
        ("recursion", "reading it ended the process by SIGSEGV"),
        ("segv", "reading it ended the process by SIGSEGV"),
        ("abort", "reading it ended the process by SIGABRT"),
        ("exit", "reading it ended the process with exit status 3"),
        ("loop", "of processor time"),
        ("regex", "of processor time"),
    ],
)
def test_whatever_ends_the_child_is_told_and_another_goes_on(rehearsal: Rehearsal, fault: str, said: str) -> None:
    assert rehearsal.failure("17") == ""
    assert said in rehearsal.failure(fault)
    assert rehearsal.failure("17") == ""


def test_a_child_that_only_waits_is_ended_too(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "CHILD_WALL", 0.2)
    assert rehearsal.failure("asleep") == "reading it took more than 0 s"


def test_a_child_that_cannot_start_is_no_mails_fault() -> None:
    rehearsal = Rehearsal([sys.executable, "-c", "raise SystemExit(3)"])
    assert rehearsal.failure("17") == ""
