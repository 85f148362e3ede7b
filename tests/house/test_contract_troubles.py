"""What goes wrong at the contracts desk harms one mail: no sealed row, no doubt, no odd number stops the others."""

import collections
import io
import random
import threading
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy
import time_machine
from click.testing import CliRunner
from tests.house import desk
from tests.house.test_contracts import CLAIRE, DISTRIBUTOR, RESELLER, Counter, order, text
from tests.servers import imap_pymap, postgres, smtp_sink

from triaged import app as composition
from triaged import cli, log, schedule
from triaged.adapters.db import contract_models, engine, invitations, migrations, models, outbox
from triaged.domain.errors import PermanentError, TransientError
from triaged.domain.invitation import State
from triaged.workflows import associate, contracting, decide, intake, portal

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
    written = counter.house.config.read_text()
    for before, after in changed.values():
        assert before in written
        written = written.replace(before, after, 1)
    counter.house.config.write_text(written)
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


def test_an_invitation_whose_mail_was_given_up_ends_by_the_calendar(counter: Counter) -> None:
    counter.relay.manners.refuse_recipient[CLAIRE] = "550 5.1.1 no such user"
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    counter.house.once()
    assert counter.invitations()[-1].state is State.OWED
    catalogue, database = counter.house.app.settings.catalogue, counter.house.app.database
    contracting.keep_calendar(database, catalogue, datetime.now(UTC) + timedelta(days=29))
    assert counter.invitations()[-1].state is State.OWED
    contracting.keep_calendar(database, catalogue, datetime.now(UTC) + timedelta(days=31))
    assert counter.invitations()[-1].state is State.EXPIRED


def test_an_invitation_that_still_waits_to_go_does_not_end_before_it_went(counter: Counter) -> None:
    counter.relay.manners.refuse_recipient[CLAIRE] = "451 4.7.1 later"
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    counter.house.once()
    later = datetime.now(UTC) + timedelta(days=31)
    contracting.keep_calendar(counter.house.app.database, counter.house.app.settings.catalogue, later)
    assert counter.invitations()[-1].state is State.OWED
    counter.relay.manners.refuse_recipient.clear()
    with time_machine.travel(later, tick=True):
        counter.house.once()
    assert counter.invitations()[-1].state is State.SENT


def test_the_bytes_of_a_sealed_mail_are_nowhere_and_queue_show_says_so(counter: Counter) -> None:
    [row] = [e for e in counter.house.queue() if e.notice == "invitation"]
    told = CliRunner().invoke(cli.main, ["--config", str(counter.house.config), "queue", "show", str(row.id), "--raw"])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "made when it is sent; nothing is kept" in told.stderr


