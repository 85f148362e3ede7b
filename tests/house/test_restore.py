"""A backup restored: nothing lost, nothing sent twice without a person's word, no number given twice."""

import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from click.testing import CliRunner
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, postgres, smtp_sink

from triaged import cli
from triaged.adapters.db import engine, installation, models
from triaged.domain.delivery import State

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
Server = imap_pymap.Pymap | imap_dovecot.Dovecot


def command(house: desk.Installation, *words: str) -> tuple[int, str]:
    house.app.database.dispose()
    done = CliRunner().invoke(cli.main, ["-c", str(house.config), *words], catch_exceptions=False)
    return done.exit_code, done.output


def take_back(house: desk.Installation, backup: Path) -> None:
    """As the handbook says, for either database."""
    if house.app.database.path:
        assert command(house, "db", "restore", str(backup))[0] == 0
        return
    house.app.database.dispose()
    url = house.app.database.engine.url
    program = postgres.binaries() / "pg_restore"  # type: ignore[operator]  # installed, or we would not be here
    place = f"host={url.query['host']} user={url.username} dbname={url.database}"
    subprocess.run([program, "--clean", "--if-exists", "--no-owner", "--dbname", place, backup], check=True)
    assert command(house, "db", "restored")[0] == 0


def message_ids(relay: smtp_sink.SmtpSink) -> list[str]:
    return [re.search(rb"(?im)^message-id:\s*(\S+)", one.content)[1].decode() for one in relay.deliveries]  # type: ignore[index]


def test_after_a_restore_every_mail_is_a_ticket_and_what_may_have_been_sent_waits_for_a_person(
    house: desk.Installation, imap_server: Server, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "1", number=1))
    house.once()
    relay.manners.refuse_sender = "451 later"
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "2", number=2))
    house.once()  # owed by the backup, sent in the gap
    code, said = command(house, "db", "backup", str(backup))
    assert code == 0
    assert "secret.key" in said
    assert backup.stat().st_mode & 0o777 == 0o600
    relay.manners.refuse_sender = ""
    command(house, "queue", "retry", *(str(e.id) for e in house.queue() if e.state == "queued"))
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "3", number=3))
    imap_server.deliver(house.com, desk.mail(COMPLETE + "4", number=4))
    house.once()
    before = {ticket.number for ticket in house.tickets()}
    ids, sent = set(message_ids(relay)), len(relay.deliveries)
    assert (len(before), sent) == (4, 8)

    take_back(house, backup)
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "5", number=5), at=datetime.now(UTC) + timedelta(minutes=1))
    house.once()

    subjects = Counter(r.row["message_id"] for r in house.messages())
    assert subjects == {f"<{n}@integra.example>": 1 for n in (1, 2, 3, 4, 5)}
    now = {ticket.number for ticket in house.tickets()}
    assert len(now) == 5
    assert len(now & before) == 2  # those that the backup knew; the others have numbers that nobody ever had
    assert len(relay.deliveries) == sent + 2  # the new mail alone is answered
    held = [entry for entry in house.queue() if entry.state == "held"]
    assert len(held) == 6
    assert all("restored from a backup" in (entry.last_error or "") for entry in held)
    assert not ids & {entry.message_id for entry in held if entry.ticket not in before}
    assert [house_mail for folder in ("INBOX",) for house_mail in imap_server.mails(house.eu, folder)] == []
    assert len(imap_server.mails(house.eu, "Processed")) == 4
    assert "restored from a backup: 6 mails held" in command(house, "status")[1]

    assert command(house, "queue", "release", "--restored")[0] == 0
    house.once()
    assert len(relay.deliveries) == sent + 8
    assert "restored from" not in command(house, "status")[1]
    house.once()
    assert len(relay.deliveries) == sent + 8
    assert len(house.messages()) == 5


