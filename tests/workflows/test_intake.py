"""Intake on real servers, with the wire watched: nothing lost, nothing twice, nothing marked before the commit."""

import asyncio
import contextlib
import dataclasses
import hashlib
import io
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from tests.servers import accounts, imap_dovecot, imap_pymap, imap_scripted

from triaged import log
from triaged.adapters import imap
from triaged.adapters.db import engine, ledger, models
from triaged.domain.errors import PermanentError, TransientError
from triaged.selftest import wire
from triaged.workflows import intake

Server = imap_pymap.Pymap | imap_dovecot.Dovecot
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
LIMIT = 1 << 20


def story(mailbox: accounts.Mailbox, database: engine.Database, **changes: Any) -> intake.Intake:
    return intake.Intake(**{"mailbox": mailbox, "database": database, "limit": LIMIT, "now": lambda: NOW, **changes})


def rows(database: engine.Database, mailbox: accounts.Mailbox) -> list[models.MessageRow]:
    with database.read() as session:
        table = models.MessageRow
        return list(session.scalars(sqlalchemy.select(table).where(table.mailbox == mailbox.name).order_by(table.id)))


def raws(database: engine.Database, mailbox: accounts.Mailbox) -> list[bytes]:
    found = rows(database, mailbox)
    with database.read() as session:
        return [ledger.raw(session, row.id) for row in found]


@pytest.fixture
def lite(tmp_path: Any) -> Iterator[engine.Database]:
    """SQLite where the database is not the point."""
    database = engine.Database(f"sqlite:///{tmp_path}/lite.db")
    models.Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.configure("text", stream)
    yield stream
    log.configure("text", io.StringIO())


@pytest.fixture
def line(imap_server: Server) -> Iterator[wire.Wire]:
    """A wire before the real server."""
    line = wire.Wire(imap_server.port)
    yield line
    line.stop()


# --- a poll


def test_every_mail_becomes_one_row_with_its_bytes_before_anything_reads_it(
    imap_server: Server, database: engine.Database
) -> None:
    mailbox, mails = imap_server.mailbox(), [accounts.mail(n) for n in range(3)] + [b"no mail at all", b""]
    arrived = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    imap_server.deliver(mailbox, *mails[:4], at=arrived)
    polled = intake.drain(story(mailbox, database))
    assert polled.stored == 4
    assert raws(database, mailbox) == mails[:4]
    found = rows(database, mailbox)
    assert [row.sha256 for row in found] == [hashlib.sha256(mail).hexdigest() for mail in mails[:4]]
    assert {(row.received_at, row.fetched_at, row.state, row.truncated) for row in found} == {
        (arrived, NOW, "received", False)
    }
    with database.read() as session:
        assert ledger.position(session, mailbox.name) == ledger.Position(found[-1].uidvalidity, found[-1].uid)


def test_a_second_poll_and_a_restart_repeat_nothing(imap_server: Server, database: engine.Database) -> None:
    mailbox = imap_server.mailbox()  # left in place: the cursor alone tells what is known
    imap_server.deliver(mailbox, accounts.mail(1), accounts.mail(2))
    assert intake.drain(story(mailbox, database)).stored == 2
    assert intake.drain(story(mailbox, database)).stored == 0
    imap_server.deliver(mailbox, accounts.mail(3))
    assert intake.drain(story(mailbox, database)).stored == 1
    assert raws(database, mailbox) == [accounts.mail(1), accounts.mail(2), accounts.mail(3)]


def test_a_person_who_reads_or_deletes_does_not_disturb(imap_server: Server, lite: engine.Database) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail(1), accounts.mail(2), accounts.mail(3))
    person = imap.connect(mailbox, LIMIT)
    person.select()
    first, second, _ = person.uids(1, None)
    person._client.add_flags([first], [rb"\Seen"])
    person._client.add_flags([second], [rb"\Deleted"])
    person._client.expunge()
    person.close()
    assert intake.drain(story(mailbox, lite)).stored == 2
    assert raws(lite, mailbox) == [accounts.mail(1), accounts.mail(3)]