def test_what_an_accepted_order_s_parties_hear_is_braked_by_nobody(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    with desk.installed(tmp_path, url, pymap, relay.port, contracts=True, trust="require = false") as house:
        counter = Counter(house, pymap, relay)
        counter.say(order(), signed=False)
        assert {(e.recipient, e.notice, e.state) for e in house.queue()} == {
            (CLAIRE, "invitation", "sent"),
            (CLAIRE, "order_confirmed", "sent"),
            (RESELLER, "order_confirmed", "sent"),
            (DISTRIBUTOR, "order_confirmed", "sent"),
        }
        counter.say(order(po="PO-2"), signed=False)
        assert {(e.recipient, e.state) for e in house.queue()[4:]} == {
            (CLAIRE, "sent"),
            (DISTRIBUTOR, "sent"),
            (RESELLER, "held"),
        }


# --- the same mail at two desks, or vouched for later -----------------------------------------------------------------


def test_an_order_that_went_to_the_support_mailbox_too_is_an_order(counter: Counter) -> None:
    mail = desk.mail(order(po="PO-2"), number=50)
    counter.server.deliver(counter.house.eu, mail)
    counter.house.once()
    counter.server.deliver(counter.house.select, mail)
    counter.house.once()
    assert counter.decided()["reason"] == "order_complete"
    counter.server.deliver(counter.house.com, mail)
    counter.house.once()
    assert counter.decided()["reason"] == "duplicate"
    assert [one.po_number for one in counter.contracts()] == ["PO-4711", "PO-2"]


def twice(counter: Counter, body: str) -> None:
    """One mail, first without our border server's word and then with it."""
    mail = desk.mail(body, number=77, signed=False)
    for copy in (mail, desk.SIGNED.format(domain="integra.example").encode() + mail):
        counter.server.deliver(counter.house.select, copy)
        counter.house.once()


def test_the_better_copy_of_a_request_is_carried_out_and_resolves_the_ticket_that_waited(counter: Counter) -> None:
    twice(counter, CANCEL)
    assert (counter.decided()["reason"], counter.contracts()[0].state) == ("cancel_contract", "cancelled")
    [ticket] = counter.house.tickets()
    assert ticket.state == "resolved"
    assert ticket.messages == (2, 3)
    assert [event.kind for event in counter.house.history(ticket.number)] == ["opened", "vouched"]
    about_tickets = [e.notice for e in counter.house.queue() if e.notice.startswith(("ticket", "priority"))]
    assert about_tickets == []


def test_the_better_copy_of_a_question_is_the_contracts_desk_s_own_ticket(counter: Counter) -> None:
    twice(counter, "Bonjour, une question sur ma facture.\n")
    [ticket] = counter.house.tickets()
    assert (ticket.state, ticket.reason, ticket.missing) == ("open", "question", ())
    last = counter.house.queue()[-1]
    assert (last.notice, last.envelope_from) == ("ticket_opened", desk.SELECT)
    assert "ZOID" not in text(counter.mails(RESELLER)[-1])


def test_who_vouches_for_a_request_has_it_carried_out(counter: Counter) -> None:
    counter.say(CANCEL, signed=False)
    [ticket] = counter.house.tickets()
    decision = associate.accept(counter.house.bureau(), ticket.number, datetime.now(UTC))
    counter.house.once()
    assert (decision.reason, decision.contracts, decision.ticket) == ("cancel_contract", ("SC-000001",), ticket.number)
    assert counter.contracts()[0].state == "cancelled"
    assert counter.house.ticket(ticket.number).state == "resolved"
    told = {(e.recipient, e.notice, e.envelope_from) for e in counter.house.queue() if e.notice == "contract_cancelled"}
    assert told == {(who, "contract_cancelled", desk.SELECT) for who in (CLAIRE, RESELLER, DISTRIBUTOR)}
    assert counter.mails(RESELLER)[-1]["In-Reply-To"] == "<2@integra.example>"
    assert counter.mails(CLAIRE)[-1]["In-Reply-To"] is None


def test_who_vouches_for_a_question_has_the_contracts_desk_answer_it(counter: Counter) -> None:
    counter.say("Bonjour, une question sur ma facture.\n", signed=False)
    [ticket] = counter.house.tickets()
    associate.accept(counter.house.bureau(), ticket.number, datetime.now(UTC))
    counter.house.once()
    assert counter.house.ticket(ticket.number).state == "open"
    last = counter.house.queue()[-1]
    assert (last.notice, last.envelope_from) == ("ticket_opened", desk.SELECT)
    assert "administrateur" not in text(counter.mails(RESELLER)[-1])


def test_who_vouches_for_a_mail_whose_bytes_are_gone_opens_the_ticket_and_writes_to_nobody(counter: Counter) -> None:
    counter.say(CANCEL, signed=False)
    [ticket] = counter.house.tickets()
    before = len(counter.house.queue())
    with counter.house.app.database.write() as session:
        session.execute(sqlalchemy.delete(models.RawRow))
    associate.accept(counter.house.bureau(), ticket.number, datetime.now(UTC))
    assert (counter.house.ticket(ticket.number).state, len(counter.house.queue())) == ("open", before)
    assert counter.contracts()[0].state == "active"


def test_a_ticket_of_the_contracts_desk_has_no_customer_to_set(counter: Counter) -> None:
    counter.say("Bonjour, une question sur ma facture.\n")
    [ticket] = counter.house.tickets()
    with pytest.raises(PermanentError, match="contracts desk"):
        associate.set_customer(counter.house.bureau(), ticket.number, "it@acme.example", datetime.now(UTC))


# --- the database -----------------------------------------------------------------------------------------------------


def test_numbers_that_no_row_has_are_no_numbers(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, database_url, pymap, relay.port, contracts=True) as house:
        counter = Counter(house, pymap, relay)
        counter.say("Bonjour, une question.\n", subject="Re: [ORD-99999999999] facture")
        assert counter.decided()["reason"] == "question"
        link = portal.open_link(house.app.portal, "zzzzzzzzzz-" + "A" * 32, datetime.now(UTC))
        assert link.state is portal.LinkState.UNKNOWN
        with pytest.raises(PermanentError, match="no contract SC-99999999999"):
            contracting.cancel(house.bureau(), "SC-99999999999", datetime.now(UTC))
        told = CliRunner().invoke(cli.main, ["--config", str(house.config), "queue", "show", "99999999999"])
        assert told.exit_code == 2


@pytest.mark.postgres
def test_daemons_that_decide_the_same_customers_orders_at_once_count_no_attempt(
    tmp_path: Path, postgresql: postgres.Postgres, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, postgresql.fresh_database(), pymap, relay.port, contracts=True) as house:
        numbers = list(range(1, 97))
        random.Random(4).shuffle(numbers)
        for number in numbers:  # every order twice, in other words
            twice = order(po=f"PO-{number % 48}").replace("Acme SA", f"Acme{number % 8} SA")
            mail = desk.mail(twice.replace("@acme.", f"@acme{number % 8}."), number=number)
            pymap.deliver(house.select, mail)
        intake.drain(intake.Intake(house.app.settings.mailbox("select"), house.app.database, 1 << 20, now))
        threads = [threading.Thread(target=_decide_all, args=(house.app, owner)) for owner in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reasons = collections.Counter(str((m.receipt or {}).get("reason")) for m in house.messages())
        assert reasons == {"order_complete": 48, "order_repeated": 48}
        assert {m.row["attempts"] for m in house.messages()} == {1}


def _decide_all(app: composition.App, owner: str) -> None:
    """As the daemon does: what the database could not do now is tried again."""
    while True:
        try:
            if not decide.decide_waiting(composition.office(app, owner), now, lambda: False):
                return
        except TransientError:
            continue


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.postgres
def test_a_deadlock_is_the_database_s_trouble_and_not_the_mail_s(postgresql: postgres.Postgres) -> None:
    database = engine.Database(postgresql.fresh_database())
    migrations.METADATA.create_all(database.engine)
    met = threading.Barrier(2)

    def cross(mine: int, theirs: int) -> str:
        def step() -> None:
            session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(mine)))
            met.wait(10)
            session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(theirs)))

        with database.write() as session:
            try:
                engine.in_savepoint(session, step)
            except TransientError as error:
                return str(error)
        return ""

    with futures.ThreadPoolExecutor(2) as pool:
        told = [pool.submit(cross, 1, 2), pool.submit(cross, 2, 1)]
        assert sorted(one.result() for one in told) == ["", "database: deadlock detected"]
    database.dispose()


