"""A backup restored: nothing lost, nothing sent twice without a person's word, no number given twice."""

import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, postgres, smtp_sink

from triaged import settings
from triaged.adapters import lifenote, runlock
from triaged.adapters.db import copies, engine, inspections, installation, migrations, models, outbox
from triaged.domain.delivery import State
from triaged.domain.errors import PermanentError, TransientError
from triaged.selftest import children
from triaged.workflows import associate, audit, backup, overview

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
REGIONS = ("eu", "us")
Server = imap_pymap.Pymap | imap_dovecot.Dovecot


def triaged(house: desk.Installation, *words: str) -> tuple[int, str]:
    """The command itself: exit code, and what it said."""
    program = [sys.executable, "-m", "triaged", "-c", str(house.config), *words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def restore(house: desk.Installation, file: Path) -> None:
    database, state_dir = house.app.database, house.app.settings.service.state_dir
    backup.restore(database, file, settings.shipped("migrations"), REGIONS, state_dir, datetime.now(UTC))


def take_back(house: desk.Installation, file: Path) -> None:
    """As the handbook says, for either database."""
    if house.app.database.path:
        restore(house, file)
        return
    house.app.database.dispose()
    url = house.app.database.engine.url
    program = postgres.binaries() / "pg_restore"  # type: ignore[operator]  # installed, or we would not be here
    place = f"host={url.query['host']} user={url.username} dbname={url.database}"
    subprocess.run([program, "--clean", "--if-exists", "--no-owner", "--dbname", place, file], check=True)
    assert triaged(house, "db", "restored")[0] == 0


def attention(house: desk.Installation) -> str:
    return "\n".join(overview.overview(house.app.database, house.app.settings).attention)


def everything_held(house: desk.Installation) -> tuple[int, ...]:
    with house.app.database.read() as session:
        return installation.waiting(session)


def message_ids(relay: smtp_sink.SmtpSink) -> list[str]:
    return [re.search(rb"(?im)^message-id:\s*(\S+)", one.content)[1].decode() for one in relay.deliveries]  # type: ignore[index]


def test_after_a_restore_every_mail_is_a_ticket_and_what_may_have_been_sent_waits_for_a_person(
    house: desk.Installation, imap_server: Server, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "1", number=1))
    house.once()
    relay.manners.refuse_sender = "451 later"
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "2", number=2))
    house.once()  # owed by the backup, sent in the gap
    backup.backup(house.app.database, file)
    assert file.stat().st_mode & 0o777 == 0o600
    relay.manners.refuse_sender = ""
    with house.app.database.write() as session:
        outbox.retry(session, [entry.id for entry in house.queue() if entry.state == "queued"], datetime.now(UTC))
    imap_server.deliver(house.eu, desk.mail(COMPLETE + "3", number=3))
    imap_server.deliver(house.com, desk.mail(COMPLETE + "4", number=4))
    house.once()
    before = {ticket.number for ticket in house.tickets()}
    ids, sent = set(message_ids(relay)), len(relay.deliveries)
    assert (len(before), sent) == (4, 8)

    take_back(house, file)
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
    assert imap_server.mails(house.eu) == []
    assert len(imap_server.mails(house.eu, "Processed")) == 4
    assert "restored from a backup: 6 mails held" in attention(house)

    assert triaged(house, "queue", "release", "--restored")[0] == 0
    house.once()
    assert len(relay.deliveries) == sent + 8
    assert "restored from" not in attention(house)
    looked = audit.audit(house.app.database, house.app.settings, lambda: datetime.now(UTC), audit.Depth(pause=0.0))
    assert looked.differences == ()
    house.once()
    assert len(relay.deliveries) == sent + 8
    assert len(house.messages()) == 5


