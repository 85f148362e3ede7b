"""What no honest server does, a single time, at every place where it can; then the server is honest again: each mail is
stored once with its own bytes, each answer is sent, and only where nobody can know is there a second copy."""

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.faults import owing
from tests.servers import accounts, imap_pymap, imap_scripted, smtp_scripted
from tests.servers.imap_scripted import Speak, saying

from triaged.adapters import imap
from triaged.adapters.db import engine, migrations
from triaged.domain.delivery import State
from triaged.domain.errors import PermanentError, TransientError
from triaged.workflows import intake

LIMIT = 1000
QUICK = imap.Deadlines(connect=2, short=2, long=2)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[engine.Database]:
    database = engine.Database(f"sqlite:///{tmp_path}/lite.db")
    migrations.METADATA.create_all(database.engine)
    yield database
    database.dispose()


# --- IMAP

_SIZES = "* 1 FETCH (UID 4 RFC822.SIZE 2)\r\n* 2 FETCH (UID 5 RFC822.SIZE 2)\r\n{tag} OK done\r\n"
_BODIES = "* 1 FETCH (UID 4 BODY[] {2}\r\nho)\r\n* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n"
_TWO = {"UID SEARCH": "* SEARCH 4 5\r\n{tag} OK done\r\n", "UID FETCH": _BODIES, "UID FETCH 4,5 (RFC822": _SIZES}
_LISTING, _FETCHING = "UID FETCH 4,5 (RFC822", "UID FETCH 4,5 (BODY"


@pytest.fixture
def server() -> Iterator[imap_scripted.Scripted]:
    server = imap_scripted.Scripted(dict(_TWO))
    yield server
    server.stop()


def _story(mailbox: accounts.Mailbox, database: engine.Database, **changes: object) -> intake.Intake:
    known = {"limit": LIMIT, "now": lambda: owing.START, "deadlines": QUICK}
    return intake.Intake(mailbox=mailbox, database=database, **{**known, **changes})  # type: ignore[arg-type]  # a test's own keywords


def _drained(one: intake.Intake, lives: int = 6) -> None:
    """Poll until it goes well, and once more: what is not tidy yet is tidied then."""
    for _ in range(lives):
        with contextlib.suppress(TransientError, PermanentError):
            intake.drain(one)
            intake.drain(one)
            return
    raise AssertionError("it never went well")


_PLACES = ("GREETING", "LOGIN", "SELECT", "LIST", "UID SEARCH", _LISTING, _FETCHING, "UID MOVE", "LOGOUT")
_ENDS: dict[str, Speak | str] = {
    "BYE": saying("* BYE shutting down\r\n"),
    "the end": saying(""),
    "half a line": saying("* 1 FETCH (UID 4 BODY[] {2}\r\nh"),
    "UNAVAILABLE": "{tag} NO [UNAVAILABLE] later\r\n",
    "OVERQUOTA": "{tag} NO [OVERQUOTA] full\r\n",
    "BAD": "{tag} BAD what\r\n",
    "another's answer": "zzz9 OK done\r\n",
}


@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("place", _PLACES)
def test_a_server_that_ends_or_refuses_anywhere_loses_and_doubles_no_mail(
    place: str, end: str, server: imap_scripted.Scripted, lite: engine.Database
) -> None:
    if place in ("GREETING", "LOGIN"):
        server.answers[place] = _first(_ENDS[end], server.answers.get(place, "* OK ready\r\n"))
    else:
        server.once[place] = _ENDS[end]
    mailbox = server.mailbox(archive="Processed")
    _drained(_story(mailbox, lite, deadlines=imap.Deadlines(connect=0.3, short=0.3, long=0.3)))
    assert owing.raws(lite, mailbox.name) == [b"ho", b"hi"]
    moved = [command.split()[2] for command in server.commands if command.startswith("UID MOVE")]
    assert set(",".join(moved).split(",")) == {"4", "5"}


def _first(fault: Speak | str, honest: Speak | str) -> Speak:
    """The fault for the first connection, honesty from then on."""
    left = [fault]

    async def speak(writer: asyncio.StreamWriter, tag: str) -> None:
        answer = left.pop() if left else honest
        if callable(answer):
            await answer(writer, tag)
        else:
            text = answer.replace("{tag}", tag).replace("{capabilities}", "IMAP4rev1 IDLE MOVE UIDPLUS")
            writer.write(text.encode())

    return speak


