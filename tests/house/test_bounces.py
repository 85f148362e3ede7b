"""What becomes of a mail of ours that comes back: asserted on the wire, in the queue, on the ticket and in `status`."""

import email
import email.policy
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.house.test_contracts import CLAIRE, Counter, order
from tests.mail import daemons
from tests.servers import imap_pymap, smtp_sink

from triaged import log
from triaged.adapters.db import models, outbox
from triaged.domain import erasure, invitation
from triaged.domain.delivery import State
from triaged.mail import threads
from triaged.workflows import checkup, contracting, overview

PARTNER = "contact@integra.example"
QUESTION = "Bonjour,\n\nune question.\n"  # names no customer: one answer, no alert


@dataclass
class Office:
    """An installation that has answered one mail: `answer` is what its relay took."""

    house: desk.Installation
    server: imap_pymap.Pymap
    relay: smtp_sink.SmtpSink
    lines: io.StringIO

    @property
    def answer(self) -> smtp_sink.Delivery:
        return self.relay.deliveries[0]

    @property
    def row(self) -> outbox.Entry:
        return self.house.queue()[0]

    def take(self, *mails: bytes) -> None:
        self.server.deliver(self.house.eu, *mails)
        assert self.house.once() == ()

    def mark(self, **values: object) -> None:
        with self.house.app.database.write() as session:
            session.execute(sqlalchemy.update(models.Outbox).values(**values))

    def attention(self) -> str:
        found = overview.overview(self.house.app.database, self.house.app.settings)
        return "\n".join(found.attention)

    def said(self, event: str) -> list[str]:
        return [line for line in self.lines.getvalue().splitlines() if f": {event} " in line]


def office(
    tmp_path: Path, url: str, server: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, bounce: str
) -> Iterator[Office]:
    with desk.installed(tmp_path, url, server, relay.port, bounce=bounce) as house:
        lines = io.StringIO()
        log.configure(stream=lines)
        one = Office(house, server, relay, lines)
        one.take(desk.mail(QUESTION))
        assert len(relay.deliveries) == 1
        yield one


@pytest.fixture
def keyed(tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Office]:
    """With return paths of our own."""
    yield from office(tmp_path, database_url, pymap, relay, "partners-eu")


@pytest.fixture
def quick(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Office]:
    """The same on SQLite alone, where the database makes no difference."""
    yield from office(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay, "partners-eu")


@pytest.fixture
def plain(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Office]:
    """Without: bounces come to the mailbox of the region."""
    yield from office(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay, "")


def failed(one: Office, *, to: str = "", address: str = PARTNER, number: int = 1, back: str = daemons.WHOLE) -> bytes:
    told = daemons.recipient(address)
    return daemons.dsn(to or one.answer.sender, one.answer.content, told, number=number, back=back)


def test_each_mail_has_a_return_path_of_its_own_and_answers_still_come_to_the_mailbox(quick: Office) -> None:
    quick.take(desk.mail(QUESTION, number=2))
    first, second = (delivery.sender for delivery in quick.relay.deliveries)
    assert first != second
    for sender in (first, second):
        assert sender.startswith("bounce+eu-00000")
        assert sender.endswith("@support.example")
        assert len(sender.partition("@")[0]) <= 64
    answer = email.message_from_bytes(quick.answer.content, policy=email.policy.default)
    assert answer["Reply-To"] == desk.EU
    assert first.encode() not in quick.answer.content


def test_a_bounce_opens_the_duty_again_and_everybody_who_looks_sees_it(keyed: Office) -> None:
    keyed.take(failed(keyed))
    assert (keyed.row.state, keyed.row.last_error) == (State.FAILED, "bounced: 5.1.1")
    assert keyed.row.bounced_at is not None
    [event] = [event for event in keyed.house.history("EU-000001") if event.kind == "bounced"]
    assert (event.detail["recipient"], event.detail["status"], event.message) == (PARTNER, "5.1.1", 2)
    assert "1 mail bounced: `triaged queue list --state failed`" in keyed.attention()
    assert " failed:" not in keyed.attention()
    [line] = keyed.said("bounced")
    assert line.startswith(f"{keyed.row.log_id}: bounced to={PARTNER} notice=ticket_opened status=5.1.1 report=")
    assert line.endswith('triaged queue retry 1" level=error')
    [_, report] = keyed.house.messages()
    assert (report.row["decision"], report.row["reason"], report.row["ticket"]) == ("bounce", "delivery_report", None)
    assert report.receipt is not None
    assert report.receipt["returned"]["outcome"] == "bounced"
    assert len(keyed.relay.deliveries) == 1


def test_a_bounced_mail_that_is_retried_goes_again_and_the_old_report_does_not_count_for_it(quick: Office) -> None:
    report = failed(quick)
    quick.take(report)
    with quick.house.app.database.write() as session:
        assert outbox.retry(session, [1], quick.row.due_at) == (1,)
    quick.take(failed(quick, number=2))
    assert quick.row.bounced_at is None
    assert quick.row.state is State.SENT
    assert [one.content for one in quick.relay.deliveries] == [quick.answer.content] * 2


