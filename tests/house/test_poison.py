"""A mail that kills whoever reads it: the daemon dies of it once, its neighbours are served, and it lies in quarantine.

The daemon and its child are this program as it is shipped; only their reader has a fault (`poison/sitecustomize.py`).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged.adapters.db import ledger
from triaged.workflows import quarantine

POISONED = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "poison")}
COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
NEIGHBOURS = 30


def settled(house: desk.Installation, mails: int) -> bool:
    records = house.messages()
    return len(records) == mails and all(record.row["state"] != "received" for record in records)


def served(house: desk.Installation, mails: int) -> list[int]:
    """`triaged run`, started again whenever it dies, as systemd would; the exit codes of its deaths."""
    deaths: list[int] = []
    deadline = time.monotonic() + 100
    while not settled(house, mails):
        command = [sys.executable, "-m", "triaged", "-c", str(house.config), "run"]
        daemon = subprocess.Popen(command, env=POISONED, stderr=subprocess.DEVNULL)
        try:
            while daemon.poll() is None and not settled(house, mails):
                assert time.monotonic() < deadline, [record.row for record in house.messages()]
                time.sleep(0.05)
        finally:
            if daemon.poll() is None:
                daemon.terminate()
            code = daemon.wait(45)
        deaths += [code] if code else []
    return deaths


@pytest.mark.parametrize(
    ("fault", "death", "said"),
    [
        ("segv", -11, "SIGSEGV"),
        ("regex", -27, "s of processor time"),
    ],
)
def test_a_mail_that_kills_its_reader_kills_the_daemon_once_and_is_quarantined(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, fault: str, death: int, said: str
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        mails = [desk.mail(COMPLETE, number=n) for n in range(NEIGHBOURS)]
        poison = desk.mail(f"POISON-{fault}\n", number=99)
        pymap.deliver(house.eu, *mails[:10], poison, *mails[10:])
        assert served(house, NEIGHBOURS + 1) == [death]

        (bad,) = [record for record in house.messages() if record.row["state"] == "quarantined"]
        assert said in str(bad.error)
        assert bad.row["attempts"] == 3
        others = [record.row for record in house.messages() if record.row["id"] != bad.row["id"]]
        assert [row["decision"] for row in others] == ["ticket"] * NEIGHBOURS
        assert max(row["attempts"] for row in others) <= 2
        assert len(house.tickets()) == NEIGHBOURS
        house.once()
        told = [entry for entry in house.queue() if entry.notice == "unreadable"]
        assert [(entry.cause, entry.state) for entry in told] == [(f"m{bad.row['id']}", "sent")]
        with house.app.database.read() as session:
            assert ledger.raw(session, bad.row["id"]) == poison
        shown = quarantine.shown(house.app.database, house.app.settings.mailboxes, bad.row["id"])
        assert f"POISON-{fault}" in shown["text"]