def test_batches_are_bounded_and_each_wakes_the_next_stage(
    imap_server: Server, lite: engine.Database, line: wire.Wire
) -> None:
    mailbox = imap_server.mailbox(port=line.port, archive="Processed")
    imap_server.deliver(mailbox, *map(accounts.mail, range(120)))
    woken: list[int] = []
    polled = intake.drain(story(mailbox, lite, wake=lambda: woken.append(len(rows(lite, mailbox)))))
    assert (polled.stored, polled.tidied) == (120, 120)
    assert woken == [50, 100, 120]
    fetches = re.findall(rb"UID FETCH ([\d,]+) \(BODY", line.said())
    assert [fetch.count(b",") + 1 for fetch in fetches] == [50, 50, 20]


def test_two_hundred_mails_are_in_within_seconds(imap_server: Server, lite: engine.Database) -> None:
    mailbox = imap_server.mailbox(archive="Processed")
    imap_server.deliver(mailbox, *(accounts.mail(number, 10_000) for number in range(200)))
    began = time.monotonic()
    assert intake.drain(story(mailbox, lite)).stored == 200
    assert time.monotonic() - began < 5


def listed(*sizes: int) -> list[imap.Listed]:
    return [imap.Listed(uid, size, NOW) for uid, size in enumerate(sizes, 1)]


def test_a_batch_ends_at_its_count_its_bytes_and_around_an_oversized_mail() -> None:
    def cut(*sizes: int) -> list[list[int]]:
        return [[mail.size for mail in batch] for batch in intake._bounded(listed(*sizes), 10 << 20, drops={7})]

    mega = 1 << 20
    assert cut(*[1] * 5) == [[1] * 5]
    assert cut(*[1] * 108) == [[1] * 6, [1], [1] * 50, [1] * 50, [1]]  # 7 was dropped once: alone
    assert cut(5 * mega, 3 * mega, 1) == [[5 * mega, 3 * mega], [1]]
    assert cut(9 * mega, 1) == [[9 * mega], [1]]
    assert cut(1, 11 * mega, 12 * mega, 1) == [[1], [11 * mega], [12 * mega], [1]]
    assert cut() == []


def test_uids_are_searched_in_windows_that_meet_without_a_gap() -> None:
    place = intake._Place(1, 10, 10_012)
    assert list(intake._windows(place)) == [(11, 5_010), (5_011, 10_010), (10_011, 10_012)]
    assert list(intake._windows(intake._Place(1, 10, 10))) == []
    assert list(intake._windows(intake._Place(1, 10, None))) == [(11, None)]


def test_an_oversized_mail_is_taken_header_only_with_its_true_size(
    imap_server: Server, database: engine.Database, line: wire.Wire
) -> None:
    mailbox, large = imap_server.mailbox(port=line.port), accounts.mail(2, 300_000)
    imap_server.deliver(mailbox, accounts.mail(1), large, accounts.mail(3))
    intake.drain(story(mailbox, database, limit=100_000))
    assert [(row.truncated, row.size) for row in rows(database, mailbox)] == [
        (False, len(accounts.mail(1))),
        (True, len(large)),
        (False, len(accounts.mail(3))),
    ]
    assert raws(database, mailbox)[1] == large.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert len(line.said(sent=False)) < 50_000


# --- a folder made anew


def test_a_changed_uidvalidity_is_read_from_the_first_mail_and_told(
    imap_server: Server, database: engine.Database, logged: io.StringIO
) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail(1), accounts.mail(2))
    intake.drain(story(mailbox, database))
    imap_server.renumber(mailbox)
    imap_server.deliver(mailbox, accounts.mail(3))
    assert intake.drain(story(mailbox, database)).stored == 3  # deciding recognises the two by their bytes
    first, *_, last = rows(database, mailbox)
    assert (last.uidvalidity, last.uid) == (first.uidvalidity + 1, 3)
    assert "state=renumbered" in logged.getvalue()
    assert intake.drain(story(mailbox, database)).stored == 0


