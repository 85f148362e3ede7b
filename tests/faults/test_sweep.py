"""The daemon ends, or its call fails, at the k-th system call; each day others, in time all (`python -m
tests.faults.sweep` does them all at once)."""

import pytest
from tests.faults import sweep
from tests.faults.laboratory import Laboratory

# How many of the points are left out between two: kills at recvfrom are worth most, page writes least.
_STRIDES = {
    "main recvfrom SIGKILL": 6,
    "smtp recvfrom SIGKILL": 10,
    "main sendto SIGKILL": 10,
    "smtp sendto SIGKILL": 5,
    "main fdatasync SIGKILL": 6,
    "main pwrite64 SIGKILL": 240,
    "main fdatasync EIO": 8,
    "main pwrite64 ENOSPC": 320,
    "main recvfrom ECONNRESET": 12,
    "main sendto ECONNRESET": 12,
    "main connect ECONNREFUSED": 2,
    "smtp recvfrom ECONNRESET": 8,
    "smtp sendto ECONNRESET": 8,
    "smtp connect ECONNREFUSED": 1,
}


@pytest.fixture(scope="module")
def found(ptrace: None, lab: Laboratory) -> list[sweep.Point]:
    return sweep.points(lab)


def test_a_recorded_life_shows_every_kind_of_point(found: list[sweep.Point]) -> None:
    assert {point.sweep for point in found} == set(_STRIDES)


@pytest.mark.parametrize("name", _STRIDES)
def test_ended_or_failed_at_a_system_call_nothing_is_lost_or_doubled(
    lab: Laboratory, found: list[sweep.Point], today: int, name: str
) -> None:
    mine = sweep.every([point for point in found if point.sweep == name], _STRIDES[name], today)
    assert mine
    reached = 0
    for point in mine:
        hit, _, wrong = sweep.strike(lab, point)
        assert wrong == [], f"{point}\n{lab.nursery.told()}"
        reached += hit
    assert reached >= len(mine) / 2, (
        "the points of a recorded life are hardly ever met again: is a life that different?"
    )
