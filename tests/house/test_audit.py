"""`triaged audit`: clean after whatever really happens, and every loss, seeded by hand, is named with its place."""

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imapclient
import pytest
import sqlalchemy
from click.testing import CliRunner
from tests.house import desk
from tests.house.test_contracts import order
from tests.house.test_daemon import running
from tests.servers import accounts, imap_dovecot, imap_pymap, imap_scripted, postgres, smtp_sink

from triaged import cli
from triaged.adapters.db import contract_models, engine, hosts, inspections, models
from triaged.domain.accounting import Check
from triaged.workflows import audit, overview

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
Server = imap_pymap.Pymap | imap_dovecot.Dovecot
# Each server and each database, but not each with each.
ONCE_EACH = pytest.mark.parametrize(
    ("database_url", "imap_server"),
    [
        pytest.param("sqlite", "dovecot", marks=pytest.mark.dovecot),
        pytest.param("postgresql", "pymap", marks=pytest.mark.postgres),
    ],
    indirect=True,
)
Seed = tuple[
    type[models.Base], dict[str, object], dict[str, object] | None
]  # table, which row, new values (None: gone)


def look(house: desk.Installation, **depth: Any) -> audit.Audited:
    settings = audit.Depth(**{"deep": True, "pause": 0.05, **depth})
    return audit.audit(house.app.database, house.app.settings, lambda: datetime.now(UTC), settings)


def told(audited: audit.Audited) -> list[str]:
    return [f"{one.check}: {one.text}" for one in audited.differences]


def named(audited: audit.Audited) -> set[tuple[str, int | None]]:
    return {(one.check.value, one.uid) for one in audited.differences}


def run(house: desk.Installation, *words: str) -> tuple[int, str]:
    """The command itself: exit code and what it printed."""
    result = CliRunner().invoke(cli.main, ["-c", str(house.config), "audit", *words])
    return result.exit_code, result.output


def numbered(house: desk.Installation, number: int) -> dict[str, Any]:
    """The ledger's row of the mail that `desk.mail` made as `number`."""
    return next(one.row for one in house.messages() if str(one.row["message_id"]).startswith(f"<{number}@"))


def busy(house: desk.Installation, server: Server) -> None:
    """A day's mail: tickets, a reply, machines, strangers, something unreadable, a copy in two mailboxes."""
    server.deliver(house.eu, *(desk.mail(COMPLETE, number=n, subject=f"Panne {n}") for n in range(1, 6)))
    house.once()
    copied = desk.mail(COMPLETE, number=14)
    server.deliver(
        house.eu,
        desk.mail("Merci, encore un mot.\n", number=10, subject=f"Re: [{house.tickets()[0].number}] Panne"),
        desk.mail(COMPLETE, number=11, signed=False),
        desk.mail(COMPLETE, number=12, sender="a@stranger.example"),
        desk.mail("Je suis absent.\n", number=13, extra="Auto-Submitted: auto-replied\r\n"),
        copied,
    )
    dirty = desk.mail("x", number=15, subject="a\rX: y")
    server.deliver(house.com, b"Delivered-To: second@eu.vendor.example\r\n" + copied, dirty)
    house.once()


@contextlib.contextmanager
def person(mailbox: accounts.Mailbox, folder: str = "INBOX") -> Iterator[imapclient.IMAPClient]:
    """Somebody at the mailbox with a mail program."""
    client = imapclient.IMAPClient("127.0.0.1", port=mailbox.port, ssl=False)
    client.login(mailbox.username, "secret")
    client.select_folder(folder)
    yield client
    client.logout()


# --- clean, whatever really happens -----------------------------------------------------------------------------------


@ONCE_EACH
def test_a_busy_day_is_clean_and_nothing_on_the_server_changes(house: desk.Installation, imap_server: Server) -> None:
    busy(house, imap_server)
    imap_server.deliver(house.eu, desk.mail("Encore une.\n", number=20))
    before = _flags_and_bytes(imap_server, house.eu)
    audited = look(house)
    assert told(audited) == []
    assert audited.clean
    assert (audited.looked_at[Check.DECISIONS], audited.facts["mails waiting on servers"]) == (12, 1)
    assert audited.looked_at[Check.ARCHIVE] >= 5
    assert audited.looked_at[Check.DUTIES] >= 12
    assert _flags_and_bytes(imap_server, house.eu) == before


