"""`run`, the daemon of many threads, ends at a thread's k-th system call while mails come; each day at others
(`python -m tests.faults.running` does all)."""

from tests.faults import running, sweep
from tests.faults.laboratory import Laboratory

_STRIDE = 45


def test_a_daemon_whose_thread_dies_in_a_system_call_has_lost_and_doubled_nothing(
    ptrace: None, lab: Laboratory, today: int
) -> None:
    found = running.points(lab)
    assert {point.thread for point in found} == set(running.threads(lab))
    reached = 0
    for point in sweep.every(found, _STRIDE, today):
        hit, _, wrong = running.strike(lab, point)
        assert wrong == [], f"{point}\n{lab.nursery.told()}"
        reached += hit
    assert reached