def test_an_old_backup_in_the_databases_place_is_noticed_at_the_start(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    house, file = sqlite_house, tmp_path / "copy.db"
    pymap.deliver(house.eu, desk.mail(COMPLETE + "1", number=1))
    house.once()
    backup.backup(house.app.database, file)
    pymap.deliver(house.eu, desk.mail(COMPLETE + "2", number=2))
    house.once()
    house.app.database.dispose()
    shutil.copy(file, str(house.app.database.path))
    assert len(relay.deliveries) == 4
    house.once()
    assert len(relay.deliveries) == 4
    assert len(house.tickets()) == 2
    assert [entry.state for entry in house.queue()] == ["sent", "sent", "held", "held"]
    with house.app.database.write() as session:
        outbox.withdraw(session, installation.waiting(session), "sent before")
    house.once()
    house.once()
    assert [entry.state for entry in house.queue()] == ["sent", "sent", "withdrawn", "withdrawn"]
    assert len(relay.deliveries) == 4


@pytest.fixture
def sqlite_house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield house


def test_a_mail_of_the_gap_that_a_person_acts_on_now_is_answered(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    house = sqlite_house
    backup.backup(house.app.database, tmp_path / "b")
    pymap.deliver(house.eu, desk.mail("Bonjour", number=1))
    house.once()
    sent = len(relay.deliveries)
    restore(house, tmp_path / "b")
    house.once()
    assert len(relay.deliveries) == sent
    associate.set_customer(house.bureau(), house.tickets()[0].number, "it@acme.example", datetime.now(UTC))
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
    backup.backup(house.app.database, tmp_path / "b")
    relay.manners.refuse_sender = ""
    restore(house, tmp_path / "b")
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Outbox).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))
    house.once()
    assert {entry.state for entry in house.queue()} == {State.UNCERTAIN}
    assert relay.deliveries == []
    assert "2 mails in doubt" in attention(house)