def _flags_and_bytes(server: Server, mailbox: accounts.Mailbox) -> list[tuple[bytes, set[str]]]:
    return [(raw, flags) for folder in ("INBOX", "Processed") for _, raw, flags in server.mails(mailbox, folder)]


@ONCE_EACH
def test_a_mail_moved_back_into_the_folder_or_removed_by_a_person_is_clean(
    house: desk.Installation, imap_server: Server
) -> None:
    busy(house, imap_server)
    with person(house.eu, "Processed") as somebody:
        somebody.move([somebody.search(["ALL"])[0]], "INBOX")
        somebody.delete_messages([somebody.search(["ALL"])[-1]])
        somebody.expunge()
    house.once()
    assert house.messages()[-1].row["decision"] == "duplicate"
    assert told(look(house)) == []


def test_no_false_difference_while_a_daemon_stores_and_moves_a_stream_of_mails(
    tmp_path: Path, database_url: str, dovecot: imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, database_url, dovecot, relay.port) as house, running(house) as daemon:
        turns = threading.Semaphore(0)

        def post() -> None:
            for number in range(0, 200, 2):
                turns.acquire()
                mails = (desk.mail(COMPLETE, number=n) for n in (number, number + 1))
                dovecot.deliver(house.com if number % 4 else house.eu, *mails)

        poster = threading.Thread(target=post)
        poster.start()
        audits = []
        for _ in range(20):
            turns.release(5)  # ten mails come while we look, and the daemon is at those before
            audits.append(look(house, deep=False))
        poster.join()
        daemon.await_line(lambda lines: sum(" decision=" in line for line in lines) == 200, timeout=60)
        audits.append(look(house))
    assert [told(one) for one in audits] == [[]] * 21
    assert len({one.looked_at[Check.DECISIONS] for one in audits}) > 3, "the audits saw the ledger grow"


# --- what the server shows --------------------------------------------------------------------------------------------


