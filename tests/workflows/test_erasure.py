"""Erased is gone from every table and off the disk; what reports, audit and the recognition of copies need is there."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
import zstandard
from click.testing import CliRunner, Result
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged import cli
from triaged.adapters.db import alarms, contract_models, migrations, models
from triaged.cli import message
from triaged.domain.erasure import PREFIX
from triaged.domain.errors import PermanentError
from triaged.domain.ticket import State
from triaged.workflows import associate, audit, erasure
from triaged.workflows.erasure import Wish

ANNA = "anna.muster@integra.example"
BERT = "bert@integra.example"
SECRET = "Nachtigallenweg"
COMPLETE = f"Service : Zoho CRM\nSuper administrateur : it@acme.example\nMon adresse : {SECRET} 7\n"
WHY = "asked on the phone"


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, pymap, relay.port, contracts=True) as house:
        yield house


def now() -> datetime:
    return datetime.now(UTC)


def written(house: desk.Installation, text: str) -> list[str]:
    """Where in the database `text` still stands: every column of every row, what is packed unpacked."""
    found = []
    with house.app.database.read() as session:
        for table in migrations.METADATA.sorted_tables:
            for row in session.execute(sqlalchemy.select(table)).mappings():
                for name, value in row.items():
                    plain = zstandard.ZstdDecompressor().decompress(value) if name == "zstd" else value
                    if text.lower() in str(plain).lower():
                        found.append(f"{table.name}.{name}")
    return found


def on_disk(house: desk.Installation, text: str) -> list[str]:
    """SQLite's files that still hold it."""
    path = house.app.database.path
    files = path.parent.glob(path.name + "*") if path else ()
    return [file.name for file in files if text.lower().encode() in file.read_bytes().lower()]


def age(house: desk.Installation, days: int) -> None:
    """Everything that happened happened so many days earlier."""
    past = now() - timedelta(days=days)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).values(received_at=past, fetched_at=past))
        session.execute(sqlalchemy.update(models.Outbox).values(created_at=past))
        closed = models.Ticket.closed_at.is_not(None)
        session.execute(sqlalchemy.update(models.Ticket).where(closed).values(closed_at=past))
        session.execute(sqlalchemy.update(contract_models.PurchaseOrder).values(received_at=past))


def close(house: desk.Installation, number: str) -> None:
    associate.move(house.bureau(), number, State.CLOSED, "done", now())


def purge(house: desk.Installation) -> dict[str, int]:
    settings = house.app.settings
    done = erasure.purge(house.app.database, settings.mailboxes, settings.policy, house.app.key, now())
    return {name: number for name, number in done.items() if number}


def erase(house: desk.Installation, wish: Wish) -> erasure.Plan:
    return erasure.erase(house.app.database, wish, house.app.key, "operator", WHY, now())


def clean(house: desk.Installation) -> bool:
    found = audit.audit(house.app.database, house.app.settings, now, audit.Depth(deep=True, pause=0.05))
    assert [one.text for one in found.differences] == []
    return True


def answered(house: desk.Installation, pymap: imap_pymap.Pymap) -> bytes:
    """Anna's mail, now the closed ticket EU-000001."""
    mail = desk.mail(COMPLETE, number=1, sender=ANNA, subject=f"Frage von {SECRET}")
    pymap.deliver(house.eu, mail)
    house.once()
    associate.note(house.bureau(), "EU-000001", f"hat angerufen: {SECRET}", now())
    close(house, "EU-000001")
    return mail


def test_an_erased_mail_is_in_no_table_and_no_file_and_its_copy_is_still_a_duplicate(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    mail = answered(house, pymap)
    assert "message.sender" in written(house, ANNA)
    assert "event.detail" in written(house, SECRET)
    plan = erase(house, Wish((1,)))
    erasure.scrub(house.app.database)
    assert (plan.mails, plan.tickets, plan.letters) == ((1,), ("EU-000001",), 2)
    for text in (ANNA, SECRET):
        assert (written(house, text), on_disk(house, text)) == ([], [])

    (row,) = [record.row for record in house.messages()]
    assert (row["state"], row["decision"], row["reason"], row["ticket"]) == (
        "erased",
        "ticket",
        "large_account",
        "EU-000001",
    )
    assert row["from"].startswith(PREFIX)
    assert house.ticket("EU-000001").requester == row["from"]
    assert {entry.state for entry in house.queue()} == {"sent"}

    pymap.deliver(house.eu, mail)  # the same bytes, and in another mailbox only the same content
    pymap.deliver(house.com, b"Delivered-To: other@vendor.example\r\n" + mail)
    house.once()
    assert [record.row["decision"] for record in house.messages()[1:]] == ["duplicate", "duplicate"]
    assert len(house.tickets()) == 1
    assert clean(house)


def test_what_is_not_over_is_refused_with_what_to_do_first(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1, sender=ANNA))
    house.once()
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Outbox).where(models.Outbox.id == 1).values(state="held"))
    with pytest.raises(PermanentError) as refused:
        erase(house, Wish((1, 7)))
    for said in ("no message 7", "triaged ticket close EU-000001", "mail 1 (ticket_opened) is held", "--withdraw"):
        assert said in str(refused.value)
    assert "message.sender" in written(house, ANNA)

    close(house, "EU-000001")
    assert erasure.plan(house.app.database, Wish((1,)), house.app.key).hindrances
    assert erasure.plan(house.app.database, Wish((1,), withdraw=True), house.app.key).hindrances == ()
    assert [entry.state for entry in house.queue()] == ["held", "sent"], "a plan changes nothing"
    erase(house, Wish((1,), withdraw=True))
    assert [entry.state for entry in house.queue()] == ["withdrawn", "sent"]
    assert written(house, ANNA) == []


