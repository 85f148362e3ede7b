"""Copies of one mail are one ticket, whichever is decided first and by whomever."""

import collections
import random
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.servers import imap_pymap, postgres, smtp_sink

from triaged import app as composition
from triaged.adapters.db import models
from triaged.workflows import decide, intake

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


def fetched(house: desk.Installation, *mailboxes: str) -> None:
    for name in mailboxes:
        intake.drain(intake.Intake(house.app.settings.mailbox(name), house.app.database, 1 << 20, now))


def now() -> datetime:
    return datetime.now(UTC)


def reasons(house: desk.Installation) -> collections.Counter[str]:
    return collections.Counter(str(record.row["decision"]) for record in house.messages())


def test_the_first_copy_is_the_duplicate_where_the_second_was_decided_before_it(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        mail = desk.mail(COMPLETE)
        pymap.deliver(house.eu, mail, mail, desk.mail(COMPLETE, number=2))
        fetched(house, "partners-eu")
        first = sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == house.messages()[0].row["id"])
        with house.app.database.write() as session:  # as if a daemon had died while it decided the first
            session.execute(first.values(attempts=1))
        decide.decide_waiting(composition.office(house.app, "a"), now, lambda: False)
        assert [record.row["decision"] for record in house.messages()] == ["duplicate", "ticket", "ticket"]
        assert len(house.tickets()) == 2


def test_a_copy_put_aside_and_released_is_no_duplicate_of_its_own_duplicate(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        mail = desk.mail(COMPLETE)
        pymap.deliver(house.eu, mail, mail)
        fetched(house, "partners-eu")
        first = sqlalchemy.update(models.MessageRow).where(models.MessageRow.id == house.messages()[0].row["id"])
        with house.app.database.write() as session:
            session.execute(first.values(state="quarantined", decision="quarantine", reason="unreadable", attempts=3))
        decide.decide_waiting(composition.office(house.app, "a"), now, lambda: False)
        assert reasons(house) == {"quarantine": 1, "duplicate": 1}
        with house.app.database.write() as session:
            session.execute(first.values(state="received", decision=None, reason=None, attempts=0))
        decide.decide_waiting(composition.office(house.app, "a"), now, lambda: False)
        assert reasons(house) == {"ticket": 1, "duplicate": 1}


@pytest.mark.postgres
def test_hosts_that_decide_copies_at_the_same_moment_open_one_ticket(
    tmp_path: Path, postgresql: postgres.Postgres, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, postgresql.fresh_database(), pymap, relay.port) as house:
        mails = [desk.mail(COMPLETE, number=number) for number in range(60)] * 2
        random.Random(5).shuffle(mails)
        for place, mail in enumerate(mails):
            pymap.deliver([house.eu, house.com][place % 2], mail)
        fetched(house, "partners-eu", "partners-com")
        offices = [composition.office(house.app, owner) for owner in "abcd"]
        threads = [threading.Thread(target=decide.decide_waiting, args=(o, now, lambda: False)) for o in offices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for office in offices:
            office.database.dispose()
        assert reasons(house) == {"ticket": 60, "duplicate": 60}
        assert len(house.tickets()) == 60