@pytest.fixture
def flagged(
    tmp_path: Path, database_url: str, imap_server: Server, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    """A house without an archive: its mails stay in the folder."""
    with desk.installed(tmp_path, database_url, imap_server, relay.port, archive=False) as house:
        vacation = desk.mail("Je suis absent.\n", number=13, extra="Auto-Submitted: auto-replied\r\n")
        imap_server.deliver(house.eu, *(desk.mail(COMPLETE, number=n) for n in (1, 2)), vacation)
        house.once()
        yield house


@ONCE_EACH
def test_a_row_that_is_gone_is_named_by_its_uid(flagged: desk.Installation) -> None:
    row = numbered(flagged, 13)
    with seeded(flagged.app.database, (models.MessageRow, {"id": row["id"]}, None)):
        audited = look(flagged)
    assert named(audited) == {("server", row["uid"])}
    assert audited.differences[0].mailbox == "partners-eu"
    assert f"UID {row['uidvalidity']}/{row['uid']} " in audited.differences[0].text
    assert told(look(flagged)) == []


@ONCE_EACH
def test_mail_behind_the_cursor_is_named(flagged: desk.Installation, imap_server: Server) -> None:
    uid = _free(flagged)
    imap_server.sneak(flagged.eu, desk.mail(COMPLETE, number=99), uid)
    assert named(look(flagged)) == {("server", uid)}
    flagged.once()
    assert named(look(flagged)) == {("server", uid)}, "no poll looks below the cursor"
    with person(flagged.eu) as somebody:  # what the difference says is to be done
        somebody.create_folder("Aside")
        somebody.move([uid], "Aside")
        somebody.select_folder("Aside")
        somebody.move(somebody.search(["ALL"]), "INBOX")
    flagged.once()
    assert told(look(flagged)) == []


def _free(house: desk.Installation) -> int:
    """A UID below the cursor that no mail and no row has: as if its mail came late."""
    row = numbered(house, 13)
    with person(house.eu) as somebody:
        somebody.delete_messages([row["uid"]])
        somebody.expunge()
    with house.app.database.write() as session:
        session.execute(sqlalchemy.delete(models.MessageRow).where(models.MessageRow.id == row["id"]))
    return int(row["uid"])


@ONCE_EACH
def test_a_folder_made_anew_is_said_as_such_until_a_poll_has_seen_it(
    flagged: desk.Installation, imap_server: Server
) -> None:
    imap_server.renumber(flagged.eu)
    (one,) = look(flagged).differences
    assert (one.check, one.uid) == ("server", None)
    assert "made anew" in one.text
    flagged.once()
    assert told(look(flagged)) == []
    assert len(flagged.tickets()) == 2


@ONCE_EACH
def test_a_mail_that_a_person_archived_before_the_poll_is_named_until_it_comes_back(
    house: desk.Installation, imap_server: Server
) -> None:
    busy(house, imap_server)
    imap_server.deliver(house.eu, desk.mail(COMPLETE, number=30))
    with person(house.eu) as somebody:
        somebody.move(somebody.search(["ALL"]), "Processed")
    house.once()
    (hidden,) = [u for u, raw, _ in imap_server.mails(house.eu, "Processed") if b"<30@integra.example>" in raw]
    assert named(look(house)) == {("archive", hidden)}
    assert told(look(house, since=timedelta())) == []
    with person(house.eu, "Processed") as somebody:
        somebody.move([hidden], "INBOX")
    house.once()
    assert told(look(house)) == []


@ONCE_EACH
def test_mail_that_nobody_polls_waits_since(house: desk.Installation, imap_server: Server) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    imap_server.deliver(house.eu, desk.mail(COMPLETE), desk.mail(COMPLETE, number=2), at=at)
    (one,) = look(house).differences
    assert (one.check, one.mailbox, one.uid) == ("server", "partners-eu", imap_server.mails(house.eu)[0][0] or one.uid)
    assert f"2 mails wait in the folder, the oldest since {at:%Y-%m-%d %H:%M} UTC" in one.text
    with house.app.database.write() as session:
        polled = {"partners-eu": {"state": "polling", "at": str(datetime.now(UTC))}}
        hosts.beat(session, "somebody", "host", 1, polled)
    assert told(look(house)) == [], "a daemon is on its way through them"
    with house.app.database.write() as session:
        late = {"partners-eu": {"state": "backoff", "at": str(datetime.now(UTC))}}
        hosts.beat(session, "somebody", "host", 1, late)
    assert len(look(house).differences) == 1


def test_the_command_says_by_its_exit_code_what_it_found(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port, archive=False) as house:
        pymap.deliver(house.com, desk.mail("Je suis absent.\n", extra="Auto-Submitted: auto-replied\r\n"))
        house.once()
        code, printed = run(house)
        assert (code, "nothing is lost" in printed) == (0, True)
        (row,) = (one.row for one in house.messages())
        with seeded(house.app.database, (models.MessageRow, {"id": row["id"]}, None)):
            code, printed = run(house, "--json")
            assert f"UID {row['uidvalidity']}/{row['uid']} " in run(house)[1]
        document = json.loads(printed)
        assert (code, document["clean"]) == (1, False)
        assert {"name": "server", "looked_at": 1, "differences": 1} in document["checks"]
        (one,) = document["differences"]
        assert (one["check"], one["mailbox"], one["uid"]) == ("server", "partners-com", row["uid"])
        dead = f"port = {accounts.free_port()}"
        house.config.write_text(house.config.read_text().replace(f"port = {pymap.port}", dead, 1))
        code, printed = run(house, "--json")
        document = json.loads(printed)
        assert (code, document["clean"], document["differences"]) == (4, False, [])
        assert document["unreachable"][0].startswith("partners-com: 127.0.0.1:")
        assert {"name": "decisions", "looked_at": 1, "differences": 0} in document["checks"]
        assert run(house, "--offline")[0] == 0
        assert run(house, "--since", "soon")[0] == 2


def test_uids_are_listed_in_windows_and_only_read(tmp_path: Path, relay: smtp_sink.SmtpSink) -> None:
    """200,000 UIDs: no answer of the server grows over a window's; the folder is only examined."""
    asked: list[tuple[int, int]] = []

    async def search(writer: Any, tag: str) -> None:
        first, last = (int(n) for n in server.commands[-1].split()[-1].split(":"))
        asked.append((first, last))
        shown = " ".join(str(uid) for uid in range(first, last + 1))
        writer.write(f"* SEARCH {shown}\r\n{tag} OK done\r\n".encode())

    answers = {
        "EXAMINE": "* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 200001] ok\r\n{tag} OK [READ-ONLY] open\r\n",
        "UID SEARCH": search,
        "LIST": '* LIST () "/" INBOX\r\n{tag} OK done\r\n',
        "UID FETCH": "{tag} OK done\r\n",
    }
    server = imap_scripted.Scripted(answers)  # type: ignore[arg-type]  # a coroutine function is a Speak
    try:
        with desk.installed(
            tmp_path, f"sqlite:///{tmp_path}/t.db", _Scripted(server), relay.port, archive=False
        ) as house:
            audited = look(house)
    finally:
        server.stop()
    assert audited.looked_at[Check.SERVER] == 2 * 200_000
    assert len(asked) == 80
    assert max(last - first for first, last in asked) < 5_000
    words = {command.split(" ", 1)[0] for command in server.commands} | {
        c.split()[1] for c in server.commands if c.startswith("UID ")
    }
    assert words <= {"CAPABILITY", "LOGIN", "LIST", "EXAMINE", "UID", "SEARCH", "FETCH", "LOGOUT"}


class _Scripted:
    """The scripted server as `desk.install` asks for mailboxes."""

    def __init__(self, server: imap_scripted.Scripted) -> None:
        self.mailbox = server.mailbox


# --- what the tables say ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def seeded(database: engine.Database, *seeds: Seed) -> Iterator[None]:
    """The fault is there inside the block, and mended after it. A deleted ledger row takes its bytes along."""
    kept: list[tuple[sqlalchemy.Table, dict[str, Any]]] = []
    with _unchecked(database) as connection:
        for model, which, values in seeds:
            table = sqlalchemy.inspect(model).local_table
            where = sqlalchemy.and_(*(table.c[name] == value for name, value in which.items()))
            rows = [(table, dict(row)) for row in connection.execute(sqlalchemy.select(table).where(where)).mappings()]
            assert rows, f"the seed {model.__name__} {which} is about no row"
            if model is models.MessageRow and values is None:
                raw = sqlalchemy.inspect(models.RawRow).local_table
                own = sqlalchemy.select(raw).where(raw.c.message_id.in_([row["id"] for _, row in rows]))
                rows += [(raw, dict(row)) for row in connection.execute(own).mappings()]
                connection.execute(
                    sqlalchemy.delete(raw).where(raw.c.message_id.in_([row["id"] for _, row in rows[:-1]]))
                )
            kept += rows
            change = sqlalchemy.delete(table) if values is None else sqlalchemy.update(table).values(**values)
            connection.execute(change.where(where))
    yield
    with _unchecked(database) as connection:
        for table, row in kept:
            key = [table.c[column.name] == row[column.name] for column in table.primary_key]
            connection.execute(sqlalchemy.delete(table).where(*key))
            connection.execute(sqlalchemy.insert(table).values(**row))


@contextlib.contextmanager
def _unchecked(database: engine.Database) -> Iterator[sqlalchemy.Connection]:
    """A transaction in which references may lead nowhere."""
    sqlite = database.dialect == "sqlite"
    with database.engine.connect() as connection:
        if sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=0")
        else:
            connection.execute(sqlalchemy.text("SET session_replication_role = replica"))
        yield connection
        connection.commit()
        if sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=1")
        else:
            connection.execute(sqlalchemy.text("SET session_replication_role = DEFAULT"))
            connection.commit()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pymap: imap_pymap.Pymap
) -> Iterator[desk.Installation]:
    """One busy day at both desks, which every seed finds as it was."""
    folder = tmp_path_factory.mktemp("settled")
    sink = smtp_sink.SmtpSink()
    server: postgres.Postgres | None = request.getfixturevalue("postgresql") if request.param != "sqlite" else None
    url = server.fresh_database() if server else f"sqlite:///{folder}/t.db"
    with desk.installed(folder, url, pymap, sink.port, contracts=True) as house:
        busy(house, pymap)
        pymap.deliver(house.select, desk.mail(order(), number=40, subject="Commande"))
        house.once()
        assert told(look(house, offline=True)) == []
        yield house
    sink.stop()


