"""The relay's door, on a real SMTP server and on one that follows a script where no real one would misbehave so."""

import contextlib
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from tests.servers.smtp_sink import SmtpSink

from triaged import log
from triaged.adapters import smtp
from triaged.domain import delivery
from triaged.domain.delivery import Deferred, Refused, RelayDown, RelayRefusedUs, Sent, Uncertain
from triaged.selftest import wire
from triaged.settings.model import Smtp
from triaged.settings.secret import Secret

MAIL = b"Subject: Panne\r\nMessage-ID: <1@support.example>\r\n\r\nBonjour\r\n"
SHORT = smtp.Deadlines(connect=2, prepare=2, transmit=2, idle=30)
QUICK = smtp.Pauses(first=0.05, longest=0.2)

Open = Callable[..., smtp.Relay]
Play = Callable[[Callable[[], bytes], Callable[[bytes], None]], None]  # (hear a line, say bytes)


@pytest.fixture
def open_relay() -> Iterator[Open]:
    """Relays that are closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def build(
            port: int, tls: ssl.SSLContext | None = None, deadlines: smtp.Deadlines = SHORT, **changes: Any
        ) -> smtp.Relay:
            wanted = Smtp(host="127.0.0.1", port=port, **{"security": "none", **changes})
            relay = smtp.Relay(wanted, "support.example", tls, deadlines, QUICK)
            stack.callback(relay.close)
            return relay

        yield build


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def envelope(recipient: str = "contact@integra.example", **changes: Any) -> smtp.Envelope:
    return smtp.Envelope("support@vendor.example", recipient, **changes)


def prepare(relay: smtp.Relay, recipient: str = "contact@integra.example") -> smtp.Prepared:
    return relay.prepare(envelope(recipient)).result(10)


def ready(relay: smtp.Relay, recipient: str = "contact@integra.example") -> smtp.Ready:
    prepared = prepare(relay, recipient)
    assert isinstance(prepared, smtp.Ready), prepared
    return prepared


def send(relay: smtp.Relay, body: bytes = MAIL) -> delivery.Answer:
    return relay.transmit(ready(relay), body).result(10)


class Script:
    """A server that says what it is told: `play(hear, say)` runs once per connection; `said` is what clients sent."""

    def __init__(self, *plays: Play, port: int = 0) -> None:
        self.said: list[bytes] = []
        self.connections = 0
        self._plays = plays
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for play in self._plays:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                play(lambda: self._hear(lines), connection.sendall)

    def _hear(self, lines: Any) -> bytes:
        line: bytes = lines.readline()
        self.said.append(line)
        return line

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    with contextlib.ExitStack() as stack:

        def build(*plays: Any) -> Script:
            server = Script(*plays)
            stack.callback(server.stop)
            return server

        yield build


def play(*answers: bytes) -> Play:
    """Greets, then answers line by line; after the last answer it hangs up."""

    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        say(b"220 script\r\n")
        for answer in answers:
            hear()
            say(answer)

    return run


HELLO, OK, GO = b"250 script\r\n", b"250 2.0.0 Ok\r\n", b"354 go\r\n"


def taken(*last: bytes) -> Play:
    """Takes the whole mail, then says `last` and hangs up."""

    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        play(HELLO, OK, OK, GO)(hear, say)
        while hear() != b".\r\n":
            pass
        for answer in last:
            say(answer)

    return run


# The two phases


def test_nothing_of_a_mail_leaves_before_transmit(relay: SmtpSink, open_relay: Open) -> None:
    client = open_relay(relay.port)

    prepared = ready(client)
    assert [what for _, what in relay.commands] == ["MAIL support@vendor.example", "RCPT contact@integra.example"]

    assert client.transmit(prepared, MAIL).result(10) == Sent("250 2.0.0 Ok: queued")
    (mail,) = relay.deliveries
    assert (mail.sender, mail.recipients, mail.content) == (
        "support@vendor.example",
        ("contact@integra.example",),
        MAIL,
    )


def test_a_refused_recipient_is_refused_and_the_connection_serves_the_next(relay: SmtpSink, open_relay: Open) -> None:
    relay.manners.refuse_recipient = {
        "gone@integra.example": "550 5.1.1 No such user",
        "grey@integra.example": "451 4.7.1 Greylisted",
    }
    client = open_relay(relay.port)

    assert prepare(client, "gone@integra.example") == Refused("550 5.1.1 No such user")
    assert prepare(client, "grey@integra.example") == Deferred("451 4.7.1 Greylisted")
    assert isinstance(send(client), Sent)
    assert relay.connections == 1
    assert [mail.recipients for mail in relay.deliveries] == [("contact@integra.example",)]


@pytest.mark.parametrize(
    ("at_dot", "answer"),
    [
        ("451 4.3.0 Try later", Deferred("451 4.3.0 Try later")),
        ("552 5.3.4 Too big", Refused("552 5.3.4 Too big")),
        ("250 2.0.0 Ok", Sent("250 2.0.0 Ok")),
        ("251 elsewhere", Sent("251 elsewhere")),
    ],
)
def test_an_answer_at_the_dot_is_definite(
    relay: SmtpSink, open_relay: Open, at_dot: str, answer: delivery.Answer
) -> None:
    relay.manners.at_dot = [at_dot]

    assert send(open_relay(relay.port)) == answer


def test_a_mail_that_is_not_to_be_sent_any_more_is_taken_back_and_the_connection_stays(
    relay: SmtpSink, open_relay: Open
) -> None:
    client = open_relay(relay.port)
    client.forget(ready(client, "first@integra.example")).result(10)

    assert isinstance(send(client), Sent)
    assert [mail.recipients for mail in relay.deliveries] == [("contact@integra.example",)]
    assert relay.connections == 1


# What the wire carries


@pytest.mark.parametrize(
    ("body", "on_the_wire"),
    [
        (b"A: b\r\n\r\n.\r\n..\r\n.x\r\n", b"A: b\r\n\r\n..\r\n...\r\n..x\r\n.\r\n"),
        (b"A: b\n\nx\n", b"A: b\r\n\r\nx\r\n.\r\n"),
        (b"A: b\r\n\r\nno end", b"A: b\r\n\r\nno end\r\n.\r\n"),
        (b"A: b\r\n\r\nx\n.\nMAIL FROM:<a@b>\r\n", b"A: b\r\n\r\nx\r\n..\r\nMAIL FROM:<a@b>\r\n.\r\n"),
        (b"A: b\r\n\r\nx\r.\r\ny\r\n", b"A: b\r\n\r\nx\r\n..\r\ny\r\n.\r\n"),
    ],
)
def test_every_line_ends_with_crlf_and_leading_dots_are_doubled_so_that_no_body_can_end_itself(
    relay: SmtpSink, open_relay: Open, body: bytes, on_the_wire: bytes
) -> None:
    watched = wire.Wire(relay.port)
    client = open_relay(watched.port)
    try:
        assert isinstance(send(client, body), Sent)
        assert watched.said().split(b"DATA\r\n", 1)[1] == on_the_wire
        assert len(relay.deliveries) == 1
    finally:
        client.close()
        watched.stop()


def test_what_the_server_can_is_asked_for_size_and_eight_bit(relay: SmtpSink, open_relay: Open) -> None:
    watched = wire.Wire(relay.port)
    client = open_relay(watched.port)
    try:
        client.prepare(envelope(size=123, eight_bit=True)).result(10)
        assert b"MAIL FROM:<support@vendor.example> SIZE=123 BODY=8BITMIME\r\n" in watched.said()
    finally:
        client.close()
        watched.stop()


def test_an_empty_sender_is_the_null_return_path(relay: SmtpSink, open_relay: Open) -> None:
    client = open_relay(relay.port)

    prepared = client.prepare(smtp.Envelope("", "contact@integra.example")).result(10)

    assert isinstance(prepared, smtp.Ready)
    assert isinstance(client.transmit(prepared, MAIL).result(10), Sent)
    assert relay.deliveries[0].sender == "<>"


@pytest.mark.parametrize(
    "address", ["jörg@integra.example", "a@intégra.example", "a b@c.example", "a@b>\r\nRCPT TO:<x@y", "a@b\x00", '"@b']
)
def test_an_address_that_smtp_cannot_carry_is_refused_for_good_and_nothing_is_said(
    relay: SmtpSink, open_relay: Open, address: str
) -> None:
    refused = prepare(open_relay(relay.port), address)

    assert isinstance(refused, Refused)
    assert refused.status.startswith("553 5.1.3 ")
    assert refused.status.isprintable()
    assert relay.connections == 0


# Doubt


def test_a_mail_taken_and_never_answered_is_uncertain(relay: SmtpSink, open_relay: Open) -> None:
    relay.manners.drop_after_dot = 1
    client = open_relay(relay.port)

    assert isinstance(send(client), Uncertain)
    assert isinstance(send(client), Sent)
    assert [mail.content for mail in relay.deliveries] == [MAIL, MAIL]


def test_a_relay_that_never_answers_the_dot_is_given_up_at_the_deadline(relay: SmtpSink, open_relay: Open) -> None:
    relay.manners.stall_after_dot = threading.Event()
    client = open_relay(relay.port, deadlines=smtp.Deadlines(transmit=0.3))
    started = time.monotonic()

    assert isinstance(send(client), Uncertain)

    assert time.monotonic() - started < 3


@pytest.mark.parametrize("answer", [b"hello?\r\n", b"354 go on\r\n", b"199 hm\r\n"])
def test_an_answer_to_the_mail_that_says_neither_yes_nor_no_is_a_doubt(
    script: Callable[..., Script], open_relay: Open, answer: bytes
) -> None:
    server = script(taken(answer))

    assert isinstance(send(open_relay(server.port)), Uncertain)


def test_a_connection_lost_at_data_before_the_mail_was_given_is_no_doubt(
    script: Callable[..., Script], open_relay: Open
) -> None:
    server = script(play(HELLO, OK, OK))  # hangs up when DATA should come

    assert isinstance(send(open_relay(server.port)), Deferred)


def test_a_refusal_of_data_itself_is_definite(script: Callable[..., Script], open_relay: Open) -> None:
    server = script(play(HELLO, OK, OK, b"451 4.3.0 not now\r\n"), play(HELLO, OK, OK, b"554 5.5.1 never\r\n"))
    client = open_relay(server.port)

    assert send(client) == Deferred("451 4.3.0 not now")
    assert send(client) == Refused("554 5.5.1 never")


def test_a_stop_drops_a_mail_in_data_at_once_as_a_doubt(relay: SmtpSink, open_relay: Open) -> None:
    relay.manners.stall_after_dot = threading.Event()
    client = open_relay(relay.port, deadlines=smtp.Deadlines())
    under_way = client.transmit(ready(client), MAIL)
    relay.await_deliveries(1)

    client.abort()

    assert isinstance(under_way.result(5), Uncertain)


# Connections


def test_a_connection_is_used_for_many_mails(relay: SmtpSink, open_relay: Open) -> None:
    client = open_relay(relay.port)

    for _ in range(105):
        assert isinstance(send(client), Sent)

    assert relay.connections == 2  # a hundred mails each at most


def test_mails_prepared_together_use_a_connection_each(relay: SmtpSink, open_relay: Open) -> None:
    client = open_relay(relay.port)
    waiting = [client.prepare(envelope(f"p{n}@integra.example")) for n in range(4)]
    sending = [client.transmit(future.result(10), MAIL) for future in waiting]

    assert [future.result(10) for future in sending] == [Sent("250 2.0.0 Ok: queued")] * 4
    assert relay.connections == 4


def test_an_unused_connection_is_closed_politely_after_its_time(
    script: Callable[..., Script], open_relay: Open
) -> None:
    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        taken(OK)(hear, say)
        hear()

    server = script(run)
    client = open_relay(server.port, deadlines=smtp.Deadlines(idle=0.05))

    assert isinstance(send(client), Sent)

    _until(lambda: server.said[-1] == b"QUIT\r\n")


@pytest.mark.parametrize("last_words", [(), (b"421 4.4.2 idle too long\r\n",)])
def test_a_connection_that_died_while_idle_costs_the_mail_nothing(
    script: Callable[..., Script], open_relay: Open, last_words: tuple[bytes, ...]
) -> None:
    server = script(taken(OK, *last_words), taken(OK))
    client = open_relay(server.port)

    assert [send(client), send(client)] == [Sent("250 2.0.0 Ok")] * 2
    assert server.connections == 2


def test_a_421_to_mail_on_a_kept_connection_costs_the_mail_nothing(
    script: Callable[..., Script], open_relay: Open
) -> None:
    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        taken(OK)(hear, say)
        hear()
        say(b"421 4.7.0 too many mails\r\n")
        hear()

    server = script(run, taken(OK))
    client = open_relay(server.port)

    assert [send(client), send(client)] == [Sent("250 2.0.0 Ok")] * 2


def test_a_421_or_a_cut_on_a_new_connection_defers_this_mail_and_leaves_the_relay_up(
    script: Callable[..., Script], open_relay: Open
) -> None:
    server = script(play(HELLO, b"421 4.7.0 not you\r\n"), play(HELLO, OK), taken(OK))
    client = open_relay(server.port)

    assert prepare(client) == Deferred("421 4.7.0 not you")
    assert isinstance(prepare(client), Deferred)
    assert client.waits() == 0
    assert isinstance(send(client), Sent)


def test_answers_of_several_lines_are_one_answer(script: Callable[..., Script], open_relay: Open) -> None:
    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        say(b"220-hello\r\n220 script\r\n")
        for answer in (b"250-script\r\n250 HELP\r\n", OK, b"550-5.1.1 No such\r\n550 5.1.1 user\r\n", OK, OK, OK, GO):
            hear()
            say(answer)
        while hear() != b".\r\n":
            pass
        say(b"250-2.0.0 Ok\r\n250 2.0.0 queued as 7\r\n")

    client = open_relay(script(run).port)

    assert prepare(client) == Refused("550 5.1.1 No such 5.1.1 user")
    assert send(client) == Sent("250 2.0.0 Ok 2.0.0 queued as 7")


def test_an_answer_longer_than_any_line_may_be_is_no_answer(script: Callable[..., Script], open_relay: Open) -> None:
    endless = b"250 " + b"x" * 9000 + b"\r\n"
    server = script(play(HELLO, OK, b"550 " + endless[4:]), taken(endless), taken(OK))
    client = open_relay(server.port)

    assert isinstance(prepare(client), Deferred)
    assert isinstance(send(client), Uncertain)
    assert isinstance(send(client), Sent)


def test_a_relay_that_hangs_up_on_quit_has_the_mail(script: Callable[..., Script], open_relay: Open) -> None:
    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        taken(OK)(hear, say)
        hear()

    server = script(run, taken(OK))
    client = open_relay(server.port, deadlines=smtp.Deadlines(idle=0.05))

    assert isinstance(send(client), Sent)
    _until(lambda: server.said[-1] == b"QUIT\r\n")
    assert isinstance(send(client), Sent)


# TLS and log-in


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mail_goes_encrypted_and_logged_in(authority: trustme.CA, open_relay: Open, security: str) -> None:
    context = server_tls(authority)
    login = ("relay-user", "sésame")
    sink = SmtpSink(login=login, **({"tls": context} if security == "tls" else {"starttls": context}))
    client = open_relay(
        sink.port, client_tls(authority), security=security, username=login[0], password=Secret(login[1])
    )
    try:
        assert isinstance(send(client), Sent)
        (mail,) = sink.deliveries
        assert mail.user == "relay-user"
        assert mail.tls or security == "tls"  # the sink speaks nothing but TLS then
    finally:
        client.close()
        sink.stop()


def test_starttls_that_somebody_removed_stops_the_relay_and_nothing_is_said_after_ehlo(
    script: Callable[..., Script], open_relay: Open
) -> None:
    def run(hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        play(HELLO)(hear, say)
        while hear():
            pass

    server = script(run)
    client = open_relay(server.port, security="starttls", username="relay-user", password=Secret("sésame"))

    down = prepare(client)

    assert isinstance(down, RelayDown)
    assert "offers no STARTTLS" in down.reason
    _until(lambda: server.said[-1] == b"")
    assert server.said == [b"EHLO support.example\r\n", b""]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("flaw", ["another host", "nobody's authority"])
def test_a_certificate_that_is_not_the_relays_stops_the_relay(
    authority: trustme.CA, open_relay: Open, security: str, flaw: str
) -> None:
    context = server_tls(authority, "elsewhere.example" if flaw == "another host" else "127.0.0.1")
    sink = SmtpSink(**({"tls": context} if security == "tls" else {"starttls": context}))
    client = open_relay(sink.port, client_tls(authority) if flaw == "another host" else None, security=security)
    try:
        down = prepare(client)
        assert isinstance(down, RelayDown)
        assert "SSL_CERT_FILE" in down.reason
        assert sink.commands == []
    finally:
        client.close()
        sink.stop()


def test_a_wrong_password_stops_the_relay_for_long_and_names_the_keys(open_relay: Open) -> None:
    sink = SmtpSink(login=("relay-user", "right"))
    client = open_relay(sink.port, username="relay-user", password=Secret("wrong"))
    try:
        refused = prepare(client)
        assert isinstance(refused, RelayRefusedUs)
        assert "check [smtp] username and password" in refused.reason
        assert 0.1 < client.waits() <= 0.2
        log_ins = len(sink.commands)
        assert prepare(client) == refused
        assert len(sink.commands) == log_ins  # left alone: log-in attempts lock accounts
    finally:
        client.close()
        sink.stop()


def test_a_relay_that_wants_a_log_in_we_have_not_stops_the_relay_and_not_the_mail(open_relay: Open) -> None:
    sink = SmtpSink(login=("relay-user", "right"))
    client = open_relay(sink.port)
    try:
        assert isinstance(prepare(client), RelayRefusedUs)
        assert client.waits() > 0
    finally:
        client.close()
        sink.stop()


def test_a_log_in_that_the_relay_does_not_offer_stops_the_relay(relay: SmtpSink, open_relay: Open) -> None:
    client = open_relay(relay.port, username="relay-user", password=Secret("x"))

    assert isinstance(prepare(client), RelayRefusedUs)


# The relay away


def test_a_relay_that_is_away_is_left_alone_longer_each_time_and_said_once(
    open_relay: Open,
) -> None:
    lines = io.StringIO()
    log.configure(stream=lines)
    port = _unused_port()
    client = open_relay(port)
    waits = []
    for _ in range(4):
        down = prepare(client)
        assert isinstance(down, RelayDown)
        waits.append(client.waits())
        _until(lambda: client.waits() == 0)

    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.2], abs=0.03)
    assert client.connections == 1
    (said,) = lines.getvalue().splitlines()
    assert said.startswith(f"relay_down relay=127.0.0.1:{port} reason=")

    server = Script(taken(OK), port=port)
    assert isinstance(send(client), Sent)
    assert client.connections == 4
    assert lines.getvalue().splitlines()[1:] == [f"relay_up relay=127.0.0.1:{port}"]
    server.stop()


@pytest.mark.parametrize("greeting", [b"554 5.3.2 no service here\r\n", b"421 4.3.2 busy\r\n", b"hello?\r\n", b""])
def test_a_relay_that_does_not_greet_is_down_whatever_it_says(
    script: Callable[..., Script], open_relay: Open, greeting: bytes
) -> None:
    server = script(lambda _hear, say: say(greeting))

    assert isinstance(prepare(open_relay(server.port)), RelayDown)


def test_a_relay_that_accepts_and_stays_silent_is_down_at_the_deadline(
    script: Callable[..., Script], open_relay: Open
) -> None:
    server = script(lambda hear, _say: hear())
    client = open_relay(server.port, deadlines=smtp.Deadlines(connect=0.2))

    down = prepare(client)

    assert down == RelayDown("no answer in time")


def test_a_relay_that_dribbles_is_cut_at_the_deadline_of_the_whole_phase(
    script: Callable[..., Script], open_relay: Open
) -> None:
    def dribble(_hear: Callable[[], bytes], say: Callable[[bytes], None]) -> None:
        for _ in range(100):
            say(b"220-slow\r\n")
            threading.Event().wait(0.05)

    server = script(dribble)
    client = open_relay(server.port, deadlines=smtp.Deadlines(connect=0.3))
    started = time.monotonic()

    assert isinstance(prepare(client), RelayDown)

    assert time.monotonic() - started < 2


def test_a_check_says_what_is_wrong_and_nothing_where_all_is_well(relay: SmtpSink, open_relay: Open) -> None:
    assert open_relay(relay.port).check() is None
    assert isinstance(open_relay(_unused_port()).check(), RelayDown)
    assert relay.commands == []


def test_the_words_of_a_server_are_fit_for_a_log_line_and_a_database(
    script: Callable[..., Script], open_relay: Open
) -> None:
    server = script(play(HELLO, OK, b"550-5.1.1 first\r\n550 \x1b[2J\xff\x00 second" + b"x" * 1000 + b"\r\n", OK))

    refused = prepare(open_relay(server.port))

    assert isinstance(refused, Refused)
    assert refused.status.startswith("550 5.1.1 first")
    assert refused.status.isprintable()
    assert len(refused.status) < 320


def _until(true: Callable[[], bool], within: float = 5) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.005)


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
