"""One hung mailbox of ten: the other nine are polled as often as before, and their mail is answered."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.house import desk
from tests.house.test_daemon import COMPLETE, decisions, running
from tests.servers import accounts, imap_pymap, smtp_sink

from triaged import app as composition
from triaged.selftest import wire

POLL = 1.0
WINDOW = 8.0


@pytest.fixture
def wires(pymap: imap_pymap.Pymap) -> Iterator[list[wire.Wire]]:
    found = [wire.Wire(pymap.port) for _ in range(10)]
    yield found
    for one in found:
        one.stop()


@pytest.fixture
def house(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, wires: list[wire.Wire]
) -> Iterator[tuple[desk.Installation, list[accounts.Mailbox]]]:
    """Ten mailboxes, each behind a wire of its own."""
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        boxes = [pymap.mailbox() for _ in wires]
        text = house.config.read_text()
        head, rest = text.partition("[[mailbox]]")[0], text[text.index("[smtp]") :]
        written = "".join(
            desk._MAILBOX.format(
                name=f"box{n}",
                desk="support",
                address=f"box{n}@vendor.example",
                regions='"eu"',
                port=one.port,
                username=box.username,
                archive="idle = false",
            )
            for n, (one, box) in enumerate(zip(wires, boxes, strict=True))
        )
        house.config.write_text(head + written + rest)
        yield desk.Installation(composition.load(house.config), house.config, house.eu, house.com), boxes


def test_one_hung_mailbox_of_ten_delays_no_other(
    house: tuple[desk.Installation, list[accounts.Mailbox]], pymap: imap_pymap.Pymap, wires: list[wire.Wire]
) -> None:
    installation, boxes = house
    with running(installation) as daemon:
        daemon.await_line(lambda lines: sum("state=connected" in line for line in lines) == 10, 40)
        hung, healthy = wires[0], wires[1:]
        hung.stall()
        begun = time.monotonic()
        for n, box in enumerate(boxes):
            pymap.deliver(box, desk.mail(f"{COMPLETE}Ligne {n}\n", number=n, sender=f"c{n}@integra.example"))
        daemon.await_line(lambda lines: len(decisions(lines)) == 9)
        while time.monotonic() < begun + WINDOW:
            daemon.await_line(lambda _lines: True)
            time.sleep(0.1)  # the window of the measurement itself
        polls = [[at for at in one.times(rb"SELECT") if at >= begun] for one in healthy]
        gaps = [max(later - earlier for earlier, later in pairwise(times)) for times in polls]
        stalled = [at for at in hung.times(rb"OK|FETCH", sent=False) if at >= begun + 1]
        assert not stalled  # it did hang
        assert max(gaps) < 2.5 * POLL, gaps
        assert min(len(times) for times in polls) >= WINDOW / (2.5 * POLL)
        assert not [line for line in daemon.lines if "hangs" in line or "state=backoff" in line]
        assert {line.partition("mailbox=")[2].split()[0] for line in daemon.lines if ": received " in line} == {
            f"box{n}" for n in range(1, 10)
        }
