"""Programs that answer our answers: two daemons wired to each other, and responders that mark nothing as automatic."""

import contextlib
import email
import email.policy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.house import desk
from tests.mail import daemons
from tests.servers import imap_pymap, smtp_sink

from triaged import app as composition
from triaged.adapters import directory_file
from triaged.adapters.db import directory_import, models

PARTNER = "contact@integra.example"
QUESTION = "Bonjour,\n\nune question.\n"
UNKNOWN_CUSTOMER = "Service : Zoho CRM\nSuper administrateur : nobody@unknown.example\n"
ROUNDS = 8


@pytest.fixture
def house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port, contracts=True) as house:
        yield house


class Responder:
    """Answers every mail that it gets, and marks none as automatic. `subject` makes its own from ours."""

    def __init__(
        self,
        house: desk.Installation,
        server: imap_pymap.Pymap,
        relay: smtp_sink.SmtpSink,
        subject: Callable[[str], str],
        *,
        text: str = "Je suis absent jusqu'au 3 juin.\n",
        quotes: bool = False,
        signed: bool = True,
        sender: str = PARTNER,
        contracts: bool = False,
    ) -> None:
        self.house, self.server, self.relay = house, server, relay
        self.subject, self.text, self.quotes, self.signed = subject, text, quotes, signed
        self.sender = sender
        self.box = house.select if contracts else house.eu

    def begin(self, body: str) -> int:
        """One mail of the person behind it, then answers until nobody writes any more; how many mails we sent him."""
        self.take(desk.mail(body, sender=self.sender, signed=self.signed, number=1))
        answered = 0
        for number in range(2, ROUNDS):
            fresh = desk.to(self.relay, self.sender)[answered:]
            if not fresh:
                break
            answered += len(fresh)
            self.take(*(self.answer(one, 100 * number + n) for n, one in enumerate(fresh)))
        return len(desk.to(self.relay, self.sender))

    def answer(self, raw: bytes, number: int) -> bytes:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        part = mail.get_body(("plain",))
        quoted = "".join(f"> {line}\n" for line in str(part.get_content()).splitlines()) if part else ""  # type: ignore[attr-defined]  # an EmailMessage's part
        text = self.text + ("\nLe lundi, nous avons écrit :\n" + quoted if self.quotes else "")
        subject = self.subject(str(mail["Subject"]))
        return desk.mail(text, number=number, sender=self.sender, signed=self.signed, subject=subject)

    def take(self, *mails: bytes) -> None:
        self.server.deliver(self.box, *mails)
        assert self.house.once() == ()


def replies(subject: str) -> str:
    return f"Re: {subject}"


def without_number(subject: str) -> str:
    return "Re: " + re.sub(r"Re: |\[.*?\] ?", "", subject)


def away(_subject: str) -> str:
    return "Absent du bureau"


@pytest.mark.parametrize("sender", [PARTNER, "someone@stranger.example"])
@pytest.mark.parametrize("signed", [True, False], ids=["authenticated", "unauthenticated"])
@pytest.mark.parametrize("subject", [replies, without_number, away])
def test_a_responder_that_marks_nothing_gets_two_mails_at_most(
    house: desk.Installation,
    pymap: imap_pymap.Pymap,
    relay: smtp_sink.SmtpSink,
    subject: Callable[[str], str],
    signed: bool,
    sender: str,
) -> None:
    responder = Responder(house, pymap, relay, subject, signed=signed, sender=sender)
    assert 1 <= responder.begin(QUESTION) <= 2
    assert all(record.row["decision"] in ("ticket", "update") for record in house.messages())


@pytest.mark.parametrize("subject", [replies, without_number])
def test_a_responder_that_quotes_our_question_is_not_asked_for_ever(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, subject: Callable[[str], str]
) -> None:
    responder = Responder(house, pymap, relay, subject, quotes=True)
    assert responder.begin(UNKNOWN_CUSTOMER) <= 2