def test_a_folder_made_anew_under_the_same_uidvalidity_loses_no_mail(
    imap_server: Server, database: engine.Database, logged: io.StringIO
) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, *map(accounts.mail, range(5)))
    intake.drain(story(mailbox, database))
    person = imap.connect(mailbox, LIMIT)
    person.select()
    person._client.delete_messages(person.uids(1, None))
    person._client.expunge()
    person.close()
    imap_server.renumber(mailbox, step=0)
    imap_server.deliver(mailbox, accounts.mail(77))  # the same UID as one that was stored, and another mail
    for expected in (1, 0):
        assert intake.drain(story(mailbox, database)).stored == expected
    assert raws(database, mailbox)[5:] == [accounts.mail(77)]
    assert logged.getvalue().count("state=renumbered") == 1


def test_a_uidvalidity_that_comes_back_is_not_taken_for_the_old_folder(
    imap_server: Server, lite: engine.Database
) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail(1))
    for step in (0, 1, -1, 1, -1):
        if step:
            imap_server.renumber(mailbox, step=step)
        assert intake.drain(story(mailbox, lite)).stored == 1


# --- commit, then mark


class Watched(engine.Database):
    """Remembers when each transaction was surely on disk, and how many mails were."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.commits: list[tuple[float, int]] = []
        self.full = False

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        if self.full:
            raise TransientError("database: database or disk is full")
        with super().write() as session:
            yield session
        with self.read() as session:
            count = session.scalar(sqlalchemy.select(sqlalchemy.func.count(models.MessageRow.id)))
        self.commits.append((time.monotonic(), count or 0))


@pytest.fixture
def watched(database_url: str) -> Iterator[Watched]:
    database = Watched(database_url)
    models.Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.mark.parametrize("archive", ["Processed", None])
def test_nothing_is_marked_on_the_server_before_its_commit(
    archive: str | None, imap_server: Server, watched: Watched, line: wire.Wire
) -> None:
    mailbox = imap_server.mailbox(port=line.port, archive=archive)
    imap_server.deliver(mailbox, *map(accounts.mail, range(120)))
    intake.drain(story(mailbox, watched))
    marks = [
        (chunk.at, len(re.findall(rb"\d+", match[1])))
        for chunk in line.chunks
        if chunk.sent and (match := re.search(rb"UID (?:MOVE|STORE|COPY) ([\d,]+)", chunk.data))
    ]
    marked = 0
    for at, count in marks:
        marked += count
        assert max(stored for done, stored in watched.commits if done < at) >= marked
    assert marked == (120 if archive or imap_server.keeps_keywords else 0)


def test_a_full_database_leaves_the_server_alone_and_resumes_by_itself(
    imap_server: Server, watched: Watched, line: wire.Wire
) -> None:
    mailbox = imap_server.mailbox(port=line.port, archive="Processed")
    imap_server.deliver(mailbox, accounts.mail(1))
    watched.full = True
    with running(story(mailbox, watched)) as states:
        reason = str(states.await_state("backoff")["reason"])
        assert reason == "database: database or disk is full"
        assert not line.times(rb"UID (MOVE|STORE|COPY)")
        watched.full = False
        states.await_state("waiting")
    assert raws(watched, mailbox) == [accounts.mail(1)]
    assert imap_server.mails(mailbox) == []


@pytest.mark.parametrize("let_through", [False, True], ids=["before the server", "before the answer"])
def test_a_connection_cut_at_the_move_is_mended_by_the_next_poll(
    let_through: bool, imap_server: Server, lite: engine.Database, line: wire.Wire
) -> None:
    mailbox = imap_server.mailbox(port=line.port, archive="Processed")
    imap_server.deliver(mailbox, accounts.mail(1), accounts.mail(2))
    line.cut_on, line.let_through = rb"UID MOVE", let_through
    with pytest.raises(TransientError):
        intake.drain(story(mailbox, lite))
    assert len(rows(lite, mailbox)) == 2
    line.cut_on = None
    polled = intake.drain(story(mailbox, lite))
    assert (polled.stored, polled.tidied) == (0, 2)
    assert imap_server.mails(mailbox) == []
    assert sorted(raw for _, raw, _ in imap_server.mails(mailbox, "Processed")) == [accounts.mail(1), accounts.mail(2)]


def test_cut_anywhere_nothing_is_lost_or_doubled(imap_server: Server, lite: engine.Database) -> None:
    mails = [accounts.mail(number, 500) for number in range(4)]
    for cut_after in range(60, 4500, 370):
        line = wire.Wire(imap_server.port, cut_after)
        mailbox = imap_server.mailbox(archive="Processed")
        imap_server.deliver(mailbox, *mails)
        through = accounts.Mailbox(mailbox.name, port=line.port, username=mailbox.username, archive="Processed")
        with contextlib.suppress(TransientError):
            intake.drain(story(through, lite))
        line.stop()
        intake.drain(story(mailbox, lite))
        assert raws(lite, mailbox) == mails
        assert imap_server.mails(mailbox) == []


# --- servers that withhold


@pytest.fixture
def scripted() -> Iterator[Callable[[dict[str, Any]], imap_scripted.Scripted]]:
    servers: list[imap_scripted.Scripted] = []

    def make(answers: dict[str, Any]) -> imap_scripted.Scripted:
        servers.append(imap_scripted.Scripted(answers))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


SIZES = "* 1 FETCH (UID 4 RFC822.SIZE 2)\r\n* 2 FETCH (UID 5 RFC822.SIZE 2)\r\n{tag} OK done\r\n"
SEARCH = "* SEARCH 4 5\r\n{tag} OK done\r\n"
FOUR_IS_EMPTY = "* 1 FETCH (UID 4 BODY[] NIL)\r\n* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n"


def test_the_cursor_does_not_pass_a_mail_that_is_not_handed_out_until_it_is_on_record(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database, logged: io.StringIO
) -> None:
    server = scripted({"UID SEARCH": SEARCH, "UID FETCH": FOUR_IS_EMPTY, "UID FETCH 4,5 (RFC822": SIZES})
    mailbox = server.mailbox(archive="Processed")
    one = story(mailbox, lite)
    connection = imap.connect(mailbox, LIMIT)
    for _ in range(intake.TRIES - 1):
        assert intake.poll(one, connection) == intake.Polled(waiting=True)
        assert rows(lite, mailbox) == []
    polled = intake.poll(one, connection)
    connection.close()
    assert (polled.stored, polled.withheld, polled.waiting) == (2, 1, False)
    assert raws(lite, mailbox) == [b"", b"hi"]
    assert "UID MOVE 5" in " ".join(server.commands)
    assert not any(re.search(r"UID MOVE .*\b4\b", command) for command in server.commands)  # left for a person
    assert "state=withheld uid=4" in logged.getvalue()


def test_a_mail_that_vanished_between_search_and_fetch_is_counted(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database
) -> None:
    server = scripted(
        {
            "UID SEARCH": SEARCH,
            "UID SEARCH UID 4:4": "{tag} OK none\r\n",
            "UID FETCH": FOUR_IS_EMPTY,
            "UID FETCH 4,5 (RFC822": SIZES,
        }
    )
    polled = intake.drain(story(server.mailbox(), lite))
    assert (polled.stored, polled.vanished) == (1, 1)
    with lite.read() as session:
        assert ledger.position(session, "partners-eu") == ledger.Position(7, 5)


def test_a_mail_whose_size_the_server_does_not_tell_is_not_passed_over(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database
) -> None:
    both = "* 1 FETCH (UID 4 BODY[] {2}\r\nho)\r\n* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n"
    only_five = "* 2 FETCH (UID 5 RFC822.SIZE 2)\r\n{tag} OK done\r\n"
    mailbox = scripted({"UID SEARCH": SEARCH, "UID FETCH": both, "UID FETCH 4,5 (RFC822": only_five}).mailbox()
    assert intake.drain(story(mailbox, lite)).stored == 2
    assert raws(lite, mailbox) == [b"ho", b"hi"]


def test_a_mail_at_which_the_server_drops_the_connection_does_not_hold_up_the_others_for_ever(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database
) -> None:
    async def drop(writer: asyncio.StreamWriter, _tag: str) -> None:
        writer.close()

    five = "* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n"
    server = scripted({"UID SEARCH": SEARCH, "UID FETCH": five, "UID FETCH 4": drop, "UID FETCH 4,5 (RFC822": SIZES})
    one = story(server.mailbox(), lite)
    for _ in range(intake.DROPS):
        with pytest.raises(TransientError):
            intake.drain(one)
        assert rows(lite, server.mailbox()) == []
    polled = intake.drain(one)
    assert (polled.stored, polled.withheld) == (2, 1)
    assert raws(lite, server.mailbox()) == [b"", b"hi"]


def test_a_refused_archive_does_not_hold_up_the_mail(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database
) -> None:
    both = "* 1 FETCH (UID 4 BODY[] {2}\r\nho)\r\n* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n"
    answers = {
        "UID SEARCH": SEARCH,
        "UID FETCH": both,
        "UID FETCH 4,5 (RFC822": SIZES,
        "UID MOVE": "{tag} NO quota\r\n",
    }
    mailbox = scripted(answers).mailbox(archive="Processed")
    polled = intake.drain(story(mailbox, lite))
    assert (polled.stored, polled.tidied) == (2, 0)
    assert "quota" in polled.untidy


# --- a mailbox's thread


class States:
    """What a watching thread reports, to be waited for."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, Mapping[str, object]]] = queue.Queue()

    def __call__(self, name: str, state: Mapping[str, object]) -> None:
        self._queue.put((name, state))

    def await_state(self, wanted: str, timeout: float = 10) -> Mapping[str, object]:
        end = time.monotonic() + timeout
        while True:
            _, state = self._queue.get(timeout=max(0.01, end - time.monotonic()))
            if state["state"] == wanted:
                return state


