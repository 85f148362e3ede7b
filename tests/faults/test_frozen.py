"""A server, or the daemon, that is stopped where it stands (SIGSTOP) and goes on later: nothing is lost or doubled."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.faults import owing
from tests.faults.laboratory import Laboratory
from tests.servers import accounts, imap_dovecot
from tests.servers.crashes import Order

from triaged.adapters import imap
from triaged.adapters.db import engine, migrations
from triaged.workflows import intake


@pytest.fixture
def own_dovecot(dovecot: imap_dovecot.Dovecot) -> Iterator[imap_dovecot.Dovecot]:
    """One that no other test uses at the same time; the shared one is asked for so that it is there at all."""
    server = imap_dovecot.Dovecot()
    yield server
    server.thaw()
    server.stop()


@pytest.mark.dovecot
def test_a_server_that_freezes_is_left_and_read_when_it_goes_on(
    own_dovecot: imap_dovecot.Dovecot, tmp_path: Path
) -> None:
    database = engine.Database(f"sqlite:///{tmp_path}/lite.db")
    migrations.METADATA.create_all(database.engine)
    mailbox = own_dovecot.mailbox(archive="Processed", poll=timedelta(seconds=0.1), idle=False)
    states: list[str] = []
    one = intake.Intake(
        mailbox=mailbox,
        database=database,
        limit=1 << 20,
        now=lambda: owing.START,
        progress=lambda _name, state: states.append(str(state["state"])),
        deadlines=imap.Deadlines(connect=0.5, short=0.5, long=0.5),
    )
    thread = threading.Thread(target=intake.watch, args=(one, lambda: 0.0))
    thread.start()
    try:
        _await(lambda: "waiting" in states)
        own_dovecot.freeze()
        own_dovecot.deliver(mailbox, accounts.mail(1), accounts.mail(2))
        _await(lambda: states.count("backoff") >= 2)
        assert owing.raws(database, mailbox.name) == []
        own_dovecot.thaw()
        _await(lambda: len(owing.raws(database, mailbox.name)) == 2 and not own_dovecot.mails(mailbox))
    finally:
        one.stop.set()
        thread.join(10)
    assert owing.raws(database, mailbox.name) == [accounts.mail(1), accounts.mail(2)]
    assert len(own_dovecot.mails(mailbox, "Processed")) == 2
    database.dispose()


def _await(condition: Callable[[], bool], timeout: float = 15) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never came to this"
        time.sleep(0.01)


def test_a_daemon_that_freezes_again_and_again_does_its_work_once(lab: Laboratory) -> None:
    lab.reset()
    life = lab.born(Order(once=False))
    life.go()
    end = time.monotonic() + 30
    while len(lab.taken()) < 5 and time.monotonic() < end:
        time.sleep(0.03)
        os.kill(life.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(life.pid, signal.SIGCONT)
    _await(lab.settled)
    os.kill(life.pid, signal.SIGTERM)
    assert life.end() == 0, lab.nursery.told()
    assert lab.violations() == []
