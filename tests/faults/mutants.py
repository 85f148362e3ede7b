"""Does the laboratory notice? Every seeded bug goes through crash points, ordering check and sweep until it is seen.

    python -m tests.faults.mutants [--sweep-only] [--only NAME]

prints a table; exits 1 where a bug was missed. About half a minute a bug."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults import ordering, seeded, sweep
from tests.faults.laboratory import Laboratory
from tests.faults.steps import STEPS
from tests.servers import imap_pymap, smtp_sink, strace

_SWEEPS = ("main recvfrom SIGKILL", "main fdatasync SIGKILL", "smtp recvfrom SIGKILL")


def at_step(laboratory: Laboratory, bug: str, step: str) -> list[str]:
    """What is wrong after an end at this step and clean lives, all with the bug in them."""
    change = f"tests.faults.seeded:{bug}"
    laboratory.reset()
    laboratory.crash(STEPS[step], change)
    wrong = laboratory.moved_too_early()
    doubts = laboratory.doubts()
    laboratory.mend(change)
    return wrong + laboratory.violations(doubts)


def tries(laboratory: Laboratory, bug: str, *, steps: bool) -> Iterator[tuple[str, list[str]]]:
    """(the point, what is wrong there), one after the other, cheapest first."""
    change = f"tests.faults.seeded:{bug}"
    for step in STEPS if steps else ():
        yield step, at_step(laboratory, bug, step)
    late = [command for command in ordering.commands(laboratory, change) if command.unsynced]
    yield "ordering check", [f"{command.name} before its sync" for command in late]
    found = sweep.points(laboratory, change)
    for name in _SWEEPS:
        for point in (one for one in found if one.sweep == name):
            yield str(point), sweep.strike(laboratory, point, change)[2]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep-only", action="store_true", help="without the named crash points")
    parser.add_argument("--only", default="", choices=("", *seeded.ALL))
    given = parser.parse_args(arguments)
    if trouble := strace.trouble():
        print(trouble, file=sys.stderr)
        return 2
    server, sink = imap_pymap.Pymap(), smtp_sink.SmtpSink()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        laboratory = Laboratory(Path(folder), f"sqlite:///{folder}/triaged.db", server, sink)
        try:
            print(f"{'seeded bug':22} {'':7} {'points':>6} {'s':>5}  where, and what was seen")
            for bug in (given.only,) if given.only else seeded.ALL:
                missed += not _line(laboratory, bug, steps=not given.sweep_only)
        finally:
            laboratory.stop()
            sink.stop()
            server.stop()
    return 1 if missed else 0


def _line(laboratory: Laboratory, bug: str, *, steps: bool) -> bool:
    began, points = time.monotonic(), 0
    for point, wrong in tries(laboratory, bug, steps=steps):
        points += 1
        if wrong:
            seconds = time.monotonic() - began
            print(f"{bug:22} {'caught':7} {points:6} {seconds:5.0f}  {point}: {wrong[0]}", flush=True)
            return True
    print(f"{bug:22} {'MISSED':7} {points:6}", flush=True)
    return False


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
