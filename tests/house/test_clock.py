"""The clock on the wall jumps under a running daemon (libfaketime): mail flows on, nothing goes out twice."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged.selftest import children

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
JUMPS = {
    "an hour ahead": lambda now: now + timedelta(hours=1),
    "and back": lambda now: now,
    "a minute back": lambda now: now - timedelta(minutes=1),
    "an hour back": lambda now: now - timedelta(hours=1),
    "a month ahead": lambda now: now + timedelta(days=31),
    "the night in spring when an hour is missing": lambda now: datetime(2027, 3, 28, 0, 59, 58, tzinfo=UTC),
    "the night in autumn that has an hour twice": lambda now: datetime(2027, 10, 31, 0, 59, 58, tzinfo=UTC),
    "the 29th of February": lambda now: datetime(2028, 2, 28, 23, 59, 58, tzinfo=UTC),
    "today again": lambda now: now,
}


@pytest.fixture
def house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield house


def until(wanted: Callable[[], bool], what: str, child: children.Child, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, f"{what}: {child.lines[-10:]}"
        time.sleep(0.05)


def test_mail_flows_on_whatever_the_clock_does_and_what_was_deferred_goes(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    if LIBRARY is None:
        pytest.skip("libfaketime is not installed: as root, apt install faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    house.app.database.dispose()
    faked = [f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1"]
    faked += ["FAKETIME_DONT_FAKE_MONOTONIC=1", "TZ=Europe/Berlin"]
    child = children.Child(["env", *faked, sys.executable, "-m", "triaged", "-c", str(house.config), "run"])
    try:
        child.await_line(lambda lines: any("started" in line for line in lines), 30, "started")
        relay.manners.refuse_sender = "451 later"
        pymap.deliver(house.eu, desk.mail(f"today\n{COMPLETE}", number=0))
        until(lambda: sum(": deferred" in line for line in child.lines) == 2, "deferred", child)
        relay.manners.refuse_sender = ""
        for number, (jump, to) in enumerate(JUMPS.items(), 1):
            now = datetime.now(UTC)
            fresh = clock.with_suffix(".new")
            fresh.write_text(f"{(to(now) - now).total_seconds():+.0f}\n")
            fresh.replace(clock)
            pymap.deliver(house.eu, desk.mail(f"{jump}\n{COMPLETE}", number=number))
            owed = 2 * number + 2
            until(lambda owed=owed: len(relay.deliveries) == owed, jump, child)  # type: ignore[misc]  # bound now
        assert child.end(signal.SIGTERM) == 0
    finally:
        child.end(signal.SIGKILL)
    house.once()
    assert len(house.tickets()) == len(JUMPS) + 1
    assert {entry.state for entry in house.queue()} == {"sent"}
    assert len(relay.deliveries) == len({one.content for one in relay.deliveries}) == 2 * len(JUMPS) + 2
    assert {2027, 2028} <= {entry.created_at.year for entry in house.queue()}  # the clock really jumped
