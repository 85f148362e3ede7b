"""Quarantine: seen safely, decided again as if it had just come, dropped for a reason; each time on the record."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy
from click.testing import CliRunner, Result
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged import cli
from triaged.adapters.db import casebook, models
from triaged.domain.errors import PermanentError
from triaged.workflows import audit, quarantine

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\u202egpj.exe\u2028\u200b"


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        yield house


def now() -> datetime:
    return datetime.now(UTC)


def run(house: desk.Installation, noun: str, *words: str) -> Result:
    """A command as the shell calls it, on the house's own database."""
    here = cli.Cli(house.config)
    here._app = house.app
    group = cli.main.get_command(click.Context(cli.main), noun)
    assert group is not None
    return CliRunner().invoke(group, words, obj=here)


def read(house: desk.Installation, *words: str) -> Any:
    found = run(house, *words, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def put_aside(house: desk.Installation, number: int = 1) -> None:
    """A mail that yesterday's code could not decide, as it lies in quarantine today."""
    with house.app.database.write() as session:
        row = session.get(models.MessageRow, number)
        assert row is not None
        row.state, row.decision, row.reason, row.attempts = "quarantined", "quarantine", "unreadable", 3
        row.error = "reading it ended the process by SIGSEGV"


def test_a_hostile_mail_is_shown_without_one_character_that_a_terminal_obeys(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(HOSTILE + "\n<script>x</script>", number=1, subject="a\rX-Forged: yes" + HOSTILE))
    house.once()
    shown = run(house, "quarantine", "show", "1")
    assert shown.exit_code == 0
    assert all(character == "\n" or character.isprintable() for character in shown.stdout)
    assert "\\x1b[2J" in shown.stdout
    assert "\\u202e" in shown.stdout
    assert "<script>" not in shown.stdout
    assert "CR without LF" in shown.stdout
    assert "quarantine release 1" in shown.stdout
    listed = run(house, "quarantine", "list").stdout
    assert all(character == "\n" or character.isprintable() for character in listed)


def test_it_says_where_the_mail_came_to_where_it_lies_and_how_often_it_was_tried(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1))
    house.once()
    put_aside(house)
    found = read(house, "quarantine", "show", "1")
    place = found["place"]
    assert (place["mailbox"], place["uid"], place["folder"]) == ("partners-eu", found["uid"], "Processed")
    assert place["since"]
    assert (found["attempts"], found["error"]) == (3, "reading it ended the process by SIGSEGV")
    assert "Super administrateur" in found["text"]
    assert "Subject: Question" in found["header"]
    assert [step.split()[2] for step in found["next"] if step.startswith("triaged quarantine")] == ["release", "drop"]


def test_a_released_mail_is_decided_alone_by_todays_code_and_its_clock_began_when_it_arrived(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1), desk.mail(COMPLETE, number=2))
    house.once()
    arrived = now().replace(microsecond=0) - timedelta(days=2)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).values(received_at=arrived, ticket_id=None))
        for table in (models.Outbox, models.Event, models.Ticket):
            session.execute(sqlalchemy.delete(table))
    put_aside(house, 1)
    put_aside(house, 2)
    assert quarantine.release(house.app.database, [], "anna", now()) == [quarantine.Handled(1), quarantine.Handled(2)]
    with house.app.database.write() as session:
        assert len(casebook.claim(session, "somebody", now(), 20)) == 1
        casebook.orphaned(session, [])
    house.once()
    tickets = house.tickets()
    assert [ticket.opened_at for ticket in tickets] == [arrived, arrived]
    assert {ticket.reason for ticket in tickets} == {"large_account"}
    assert {ticket.due_acknowledge for ticket in tickets} == {arrived + timedelta(hours=3)}
    handled = read(house, "message", "show", "1")["handled"]
    assert [(one["did"], one["by"]) for one in handled] == [("released", "anna")]


