"""`triaged run` as a process of its own: it wakes at once, survives kill -9, ends well, and leaves nothing twice."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink

from triaged.adapters.db import models
from triaged.selftest import wire

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


class Daemon:
    """The process and what it logs; `await_line` waits for a line."""

    def __init__(
        self, house: desk.Installation, program: Sequence[str] = ("-m", "triaged"), **environment: str
    ) -> None:
        command = [sys.executable, *program, "-c", str(house.config), "run"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._came:
                    self.lines.append(line.rstrip())
                    self._came.notify_all()

    def await_line(self, wanted: Callable[[list[str]], bool], timeout: float = 20) -> None:
        with self._came:
            assert self._came.wait_for(lambda: wanted(self.lines), timeout), "\n".join(self.lines)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(45)
        self._reader.join(5)
        return code


@contextlib.contextmanager
def running(
    house: desk.Installation, program: Sequence[str] = ("-m", "triaged"), **environment: str
) -> Iterator[Daemon]:
    daemon = Daemon(house, program, **environment)
    try:
        daemon.await_line(lambda lines: any("started" in line for line in lines))
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGKILL)


def decisions(lines: list[str]) -> list[str]:
    return [line for line in lines if " decision=" in line]


def fall_silent(house: desk.Installation) -> None:
    """As if the 30 s had passed after which a daemon without heartbeat is dead (on PostgreSQL nobody else may know)."""
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Host).values(beat_at=datetime.now(UTC) - timedelta(minutes=1)))


def sent(lines: list[str]) -> list[str]:
    return [line for line in lines if ": sent " in line]


def test_a_mail_is_answered_as_it_comes_and_sigterm_ends_with_0(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    with running(house) as daemon:
        imap_server.deliver(house.eu, desk.mail(COMPLETE))
        daemon.await_line(lambda lines: len(sent(lines)) == 2)
        assert daemon.end() == 0
    assert len(relay.deliveries) == 2
    assert any("stopped" in line for line in daemon.lines)
    assert all(record.row["state"] == "decided" for record in house.messages())


def test_kill_9_at_any_time_loses_nothing_and_doubles_no_ticket(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    for life in range(4):
        with running(house) as daemon:
            imap_server.deliver(house.eu, *(desk.mail(f"{COMPLETE}{life}-{n}", number=10 * life + n) for n in range(5)))
            daemon.await_line(lambda lines, life=life: len(decisions(lines)) > life)  # type: ignore[misc]  # bound now
            daemon.end(signal.SIGKILL)
    fall_silent(house)
    house.once()
    assert [record.row["decision"] for record in house.messages()] == ["ticket"] * 20
    assert len(house.tickets()) == 20
    told = {one.recipients[0] for one in relay.deliveries}
    assert told == {"contact@integra.example", "support-eu@vendor.example"}
    waiting = [entry for entry in house.queue() if entry.state != "sent"]
    assert {entry.state for entry in waiting} <= {"uncertain"}
    assert len({d.content for d in relay.deliveries}) + len(waiting) >= 40


def test_a_mailbox_whose_wire_hangs_does_not_delay_the_other(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        proxy = wire.Wire(pymap.port)
        text = house.config.read_text().replace(f"port = {pymap.port}", f"port = {proxy.port}", 1)
        house.config.write_text(text)
        try:
            with running(house) as daemon:
                daemon.await_line(lambda lines: sum("state=connected" in line for line in lines) == 2)
                proxy.stall()
                begun = time.monotonic()
                pymap.deliver(house.com, desk.mail(COMPLETE, number=1))
                pymap.deliver(house.eu, desk.mail(COMPLETE, number=2))
                daemon.await_line(lambda lines: len(decisions(lines)) == 1)
                assert time.monotonic() - begun < 10
                assert "mailbox=partners-eu" in "\n".join(line for line in daemon.lines if ": received " in line)
        finally:
            proxy.stop()