def test_an_old_backup_in_the_databases_place_is_noticed_at_the_start(
    house: desk.Installation, imap_server: Server, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    if house.app.database.path is None:
        pytest.skip("on PostgreSQL the same code; the copy of the file is SQLite's")
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "1", number=1))
    house.once()
    backup = tmp_path / "copy.db"
    command(house, "db", "backup", str(backup))
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "2", number=2))
    house.once()
    house.app.database.dispose()
    shutil.copy(backup, house.app.database.path)
    assert len(relay.deliveries) == 4
    house.once()
    assert len(relay.deliveries) == 4
    assert len(house.tickets()) == 2
    assert [entry.state for entry in house.queue()] == ["sent", "sent", "held", "held"]
    assert command(house, "queue", "withdraw", "--restored")[0] == 0
    house.once()
    house.once()
    assert [entry.state for entry in house.queue()] == ["sent", "sent", "withdrawn", "withdrawn"]
    assert len(relay.deliveries) == 4


@pytest.fixture
def sqlite_house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> desk.Installation:
    return desk.install(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port)


def test_a_mail_of_the_gap_that_a_person_acts_on_now_is_answered(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    house = sqlite_house
    command(house, "db", "backup", str(tmp_path / "b"))
    pymap.deliver(house.eu, desk.mail("Bonjour", number=1))
    house.once()
    sent = len(relay.deliveries)
    command(house, "db", "restore", str(tmp_path / "b"))
    house.once()
    assert len(relay.deliveries) == sent
    number = house.tickets()[0].number
    assert command(house, "ticket", "set-customer", number, "it@acme.example")[0] == 0
    house.once()
    assert len(relay.deliveries) > sent


def test_what_the_backup_shows_in_data_is_in_doubt_and_not_resent(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    house = sqlite_house
    relay.manners.refuse_sender = "451 later"
    pymap.deliver(house.eu, desk.mail(COMPLETE))
    house.once()
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Outbox).values(state="sending", lease_owner="x"))
    command(house, "db", "backup", str(tmp_path / "b"))
    relay.manners.refuse_sender = ""
    command(house, "db", "restore", str(tmp_path / "b"))
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Outbox).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))
    house.once()
    assert {entry.state for entry in house.queue()} == {State.UNCERTAIN}
    assert relay.deliveries == []
    assert "2 mails in doubt" in command(house, "status")[1]


def test_numbers_that_the_gap_may_have_given_are_left_free(database: engine.Database) -> None:
    now = datetime.now(UTC)
    with database.write() as session:
        session.add(models.TicketCounter(region="eu", last=41))
        session.add(_message(1, now - timedelta(days=3)))
    with database.write() as session:
        installation.mark_restored(session, ("eu", "us"), None, now)
    with database.write() as session:
        session.add(_message(2, now))
    with database.read() as session:
        counters = {c.region: c.last for c in session.scalars(sqlalchemy.select(models.TicketCounter))}
        rows = list(session.scalars(sqlalchemy.select(models.MessageRow.id).order_by(models.MessageRow.id)))
    assert counters == {"eu": 1041, "us": 1000}
    assert rows == [1, rows[1]]
    assert rows[1] > 1001


def test_a_busy_house_leaves_more_room(database: engine.Database) -> None:
    now = datetime.now(UTC)
    with database.write() as session:
        session.add(models.TicketCounter(region="eu", last=100_000))
        session.add(_message(1, now - timedelta(days=10)))
        session.add(_message(2, now - timedelta(days=5)))
    with database.write() as session:
        installation.mark_restored(session, (), None, now)
        counter = session.get(models.TicketCounter, "eu")
        assert counter is not None
        assert counter.last == pytest.approx(500_000, abs=100)  # as long again as it lived, four times as busy


def _message(uid: int, at: datetime) -> models.MessageRow:
    return models.MessageRow(
        mailbox="eu", uidvalidity=1, uid=uid, size=1, sha256="0" * 64, received_at=at, fetched_at=at, announced=True
    )