def test_reports_in_words_count_as_those_in_fields(plain: Office) -> None:
    for number, manner in enumerate(daemons.FAILURES, start=2):
        plain.take(desk.mail(QUESTION + "x" * number, number=number))
        plain.take(daemons.FAILURES[manner](plain.answer.sender, plain.relay.deliveries[-1].content, PARTNER))
        assert plain.house.queue()[-1].state is State.FAILED, manner
    assert len(plain.said("bounced")) == len(daemons.FAILURES)


def test_the_return_path_is_found_wherever_a_server_writes_it(quick: Office) -> None:
    for number, field in enumerate(("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"), start=2):
        quick.take(desk.mail(QUESTION + "x" * number, number=number))
        sender = quick.relay.deliveries[-1].sender
        report = failed(quick, to=desk.EU, number=number, back=daemons.NOTHING)
        quick.take(f"{field}: {sender.upper()}\r\n".encode() + report)
        assert quick.house.queue()[-1].state is State.FAILED, field


def test_who_forwards_his_mail_is_named_by_another_address_and_the_return_path_still_proves_it(quick: Office) -> None:
    quick.take(failed(quick, address="jean@elsewhere.example"))
    assert quick.row.state is State.FAILED


def test_of_several_recipients_ours_counts(quick: Office) -> None:
    told = (daemons.recipient("other@integra.example"), daemons.recipient(PARTNER, "delivered", "2.0.0"))
    quick.take(daemons.dsn(quick.answer.sender, quick.answer.content, *told))
    assert (quick.row.state, quick.row.bounced_at) == (State.SENT, None)
    assert quick.row.delivered_at is not None


def test_a_delayed_mail_has_not_failed(quick: Office) -> None:
    told = daemons.recipient(PARTNER, "delayed", "4.4.1")
    quick.take(daemons.dsn(quick.answer.sender, quick.answer.content, told))
    assert (quick.row.state, quick.row.bounced_at) == (State.SENT, None)
    assert quick.row.delayed_at is not None
    assert "bounced" not in quick.attention()
    [line] = quick.said("delayed")
    assert line.endswith("level=warning")
    quick.take(failed(quick, number=2))
    assert quick.row.state is State.FAILED


def test_a_report_on_a_mail_in_doubt_proves_that_the_relay_took_it(keyed: Office) -> None:
    for number, action in enumerate(("delivered", "relayed", "expanded", "delayed"), start=1):
        keyed.mark(state=State.UNCERTAIN, doubts=1, last_error="no answer")
        told = daemons.recipient(PARTNER, action, "2.0.0")
        keyed.take(daemons.dsn(keyed.answer.sender, keyed.answer.content, told, number=number))
        assert (keyed.row.state, keyed.row.last_error) == (State.SENT, None), action
    assert len(keyed.relay.deliveries) == 1


def test_a_mail_in_doubt_that_bounced_is_not_resent(quick: Office) -> None:
    quick.mark(state=State.UNCERTAIN, doubts=1)
    quick.take(failed(quick))
    assert quick.row.state is State.FAILED
    assert len(quick.relay.deliveries) == 1


def test_a_report_on_a_mail_that_is_not_with_the_relay_changes_nothing(quick: Office) -> None:
    for number, state in enumerate((State.WITHDRAWN, State.HELD, State.SENT), start=1):
        quick.mark(state=state)
        if state is State.SENT:  # and its recipient was erased
            quick.mark(recipient=erasure.pseudonym(PARTNER, b"k" * 32))
        quick.take(failed(quick, number=number))
        assert (quick.row.state, quick.row.bounced_at) == (state, None)


def _by_the_message_id(one: Office) -> str:
    stem = one.row.message_id.strip("<>").partition("@")[0]
    return f"bounce+{stem}@support.example"


def _crossed(one: Office) -> bytes:
    one.take(desk.mail(QUESTION + "and more", number=2))
    return daemons.dsn(one.relay.deliveries[-1].sender, one.answer.content, daemons.recipient(PARTNER))


FORGED: dict[str, Callable[[Office], bytes]] = {
    "a wrong MAC": lambda one: failed(one, to=f"bounce+eu-000001.aaaaaaaa.1.{'0' * 16}@support.example"),
    "the Message-ID's MAC in the return path": lambda one: failed(one, to=_by_the_message_id(one)),
    "the Message-ID alone": lambda one: failed(one, to=desk.EU, number=31),
    "only the header, by the Message-ID": lambda one: failed(one, to=desk.EU, number=32, back=daemons.HEADER),
    "words alone": lambda one: daemons.QMAIL(desk.EU, one.answer.content, PARTNER),
    "a partner's own Undeliverable": lambda one: desk.mail(
        f"550 5.1.1\nMessage-ID: {one.row.message_id}\n", number=9, subject="Undeliverable: x"
    ),
    "one mail's return path, another's Message-ID": _crossed,
    "a read receipt": lambda one: daemons.disposition(one.answer.sender, one.answer.content, PARTNER),
    "a receipt that says failed": lambda one: daemons.disposition(
        one.answer.sender, one.answer.content, PARTNER, "failed"
    ),
    "a complaint": lambda one: daemons.complaint(one.answer.sender, one.answer.content, PARTNER),
    "a daemon that says nothing": lambda one: daemons.plain("MAILER-DAEMON@x.example", "Hello", "What?\n")(
        one.answer.sender, one.answer.content, PARTNER
    ),
    "a vacation reply": lambda one: daemons.plain(
        PARTNER, "Automatic reply: Question", "Away. 5.1.1 failed\n", "Auto-Submitted: auto-replied"
    )(one.answer.sender, one.answer.content, PARTNER),
    "a vacation reply of a postmaster": lambda one: daemons.plain("postmaster@integra.example", "Absent", "Away.\n")(
        one.answer.sender, one.answer.content, PARTNER
    ),
}