def test_a_mail_that_waits_for_its_decision_is_not_erased(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    answered(house, pymap)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).values(state="received"))
    with pytest.raises(PermanentError, match="message 1 is not decided yet"):
        erase(house, Wish((1,)))


def test_all_of_one_person_goes_and_others_keep_what_is_theirs(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    answered(house, pymap)
    told = f"Super administrateur : it@acme.example\nAnna heisst {ANNA}\n"
    pymap.deliver(house.eu, desk.mail(told, number=2, sender=BERT, subject=f"von {ANNA}"))
    pymap.deliver(house.com, desk.mail("x\n", number=3, sender=ANNA.upper(), subject="a\rX: y"))
    house.once()
    plan = erasure.plan(house.app.database, Wish(address=ANNA), house.app.key)
    assert (plan.tickets, plan.hindrances) == (("EU-000001",), ())
    assert "event.detail" in written(house, SECRET), "a plan changes nothing"

    erase(house, Wish(address=ANNA))
    erasure.scrub(house.app.database)
    assert written(house, ANNA) == ["message_raw.zstd"], "Bert's own mail stays Bert's"
    assert written(house, SECRET) == []
    bert = house.ticket("EU-000002")
    assert bert.requester == BERT
    assert bert.subject.startswith(f"von {PREFIX}")
    with house.app.database.read() as session:
        handled = session.scalars(sqlalchemy.select(models.Handling)).all()
    assert {(one.kind, one.actor, one.why) for one in handled} == {("erased", "operator", WHY)}
    assert clean(house)


def test_an_address_that_ends_like_the_erased_one_stays_everywhere(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    other = f"sus{ANNA}"
    answered(house, pymap)
    pymap.deliver(house.eu, desk.mail(f"{COMPLETE}{other} und {ANNA}.org\n", number=2, sender=other))
    house.once()
    with house.app.database.write() as session:
        alarms.ring(session, f"guess:{other}", f"{other} named 6 customers", now())
        alarms.ring(session, f"guess:{ANNA}", f"{ANNA} named 6 customers", now())
    erase(house, Wish(address=ANNA))
    assert house.ticket("EU-000002").requester == other
    theirs = [record.row["from"] for record in house.messages()][1:]
    assert (theirs, {entry.recipient for entry in house.queue()} & {other, ANNA}) == ([other], {other})
    with house.app.database.read() as session:
        assert alarms.lately(session) == (f"{other} named 6 customers",)
        bodies = sqlalchemy.select(models.Outbox.body.is_not(None)).where(models.Outbox.source_message_id == 2)
        assert set(session.scalars(bodies)) == {True}
    assert clean(house)


def test_of_another_persons_mail_in_the_ticket_stays_what_was_owed_for_it(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail("Hilfe\n", number=1, sender=ANNA, subject=f"Frage von {SECRET}"))
    house.once()
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=2, sender=BERT, subject="Re: [EU-000001] Frage"))
    house.once()
    close(house, "EU-000001")
    assert {record.row["decision"] for record in house.messages()} == {"ticket", "update"}
    erase(house, Wish((1,)))
    owed = {entry.notice: entry.recipient for entry in house.queue() if entry.cause == "m2"}
    assert owed["priority_granted"] == BERT
    assert ANNA not in {entry.recipient for entry in house.queue()}
    with house.app.database.read() as session:
        assert SECRET not in "".join(session.scalars(sqlalchemy.select(models.Outbox.subject)))
        assert set(session.scalars(sqlalchemy.select(models.Outbox.body))) == {None}
    assert clean(house)

    age(house, 731)  # the closed ticket's time is over: the rest of it goes, too
    assert purge(house) == {"tickets": 1}
    assert purge(house) == {}
    assert {record.row["state"] for record in house.messages()} == {"erased"}
    assert (written(house, ANNA), written(house, BERT), written(house, SECRET)) == ([], [], [])
    assert clean(house)