@contextlib.contextmanager
def running(one: intake.Intake, jitter: float = 0.0) -> Iterator[States]:
    """`watch` in a thread, as the daemon does it; stopped and joined at the end."""
    states = States()
    one = dataclasses.replace(one, progress=states)
    thread = threading.Thread(target=intake.watch, args=(one, lambda: jitter))
    thread.start()
    try:
        yield states
    finally:
        one.stop.set()
        thread.join(10)
        assert not thread.is_alive()


class Arrivals:
    """Counts the commits of new mail, to be waited for."""

    def __init__(self) -> None:
        self._semaphore = threading.Semaphore(0)

    def __call__(self) -> None:
        self._semaphore.release()

    def wait(self, timeout: float = 10) -> bool:
        return self._semaphore.acquire(timeout=timeout)


def test_idle_wakes_the_poll_at_once(imap_server: Server, database: engine.Database) -> None:
    mailbox, arrivals = imap_server.mailbox(poll=timedelta(hours=1)), Arrivals()
    with running(story(mailbox, database, wake=arrivals)) as states:
        states.await_state("waiting")
        for number in range(3):
            imap_server.deliver(mailbox, accounts.mail(number))
            assert arrivals.wait(5)
    assert raws(database, mailbox) == [accounts.mail(number) for number in range(3)]


