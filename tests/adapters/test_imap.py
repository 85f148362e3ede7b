"""The IMAP door, on real servers; on scripted ones for what no honest server does."""

import asyncio
import base64
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from tests.servers import accounts, imap_dovecot, imap_pymap, imap_scripted

from triaged.adapters import imap
from triaged.domain.errors import PermanentError, TransientError
from triaged.selftest import wire

Server = imap_pymap.Pymap | imap_dovecot.Dovecot
Connect = Callable[..., imap.Connection]
QUICK = imap.Deadlines(connect=0.5, short=0.5, long=0.5)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """imap.connect with everything closed at the end."""
    opened: list[imap.Connection] = []

    def connect(
        mailbox: accounts.Mailbox, longest: int = 1 << 20, deadlines: imap.Deadlines = imap.DEADLINES
    ) -> imap.Connection:
        opened.append(imap.connect(mailbox, longest, deadlines))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., imap_scripted.Scripted]]:
    servers: list[imap_scripted.Scripted] = []

    def make(*arguments: object, **options: str) -> imap_scripted.Scripted:
        servers.append(imap_scripted.Scripted(*arguments, **options))  # type: ignore[arg-type]  # passed on
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def wired() -> Iterator[Callable[[int], wire.Wire]]:
    wires: list[wire.Wire] = []

    def make(port: int) -> wire.Wire:
        wires.append(wire.Wire(port))
        return wires[-1]

    yield make
    for one in wires:
        one.stop()


# --- reading


def test_mails_come_back_byte_for_byte_with_size_and_arrival(imap_server: Server, connect: Connect) -> None:
    mailbox, mails = (
        imap_server.mailbox(),
        [accounts.mail(1), accounts.mail(2, 200_000), b"\xff\x01odd\r\n\r\n\x80\r\n"],
    )
    arrived = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    imap_server.deliver(mailbox, *mails, at=arrived)
    connection = connect(mailbox)
    connection.select()
    uids = connection.uids(1, None)
    listed = connection.listing(uids)
    assert [(one.size, one.received_at) for one in listed] == [(len(mail), arrived) for mail in mails]
    assert connection.bodies(uids, 200_000) == dict(zip(uids, mails, strict=True))


def test_fetching_leaves_no_mark(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail())
    connection = connect(mailbox)
    connection.select()
    uids = connection.uids(1, None)
    connection.bodies(uids, 100)
    connection.header(uids[0])
    connection.select()
    assert [flags for _, _, flags in imap_server.mails(mailbox)] == [set()]


def test_the_last_mail_is_not_found_again_above_itself(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail())
    connection = connect(mailbox)
    connection.select()
    (last,) = connection.uids(1, None)
    assert connection.uids(last + 1, None) == ()  # the server answers `n:*` with the last mail


def test_uids_are_searched_in_a_closed_range(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, *map(accounts.mail, range(5)))
    connection = connect(mailbox)
    selected = connection.select()
    uids = connection.uids(1, None)
    assert connection.uids(uids[1], uids[3]) == uids[1:4]
    assert selected.uidnext == uids[-1] + 1


def test_of_an_oversized_mail_only_the_header_block_is_taken(imap_server: Server, connect: Connect) -> None:
    mailbox, mail = imap_server.mailbox(), accounts.mail(1, 500_000)
    imap_server.deliver(mailbox, mail)
    connection = connect(mailbox)
    connection.select()
    header = connection.header(connection.uids(1, None)[0])
    assert header == mail.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_a_giant_header_block_is_cut_at_the_cap(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, b"Subject: " + b"a" * 78 + b"\r\n" + b" x" * 30 + b"\r\n" * 1 + _folded(400_000))
    connection = connect(mailbox)
    connection.select()
    assert len(connection.header(connection.uids(1, None)[0]) or b"") == imap.HEADER_CAP


