"""What goes wrong at the contracts desk harms one mail: no sealed row, no doubt, no odd number stops the others."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
import time_machine
from tests.house import desk
from tests.house.test_contracts import CLAIRE, DISTRIBUTOR, RESELLER, Counter, order
from tests.servers import imap_pymap, smtp_sink

from triaged import app as composition
from triaged import log, schedule
from triaged.adapters.db import models, outbox
from triaged.domain.invitation import State
from triaged.workflows import contracting

CANCEL = "Bonjour, veuillez annuler la commande PO-4711.\n"


@pytest.fixture
def counter(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Counter]:
    """One order stands: PO-4711."""
    url = f"sqlite:///{tmp_path}/t.db"
    with desk.installed(tmp_path, url, pymap, relay.port, contracts=True) as house:
        counter = Counter(house, pymap, relay)
        counter.say(order())
        yield counter


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    log.configure(stream=stream)
    return stream


def reloaded(counter: Counter, **changed: str) -> composition.App:
    """The installation once its configuration says something else."""
    text = counter.house.config.read_text()
    for before, after in changed.values():
        assert before in text
        text = text.replace(before, after, 1)
    counter.house.config.write_text(text)
    return composition.load(counter.house.config)


def break_invitations(counter: Counter) -> composition.App:
    folder = counter.house.config.parent / "own" / "fr" / "invitation"
    folder.mkdir(parents=True)
    for name in ("subject.txt", "body.html"):
        (folder / name).write_text("x")
    (folder / "body.txt").write_text("{{ mail.nonsense.x }}")
    return reloaded(counter, templates=('locale = "fr"\n', f'locale = "fr"\ntemplates = "{folder.parents[1]}"\n'))


# --- sealed mails -----------------------------------------------------------------------------------------------------


def test_a_sealed_mail_that_cannot_be_made_fails_alone_and_says_how_to_mend_it(
    counter: Counter, lines: io.StringIO
) -> None:
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    app = break_invitations(counter)
    log.configure(stream=lines)
    question = desk.mail("Bonjour, une question sur ma facture.\n", number=99, subject="Facture")
    counter.server.deliver(counter.house.select, question)
    assert schedule.run_once(app) == ()
    invited = [e for e in counter.house.queue() if e.notice == "invitation"]
    assert [e.state for e in invited] == ["sent", "failed"]
    assert "invitation/body.txt" in str(invited[1].last_error)
    assert counter.house.queue()[-1].state == "sent"
    assert f"triaged queue retry {invited[1].id}" in lines.getvalue()
    assert [i.state for i in counter.invitations()] == [State.REPLACED, State.OWED]


def test_a_daemon_starts_whatever_a_mail_in_doubt_cannot_become(counter: Counter, lines: io.StringIO) -> None:
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    [row] = [e for e in counter.house.queue() if e.state == "queued"]
    with counter.house.app.database.write() as session:
        dead = {"state": "sending", "lease_owner": "dead", "lease_until": datetime.now(UTC)}
        session.execute(sqlalchemy.update(models.Outbox).where(models.Outbox.id == row.id).values(**dead))
    app = break_invitations(counter)
    log.configure(stream=lines)
    assert schedule.run_once(app) == ()
    assert [e.state for e in counter.house.queue() if e.notice == "invitation"] == ["sent", "uncertain"]
    assert f"triaged queue retry {row.id}" in lines.getvalue()


def test_a_doubt_is_renewed_from_the_desk_s_first_mailbox_when_its_own_was_renamed(counter: Counter) -> None:
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    counter.relay.manners.drop_after_dot = 1
    app = reloaded(counter, name=('name = "select"', 'name = "renamed"'))
    assert schedule.run_once(app) == ()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=20), tick=True):
        assert schedule.run_once(app) == ()
    assert [e.state for e in counter.house.queue() if e.notice == "invitation"] == ["sent", "withdrawn", "sent"]
    assert counter.house.queue()[-1].envelope_from == desk.SELECT


def test_a_relay_that_drops_every_answer_gets_two_invitations_and_the_operator_an_alarm(
    counter: Counter, lines: io.StringIO
) -> None:
    counter.relay.manners.drop_after_dot = 100
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    before = len(counter.mails(CLAIRE))
    for minutes in (0, 1, 20, 40, 60, 24 * 60):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=True):
            counter.house.once()
        if minutes == 1:
            assert len(counter.mails(CLAIRE)) == before + 1
    assert len(counter.mails(CLAIRE)) == before + outbox.MOST_DOUBTS
    last = counter.invitations()[-1]
    assert (last.generation, last.state) == (3, State.OWED)
    assert [e.state for e in counter.house.queue() if e.notice == "invitation"] == ["sent", "withdrawn", "uncertain"]
    told = [line for line in lines.getvalue().splitlines() if "uncertain" in line]
    assert len(told) == 2
    assert "a new mail replaces it after a rest" in told[0]
    assert f"triaged invite resend {last.id}" in told[1]


def test_a_person_s_resend_after_the_alarm_begins_anew(counter: Counter) -> None:
    counter.relay.manners.drop_after_dot = 2
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    for minutes in (0, 20):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=True):
            counter.house.once()
    contracting.resend(counter.house.bureau(), counter.invitations()[-1].id, datetime.now(UTC))
    counter.house.once()
    assert counter.invitations()[-1].state is State.SENT
    assert [(e.state, e.doubts) for e in counter.house.queue() if e.notice == "invitation"][-1] == ("sent", 0)