@pytest.mark.postgres
def test_who_waited_for_a_row_sees_what_became_of_it(
    tmp_path: Path, postgresql: postgres.Postgres, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, postgresql.fresh_database(), pymap, relay.port, contracts=True) as house:
        Counter(house, pymap, relay).say(order())
        with house.app.database.write() as slow:
            slow_row = slow.get(contract_models.Invitation, 1)
            with house.app.database.write() as quick:
                assert invitations.revoke(quick, [1], "revoked meanwhile", now()) == (1,)
            assert slow_row is not None
            assert slow_row.state == "sent"
            assert invitations.accept(slow, 1, now()) is None


def test_a_row_that_another_has_just_written_is_looked_at_again(database: engine.Database) -> None:
    tries = []

    def step(session: engine.Session) -> int:
        tries.append(len(tries))
        found = session.scalar(sqlalchemy.select(models.TicketCounter.last)) if len(tries) > 1 else None
        if found is None:
            session.add(models.TicketCounter(region="eu", last=1))
            session.flush()
        return found or 0

    with database.write() as session:
        session.add(models.TicketCounter(region="eu", last=7))
        session.flush()
        session.expunge_all()
        assert engine.in_savepoint(session, partial(step, session)) == 7
    assert tries == [0, 1]


def test_a_mail_of_a_mailbox_that_is_configured_no_more_lies_in_quarantine_and_says_so(counter: Counter) -> None:
    counter.server.deliver(counter.house.select, desk.mail(CANCEL, number=50))
    intake.drain(intake.Intake(counter.house.app.settings.mailbox("select"), counter.house.app.database, 1 << 20, now))
    app = reloaded(counter, name=('name = "select"', 'name = "renamed"'))
    assert schedule.run_once(app) == ()
    record = counter.house.messages()[1]
    assert record.row["state"] == "quarantined"
    assert "no [[mailbox]] is called select any more" in str(record.error)