def _folded(size: int) -> bytes:
    return b"".join(b"X-Filler-%d: %s\r\n" % (number, b"y" * 60) for number in range(size // 70)) + b"\r\nbody\r\n"


@pytest.mark.parametrize("answer", ["BODY[] NIL", "FLAGS (\\Seen)"])
def test_a_mail_without_bytes_is_left_out_and_not_taken_for_an_empty_one(
    answer: str, scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    server = scripted({"UID FETCH": f"* 1 FETCH (UID 5 {answer})\r\n{{tag}} OK done\r\n"})
    connection = connect(server.mailbox())
    connection.select()
    assert connection.bodies([5], 10) == {}


def test_an_unasked_flag_report_does_not_disturb_a_body(
    scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    unasked = "* 5 FETCH (FLAGS (\\Seen))\r\n* 3 EXISTS\r\n"
    server = scripted(
        {"UID FETCH": unasked + "* 1 FETCH (UID 5 BODY[] {{2}}\r\nhi)\r\n{tag} OK done\r\n".replace("{{2}}", "{2}")}
    )
    connection = connect(server.mailbox())
    connection.select()
    assert connection.bodies([5], 10) == {5: b"hi"}


@pytest.mark.parametrize("date", ['"99-Foo-2026 99:00:00 +0000"', '"31-Dec-9999 23:59:00 -2359"', "NIL"])
def test_an_unreadable_arrival_date_is_none(
    date: str, scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    line = f"* 1 FETCH (UID 5 RFC822.SIZE 10 INTERNALDATE {date})\r\n{{tag}} OK done\r\n"
    connection = connect(scripted({"UID FETCH": line}).mailbox())
    connection.select()
    assert connection.listing([5]) == (imap.Listed(5, 10, None),)


# --- tidying


def test_move_puts_mails_into_the_archive_and_may_be_repeated(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox(archive="Traité")
    imap_server.deliver(mailbox, accounts.mail(1), accounts.mail(2))
    connection = connect(mailbox)
    connection.select()
    uids = connection.uids(1, None)
    assert connection.make_archive() == connection.make_archive() == ""
    assert connection.tidying is imap.Tidying.MOVE
    assert connection.tidy(uids) == connection.tidy(uids) == ""
    archive = "Traité" if imap_server.name == "pymap" else "Trait&AOk-"
    assert imap_server.mails(mailbox) == []
    assert sorted(raw for _, raw, _ in imap_server.mails(mailbox, archive)) == [accounts.mail(1), accounts.mail(2)]


@pytest.fixture
def old_dovecot(request: pytest.FixtureRequest) -> Iterator[imap_dovecot.Dovecot]:
    request.getfixturevalue("dovecot")  # skips where it is not installed
    server = imap_dovecot.Dovecot(capability=request.param)
    yield server
    server.stop()


@pytest.mark.dovecot
@pytest.mark.parametrize("old_dovecot", ["IMAP4rev1 UIDPLUS"], indirect=True)
def test_without_move_mails_are_copied_and_only_they_are_expunged(
    old_dovecot: imap_dovecot.Dovecot, connect: Connect
) -> None:
    mailbox = old_dovecot.mailbox(archive="Processed")
    old_dovecot.deliver(mailbox, accounts.mail(1), accounts.mail(2))
    connection = connect(mailbox)
    connection.select()
    first, second = connection.uids(1, None)
    connection.make_archive()
    connection._client.add_flags([second], [rb"\Deleted"])  # somebody else means to delete it some day
    assert connection.tidying is imap.Tidying.COPY
    assert connection.tidy([first]) == ""
    assert [raw for _, raw, _ in old_dovecot.mails(mailbox)] == [accounts.mail(2)]
    assert [raw for _, raw, _ in old_dovecot.mails(mailbox, "Processed")] == [accounts.mail(1)]


@pytest.mark.dovecot
@pytest.mark.parametrize("old_dovecot", ["IMAP4rev1"], indirect=True)
def test_without_uidplus_nothing_is_ever_expunged(
    old_dovecot: imap_dovecot.Dovecot, connect: Connect, wired: Callable[[int], wire.Wire]
) -> None:
    watched = wired(old_dovecot.port)
    mailbox = old_dovecot.mailbox(archive="Processed", port=watched.port)
    old_dovecot.deliver(mailbox, accounts.mail(1))
    connection = connect(mailbox)
    connection.select()
    connection.make_archive()
    assert connection.tidying is imap.Tidying.MARK
    assert connection.tidy(connection.uids(1, None)) == ""
    connection.close()
    assert [flags for _, _, flags in old_dovecot.mails(mailbox)] == [{"T"}]
    assert [raw for _, raw, _ in old_dovecot.mails(mailbox, "Processed")] == [accounts.mail(1)]
    assert b"EXPUNGE" not in watched.said()
    assert b"CLOSE" not in watched.said()  # it expunges, too


def test_without_archive_a_mail_gets_our_keyword_where_the_server_keeps_any(
    imap_server: Server, connect: Connect
) -> None:
    mailbox = imap_server.mailbox()
    imap_server.deliver(mailbox, accounts.mail())
    connection = connect(mailbox)
    connection.select()
    assert connection.tidying is (imap.Tidying.KEYWORD if imap_server.keeps_keywords else imap.Tidying.NONE)
    assert connection.tidy(connection.uids(1, None)) == ""
    expected = {imap.KEYWORD.decode()} if imap_server.keeps_keywords else set()
    assert [flags for _, _, flags in imap_server.mails(mailbox)] == [expected]


def test_a_refused_archive_is_told_and_the_connection_stays_good(
    scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    refusals = {"LIST": "{tag} OK none\r\n", "CREATE": "{tag} NO quota\r\n", "UID MOVE": "{tag} NO [TRYCREATE] no\r\n"}
    connection = connect(scripted(refusals).mailbox(archive="Processed"))
    connection.select()
    told = connection.make_archive()
    assert "'Processed' cannot be created" in told
    assert "INBOX.Processed" in told
    assert "TRYCREATE" in connection.tidy([5])
    assert connection.select().uidvalidity == 7


# --- logging in


def test_a_refused_log_in_names_the_place_and_the_fix_but_never_the_password(imap_server: Server) -> None:
    mailbox = imap_server.mailbox(password=accounts.Secret("wrong-hunter2"))
    with pytest.raises(imap.LoginRefused) as refused:
        imap.connect(mailbox, 1000)
    told = str(refused.value)
    assert f"{mailbox.name}: 127.0.0.1:{mailbox.port} refused the log-in of '{mailbox.username}'" in told
    assert "password_file" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "answer", ["{tag} NO [UNAVAILABLE] try later\r\n", "* BYE too many connections\r\n"], ids=["unavailable", "bye"]
)
def test_a_busy_server_is_no_refusal(answer: str, scripted: Callable[..., imap_scripted.Scripted]) -> None:
    server = scripted({"LOGIN": _last_words(answer)})
    with pytest.raises(TransientError):
        imap.connect(server.mailbox(), 1000)


def _last_words(answer: str) -> imap_scripted.Speak:
    async def speak(writer: asyncio.StreamWriter, tag: str) -> None:
        writer.write(answer.replace("{tag}", tag).encode())
        await writer.drain()
        writer.close()

    return speak


def test_user_and_password_are_quoted_whatever_they_hold(
    scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    server = scripted()
    connect(server.mailbox(username='max "x\\y" m', password=accounts.Secret('p "q')))
    assert r'LOGIN "max \"x\\y\" m" "p \"q"' in server.commands


def test_a_password_beyond_ascii_goes_as_utf_8(scripted: Callable[..., imap_scripted.Scripted]) -> None:
    server = scripted({"AUTHENTICATE PLAIN": "+ \r\n"}, capabilities="IMAP4rev1 AUTH=PLAIN")
    with pytest.raises(TransientError):  # the script cannot answer a line without a tag
        imap.connect(server.mailbox(username="max", password=accounts.Secret("pässwörd")), 1000)
    assert base64.b64encode("\0max\0pässwörd".encode()).decode() in server.commands


def test_nobody_listening_is_a_transient_error_with_the_place() -> None:
    port = accounts.free_port()
    with pytest.raises(TransientError, match=f"partners-eu: 127.0.0.1:{port}: connect: "):
        imap.connect(accounts.Mailbox(port=port), 1000)


@pytest.mark.parametrize("key", ["username", "folder", "archive", "password"])
def test_a_line_end_in_the_configuration_never_reaches_the_wire(key: str) -> None:
    value = "x\r\nA1 DELETE INBOX"
    mailbox = accounts.Mailbox(port=1, **{key: accounts.Secret(value) if key == "password" else value})
    with pytest.raises(PermanentError, match=f"{key} holds a control character"):
        imap.connect(mailbox, 1000)


def test_a_missing_folder_is_for_a_person_to_mend(imap_server: Server, connect: Connect) -> None:
    connection = connect(imap_server.mailbox(folder="Nowhere"))
    with pytest.raises(PermanentError, match="folder 'Nowhere' cannot be opened"):
        connection.select()


# --- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca, path = trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


@pytest.fixture(scope="module", params=["tls", "starttls"])
def secure_server(request: pytest.FixtureRequest, authority: tuple[trustme.CA, Path]) -> Iterator[imap_pymap.Pymap]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    server = imap_pymap.Pymap(**{request.param: context})
    yield server
    server.stop()


def test_tls_with_a_trusted_certificate_reads_mail(
    secure_server: imap_pymap.Pymap,
    authority: tuple[trustme.CA, Path],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    mailbox = secure_server.mailbox(archive="Processed")
    secure_server.deliver(mailbox, accounts.mail())
    connection = connect(mailbox)
    connection.select()
    uids = connection.uids(1, None)
    assert list(connection.bodies(uids, 100).values()) == [accounts.mail()]
    connection.make_archive()
    assert connection.tidy(uids) == ""
    assert secure_server.mails(mailbox) == []


def test_tls_idle_hears_a_mail(
    secure_server: imap_pymap.Pymap,
    authority: tuple[trustme.CA, Path],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    mailbox = secure_server.mailbox()
    connection = connect(mailbox)
    connection.select()
    with _after(0.2, lambda: secure_server.deliver(mailbox, accounts.mail())):
        assert connection.idle(10, threading.Event()) is True


def test_an_unknown_authority_or_another_name_gets_no_password(
    secure_server: imap_pymap.Pymap, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = secure_server.mailbox()
    with pytest.raises(PermanentError, match="certificate not trusted"):
        imap.connect(mailbox, 1000)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    elsewhere = accounts.Mailbox(host="localhost", port=mailbox.port, security=mailbox.security)
    with pytest.raises(PermanentError, match="certificate not trusted"):
        imap.connect(elsewhere, 1000)


@pytest.mark.parametrize("answer", [None, "{tag} NO not today\r\n", "{tag} BAD what\r\n"])
def test_starttls_is_never_left_out(answer: str | None, scripted: Callable[..., imap_scripted.Scripted]) -> None:
    capabilities = "IMAP4rev1" + (" STARTTLS" if answer else "")
    server = scripted({"STARTTLS": answer or ""}, capabilities=capabilities)
    with pytest.raises(PermanentError, match="nothing is sent in clear"):
        imap.connect(server.mailbox(security="starttls"), 1000)
    assert not any(command.startswith(("LOGIN", "AUTHENTICATE")) for command in server.commands)


def test_a_log_in_before_starttls_is_refused(scripted: Callable[..., imap_scripted.Scripted]) -> None:
    server = scripted({"GREETING": "* PREAUTH come in\r\n"}, capabilities="IMAP4rev1 STARTTLS")
    with pytest.raises((PermanentError, TransientError)):
        imap.connect(server.mailbox(security="starttls"), 1000)
    assert not any(command.startswith(("LOGIN", "AUTHENTICATE")) for command in server.commands)


# --- waiting


class _after:
    """Do something on another thread a moment later, and be done with it at the end of the block."""

    def __init__(self, seconds: float, act: Callable[[], object]) -> None:
        self._timer = threading.Timer(seconds, act)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()


def test_idle_hears_a_new_mail(imap_server: Server, connect: Connect) -> None:
    mailbox = imap_server.mailbox()
    connection = connect(mailbox)
    connection.select()
    with _after(0.2, lambda: imap_server.deliver(mailbox, accounts.mail())):
        assert connection.idle(10, threading.Event()) is True
    assert len(connection.uids(1, None)) == 1


def test_idle_ends_when_the_time_is_over_or_a_stop_is_asked_for(imap_server: Server, connect: Connect) -> None:
    connection = connect(imap_server.mailbox())
    connection.select()
    assert connection.idle(0.1, threading.Event()) is False
    stop, began = threading.Event(), time.monotonic()
    with _after(0.1, stop.set):
        assert connection.idle(30, stop) is False
    assert time.monotonic() - began < 5


def test_idle_hears_what_came_in_one_packet_with_its_beginning(
    scripted: Callable[..., imap_scripted.Scripted], connect: Connect
) -> None:
    done = {"tag": ""}

    async def begin(writer: asyncio.StreamWriter, tag: str) -> None:
        done["tag"] = tag
        writer.write(b"+ idling\r\n* 4 EXISTS\r\n")

    async def end(writer: asyncio.StreamWriter, _tag: str) -> None:
        writer.write(f"{done['tag']} OK done\r\n".encode())

    server = scripted({"IDLE": begin})
    server._answer = lambda command: end if not command else imap_scripted.Scripted._answer(server, command)  # type: ignore[method-assign]  # DONE has no tag
    connection = connect(server.mailbox())
    connection.select()
    began = time.monotonic()
    assert connection.idle(20, threading.Event()) is True
    assert time.monotonic() - began < 5


def test_a_closed_connection_ends_idle_at_once(
    imap_server: Server, connect: Connect, wired: Callable[[int], wire.Wire]
) -> None:
    line = wired(imap_server.port)
    connection = connect(imap_server.mailbox(port=line.port))
    connection.select()
    began = time.monotonic()
    with _after(0.2, line.cut), pytest.raises(TransientError):
        connection.idle(30, threading.Event())
    assert time.monotonic() - began < 5


def test_a_black_hole_is_noticed_when_idle_ends(
    imap_server: Server, connect: Connect, wired: Callable[[int], wire.Wire]
) -> None:
    line = wired(imap_server.port)
    connection = connect(imap_server.mailbox(port=line.port), deadlines=QUICK)
    connection.select()
    with _after(0.1, line.stall), pytest.raises(TransientError, match=r"DONE: no complete answer within"):
        connection.idle(0.3, threading.Event())


# --- servers that lie


def _dribbling(text: str) -> imap_scripted.Speak:
    """One byte at a time, for ever below any timeout per byte."""

    async def speak(writer: asyncio.StreamWriter, tag: str) -> None:
        for letter in text.replace("{tag}", tag) * 20:
            writer.write(letter.encode())
            await writer.drain()
            await asyncio.sleep(0.02)

    return speak


@pytest.mark.parametrize("command", ["GREETING", "LOGIN", "SELECT", "UID SEARCH", "UID FETCH"])
def test_a_dribbling_server_is_cut_at_the_deadline(
    command: str, scripted: Callable[..., imap_scripted.Scripted]
) -> None:
    server = scripted({command: _dribbling("* OK still here, and here, and here, and here\r\n")})
    began = time.monotonic()
    with pytest.raises(TransientError, match="no complete answer within 0 s"):
        _use(imap.connect(server.mailbox(), 1000, imap.Deadlines(connect=0.4, short=0.4, long=0.4)))
    assert time.monotonic() - began < 3


def _use(connection: imap.Connection) -> None:
    try:
        connection.select()
        connection.uids(1, 9)
        connection.bodies([5], 10)
    finally:
        connection.close()


def test_a_literal_larger_than_asked_for_is_not_waited_for(scripted: Callable[..., imap_scripted.Scripted]) -> None:
    server = scripted({"UID FETCH": "* 1 FETCH (UID 5 BODY[] {8589934592}\r\nhi"})
    with pytest.raises(TransientError, match="announced 8589934592 bytes where at most 1000"):
        _use(imap.connect(server.mailbox(), 1000))


def test_after_an_error_a_connection_is_good_for_nothing_more(scripted: Callable[..., imap_scripted.Scripted]) -> None:
    server = scripted({"UID SEARCH": "* SEARCH garbage\r\n{tag} OK done\r\n"})
    connection = imap.connect(server.mailbox(), 1000)
    with pytest.raises(TransientError, match="SEARCH"):
        connection.uids(1, 2)
    said = list(server.commands)
    with pytest.raises(TransientError, match="given up"):
        connection.select()
    assert server.commands == said
    connection.close()


def test_whatever_a_server_says_is_one_of_two_errors_or_a_value(
    scripted: Callable[..., imap_scripted.Scripted],
) -> None:
    dice = random.Random(7)
    words = [
        "* ",
        "1 ",
        "FETCH ",
        "(",
        ")",
        "UID ",
        "5",
        "BODY[] ",
        "{3}\r\n",
        '"',
        "\\",
        "NIL",
        "\r\n",
        "+ ",
        "{tag} OK ",
        "{tag} NO [",
        "]",
        "SEARCH ",
        "[UIDVALIDITY x] ",
        "\x00",
        "é",
        "FLAGS",
        "EXISTS",
        "99999999999999999999",
        "BYE ",
    ]
    server = scripted()
    survived = 0
    for _ in range(150):
        noise = "".join(dice.choice(words) for _ in range(dice.randrange(1, 12))) + "\r\n{tag} OK done\r\n"
        server.answers.update(
            dict.fromkeys([dice.choice(["SELECT", "UID SEARCH", "UID FETCH", "LOGIN", "GREETING"])], noise)
        )
        try:
            _use(imap.connect(server.mailbox(), 1000, imap.Deadlines(0.1, 0.1, 0.1)))
            survived += 1
        except (TransientError, PermanentError):
            pass
        server.answers = {**imap_scripted._HONEST}
    assert 0 < survived < 150