_LIES = {
    "a UID twice in SEARCH": ("UID SEARCH", "* SEARCH 5 4 4 5\r\n{tag} OK done\r\n"),
    "UIDs out of order": ("UID SEARCH", "* SEARCH 5 4\r\n{tag} OK done\r\n"),
    "SEARCH in two lines": ("UID SEARCH", "* SEARCH 5\r\n* SEARCH 4\r\n{tag} OK done\r\n"),
    "nothing found at first": ("UID SEARCH", "* SEARCH\r\n{tag} NO not now\r\n"),
    "a mail twice": (_FETCHING, "* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n" + _BODIES),
    "mails in another order": (
        _FETCHING,
        "* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n* 1 FETCH (UID 4 BODY[] {2}\r\nho)\r\n{tag} OK done\r\n",
    ),
    "NIL for a body": (_FETCHING, _BODIES.replace("{2}\r\nho", "NIL")),
    "flags only": (
        _FETCHING,
        "* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n* 2 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n{tag} OK done\r\n",
    ),
    "nothing at all": (_FETCHING, "{tag} OK done\r\n"),
    "another mail's body": (_FETCHING, "* 9 FETCH (UID 9 BODY[] {2}\r\nno)\r\n{tag} OK done\r\n"),
    "another mail's body beside": (_FETCHING, "* 9 FETCH (UID 9 BODY[] {2}\r\nno)\r\n" + _BODIES),
    "news in the middle": (
        _FETCHING,
        "* 7 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 3 EXPUNGE\r\n* 2 RECENT\r\n" + _BODIES,
    ),
    "a size too small": (_LISTING, _SIZES.replace("SIZE 2", "SIZE 1")),
    "a size too large": (_LISTING, _SIZES.replace("SIZE 2", "SIZE 400")),
    "no size": (_LISTING, "{tag} OK done\r\n"),
    "8 GB": (_FETCHING, "* 1 FETCH (UID 4 BODY[] {8589934592}\r\nho"),
    "a warning before the answer": (_FETCHING, "* OK [ALERT] the disk is hot\r\n" + _BODIES),
    "a MOVE half done": ("UID MOVE", "* OK [COPYUID 8 4 1] moved\r\n* 1 EXPUNGE\r\n{tag} NO [EXPUNGEISSUED] some\r\n"),
}


@pytest.mark.parametrize("lie", _LIES)
def test_a_server_that_lies_once_loses_doubles_and_mixes_up_no_mail(
    lie: str, server: imap_scripted.Scripted, lite: engine.Database
) -> None:
    place, answer = _LIES[lie]
    server.once[place] = answer
    mailbox = server.mailbox(archive="Processed")
    _drained(_story(mailbox, lite))
    assert owing.raws(lite, mailbox.name) == [b"ho", b"hi"]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 IDLE", "IMAP4rev1 MOVE", "IMAP4rev1 UIDPLUS"])
def test_a_server_that_can_little_is_read_all_the_same(capabilities: str, lite: engine.Database) -> None:
    server = imap_scripted.Scripted(dict(_TWO), capabilities)
    mailbox = server.mailbox(archive="Processed")
    _drained(_story(mailbox, lite))
    server.stop()
    assert owing.raws(lite, mailbox.name) == [b"ho", b"hi"]
    assert not any(command.upper().startswith("EXPUNGE") for command in server.commands)


def test_a_folder_made_anew_between_select_and_fetch_is_read_from_its_first_mail(
    server: imap_scripted.Scripted, lite: engine.Database
) -> None:
    async def made_anew(writer: asyncio.StreamWriter, tag: str) -> None:
        anew = str(server.answers["SELECT"]).replace("UIDVALIDITY 7", "UIDVALIDITY 8").replace("UIDNEXT 6", "UIDNEXT 3")
        server.answers["SELECT"] = anew
        server.answers["UID SEARCH"] = "* SEARCH 1 2\r\n{tag} OK done\r\n"
        server.answers["UID FETCH 1,2 (RFC822"] = _SIZES.replace("UID 4", "UID 1").replace("UID 5", "UID 2")
        server.answers["UID FETCH"] = _BODIES.replace("UID 4", "UID 1").replace("UID 5", "UID 2")
        writer.write(f"{tag} OK done\r\n".encode())

    server.once[_FETCHING] = made_anew
    mailbox = server.mailbox(archive="Processed")
    _drained(_story(mailbox, lite))
    assert owing.raws(lite, mailbox.name) == [b"ho", b"hi"]