def test_a_mailbox_that_was_first_read_in_the_gap_gets_its_oldest_mail_back(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    house = sqlite_house
    backup.backup(house.app.database, tmp_path / "b")
    pymap.deliver(house.eu, desk.mail("Bonjour", number=1), at=datetime.now(UTC) - timedelta(days=400))
    house.once()
    assert len(pymap.mails(house.eu, "Processed")) == 1
    restore(house, tmp_path / "b")
    house.once()
    assert [record.row["message_id"] for record in house.messages()] == ["<1@integra.example>"]
    assert len(pymap.mails(house.eu, "Processed")) == 1


def test_a_gap_that_is_marked_again_keeps_its_beginning_until_its_archives_are_rescued(
    database: engine.Database,
) -> None:
    now, hour = datetime(2026, 7, 1, 12, 0, tzinfo=UTC), timedelta(hours=1)

    def marked(since: datetime, until: datetime) -> installation.Gap | None:
        with database.write() as session:
            installation.mark_restored(session, (), since, until)
            return installation.gap(session)

    with database.write() as session:
        session.add(models.Cursor(mailbox="eu", uidvalidity=1, last_uid=1, polled_at=now))
        session.add(models.Cursor(mailbox="com", uidvalidity=1, last_uid=1, polled_at=now))
    assert marked(now - 3 * hour, now - 2 * hour) == installation.Gap(now - 3 * hour, now - 2 * hour)
    with database.write() as session:
        inspections.store(session, installation.rescue_of("eu"), now - hour, [])
    assert marked(now, now + hour) == installation.Gap(now - 3 * hour, now + hour)
    with database.write() as session:
        for mailbox in ("eu", "com"):
            inspections.store(session, installation.rescue_of(mailbox), now + 2 * hour, [])
    assert marked(now + 5 * hour, now + 6 * hour) == installation.Gap(now + 5 * hour, now + 6 * hour)


def test_another_hosts_note_a_year_ahead_does_not_mark_the_gap_again(
    sqlite_house: desk.Installation, tmp_path: Path
) -> None:
    database, other = sqlite_house.app.database, tmp_path / "other"
    other.mkdir()
    lifenote.write(other, database.name, 365 * 24 * 3600 // 15)
    backup.backup(database, tmp_path / "b")
    restore(sqlite_house, tmp_path / "b")
    assert backup.live(database, other, REGIONS, datetime.now(UTC)) is None


def test_a_note_that_another_process_is_writing_is_not_touched(tmp_path: Path) -> None:
    theirs = tmp_path / f"{lifenote.FILE}.new"
    theirs.write_text("half")
    lifenote.write(tmp_path, "t.db", 7)
    assert (theirs.read_text(), lifenote.read(tmp_path, "t.db")) == ("half", 7)


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
    file = tmp_path / "b"
    for spoil, told in ((_no_header, "not a sound"), (_not_ours, "none of triaged"), (_newer, "does not know")):
        backup.backup(sqlite_house.app.database, file, force=True)
        spoil(file)
        with pytest.raises(PermanentError, match=told):
            restore(sqlite_house, file)
    assert not list(tmp_path.glob("t.db.before*"))
    assert triaged(sqlite_house, "db", "restore", str(file))[0] == 1
    assert sqlite_house.tickets() == []


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
    old = engine.Database(f"sqlite:///{tmp_path}/old.db")
    migrations.upgrade(old, settings.shipped("migrations"), "0002")
    old.dispose()
    restore(sqlite_house, tmp_path / "old.db")
    assert migrations.current(sqlite_house.app.database) == migrations.head(settings.shipped("migrations"))
    assert sqlite_house.tickets() == []


def test_restore_waits_for_the_daemon_and_for_whoever_reads(sqlite_house: desk.Installation, tmp_path: Path) -> None:
    file, path = tmp_path / "b", sqlite_house.app.database.path
    assert path is not None
    code, said = triaged(sqlite_house, "db", "backup", str(file))
    assert (code, "secret.key" in said) == (0, True)
    with runlock.RunLock(path.with_name(f"{path.name}.lock")):
        assert triaged(sqlite_house, "db", "restore", str(file))[0] == 75
    other = sqlite3.connect(path)
    other.execute("SELECT count(*) FROM message").fetchall()
    with pytest.raises(TransientError, match="open"):
        restore(sqlite_house, file)
    other.close()
    code, said = triaged(sqlite_house, "db", "restore", str(file))
    assert (code, "the one before is" in said) == (0, True)


def test_a_backup_is_never_replaced_unasked_and_never_half(sqlite_house: desk.Installation, tmp_path: Path) -> None:
    database, file = sqlite_house.app.database, tmp_path / "b"
    backup.backup(database, file)
    with pytest.raises(PermanentError, match="there already"):
        backup.backup(database, file)
    backup.backup(database, file, force=True)
    with pytest.raises(PermanentError, match="the database itself"):
        backup.backup(database, database.path or file, force=True)
    with pytest.raises(TransientError):
        backup.backup(database, tmp_path / "no" / "b")
    assert [path.name for path in tmp_path.glob("*partial*")] == []


def test_a_backup_taken_while_mails_come_in_is_one_moment(
    sqlite_house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, tmp_path: Path
) -> None:
    house = sqlite_house
    child = children.Child([sys.executable, "-m", "triaged", "-c", str(house.config), "run"])
    try:
        child.await_line(lambda lines: any("started" in line for line in lines), 30, "started")
        pymap.deliver(house.eu, *(desk.mail(f"{COMPLETE}{n}", number=n) for n in range(40)))
        taken = 0
        while len(relay.deliveries) < 20 or not taken:
            copy = tmp_path / f"b{taken}"
            backup.backup(house.app.database, copy)
            taken += 1
            with sqlite3.connect(copy) as connection:
                decided = connection.execute("SELECT id FROM message WHERE decision = 'ticket'").fetchall()
                owing = connection.execute("SELECT DISTINCT source_message_id FROM outbox").fetchall()
            connection.close()
            assert sorted(owing) == sorted(decided)  # a ticket and its mails commit together
        assert child.end() == 0
    finally:
        child.end(9)


def test_pg_dump_is_told_everything_but_the_password() -> None:
    database = engine.Database("postgresql+psycopg://us%20er:se%27cret@db.example:5433/tri?sslmode=require")
    told = copies.connection_text(database)
    assert {"host=db.example", "dbname=tri", "user='us", "port=5433", "sslmode=require"} < set(told.split(" "))
    assert "cret" not in told
    database.dispose()
