"""A mail is charged for the deaths that it may have caused, not for those of a daemon that somebody else killed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import sqlalchemy
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged import app as composition
from triaged.adapters import confinement
from triaged.adapters.db import engine, models
from triaged.workflows import decide, intake


class Watched:
    """A rehearsal that sees how the mail stands meanwhile: as it would stand if we were killed now."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database
        self.attempts: list[int] = []

    def failure(self, _task: str) -> str:
        with self._database.read() as session:
            self.attempts += session.scalars(sqlalchemy.select(models.MessageRow.attempts))
        return ""

    def rest(self) -> None:
        """Nothing was started."""


def now() -> datetime:
    return datetime.now(UTC)


def test_a_daemon_killed_while_a_mail_is_rehearsed_charges_it_nothing(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        pymap.deliver(house.eu, desk.mail("Super administrateur : it@acme.example\n"))
        intake.drain(intake.Intake(house.app.settings.mailbox("partners-eu"), house.app.database, 1 << 20, now))
        with house.app.database.write() as session:
            session.execute(sqlalchemy.update(models.MessageRow).values(attempts=2))
        watched = Watched(house.app.database)
        office = replace(composition.office(house.app, "a"), rehearsal=cast(confinement.Rehearsal, watched))
        decide.decide_waiting(office, now, lambda: False)
        [record] = house.messages()
        assert watched.attempts == [2]
        assert (record.row["attempts"], record.row["decision"]) == (3, "ticket")