def test_two_hundred_thousand_mails_are_searched_in_lines_that_no_client_refuses(
    server: imap_scripted.Scripted,
) -> None:
    lengths = []

    async def all_of_them(writer: asyncio.StreamWriter, tag: str) -> None:
        first, last = server.commands[-1].rpartition(" ")[2].split(":")
        line = "* SEARCH " + " ".join(map(str, range(int(first), int(last) + 1)))
        lengths.append(len(line))
        writer.write(f"{line}\r\n{tag} OK done\r\n".encode())

    server.answers["UID SEARCH"] = all_of_them
    connection = imap.connect(server.mailbox(), LIMIT)
    connection.select()
    found = [connection.uids(*window) for window in intake._windows(intake._Place(7, 0, 200_000))]
    connection.close()
    assert [uid for uids in found for uid in uids] == list(range(1, 200_001))
    assert max(lengths) < 100_000


@pytest.mark.parametrize("said", ["* BYE shutting down\r\n", ""], ids=["BYE", "the end"])
def test_a_server_that_ends_in_idle_is_come_back_to_without_a_spin(
    said: str, server: imap_scripted.Scripted, lite: engine.Database
) -> None:
    came, full = threading.Semaphore(0), str(server.answers["SELECT"])
    server.answers["SELECT"] = full.replace("UIDNEXT 6", "UIDNEXT 4")
    server.answers["UID SEARCH"] = "* SEARCH\r\n{tag} OK none\r\n"
    server.once["IDLE"] = saying("+ idling\r\n" + said)
    server.answers["IDLE"] = "+ idling\r\n"
    mailbox = server.mailbox(poll=timedelta(hours=1))
    one = _story(mailbox, lite, wake=came.release)
    thread = threading.Thread(target=intake.watch, args=(one, lambda: 0.0))
    began = time.process_time()
    thread.start()
    try:
        while server.once:
            time.sleep(0.005)
        server.answers.update({**_TWO, "SELECT": full})
        assert came.acquire(timeout=5), "the mails behind it are never fetched"
        assert server.connections == 2
        assert time.process_time() - began < 1
    finally:
        one.stop.set()
        thread.join(10)
    assert owing.raws(lite, mailbox.name) == [b"ho", b"hi"]


def test_fetches_that_are_cut_short_two_hundred_times_leave_no_foreign_bytes(
    pymap: imap_pymap.Pymap, lite: engine.Database
) -> None:
    mailbox = pymap.mailbox(archive="Processed")
    mails = [accounts.mail(number, 40_000) for number in range(6)]
    pymap.deliver(mailbox, *mails)
    dice, cut, connection, end = random.Random(5), 0, None, time.monotonic() + 30
    while cut < 200 and time.monotonic() < end:
        connection = connection or _open(mailbox)
        lever = threading.Timer(dice.uniform(0, 0.004), connection._lever.pull)
        lever.start()
        try:
            bodies = connection.bodies([101 + dice.randrange(6)], 40_000)
            assert set(bodies.values()) <= set(mails)
        except TransientError:
            cut += 1
            connection.close()
            connection = None
        lever.cancel()
    if connection:
        connection.close()
    assert cut == 200
    _drained(_story(mailbox, lite, limit=1 << 20))
    assert owing.raws(lite, mailbox.name) == mails


def _open(mailbox: accounts.Mailbox) -> imap.Connection:
    connection = imap.connect(mailbox, 1 << 20)
    connection.select()
    return connection


# --- SMTP


@pytest.fixture
def relay() -> Iterator[smtp_scripted.ScriptedRelay]:
    relay = smtp_scripted.ScriptedRelay()
    yield relay
    relay.stop()


Manner = Callable[[smtp_scripted.Manners], None]


def _answering(command: str, answer: bytes | None) -> Manner:
    return lambda manners: manners.answer.append((command, answer))


def _at_dot(answer: bytes | None) -> Manner:
    return lambda manners: manners.dot.append(answer)


def _greeting(answer: bytes) -> Manner:
    return lambda manners: manners.greet.append(answer)


def _half_closing(manners: smtp_scripted.Manners) -> None:
    manners.half_close_at_dot = 1


