"""A mail that goes wrong harms only itself, and is never lost (DESIGN §4.2)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged import app as composition
from triaged.adapters.db import casebook, models
from triaged.domain.errors import TransientError
from triaged.workflows import decide, intake

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        pymap.deliver(house.eu, *(desk.mail(COMPLETE, number=n) for n in (1, 2, 3)))
        mailbox = house.app.settings.mailbox("partners-eu")
        intake.drain(intake.Intake(mailbox, house.app.database, 1 << 20, now))
        yield house


def now() -> datetime:
    return datetime.now(UTC)


def decided(house: desk.Installation, owner: str = "me") -> int:
    return decide.decide_waiting(composition.office(house.app, owner), now, lambda: False)


def damage(house: desk.Installation, row: int) -> None:
    """The stored bytes of one mail are no longer what they were."""
    with house.app.database.write() as session:
        other = session.get(models.RawRow, 1 if row != 1 else 2)
        assert other is not None
        session.execute(sqlalchemy.update(models.RawRow).where(models.RawRow.message_id == row).values(zstd=other.zstd))


def test_a_mail_that_fails_three_times_is_quarantined_and_its_neighbours_are_served(house: desk.Installation) -> None:
    damage(house, 2)
    decided(house)
    records = house.messages()
    assert [record.row["state"] for record in records] == ["decided", "quarantined", "decided"]
    assert records[1].row["attempts"] == 3
    assert "damaged" in str(records[1].error)
    assert len(house.tickets()) == 2


def test_where_nothing_is_rehearsed_a_mail_that_killed_three_processes_is_not_looked_at_again(
    house: desk.Installation,
) -> None:
    for victim in ("first", "second", "third"):  # each claims the mails, and dies
        with house.app.database.write() as session:
            claimed = casebook.claim(session, victim, now(), 1)
            casebook.orphaned(session, [])
        assert [work.id for work in claimed] == ([1] if victim == "first" else [2] if victim == "second" else [3])
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == 2).values(attempts=3))
    decide.decide_waiting(replace(composition.office(house.app, "me"), rehearsal=None), now, lambda: False)
    records = house.messages()
    assert [record.row["state"] for record in records] == ["decided", "quarantined", "decided"]
    assert "died 3 times" in str(records[1].error)


class Acquittal:
    """A rehearsal that finds nothing wrong."""

    def failure(self, task: str) -> str:
        return ""

    def rest(self) -> None:
        pass


@pytest.mark.parametrize(("deaths", "state"), [(5, "decided"), (10, "quarantined")])
def test_a_mail_that_its_rehearsal_acquits_is_not_blamed_for_kills_from_outside(
    house: desk.Installation, deaths: int, state: str
) -> None:
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == 2).values(attempts=deaths))
    office = replace(composition.office(house.app, "me"), rehearsal=Acquittal())  # type: ignore[arg-type]  # ten lines
    decide.decide_waiting(office, now, lambda: False)
    assert house.messages()[1].row["state"] == state


def test_a_mail_that_was_tried_is_claimed_alone(house: desk.Installation) -> None:
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).values(attempts=1))
        assert len(casebook.claim(session, "me", now(), 20)) == 1


def test_what_another_process_has_claimed_is_left_to_it_until_its_lease_ends(house: desk.Installation) -> None:
    with house.app.database.write() as session:
        casebook.claim(session, "other", now(), 20)
    assert decided(house) == 0
    with house.app.database.write() as session:
        assert len(casebook.claim(session, "me", now() + casebook.LEASE + timedelta(seconds=1), 20)) == 1


def test_a_graceful_stop_gives_back_what_was_claimed_without_a_mark(house: desk.Installation) -> None:
    with house.app.database.write() as session:
        claimed = casebook.claim(session, "me", now(), 20)
        casebook.release(session, "me", claimed)
    assert [record.row["attempts"] for record in house.messages()] == [0, 0, 0]


class Lost:
    """A rehearsal in the middle of which the database is lost."""

    def failure(self, task: str) -> str:
        raise TransientError("database: gone")

    def rest(self) -> None:
        pass


def test_a_database_lost_in_the_middle_is_not_charged_to_the_mail(house: desk.Installation) -> None:
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == 2).values(attempts=1))
    office = composition.office(house.app, "me")
    for _ in range(4):
        with pytest.raises(TransientError):
            decide.decide_waiting(replace(office, rehearsal=Lost()), now, lambda: False)  # type: ignore[arg-type]  # ten lines
    assert decide.decide_waiting(replace(office, rehearsal=None), now, lambda: False) == 1
    assert [record.row["state"] for record in house.messages()] == ["decided"] * 3
    assert [record.row["attempts"] for record in house.messages()] == [1, 2, 1]


def test_decisions_that_may_not_have_been_printed_are_printed_again(
    house: desk.Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    decided(house)
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == 3).values(announced=False))
    assert decide.announce_again(composition.office(house.app, "me")) == 1
    assert decide.announce_again(composition.office(house.app, "me")) == 0


def test_the_stored_receipt_is_what_a_replay_computes(house: desk.Installation) -> None:
    decided(house)
    stored = house.messages()[0].receipt
    again = composition.replay(house.app, 1).document()
    assert stored is not None
    assert stored == again


def stopping_at(call: int, then: Callable[[], bool]) -> Callable[[], bool]:
    """The question whether to stop is asked between claim and commit, too: there something happens."""
    calls = []

    def stopping() -> bool:
        calls.append(1)
        return then() if len(calls) == call else False

    return stopping


def test_what_another_process_took_over_while_we_read_is_left_to_it(house: desk.Installation) -> None:
    database = house.app.database

    def overtake() -> bool:
        with database.write() as session:
            casebook.orphaned(session, ["other"])
            assert len(casebook.claim(session, "other", now(), 20)) == 1  # tried rows go one by one
        return False

    office = composition.office(house.app, "me")
    assert decide.decide_waiting(office, now, stopping_at(3, overtake)) == 0
    assert house.tickets() == []
    assert decided(house) == 2  # the two that are free again
    owners = [record.row["state"] for record in house.messages()]
    assert owners == ["received", "decided", "decided"]
    assert len(house.tickets()) == 2
    with database.read() as session:
        assert session.scalars(sqlalchemy.select(models.MessageRow.lease_owner)).all() == ["other", None, None]


def test_a_stop_in_the_middle_of_a_batch_gives_back_what_was_not_read(house: desk.Installation) -> None:
    halted = iter([False, False, True, True])  # before the batch, before the first mail, before the second …
    office = composition.office(house.app, "me")
    decide.decide_waiting(office, now, lambda: next(halted, True))
    rows = [(record.row["state"], record.row["attempts"]) for record in house.messages()]
    assert rows == [("decided", 1), ("received", 0), ("received", 0)]
    with house.app.database.read() as session:
        assert session.scalars(sqlalchemy.select(models.MessageRow.lease_owner)).all() == [None, None, None]