def test_restore_refuses_what_is_no_sound_database_of_ours_and_touches_nothing(
    sqlite_house: desk.Installation, tmp_path: Path
) -> None:
    house, file = sqlite_house, tmp_path / "b"
    before = [ticket.number for ticket in house.tickets()]
    for spoil, told in ((_no_header, "not a sound"), (_not_ours, "none of triaged"), (_newer, "does not know")):
        file.unlink(missing_ok=True)
        assert command(house, "db", "backup", str(file))[0] == 0
        spoil(file)
        code, said = command(house, "db", "restore", str(file))
        assert (code, told in said) == (1, True), said
    assert [ticket.number for ticket in house.tickets()] == before
    assert not list(tmp_path.glob("t.db.before*"))


def _no_header(file: Path) -> None:
    file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])


def _not_ours(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()


def _newer(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def test_an_older_backup_is_brought_up_to_date_as_it_is_restored(
    sqlite_house: desk.Installation, tmp_path: Path
) -> None:
    from triaged import settings
    from triaged.adapters.db import migrations

    old = engine.Database(f"sqlite:///{tmp_path}/old.db")
    migrations.upgrade(old, settings.shipped("migrations"), "0002")
    old.dispose()
    assert command(sqlite_house, "db", "restore", str(tmp_path / "old.db"))[0] == 0
    assert command(sqlite_house, "db", "current")[0] == 0
    assert sqlite_house.tickets() == []


def test_restore_waits_for_the_daemon_and_for_whoever_reads(sqlite_house: desk.Installation, tmp_path: Path) -> None:
    from triaged.adapters import runlock

    command(sqlite_house, "db", "backup", str(tmp_path / "b"))
    path = sqlite_house.app.database.path
    assert path is not None
    with runlock.RunLock(path.with_name(f"{path.name}.lock")):
        assert command(sqlite_house, "db", "restore", str(tmp_path / "b"))[0] == 75
    other = sqlite3.connect(path)
    other.execute("SELECT count(*) FROM message").fetchall()
    code, said = command(sqlite_house, "db", "restore", str(tmp_path / "b"))
    assert code == 75
    assert "open" in said
    other.close()
    assert command(sqlite_house, "db", "restore", str(tmp_path / "b"))[0] == 0


def test_a_backup_is_never_replaced_unasked_and_never_half(sqlite_house: desk.Installation, tmp_path: Path) -> None:
    file = tmp_path / "b"
    assert command(sqlite_house, "db", "backup", str(file))[0] == 0
    assert command(sqlite_house, "db", "backup", str(file))[0] == 1
    assert command(sqlite_house, "db", "backup", "--force", str(file))[0] == 0
    code, said = command(sqlite_house, "db", "backup", "--force", str(sqlite_house.app.database.path))
    assert (code, "the database itself" in said) == (1, True)
    assert command(sqlite_house, "db", "backup", str(tmp_path / "no" / "b"))[0] == 75
    assert [path.name for path in tmp_path.glob("*partial*")] == []


def test_a_backup_taken_while_mails_come_in_is_one_moment(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    house = sqlite_house
    daemon = subprocess.Popen(
        [sys.executable, "-m", "triaged", "-c", str(house.config), "run"], stderr=subprocess.DEVNULL
    )
    try:
        for turn in range(5):
            pymap.deliver(house.eu, *(desk.mail(f"{COMPLETE}{turn}.{n}", number=20 * turn + n) for n in range(10)))
            assert command(house, "db", "backup", str(tmp_path / f"b{turn}"))[0] == 0
            copy = sqlite3.connect(tmp_path / f"b{turn}")
            decided = {row[0] for row in copy.execute("SELECT id FROM message WHERE decision = 'ticket'")}
            owing = {row[0] for row in copy.execute("SELECT DISTINCT source_message_id FROM outbox")}
            assert owing == decided  # a ticket and its mails commit together
            copy.close()
    finally:
        daemon.terminate()
        assert daemon.wait(45) == 0