# what it does once → the mail's state then, its state after a rest, how often the relay has it
_RELAYS: dict[str, tuple[Manner, State, State, int]] = {
    "421 instead of a greeting": (_greeting(b"421 4.3.2 not now\r\n"), State.QUEUED, State.SENT, 1),
    "554 instead of a greeting": (_greeting(b"554 5.3.2 never\r\n"), State.QUEUED, State.SENT, 1),
    "the end instead of a greeting": (_greeting(b""), State.QUEUED, State.SENT, 1),
    "a greeting of 8 KB": (_greeting(b"220 " + b"x" * 8000 + b"\r\n"), State.QUEUED, State.SENT, 1),
    "421 to EHLO": (_answering("EHLO", b"421 4.3.2 closing\r\n"), State.QUEUED, State.SENT, 1),
    "421 to MAIL": (_answering("MAIL", b"421 4.3.2 closing\r\n"), State.QUEUED, State.SENT, 1),
    "421 to RCPT": (_answering("RCPT", b"421 4.3.2 closing\r\n"), State.QUEUED, State.SENT, 1),
    "421 to DATA": (_answering("DATA", b"421 4.3.2 closing\r\n"), State.QUEUED, State.SENT, 1),
    "451 to MAIL": (_answering("MAIL", b"451 4.3.0 later\r\n"), State.QUEUED, State.SENT, 1),
    "450 to RCPT, greylisted": (_answering("RCPT", b"450 4.2.0 greylisted\r\n"), State.QUEUED, State.SENT, 1),
    "452 to DATA": (_answering("DATA", b"452 4.3.1 full\r\n"), State.QUEUED, State.SENT, 1),
    "550 to RCPT": (_answering("RCPT", b"550 5.1.1 nobody\r\n"), State.FAILED, State.FAILED, 0),
    "the end at MAIL": (_answering("MAIL", None), State.QUEUED, State.SENT, 1),
    "the end at RCPT": (_answering("RCPT", None), State.QUEUED, State.SENT, 1),
    "the end at DATA": (_answering("DATA", None), State.QUEUED, State.SENT, 1),
    "silence at MAIL": (_answering("MAIL", b""), State.QUEUED, State.SENT, 1),
    "silence at RCPT": (_answering("RCPT", b""), State.QUEUED, State.SENT, 1),
    "silence at DATA": (_answering("DATA", b""), State.QUEUED, State.SENT, 1),
    "several lines to MAIL": (
        _answering("MAIL", b"250-2.0.0 a\r\n250-2.0.0 b\r\n250 2.0.0 c\r\n"),
        State.SENT,
        State.SENT,
        1,
    ),
    "several lines at the dot": (_at_dot(b"250-2.0.0 a\r\n250 2.0.0 queued\r\n"), State.SENT, State.SENT, 1),
    "4 KB at the dot": (_at_dot(b"250 " + b"x" * 4000 + b"\r\n"), State.SENT, State.SENT, 1),
    "8 KB at the dot": (_at_dot(b"250 " + b"x" * 8000 + b"\r\n"), State.SENT, State.SENT, 1),
    "451 at the dot": (_at_dot(b"451 4.3.0 later\r\n"), State.QUEUED, State.SENT, 1),
    "421 at the dot": (_at_dot(b"421 4.3.0 closing\r\n"), State.QUEUED, State.SENT, 1),
    "552 at the dot": (_at_dot(b"552 5.2.2 too much\r\n"), State.FAILED, State.FAILED, 0),
    "taken, then dropped": (_at_dot(None), State.UNCERTAIN, State.SENT, 2),
    "taken, then silent": (_at_dot(b""), State.UNCERTAIN, State.SENT, 2),
    "taken, then half closed": (_half_closing, State.UNCERTAIN, State.SENT, 2),
}


@pytest.mark.parametrize("manner", _RELAYS)
def test_a_relay_that_misbehaves_once_loses_no_mail_and_gets_a_copy_only_in_doubt(
    manner: str, relay: smtp_scripted.ScriptedRelay, lite: engine.Database
) -> None:
    misbehave, then, at_last, copies = _RELAYS[manner]
    misbehave(relay.manners)
    owing.owe(lite, 1)
    owing.round_of(lite, relay.port, owing.START)
    assert owing.state(lite, 1) is then
    owing.round_of(lite, relay.port, owing.START + 2 * owing.QUIET)
    owing.round_of(lite, relay.port, owing.START + 4 * owing.QUIET)
    assert owing.state(lite, 1) is at_last
    assert relay.taken == [("p1@integra.example", owing.body(1))] * copies


def test_a_relay_that_drops_after_any_byte_of_a_mail_gets_it_once(
    relay: smtp_scripted.ScriptedRelay, lite: engine.Database
) -> None:
    length = len(owing.body(1)) + len(b".") + len(b".\r\n")  # a leading dot is doubled
    for number in range(10, 10 + length, 4):
        owing.owe(lite, number)
        relay.manners.drop_in_mail.append(number - 10)
        owing.round_of(lite, relay.port, owing.START)
        assert owing.state(lite, number) is State.UNCERTAIN
    assert relay.taken == []
    owing.round_of(lite, relay.port, owing.START + 2 * owing.QUIET)
    assert set(owing.states(lite).values()) == {State.SENT}
    assert set(Counter(relay.taken).values()) == {1}
    assert len(relay.taken) == len(range(0, length, 4))