def test_a_responder_whose_signature_names_a_customer_is_asked_once_more_and_no_more(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    text = "Je suis absent. Super administrateur : nobody@unknown.example\n"
    assert Responder(house, pymap, relay, replies, text=text).begin(QUESTION) <= 2


@pytest.mark.parametrize("subject", [replies, without_number, away])
def test_a_responder_at_the_contracts_desk_that_quotes_the_block_to_fill_in_gets_two_mails_at_most(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, subject: Callable[[str], str]
) -> None:
    responder = Responder(house, pymap, relay, subject, quotes=True, contracts=True)
    assert responder.begin("Numéro de bon de commande : PO-9\nSKU : 994-000148\nNombre de licences : 3\n") <= 2


def test_what_a_program_sends_about_our_mail_is_never_answered(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    pymap.deliver(house.eu, desk.mail(QUESTION))
    house.once()
    [ours] = relay.deliveries
    for number, marks in enumerate(
        (
            "Auto-Submitted: auto-replied\r\n",
            "X-Autoreply: yes\r\n",
            "Precedence: auto_reply\r\n",
            "Precedence: bulk\r\n",
            "List-Id: <all.integra.example>\r\n",
            "X-Auto-Response-Suppress: All\r\n",
            "Return-Path: <>\r\n",
        ),
        start=2,
    ):
        pymap.deliver(house.eu, desk.mail(f"Absent {number}.\n", number=number, subject="Re: Question", extra=marks))
    pymap.deliver(house.eu, daemons.disposition(desk.EU, ours.content, PARTNER))
    pymap.deliver(house.eu, daemons.dsn(desk.EU, ours.content, daemons.recipient(PARTNER)))
    house.once()
    assert len(relay.deliveries) == 1


# Two daemons


_MARKS = re.compile(rb"(?mi)^(?:X-Triaged|Auto-Submitted|X-Auto-Response-Suppress):.*\r\n(?:[ \t].*\r\n)*")
_TIES = re.compile(rb"(?mi)^(?:Message-ID|In-Reply-To|References):.*\r\n(?:[ \t].*\r\n)*")


@contextlib.contextmanager
def two_houses(
    folder: Path, server: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[tuple[desk.Installation, desk.Installation]]:
    """Ours, and another vendor's that runs the same program; each is a registered partner of the other."""
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    with (
        desk.installed(folder / "a", f"sqlite:///{folder}/a.db", server, relay.port) as ours,
        desk.installed(folder / "b", f"sqlite:///{folder}/b.db", server, relay.port) as made,
    ):
        config = made.config.read_text().replace("vendor.example", "rival.example")
        made.config.write_text(config.replace("support.example", "help.example"))
        app = composition.load(made.config)
        theirs = desk.Installation(app, made.config, made.eu, made.com)
        _befriend(ours, "rival.example")
        _befriend(theirs, "vendor.example")
        with app.database.write() as session:  # so that no number of theirs is one of ours by chance
            session.add(models.TicketCounter(region="eu", last=40))
        yield ours, theirs
        app.database.dispose()


def _befriend(house: desk.Installation, domain: str) -> None:
    written = json.dumps([{"name": "Other", "region": "eu", "locale": "fr", "domains": [domain]}]).encode()
    with house.app.database.write() as session:
        directory_import.import_partners(session, directory_file.read_partners(written, house.app.rules).records)


def mutilated(delivery: smtp_sink.Delivery, number: int, ties: bool) -> bytes:
    """What a relay that strips every mark, and every tie if so told, hands over to the other side's mailbox."""
    content = _MARKS.sub(b"", delivery.content)
    sender = re.search(rb"(?mi)^From:.*<[^@>]+@([^>]+)>", content)
    assert sender is not None
    if not ties:
        content = _TIES.sub(b"", content)
        content = b"Message-ID: <%d@relay.example>\r\n" % number + content
    domain = sender[1].decode()
    server = "mx.rival.example" if domain == "vendor.example" else "mx.vendor.example"
    stamp = f"Authentication-Results: {server}; dmarc=pass header.from={domain}\r\n"
    return (
        stamp + f"Received: from relay.{domain} by {server} with ESMTPS id {number:08d}; now\r\n"
    ).encode() + content


@pytest.mark.parametrize("ties", [True, False], ids=["Message-IDs kept", "Message-IDs rewritten"])
def test_two_daemons_wired_to_each_other_exchange_fewer_than_five_mails(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, ties: bool
) -> None:
    with two_houses(tmp_path, pymap, relay) as (ours, theirs):
        pymap.deliver(ours.eu, desk.mail(QUESTION, sender="partner-support@rival.example"))
        ours.once()
        passed = 0
        while passed < min(len(relay.deliveries), 12):
            one = relay.deliveries[passed]
            passed += 1
            target = theirs if one.recipients[0].endswith("rival.example") else ours
            pymap.deliver(target.eu, mutilated(one, passed, ties))
            target.once()
        assert 1 <= len(relay.deliveries) < 5
        assert passed == len(relay.deliveries)
