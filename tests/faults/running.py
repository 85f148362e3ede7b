"""The sweep on `run`, the daemon of many threads: it idles, strace attaches to one of its threads, mails come, and it
ends at that thread's k-th call; or it does not, and is stopped when all is done. Then clean lives and the invariants.

    python -m tests.faults.running [--every N]"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.laboratory import Laboratory
from tests.faults.sweep import Point, every
from tests.servers import imap_pymap, smtp_sink, strace
from tests.servers.crashes import Life, Order

from triaged.adapters.db import leases

_CALLS = "recvfrom,sendto,fdatasync"


def threads(laboratory: Laboratory) -> tuple[str, ...]:
    """Those that work on mails; the main thread only beats."""
    return (leases.mailbox(laboratory.house.app.settings.mailboxes[1].name), "decide", "deliver", "smtp")


def points(laboratory: Laboratory) -> list[Point]:
    """Every kill point of a clean life, from the moment when the mails come until all is done."""
    found = []
    output = laboratory.nursery.diary.with_name("running")
    for thread in threads(laboratory):
        life = _idle(laboratory)
        with strace.attached(_id(life, thread), *strace.recording(_CALLS, output)):
            laboratory.deliver()
            assert _over(laboratory, life)
        assert life.end() == 0, laboratory.nursery.told()
        counts: Counter[str] = Counter()
        for call in strace.calls(output):
            counts[call.name] += 1
            found.append(Point(thread, call.name, counts[call.name], about=str(call)))
    return found


def strike(laboratory: Laboratory, point: Point) -> tuple[bool, int, list[str]]:
    """One point: whether it was reached, how many mails it left in doubt, what is wrong after clean lives."""
    life = _idle(laboratory)
    with strace.attached(_id(life, point.thread), *strace.killing(point.call, point.number)):
        laboratory.deliver()
        _over(laboratory, life)
    code = life.end()
    wrong = laboratory.moved_too_early()
    doubts = laboratory.doubts()
    laboratory.mend()
    return code == -signal.SIGKILL, doubts, wrong + laboratory.violations(doubts)


def _id(life: Life, thread: str) -> int:
    return life.smtp if thread == "smtp" else life.thread(thread)


def _idle(laboratory: Laboratory, timeout: float = 20) -> Life:
    """A daemon that has nothing to do yet."""
    laboratory.reset(delivered=False)
    said = laboratory.nursery.diary.stat().st_size
    life = laboratory.born(Order(once=False))
    life.go()
    end = time.monotonic() + timeout
    while laboratory.nursery.diary.read_bytes()[said:].count(b"state=connected") < 2:
        assert time.monotonic() < end, laboratory.nursery.told()
        time.sleep(0.01)
    return life


def _over(laboratory: Laboratory, life: Life, timeout: float = 30) -> bool:
    """Wait until it is dead, or has done everything and is told to stop."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if Path(f"/proc/{life.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        if laboratory.settled():
            os.kill(life.pid, signal.SIGTERM)
            return True
        time.sleep(0.02)
    raise AssertionError(f"neither dead nor done:\n{laboratory.nursery.told()}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point (default: all)")
    given = parser.parse_args(arguments)
    if trouble := strace.trouble():
        print(trouble, file=sys.stderr)
        return 2
    server, sink = imap_pymap.Pymap(), smtp_sink.SmtpSink()
    tried, reached, bad, began = 0, 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="running-") as folder:
        laboratory = Laboratory(Path(folder), f"sqlite:///{folder}/triaged.db", server, sink)
        try:
            for point in every(points(laboratory), given.every, 0):
                hit, _, wrong = strike(laboratory, point)
                tried, reached, bad = tried + 1, reached + hit, bad + bool(wrong)
                if wrong:
                    print(f"{point}: {'; '.join(wrong)}", flush=True)
        finally:
            laboratory.stop()
            sink.stop()
            server.stop()
    print(f"{tried} points, {reached} reached, {bad} wrong, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
