"""What replies do to their tickets (rows P8, P9; INTERFACE §4 "Reply")."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged.adapters.db import outbox
from triaged.adapters.db.tickets import TicketRecord
from triaged.domain.ticket import State

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


class Conversation:
    """Mails about one ticket, one after the other, each decided before the next."""

    def __init__(self, house: desk.Installation, server: imap_pymap.Pymap) -> None:
        self.house = house
        self.server = server
        self.number = 0

    def say(self, body: str, *, sender: str = "contact@integra.example", signed: bool = True) -> TicketRecord:
        """The next mail; from the second on with our answer's number in its subject."""
        self.number += 1
        subject = "Question" if self.number == 1 else "Re: [EU-000001] Question"
        mail = desk.mail(body, number=self.number, sender=sender, subject=subject, signed=signed)
        self.server.deliver(self.house.eu, mail)
        self.house.once()
        return self.house.ticket("EU-000001")

    @property
    def notices(self) -> list[str]:
        return [entry.notice for entry in self.house.queue()]


@pytest.fixture
def talk(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Conversation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield Conversation(house, pymap)


def test_a_colleague_of_the_same_partner_may_add_the_customer(talk: Conversation) -> None:
    talk.say("Bloqué.\n")
    ticket = talk.say(COMPLETE, sender="paul@integra.example")
    assert (ticket.severity, ticket.requester, ticket.missing) == ("S1", "contact@integra.example", ())
    alert = next(entry for entry in talk.house.queue() if entry.notice == "priority_alert")
    with talk.house.app.database.read() as session:
        text = (outbox.body(session, alert.id) or b"").decode()
    assert "contact@integra.example" in text


def test_a_reply_without_anything_new_changes_nothing_and_is_not_answered(talk: Conversation) -> None:
    before = talk.say(COMPLETE)
    after = talk.say("Merci !\n")
    assert (after.severity, after.evidence, talk.notices) == (before.severity, before.evidence, talk.notices[:2])


def test_an_excluded_service_that_a_reply_names_is_remembered(talk: Conversation) -> None:
    talk.say("Bonjour,\n")
    talk.say("Service : Zoho Campaigns\n")
    ticket = talk.say("Super administrateur : it@acme.example\n")
    assert (ticket.service, ticket.reason, ticket.severity, ticket.priority) == (
        "Zoho Campaigns",
        "excluded_service",
        "S3",
        False,
    )


def test_a_reply_that_corrects_the_service_raises_as_our_mail_promises(talk: Conversation) -> None:
    before = talk.say("Service : Zoho Campaigns\nSuper administrateur : it@acme.example\n")
    assert (before.reason, before.priority) == ("excluded_service", False)
    after = talk.say("En fait : Service : Zoho CRM\nService : Zoho CRM\n")
    assert (after.service, after.reason, after.severity, after.priority) == ("Zoho CRM", "large_account", "S1", True)
    assert after.opened_at == before.opened_at


def test_a_reply_never_lowers_a_ticket(talk: Conversation) -> None:
    talk.say(COMPLETE)
    ticket = talk.say("Service : Zoho Campaigns\n")
    assert (ticket.severity, ticket.priority) == ("S1", True)


def test_a_contradiction_is_settled_by_the_partners_next_word(talk: Conversation) -> None:
    first = talk.say("Super administrateur : it@acme.example\nZOID : 60045678901\n")
    assert (first.state, first.account) == (State.REVIEW, None)
    after = talk.say("Super administrateur : it@acme.example\n")
    assert (after.state, after.severity, after.reason) == (State.OPEN, "S1", "large_account")
    assert "priority_granted" in talk.notices


def test_a_reply_that_names_another_customer_goes_to_review(talk: Conversation) -> None:
    talk.say(COMPLETE)
    ticket = talk.say("Super administrateur : owner@cascade.example\n")
    assert ticket.state is State.REVIEW
    assert ticket.account is not None
    assert ticket.account.zoid == "60012345678"


def test_a_reply_that_names_nobody_we_know_is_asked_again(talk: Conversation) -> None:
    talk.say("Bloqué.\n")
    ticket = talk.say("Super administrateur : it@nowhere.example\n")
    assert (ticket.reason, ticket.state) == ("unknown_customer", State.OPEN)
    assert talk.notices == ["ticket_opened", "ticket_opened"]


def test_naming_the_super_admin_of_a_known_customer_completes_the_ticket(talk: Conversation) -> None:
    first = talk.say("ZUID : 650456410\n")
    assert first.missing == ("super_admin",)
    assert talk.say("Super administrateur : it@acme.example\n").missing == ()


def test_an_unauthenticated_reply_is_a_linked_ticket_in_review(talk: Conversation) -> None:
    talk.say(COMPLETE)
    talk.say("Encore moi.\n", signed=False)
    states = [(ticket.number, ticket.state) for ticket in talk.house.tickets()]
    assert states == [("EU-000001", State.OPEN), ("EU-000002", State.REVIEW)]
    receipt = talk.house.messages()[1].receipt
    assert receipt is not None
    assert receipt["linked"] == "EU-000001"


def test_a_better_authenticated_copy_takes_the_first_ones_ticket_out_of_review(talk: Conversation) -> None:
    mail = desk.mail(COMPLETE, signed=False)
    talk.server.deliver(talk.house.eu, mail)
    talk.house.once()
    assert talk.house.ticket("EU-000001").state is State.REVIEW
    talk.server.deliver(talk.house.eu, desk.SIGNED.format(domain="integra.example").encode() + mail)
    talk.house.once()
    ticket = talk.house.ticket("EU-000001")
    assert (ticket.state, ticket.severity, ticket.authenticated) == (State.OPEN, "S1", True)
    assert len(talk.house.tickets()) == 1
    assert talk.notices == ["received_for_review", "ticket_opened", "priority_alert"]