def test_all_of_a_person_with_more_mails_than_a_statement_has_variables(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    engine, many = house.app.database.engine, 300
    answered(house, pymap)
    columns = [column.name for column in models.MessageRow.__table__.columns if column.name not in ("id", "uid")]
    with house.app.database.write() as session:
        mail = {"state": "decided", "decision": "no_ticket", "ticket_id": None, "receipt": {}}
        (row,) = session.execute(sqlalchemy.select(models.MessageRow.__table__)).mappings()
        rows = [{**{name: row[name] for name in columns}, **mail, "uid": 1000 + n} for n in range(many)]
        for one in rows:
            session.execute(sqlalchemy.insert(models.MessageRow).values(one))
    if house.app.database.dialect == "sqlite":  # what SQLite is built with differs: 32,766, or 250,000
        engine.dialect.insertmanyvalues_max_parameters = 200
        sqlalchemy.event.listen(
            engine, "checkout", lambda raw, *_: raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 200)
        )
    plan = erase(house, Wish(address=ANNA))
    assert len(plan.mails) == many + 1
    assert {record.row["state"] for record in house.messages()} == {"erased"}


def test_a_closed_ticket_goes_by_its_region_and_a_mail_without_ticket_by_its_mailboxs_longest(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    answered(house, pymap)
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=2, sender=BERT))  # its ticket stays open
    pymap.deliver(house.eu, desk.mail("Absent.\n", number=3, sender=ANNA, extra="Auto-Submitted: auto-replied\r\n"))
    pymap.deliver(house.eu, desk.mail("x\n", number=4, subject="a\rX: y"))  # quarantined
    house.once()
    age(house, 729)
    assert purge(house) == {"bodies": 4}
    age(house, 731)
    assert purge(house) == {"tickets": 1, "mails": 1}
    assert purge(house) == {}
    assert [record.row["state"] for record in house.messages()] == ["erased", "decided", "erased", "quarantined"]
    assert written(house, ANNA) == []
    assert house.ticket("EU-000002").requester == BERT
    assert clean(house)


def test_regions_have_their_own_time(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    answered(house, pymap)
    age(house, 40)
    policy = house.app.settings.policy
    short = replace(policy.regions["eu"], retain=timedelta(days=30))
    changed = replace(policy, regions={**policy.regions, "eu": short})
    done = erasure.purge(house.app.database, house.app.settings.mailboxes, changed, house.app.key, now())
    assert done["tickets"] == 1
    assert written(house, SECRET) == []


def test_a_failed_mail_keeps_its_bytes_because_it_may_be_sent_again(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    answered(house, pymap)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Outbox).where(models.Outbox.id == 1).values(state="failed"))
    age(house, 31)
    assert purge(house) == {"bodies": 1}
    with house.app.database.read() as session:
        kept = dict(session.execute(sqlalchemy.select(models.Outbox.id, models.Outbox.body.is_not(None))).all())
    assert kept == {1: True, 2: False}


def run(house: desk.Installation, *words: str) -> Result:
    here = cli.Cli(house.config)
    here._app = house.app
    return CliRunner().invoke(message.message, ["erase", *words], obj=here)


def test_the_command_says_what_goes_what_stays_and_what_must_come_first(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1, sender="contact@integra.example"))
    house.once()
    waits = run(house, "1", "--dry-run")
    assert (waits.exit_code, "ticket EU-000001 is open" in waits.stderr) == (1, True)
    close(house, "EU-000001")
    plan = run(house, "--sender", "Contact@Integra.example", "--dry-run")
    assert plan.exit_code == 0
    for said in ("EU-000001", "the directory's partners", "logs, backups"):
        assert said in plan.stdout
    assert house.messages()[0].row["state"] == "decided"
    done = run(house, "--sender", "contact@integra.example", "--why", "asked by contact@integra.example", "--json")
    assert json.loads(done.stdout)["mails"] == [1]
    assert written(house, "contact@integra.example") == ["partner_contact.address"]
    assert run(house).exit_code == run(house, "1", "--sender", ANNA).exit_code == 2
    again = json.loads(run(house, "1", "--json").stdout)
    assert (again["mails"], again["tickets"]) == ([], [])


def test_erasing_while_the_daemon_writes_loses_nothing(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    answered(house, pymap)
    pymap.deliver(house.eu, *(desk.mail(COMPLETE, number=n, sender=BERT) for n in range(10, 20)))
    daemon = threading.Thread(target=house.once)
    daemon.start()
    erase(house, Wish((1,)))
    erasure.scrub(house.app.database)
    daemon.join()
    assert len(house.tickets()) == 11
    assert written(house, ANNA) == []
    assert clean(house)
