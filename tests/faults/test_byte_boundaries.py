"""One delivery and one poll, cut at every byte both ways: nothing is lost, and of a mail at most one copy too many."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.faults import owing
from tests.servers import accounts, imap_pymap, smtp_scripted

from triaged.adapters.db import engine, migrations
from triaged.domain.delivery import State
from triaged.domain.errors import TransientError
from triaged.selftest import wire
from triaged.workflows import intake


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[engine.Database]:
    database = engine.Database(f"sqlite:///{tmp_path}/lite.db")
    migrations.METADATA.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def relay() -> Iterator[smtp_scripted.ScriptedRelay]:
    relay = smtp_scripted.ScriptedRelay()
    yield relay
    relay.stop()


def _length(database: engine.Database, port: int, *, sent: bool) -> int:
    """How many bytes one whole session has, one way."""
    line = wire.Wire(port)
    owing.owe(database, 0)
    owing.round_of(database, line.port, owing.START)
    assert owing.state(database, 0) is State.SENT
    line.stop()
    return len(line.said(sent=sent))


@pytest.mark.parametrize("sent", [True, False], ids=["what we say", "what the relay says"])
def test_a_delivery_cut_at_any_byte_loses_no_mail_and_sends_at_most_one_copy(
    sent: bool, lite: engine.Database, relay: smtp_scripted.ScriptedRelay
) -> None:
    length = _length(lite, relay.port, sent=sent)
    relay.taken.clear()
    line = wire.Wire(relay.port)
    doubted = []
    for number in range(1, length + 1):
        owing.owe(lite, number)
        line.cut_after, line.cut_after_sent = (None, number) if sent else (number, None)
        owing.round_of(lite, line.port, owing.START)
        assert owing.state(lite, number) in (State.SENT, State.QUEUED, State.UNCERTAIN), number
        if owing.state(lite, number) is State.UNCERTAIN:
            doubted.append(number)
    line.stop()
    once = Counter(relay.taken)
    assert set(once.values()) == {1}, "nothing is sent again within its rest"
    owing.round_of(lite, relay.port, owing.START + 2 * owing.QUIET)
    assert set(owing.states(lite).values()) == {State.SENT}
    copies = Counter(relay.taken)
    assert len(copies) == length, "a mail is lost, or copies differ"
    assert all(copies[f"p{number}@integra.example", owing.body(number)] for number in range(1, length + 1))
    assert max(copies.values()) <= 2
    twice = [number for number in range(1, length + 1) if copies[f"p{number}@integra.example", owing.body(number)] == 2]
    assert set(twice) <= set(doubted)
    assert twice, "the cut between the relay's yes and our reading it was never met"


LIMIT = 1 << 20
_MAILS = [accounts.mail(number, 200) for number in range(2)]


def _story(mailbox: accounts.Mailbox, database: engine.Database) -> intake.Intake:
    return intake.Intake(mailbox=mailbox, database=database, limit=LIMIT, now=lambda: owing.START + timedelta(days=1))


def _through(mailbox: accounts.Mailbox, port: int) -> accounts.Mailbox:
    return accounts.Mailbox(mailbox.name, port=port, username=mailbox.username, archive="Processed")


def _poll_cut(pymap: imap_pymap.Pymap, database: engine.Database, number: int, *, sent: bool) -> None:
    mailbox = pymap.mailbox(archive="Processed")
    pymap.deliver(mailbox, *_MAILS)
    line = wire.Wire(pymap.port, None if sent else number, number if sent else None)
    with contextlib.suppress(TransientError):
        intake.drain(_story(_through(mailbox, line.port), database))
    line.stop()
    stored = owing.raws(database, mailbox.name)
    assert stored in ([], _MAILS), number
    gone = not pymap.mails(mailbox)
    assert not gone or stored == _MAILS, f"byte {number}: moved before it was stored"
    intake.drain(_story(mailbox, database))
    assert owing.raws(database, mailbox.name) == _MAILS, number
    assert pymap.mails(mailbox) == []
    assert sorted(raw for _, raw, _ in pymap.mails(mailbox, "Processed")) == sorted(_MAILS)


@pytest.mark.parametrize("sent", [True, False], ids=["what we say", "what the server says"])
def test_a_poll_cut_at_any_byte_loses_and_doubles_no_mail(
    sent: bool, lite: engine.Database, pymap: imap_pymap.Pymap, today: int
) -> None:
    whole = wire.Wire(pymap.port)
    mailbox = pymap.mailbox(archive="Processed")
    pymap.deliver(mailbox, *_MAILS)
    intake.drain(_story(_through(mailbox, whole.port), lite))
    whole.stop()
    length = len(whole.said(sent=sent))
    step = max(1, length // 83)
    for number in range(1 + today % step, length, step):
        _poll_cut(pymap, lite, number, sent=sent)
