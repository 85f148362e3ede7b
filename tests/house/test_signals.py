"""Signals and systemd: a stop ends with 0 and leaves nothing claimed, a hangup ends nothing, who hangs is told."""

import contextlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.house.test_daemon import COMPLETE, Daemon, decisions, running
from tests.house.test_many_hosts import BRISK
from tests.servers import imap_pymap, smtp_sink

from triaged.adapters.db import models


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        yield house


@pytest.fixture
def small(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield house


def claimed(house: desk.Installation) -> list[object]:
    """Whatever still says that somebody works on it."""
    tables = (models.MessageRow.lease_owner, models.Outbox.lease_owner, models.Lease.owner, models.Host.id)
    with house.app.database.read() as session:
        return [owner for column in tables for owner in session.scalars(sqlalchemy.select(column)) if owner]


def tries(house: desk.Installation) -> list[int]:
    return [record.row["attempts"] for record in house.messages() if record.row["state"] == "received"]


def test_an_idle_daemon_ends_at_once(house: desk.Installation) -> None:
    number = signal.SIGINT if house.app.database.dialect == "sqlite" else signal.SIGTERM  # handled alike
    with running(house) as daemon:
        daemon.await_line(lambda lines: sum("state=connected" in line for line in lines) == 2)
        begun = time.monotonic()
        assert daemon.end(number) == 0
        assert time.monotonic() - begun < 15  # 1 s where the machine is idle
    assert claimed(house) == []


def test_a_stop_under_load_gives_back_what_was_not_begun_and_a_new_start_ends_it(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    pymap.deliver(house.eu, *(desk.mail(f"{COMPLETE}Ligne {n}\n", number=n) for n in range(20)))
    with running(house) as daemon:
        daemon.await_line(lambda lines: len(decisions(lines)) >= 3)
        assert daemon.end() == 0
    assert claimed(house) == []
    assert set(tries(house)) <= {0}  # attempts were refunded
    assert not [entry for entry in house.queue() if entry.state in ("sending", "uncertain")]
    house.once()
    assert len(house.tickets()) == 20
    assert len({one.content for one in relay.deliveries}) == len(relay.deliveries) == 40


@pytest.fixture
def in_data(small: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Daemon]:
    """A daemon whose relay has taken a mail and does not say so; it has been told to stop."""
    answer = relay.manners.stall_after_dot = threading.Event()
    with running(small) as daemon:
        pymap.deliver(small.eu, desk.mail(COMPLETE))
        relay.await_deliveries(1)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.await_line(lambda lines: any(line.startswith("stopping") for line in lines))
        yield daemon
        answer.set()


def test_a_mail_in_data_is_waited_for(small: desk.Installation, in_data: Daemon, relay: smtp_sink.SmtpSink) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        in_data.process.wait(1)
    assert relay.manners.stall_after_dot is not None
    relay.manners.stall_after_dot.set()
    assert in_data.process.wait(30) == 0
    assert {entry.state for entry in small.queue()} <= {"sent", "queued"}
    assert claimed(small) == []
    small.once()
    assert len({one.content for one in relay.deliveries}) == len(relay.deliveries) == 2


def test_a_second_signal_does_not_wait_and_leaves_a_doubt_that_the_next_start_takes_up(
    small: desk.Installation, in_data: Daemon, relay: smtp_sink.SmtpSink
) -> None:
    begun = time.monotonic()
    in_data.process.send_signal(signal.SIGTERM)
    assert in_data.process.wait(10) == 128 + signal.SIGTERM
    assert time.monotonic() - begun < 5
    assert "sending" in {entry.state for entry in small.queue()}
    assert relay.manners.stall_after_dot is not None
    relay.manners.stall_after_dot.set()
    small.once()
    assert "sending" not in {entry.state for entry in small.queue()}


def test_a_hangup_is_noted_and_ends_nothing(small: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    with running(small) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        daemon.await_line(lambda lines: any(line.startswith("hangup ignored") for line in lines))
        pymap.deliver(small.eu, desk.mail(COMPLETE))
        daemon.await_line(lambda lines: len(decisions(lines)) == 1)
        assert daemon.end() == 0


# --- one run on SQLite, and commands beside it


def command(house: desk.Installation, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "triaged", "-c", str(house.config), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_run_on_sqlite_says_so_and_exits_75_be_it_once_or_for_good(small: desk.Installation) -> None:
    with running(small):
        for words in (["run"], ["run", "--once"]):
            second = command(small, *words)
            assert second.returncode == 75
            assert "another `triaged run` works on this database" in second.stderr
            assert "Traceback" not in second.stderr


def test_commands_work_beside_a_busy_daemon_on_sqlite_and_neither_meets_a_locked_database(
    small: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(small.eu, *(desk.mail(f"{COMPLETE}Ligne {n}\n", number=n) for n in range(30)))
    with running(small) as daemon:
        ran = 0
        while len(decisions(daemon.lines)) < 30 and ran < 6:
            for words in (["status", "--json"], ["ticket", "list", "--json"], ["queue", "list", "--json"]):
                assert (done := command(small, *words)).returncode == 0, done.stderr
                ran += 1
            note(small)
        daemon.await_line(lambda lines: len(decisions(lines)) == 30, 60)
        assert daemon.end() == 0
    assert ran >= 3
    assert not [line for line in daemon.lines if "locked" in line]


def note(house: desk.Installation) -> None:
    """A writer of another process: what `ticket` and `web` do."""
    other = sqlite3.connect(house.app.database.path or "", timeout=10, isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE ticket SET subject = subject")
        other.execute("COMMIT")


# --- systemd


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._came = threading.Condition()
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wire.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while said := self._wire.recv(4096):
                with self._came:
                    self.heard += said.decode().splitlines()
                    self._came.notify_all()

    def await_line(self, line: str, times: int = 1, timeout: float = 30) -> None:
        with self._came:
            assert self._came.wait_for(lambda: self.heard.count(line) >= times, timeout), self.heard

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()


def test_systemd_hears_that_it_is_ready_that_it_lives_and_that_it_stops(
    small: desk.Installation, systemd: Systemd, tmp_path: Path
) -> None:
    with running(small, BRISK, NOTIFY_SOCKET=str(tmp_path / "notify")) as daemon:
        systemd.await_line("READY=1")
        systemd.await_line("WATCHDOG=1", times=2)
        systemd.await_line("STATUS=2 of 2 mailboxes polled here")
        assert daemon.end() == 0
    systemd.await_line("STOPPING=1")


HANGING = (  # the deciding thread waits for ever at its second mail, and its allowance is short
    "-c",
    "import threading\n"
    "from triaged import cli, schedule\n"
    "from triaged.workflows import decide, vitals\n"
    "read, calls = decide._read, []\n"
    "def hang(*given):\n"
    "    calls.append(1)\n"
    "    return read(*given) if len(calls) == 1 else threading.Event().wait()\n"
    "decide._read = hang\n"
    "schedule._BEAT, schedule._BATCH, vitals.SLACK = 0.5, 3.0, 3.0\n"
    "cli.main()\n",
)


def test_a_loop_that_hangs_is_named_and_the_watchdog_hears_no_more(
    small: desk.Installation, systemd: Systemd, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    with running(small, HANGING, NOTIFY_SOCKET=str(tmp_path / "notify")) as daemon:
        pymap.deliver(small.eu, desk.mail(COMPLETE))
        daemon.await_line(lambda lines: len(decisions(lines)) == 1)
        pymap.deliver(small.eu, desk.mail(f"{COMPLETE}encore\n", number=2))
        daemon.await_line(lambda lines: any(line.startswith("hangs loops=decide") for line in lines), 40)
        systemd.await_line("STATUS=hangs: decide")
        before = systemd.heard.count("WATCHDOG=1")
        systemd.await_line("STATUS=hangs: decide", times=4)
        assert systemd.heard.count("WATCHDOG=1") == before


DYING = (
    "-c",
    "from triaged import cli, schedule\n"
    "loop, calls = schedule._decide, []\n"
    "def die(daemon):\n"
    "    calls.append(1)\n"
    "    return loop(daemon) if len(calls) > 1 else exit(1)\n"
    "schedule._decide, schedule._BEAT = die, 0.5\n"
    "cli.main()\n",
)


def test_a_loop_whose_thread_died_is_started_again(small: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    with running(small, DYING) as daemon:
        daemon.await_line(lambda lines: any(line.startswith("restarted loop=decide") for line in lines))
        pymap.deliver(small.eu, desk.mail(COMPLETE))
        daemon.await_line(lambda lines: len(decisions(lines)) == 1)