LONG_AGO = datetime.now(UTC) - timedelta(hours=3)
Mail, Owed, History = models.MessageRow, models.Outbox, models.Event
FAULTS: dict[str, tuple[Seed, set[str]]] = {
    "an event that opened a ticket": ((History, {"message_id": 1, "kind": "opened"}, None), {"decisions", "tickets"}),
    "a reply's event": ((History, {"kind": "reply"}, None), {"decisions"}),
    "a mail that we owe": ((Owed, {"cause": "m1", "notice": "ticket_opened"}, None), {"duties"}),
    "its cause": ((Owed, {"cause": "m2", "notice": "priority_alert"}, {"cause": "m999"}), {"duties", "queue"}),
    "a cause that nobody knows": (
        (Owed, {"cause": "m2", "notice": "priority_alert"}, {"cause": "?"}),
        {"duties", "queue"},
    ),
    "when it was sent": ((Owed, {"cause": "m1", "notice": "ticket_opened"}, {"sent_at": None}), {"queue"}),
    "owed, and never sent": (
        (Owed, {"cause": "m1", "notice": "ticket_opened"}, {"state": "queued", "due_at": LONG_AGO}),
        {"queue"},
    ),
    "owed, without its bytes": (
        (Owed, {"cause": "m1", "notice": "ticket_opened"}, {"state": "held", "body": None}),
        {"queue"},
    ),
    "in DATA for hours": (
        (
            Owed,
            {"cause": "m1", "notice": "ticket_opened"},
            {"state": "sending", "lease_owner": "x", "lease_until": LONG_AGO},
        ),
        {"queue"},
    ),
    "stored bytes": ((models.RawRow, {"message_id": 3}, None), {"bytes"}),
    "bytes that are none": ((models.RawRow, {"message_id": 3}, {"zstd": b"not zstd"}), {"bytes"}),
    "another mail's bytes": ((Mail, {"id": 3}, {"sha256": "0" * 64}), {"bytes"}),
    "a receipt": ((Mail, {"id": 4}, {"receipt": sqlalchemy.null()}), {"decisions"}),
    "a ticket": ((Mail, {"id": 4}, {"ticket_id": None}), {"decisions", "tickets"}),
    "a first copy": ((Mail, {"decision": "duplicate"}, {"duplicate_of": None}), {"decisions"}),
    "never decided": (
        (Mail, {"id": 4}, {"state": "received", "decision": None, "attempts": 2, "fetched_at": LONG_AGO}),
        {"decisions"},
    ),
    "claimed for hours": (
        (Mail, {"id": 4}, {"state": "received", "decision": None, "lease_owner": "x", "lease_until": LONG_AGO}),
        {"decisions"},
    ),
    "a contract": ((contract_models.Contract, {"id": 1}, {"licences": 41}), {"contracts"}),
    "licences": ((contract_models.EstateEntry, {"contract_id": 1, "kind": "purchased"}, None), {"contracts"}),
    "a cancellation without its entry": ((contract_models.Contract, {"id": 1}, {"state": "cancelled"}), {"contracts"}),
    "an order": ((contract_models.PurchaseOrder, {"id": 1}, {"state": "rejected"}), {"contracts"}),
    "an invitation": ((contract_models.Invitation, {"contract_id": 1}, None), {"contracts"}),
    "an invitation's mail": ((Owed, {"notice": "invitation"}, None), {"duties", "contracts"}),
    "confirmations": ((Owed, {"notice": "order_confirmed"}, None), {"duties", "contracts"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_tables_lost_is_named(settled: desk.Installation, fault: str) -> None:
    seed, checks = FAULTS[fault]
    with seeded(settled.app.database, seed):
        audited = look(settled, offline=True)
    assert {one.check.value for one in audited.differences} - {"database"} == checks, told(audited)
    for one in audited.differences:
        assert one.fix
        assert one.message is None or one.check in ("queue", "tickets", "contracts") or one.uid is not None


def test_a_row_of_the_ledger_that_tickets_and_mails_come_from_is_missed_by_them(settled: desk.Installation) -> None:
    with seeded(settled.app.database, (Mail, {"id": 1}, None)):
        audited = look(settled, offline=True)
    assert {one.check.value for one in audited.differences} - {"database"} == {"tickets", "queue"}
    assert all("message 1," in one.text or "m1," in one.text for one in audited.differences if one.check != "database")


def test_two_tickets_of_one_mail_are_named_with_both_uids(settled: desk.Installation) -> None:
    one, other = numbered(settled, 1), numbered(settled, 2)
    twin: Seed = (Mail, {"id": other["id"]}, {"sha256": one["sha256"]})
    with seeded(settled.app.database, twin):
        audited = look(settled, offline=True, deep=False)
    (found,) = [one for one in audited.differences if one.check == "duplicates"]
    assert f"({one['mailbox']} {one['uid']})" in found.text
    assert f"({other['mailbox']} {other['uid']})" in found.text


def test_what_a_dead_daemon_holds_is_named_only_once_a_living_one_had_the_time_to_take_it(
    settled: desk.Installation,
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=9)
    held: Seed = (Mail, {"id": 4}, {"state": "received", "lease_owner": "dead", "lease_until": soon})
    with seeded(settled.app.database, held):
        assert told(look(settled, offline=True)) == []
        with settled.app.database.write() as session:
            hosts.beat(session, "living", "host", 1, {})
            session.execute(sqlalchemy.update(models.Host).values(started_at=LONG_AGO))
        (one,) = look(settled, offline=True).differences
        assert "no longer lives" in one.text
        with settled.app.database.write() as session:
            hosts.leave(session, "living")


def test_what_is_wrong_for_a_moment_only_is_no_difference(settled: desk.Installation) -> None:
    class Mending(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            fault.close()
            return False

    fault = contextlib.ExitStack()
    fault.enter_context(seeded(settled.app.database, (models.RawRow, {"message_id": 3}, None)))
    app = settled.app
    found = audit.audit(app.database, app.settings, lambda: datetime.now(UTC), audit.Depth(offline=True), Mending())
    assert told(found) == []


# --- who hears of it --------------------------------------------------------------------------------------------------


@ONCE_EACH
def test_the_night_writes_each_difference_into_the_log_and_status_says_so(
    flagged: desk.Installation, caplog: pytest.LogCaptureFixture
) -> None:
    app, row = flagged.app, numbered(flagged, 13)
    with seeded(app.database, (Mail, {"id": row["id"]}, None)):
        audit.nightly(app.database, app.settings, lambda: datetime.now(UTC), _at_once())
    lines = [
        record.msg["pairs"] for record in caplog.records if isinstance(record.msg, dict) and record.levelname == "ERROR"
    ]
    assert f"/{row['uid']} " in lines[0]["text"]
    assert lines[-1]["differences"] == 1
    (sentence,) = [s for s in _attention(flagged) if "audit" in s]
    assert "1 difference" in sentence
    look(flagged)
    assert not [s for s in _attention(flagged) if "audit" in s]
    with app.database.write() as session:
        inspections.store(session, audit.NAME, datetime.now(UTC) - timedelta(days=3), [])
    assert [s for s in _attention(flagged) if "audit" in s]


def _at_once() -> threading.Event:
    over = threading.Event()
    over.set()
    return over


def _attention(house: desk.Installation) -> tuple[str, ...]:
    return overview.overview(house.app.database, house.app.settings).attention


def test_uids_are_told_as_ranges() -> None:
    assert audit.ranges([3, 4, 5, 9]) == "3:5,9"
    assert audit.ranges(range(1, 99, 2), most=2) == "1,3…"