def test_a_released_mail_waits_since_its_release(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1))
    house.once()
    long_ago = now() - timedelta(days=3)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).values(fetched_at=long_ago, decided_at=long_ago))
        session.execute(sqlalchemy.update(models.MessageRow).values(ticket_id=None))
        for table in (models.Outbox, models.Event, models.Ticket):
            session.execute(sqlalchemy.delete(table))
    put_aside(house)
    released = now()
    assert quarantine.release(house.app.database, [1], "anna", released) == [quarantine.Handled(1)]

    def differences(later: timedelta) -> list[str]:
        depth = audit.Depth(offline=True, pause=0.05)
        found = audit.audit(house.app.database, house.app.settings, lambda: released + later, depth)
        return [one.text for one in found.differences]

    assert differences(timedelta(minutes=1)) == []
    (still,) = differences(timedelta(minutes=20))
    assert f"waits for its decision since {released:%Y-%m-%d %H:%M} UTC" in still
    tried, _still = differences(timedelta(minutes=61))
    assert f"was tried 1 times and waits since {released:%Y-%m-%d %H:%M} UTC" in tried


def test_what_is_not_in_quarantine_is_neither_released_nor_dropped(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1))
    house.once()
    for state in ("received", "decided", "dropped", "erased"):
        with house.app.database.write() as session:
            session.execute(sqlalchemy.update(models.MessageRow).values(state=state))
        for (done,) in (
            quarantine.release(house.app.database, [1], "anna", now()),
            quarantine.drop(house.app.database, [1], "anna", "spam", now()),
        ):
            assert f"message 1 is {state}, not in quarantine" in done.refusal
    assert read(house, "message", "show", "1")["handled"] == []


def test_a_mail_without_bytes_is_not_released_and_the_others_are(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1), desk.mail(COMPLETE, number=2))
    house.once()
    with house.app.database.write() as session:
        session.execute(sqlalchemy.delete(models.RawRow).where(models.RawRow.message_id == 1))
    put_aside(house, 1)
    put_aside(house, 2)
    assert read(house, "quarantine", "show", "1")["text"] is None
    done = run(house, "quarantine", "release", "1", "2")
    assert done.exit_code == 1
    assert "message 1 has no stored bytes any more" in done.stderr
    assert "message 2: will be decided again" in done.stdout


def test_dropping_needs_a_reason_which_stays_with_the_mail(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, number=1), desk.mail(COMPLETE, number=2))
    house.once()
    put_aside(house, 1)
    put_aside(house, 2)
    assert run(house, "quarantine", "drop", "1").exit_code == 2
    assert run(house, "quarantine", "drop", "--why", "spam").exit_code == 2
    with pytest.raises(PermanentError):
        quarantine.drop(house.app.database, [1], "anna", "  ", now())
    assert run(house, "quarantine", "drop", "1", "2", "--why", "advertising").exit_code == 0
    assert [record.row["state"] for record in house.messages()] == ["dropped", "dropped"]
    found = read(house, "message", "show", "1")
    assert "advertising (was: reading it ended the process by SIGSEGV)" in found["error"]
    assert [(one["did"], one["why"]) for one in found["handled"]] == [("dropped", "advertising")]


def test_a_mail_that_never_can_be_decided_is_acknowledged_to_a_partner_and_to_nobody_else(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    many = f"X-Long: {17_000 * chr(120)}\r\n"
    pymap.deliver(
        house.eu,
        desk.mail("partner", number=1, extra=many),
        desk.mail("stranger", number=2, sender="a@stranger.example", extra=many),
        desk.mail("not signed", number=3, sender="b@integra.example", signed=False, extra=many),
        desk.mail("dirty", number=4, sender="c@integra.example", subject="a\rX: y"),
    )
    house.once()
    assert [record.row["state"] for record in house.messages()] == ["quarantined"] * 4
    assert [one.recipients for one in relay.deliveries] == [("contact@integra.example",)]
    assert [entry.notice for entry in house.queue()] == ["unreadable"]