_TICKETS = ("a partner's own Undeliverable",)  # what a person writes is answered as ever


def test_what_proves_nothing_changes_nothing_and_is_not_answered(keyed: Office) -> None:
    for forgery, made in FORGED.items():
        report = made(keyed)
        before = len(keyed.relay.deliveries)
        keyed.take(report)
        for row in keyed.house.queue()[:before]:
            told = (row.state, row.bounced_at, row.delayed_at, row.delivered_at)
            assert told == (State.SENT, None, None, None), forgery
        if forgery not in _TICKETS:
            assert len(keyed.relay.deliveries) == before, forgery
    assert "bounced" not in [event.kind for event in keyed.house.history("EU-000001")]


def test_without_return_paths_the_message_id_proves_it_where_the_report_speaks_of_the_recipient(plain: Office) -> None:
    assert plain.answer.sender == desk.EU
    plain.take(failed(plain, address="somebody@elsewhere.example"))
    assert plain.row.state is State.SENT
    assert plain.house.messages()[1].receipt is not None
    assert "somebody else" in str(plain.house.messages()[1].receipt)
    plain.take(failed(plain, number=2, back=daemons.HEADER))
    assert plain.row.state is State.FAILED


def test_a_guessed_message_id_is_no_mail_of_ours(plain: Office) -> None:
    other = threads.message_id("EU-000001", "aaaaaaaa.1", "support.example", b"o" * 32)
    ours = plain.row.message_id.encode()
    plain.take(failed(plain).replace(ours, other.encode()))
    never_sent = threads.message_id("EU-000009", "aaaaaaaa.1", "support.example", plain.house.app.key)
    plain.take(failed(plain, number=2).replace(ours, never_sent.encode()))
    assert plain.row.state is State.SENT
    assert [record.row["decision"] for record in plain.house.messages()[1:]] == ["bounce", "bounce"]


def test_check_says_whether_return_paths_are_keyed(quick: Office, tmp_path: Path) -> None:
    finding = checkup.bounces(quick.house.app.settings)
    assert (finding.level, "bounce+ANYTHING@support.example" in finding.text) == ("ok", True)


# Mails that hold a secret


@pytest.fixture
def counter(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Counter]:
    url = f"sqlite:///{tmp_path}/t.db"
    with desk.installed(tmp_path, url, pymap, relay.port, contracts=True, bounce="select") as house:
        yield Counter(house, pymap, relay)


def test_an_invitation_that_came_back_is_owed_again_and_a_new_one_replaces_it(counter: Counter) -> None:
    counter.say(order())
    [sent] = [one for one in counter.relay.deliveries if b"/i/" in one.content and one.recipients == (CLAIRE,)]
    assert sent.sender.startswith("bounce+")
    assert email.message_from_bytes(sent.content)["Reply-To"] == desk.SELECT
    lines = io.StringIO()
    log.configure(stream=lines)
    counter.server.deliver(
        counter.house.select, daemons.dsn(sent.sender, sent.content, daemons.recipient(CLAIRE), back=daemons.NOTHING)
    )
    assert counter.house.once() == ()
    [invited] = counter.invitations()
    assert (invited.state, invited.sent_at) == (invitation.State.OWED, None)
    [row] = [entry for entry in counter.house.queue() if entry.notice == "invitation"]
    assert (row.state, row.last_error) == (State.FAILED, "bounced: 5.1.1")
    assert "triaged invite resend 1" in lines.getvalue()
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    counter.house.once()
    assert [one.state for one in counter.invitations()] == [invitation.State.REPLACED, invitation.State.SENT]
    assert len(set(counter.links())) == 2


def test_a_bounced_invitation_that_is_simply_sent_again_works(counter: Counter) -> None:
    counter.say(order())
    [sent] = [one for one in counter.relay.deliveries if b"/i/" in one.content and one.recipients == (CLAIRE,)]
    counter.server.deliver(counter.house.select, daemons.dsn(sent.sender, sent.content, daemons.recipient(CLAIRE)))
    counter.house.once()
    [row] = [entry for entry in counter.house.queue() if entry.notice == "invitation"]
    with counter.house.app.database.write() as session:
        assert outbox.retry(session, [row.id], datetime.now(UTC)) == (row.id,)
    counter.house.once()
    assert [one.state for one in counter.invitations()] == [invitation.State.SENT]
