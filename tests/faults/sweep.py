"""The system-call sweep: end the daemon, or fail its call, at the k-th recvfrom, sendto, fdatasync, pwrite64 of each of
its threads; then clean lives; then the invariants. Measured elsewhere: it finds bugs that random kills miss.

    python -m tests.faults.sweep [--all] [--every N] [--only SWEEP] [--server dovecot] [--database URL]

prints every point that went wrong and a table. Page writes are many and alike: each tenth, all with `--all`. Half a
second to a second a point."""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.laboratory import Laboratory
from tests.servers import imap_dovecot, imap_pymap, smtp_sink, strace
from tests.servers.crashes import Order

_PAGES = 10
_RECORDED = ("recvfrom", "sendto", "fdatasync", "pwrite64", "connect")
_ERRORS = (
    ("fdatasync", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("recvfrom", "ECONNRESET"),
    ("sendto", "ECONNRESET"),
    ("connect", "ECONNREFUSED"),
)


@dataclass(frozen=True)
class Point:
    """The `number`-th `call` of `thread` ends the process, or fails with `error`."""

    thread: str  # main (IMAP, database) or smtp
    call: str
    number: int
    error: str = ""
    about: str = ""  # what that call was in the recorded life

    @property
    def sweep(self) -> str:
        return f"{self.thread} {self.call} {self.error or 'SIGKILL'}"

    def __str__(self) -> str:
        return f"{self.sweep} k={self.number} ({self.about})"


@dataclass
class Result:
    """What a sweep did: points tried, lives that ended there, copies that doubt allowed, and what was wrong."""

    points: int = 0
    hit: int = 0
    copies: int = 0
    wrong: list[tuple[Point, list[str]]] = field(default_factory=list)


def points(laboratory: Laboratory, change: str = "") -> list[Point]:
    """Every point of a clean life, kills first: as many as the recorded life made such calls."""
    found = []
    for thread in ("main", "smtp"):
        recorded = record(laboratory, thread, change)
        counts: Counter[str] = Counter()
        for call in recorded:
            counts[call.name] += 1
            here = (thread, call.name, counts[call.name])
            if call.name != "connect":
                found.append(Point(*here, about=str(call)))
            found += [
                Point(*here, error, about=str(call))
                for name, error in _ERRORS
                if call.name == name and (call.on_network or name in ("fdatasync", "pwrite64"))
            ]
    return sorted(found, key=lambda point: bool(point.error))


def record(laboratory: Laboratory, thread: str, change: str = "") -> list[strace.Call]:
    """The calls of one thread in a clean life."""
    laboratory.reset()
    output = laboratory.nursery.diary.with_name("recorded")
    life = laboratory.born(Order(change=change))
    with strace.attached(getattr(life, thread), *strace.recording(",".join(_RECORDED), output)):
        life.go()
        life.end()
    return strace.calls(output)


def strike(laboratory: Laboratory, point: Point, change: str = "") -> tuple[bool, int, list[str]]:
    """One point: whether it was reached, how many mails it left in doubt, and what is wrong after clean lives."""
    laboratory.reset()
    how = (
        strace.failing(point.call, point.error, point.number)
        if point.error
        else strace.killing(point.call, point.number)
    )
    life = laboratory.born(Order(change=change))
    with strace.attached(getattr(life, point.thread), *how):
        life.go()
        code = life.end()
    wrong = laboratory.moved_too_early()
    doubts = laboratory.doubts()
    laboratory.mend(change)
    return code == -signal.SIGKILL or bool(point.error), doubts, wrong + laboratory.violations(doubts)


def sweep(
    laboratory: Laboratory, some: Iterable[Point], change: str = ""
) -> Iterator[tuple[Point, bool, int, list[str]]]:
    for point in some:
        yield (point, *strike(laboratory, point, change))


def every(found: Sequence[Point], step: int, offset: int) -> list[Point]:
    """Each `step`-th point; another offset, others: all of them are met in `step` rounds."""
    return [point for index, point in enumerate(found) if index % step == offset % step]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point (default: all)")
    parser.add_argument("--only", default="", help="only sweeps whose name begins so, as `main recvfrom`")
    parser.add_argument("--server", choices=("pymap", "dovecot"), default="pymap")
    parser.add_argument("--database", default="", help="URL of an empty database (default: SQLite in a new folder)")
    parser.add_argument("--change", default="", help="module:function of a seeded bug")
    parser.add_argument("--all", action="store_true", help="every page write, too, not each tenth")
    given = parser.parse_args(arguments)
    if trouble := strace.trouble():
        print(trouble, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        return _report(given, Path(folder))


def _report(given: argparse.Namespace, folder: Path) -> int:
    server = imap_dovecot.Dovecot() if given.server == "dovecot" else imap_pymap.Pymap()
    sink = smtp_sink.SmtpSink()
    laboratory = Laboratory(folder, given.database or f"sqlite:///{folder}/triaged.db", server, sink)
    results: dict[str, Result] = {}
    began = time.monotonic()
    try:
        found = [one for one in points(laboratory, given.change) if one.sweep.startswith(given.only)]
        if not given.all:
            found = [one for one in found if one.call != "pwrite64" or one.number % _PAGES == 0]
        for point, hit, doubts, wrong in sweep(laboratory, every(found, given.every, 0), given.change):
            result = results.setdefault(point.sweep, Result())
            result.points += 1
            result.hit += hit
            result.copies += doubts
            if wrong:
                result.wrong.append((point, wrong))
                print(f"{point}: {'; '.join(wrong)}", flush=True)
    finally:
        laboratory.stop()
        sink.stop()
        server.stop()
    print(f"\n{'sweep':36} {'points':>7} {'reached':>8} {'in doubt':>9} {'wrong':>6}")
    for name, result in results.items():
        print(f"{name:36} {result.points:7} {result.hit:8} {result.copies:9} {len(result.wrong):6}")
    total = sum(result.points for result in results.values())
    print(f"{total} points in {time.monotonic() - began:.0f} s")
    return 1 if any(result.wrong for result in results.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