def test_without_idle_the_poll_finds_it(imap_server: Server, lite: engine.Database) -> None:
    mailbox, arrivals = imap_server.mailbox(poll=timedelta(seconds=0.1), idle=False), Arrivals()
    with running(story(mailbox, lite, wake=arrivals)) as states:
        states.await_state("waiting")
        imap_server.deliver(mailbox, accounts.mail(1))
        assert arrivals.wait(2)


def test_a_link_that_dies_in_idle_is_replaced(imap_server: Server, lite: engine.Database, line: wire.Wire) -> None:
    mailbox, arrivals = imap_server.mailbox(port=line.port, poll=timedelta(hours=1)), Arrivals()
    with running(story(mailbox, lite, wake=arrivals)) as states:
        states.await_state("waiting")
        line.cut()
        backoff = states.await_state("backoff")
        assert (backoff["attempt"], backoff["next"]) == (1, "1s")
        imap_server.deliver(mailbox, accounts.mail(1))
        assert arrivals.wait(5)
    assert line.connections == 2


def test_a_black_hole_in_idle_is_left_at_the_next_poll(
    imap_server: Server, lite: engine.Database, line: wire.Wire
) -> None:
    mailbox = imap_server.mailbox(port=line.port, poll=timedelta(seconds=0.3))
    quick = imap.Deadlines(connect=0.5, short=0.5, long=0.5)
    arrivals = Arrivals()
    with running(story(mailbox, lite, wake=arrivals, deadlines=quick)) as states:
        states.await_state("waiting")
        line.stall()
        assert "no complete answer" in str(states.await_state("backoff")["reason"])
        line.heal()
        imap_server.deliver(mailbox, accounts.mail(1))
        assert arrivals.wait(10)


def test_a_mailbox_that_hangs_does_not_delay_another(
    imap_server: Server, lite: engine.Database, line: wire.Wire
) -> None:
    hung = imap_server.mailbox(port=line.port, poll=timedelta(seconds=0.1))
    well, arrivals = imap_server.mailbox(poll=timedelta(seconds=0.1)), Arrivals()
    deadlines = imap.Deadlines(connect=2, short=2, long=2)
    with running(story(hung, lite, deadlines=deadlines)) as hanging:
        hanging.await_state("waiting")
        line.stall()
        with running(story(well, lite, wake=arrivals)):
            for number in range(3):
                imap_server.deliver(well, accounts.mail(number))
                assert arrivals.wait(2)


def test_a_rescue_that_the_server_refuses_is_told_once_and_holds_up_no_mail(
    scripted: Callable[[dict[str, Any]], imap_scripted.Scripted], lite: engine.Database, logged: io.StringIO
) -> None:
    server = scripted({"UID MOVE": "{tag} NO [NOPERM] not yours\r\n"})

    def rescue(connection: imap.Connection) -> int:
        connection.bring_back([1])
        return 1

    mailbox = server.mailbox(archive="Processed", poll=timedelta(seconds=0.05), idle=False)
    one = story(mailbox, lite, rescue=rescue)
    with running(one) as states:
        for _ in range(3):
            assert "not yours" in str(states.await_state("waiting")["unrescued"])
    assert server.connections == 1
    one.stop.clear()
    intake.drain(one)  # a new connection
    assert (logged.getvalue().count("not rescued"), len([c for c in server.commands if "UID MOVE" in c])) == (1, 1)
    assert server.commands[-2].startswith(("UID SEARCH", "SELECT"))


def test_a_refused_log_in_is_told_and_tried_slowly(
    imap_server: Server, lite: engine.Database, logged: io.StringIO
) -> None:
    mailbox = imap_server.mailbox(password=accounts.Secret("wrong"))
    with running(story(mailbox, lite)) as states:
        backoff = states.await_state("backoff")
    assert (backoff["attempt"], backoff["next"]) == (1, "60s")
    assert re.search(
        rf'mailbox={mailbox.name} state=backoff reason=".*refused the log-in.*" attempt=1 next=60s', logged.getvalue()
    )


def test_pauses_double_to_a_ceiling_refusals_slowly_and_success_forgets() -> None:
    patience = intake.Patience(lambda: 0.0)
    network, refused = TransientError("cut"), PermanentError("no")
    assert [patience.pause(network) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [patience.pause(refused) for _ in range(6)] == [60, 120, 240, 480, 900, 900]
    patience.forget()
    assert (patience.pause(network), patience.attempt) == (1, 1)
    assert intake.Patience(lambda: 1.0).pause(network) == 0.75
    assert max(patience.pause(network) for _ in range(2000)) == 60


def test_a_stop_ends_a_long_drain_between_two_batches(imap_server: Server, lite: engine.Database) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, *map(accounts.mail, range(120)))
    one = story(mailbox, lite)
    polled = intake.drain(story(mailbox, lite, stop=one.stop, wake=one.stop.set))
    assert polled.stored == 50
    assert intake.drain(story(mailbox, lite)).stored == 70
