"""An order's way through the house: mail in, contract, three confirmations and one invitation out (rows C1–C8)."""

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink

from triaged.adapters.db import contracts, estate, invitations, orders
from triaged.adapters.db.contracts import ContractRecord
from triaged.domain.invitation import State
from triaged.workflows import contracting

ORDER = """\
Bonjour,

Veuillez enregistrer la commande suivante.

Numéro de bon de commande : {po}
SKU : {sku}
Nombre de licences : {licences}

Client final
Nom : Acme SA
E-mail : claire.martin@acme.example
Adresse : 12 rue de la Paix, 75002 Paris, France

Revendeur
Nom : Integra
E-mail : contact@integra.example
Adresse : 3 place Bellecour, 69002 Lyon, France

Distributeur
Nom : Nordlicht GmbH
E-mail : hilfe@nordlicht.example
Adresse : Speicherstadt 4, 20457 Hamburg, Deutschland

Cordialement,
"""
CLAIRE, RESELLER, DISTRIBUTOR = "claire.martin@acme.example", "contact@integra.example", "hilfe@nordlicht.example"


def order(po: str = "PO-4711", sku: str = "994-000148", licences: int = 40) -> str:
    return ORDER.format(po=po, sku=sku, licences=licences)


class Counter:
    """The contracts desk of one installation: mails go in one after the other, each answered before the next."""

    def __init__(self, house: desk.Installation, server: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> None:
        self.house, self.server, self.relay = house, server, relay
        self.number = 0

    def say(
        self, body: str, sender: str = RESELLER, subject: str = "Commande", **more: object
    ) -> list[tuple[str, str]]:
        """One mail in; what went out for it, as (recipient, notice)."""
        self.number += 1
        before = len(self.house.queue())
        mail = desk.mail(body, number=self.number, sender=sender, subject=subject, **more)  # type: ignore[arg-type]  # flags of the mail
        self.server.deliver(self.house.select, mail)
        assert self.house.once() == ()
        return [(entry.recipient, entry.notice) for entry in self.house.queue()[before:]]

    def decided(self) -> dict[str, object]:
        receipt = self.house.messages()[-1].receipt
        assert receipt is not None
        return receipt

    def contracts(self) -> list[ContractRecord]:
        with self.house.app.database.read() as session:
            return contracts.listed(session)

    def invitations(self) -> list[invitations.InvitationRecord]:
        with self.house.app.database.read() as session:
            return invitations.listed(session)

    def spares(self) -> list[tuple[object, ...]]:
        with self.house.app.database.read() as session:
            found = estate.all_spares(session, datetime.now(UTC), self.house.app.settings.catalogue)
        return [(one["customer"], one["rooms"], one["granted"]) for one in (record.document() for record in found)]

    def links(self) -> list[str]:
        """The last parts of the links that the customer got, oldest first."""
        return [link for mail in self.mails(CLAIRE) for link in re.findall(r"https?://\S+/i/(\S+)", text(mail))]

    def mails(self, recipient: str) -> list[email.message.EmailMessage]:
        found = desk.to(self.relay, recipient)
        return [email.message_from_bytes(one, policy=email.policy.default) for one in found]  # type: ignore[misc]  # that policy's class


def text(mail: email.message.EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.fixture
def counter(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Counter]:
    url = f"sqlite:///{tmp_path}/t.db"
    with desk.installed(tmp_path, url, pymap, relay.port, contracts=True) as house:
        yield Counter(house, pymap, relay)


def test_an_order_becomes_a_contract_three_confirmations_and_one_invitation(
    tmp_path: Path,
    database_url: str,
    imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot,
    relay: smtp_sink.SmtpSink,
) -> None:
    with desk.installed(tmp_path, database_url, imap_server, relay.port, contracts=True) as house:
        imap_server.deliver(house.select, desk.mail(order(), sender=RESELLER, subject="Commande PO-4711"))
        assert house.once() == ()
        sent = sorted((entry.recipient, entry.notice, entry.state) for entry in house.queue())
        with house.app.database.read() as session:
            [contract] = contracts.listed(session)
            [invitation] = invitations.listed(session)
    assert sent == [
        (CLAIRE, "invitation", "sent"),
        (CLAIRE, "order_confirmed", "sent"),
        (RESELLER, "order_confirmed", "sent"),
        (DISTRIBUTOR, "order_confirmed", "sent"),
    ]
    assert (contract.licences, contract.customer_party.email, contract.po_number) == (40, CLAIRE, "PO-4711")
    assert (invitation.state, invitation.recipient) == (State.SENT, CLAIRE)
    assert invitation.expires_at is not None
    assert invitation.sent_at is not None
    assert timedelta(days=30) <= invitation.expires_at - invitation.sent_at < timedelta(days=30, minutes=2)


def test_on_the_wire_nobody_reads_another_party_s_address_and_only_the_customer_the_link(counter: Counter) -> None:
    counter.say(order())
    addresses = {CLAIRE, RESELLER, DISTRIBUTOR}
    for recipient in addresses:
        for mail in counter.mails(recipient):
            assert (mail["To"], mail["Cc"], mail["Bcc"]) == (recipient, None, None)
            body = mail.as_bytes().replace(b"=\r\n", b"").replace(b"=\n", b"").decode("latin-1") + text(mail)
            assert not [other for other in addresses - {recipient} if other in body]
            assert ("/i/" in body) == (mail["Subject"] == "Bienvenue dans Logitech Select")
            assert ("PO-4711" in body) == (recipient != CLAIRE)
    assert {mail["Subject"] for mail in counter.mails(CLAIRE)} == {
        "Détails du contrat de service Logitech Select",
        "Bienvenue dans Logitech Select",
    }
    assert {str(mail["From"]) for mail in counter.mails(CLAIRE)} == {
        "Services de support Logitech <select@vendor.example>"
    }


def test_the_database_holds_no_link(counter: Counter) -> None:
    counter.say(order())
    [link] = counter.links()
    assert counter.house.app.database.path is not None
    assert link.encode() not in counter.house.app.database.path.read_bytes()


def test_all_problems_are_answered_at_once_and_the_filled_in_block_completes_the_order(counter: Counter) -> None:
    broken = order(sku="994-999999").replace("E-mail : claire.martin@acme.example", "E-mail : claire.martin@acme")
    broken = broken.replace("Nombre de licences : 40\n", "")
    assert counter.say(broken) == [(RESELLER, "order_problems")]
    problems = counter.decided()["problems"]
    assert problems == [
        {"field": "sku", "code": "unknown", "value": "994-999999"},
        {"field": "licences", "code": "missing", "value": ""},
        {"field": "customer_email", "code": "invalid", "value": "claire.martin@acme"},
    ]
    answer = counter.mails(RESELLER)[0]
    block = re.search(r"^\[\[.*?^\]\]", text(answer), re.MULTILINE | re.DOTALL)
    assert block is not None
    given = {"sku": "994-000148", "licences": "40", "customer_email": CLAIRE}
    lines = block[0].splitlines()
    assert len(lines) == 2 + len(given)
    filled = "\n".join(
        [lines[0], *(f"{line} {value}" for line, value in zip(lines[1:-1], given.values(), strict=True)), lines[-1]]
    )
    reply = f"In-Reply-To: {answer['Message-ID']}\r\n"
    sent = counter.say(f"Voici.\n\n{filled}\n", subject=f"Re: {answer['Subject']}", extra=reply)
    confirmed = [(address, "order_confirmed") for address in (CLAIRE, RESELLER, DISTRIBUTOR)]
    assert sorted(sent) == sorted([(CLAIRE, "invitation"), *confirmed])
    with counter.house.app.database.read() as session:
        [placed] = orders.listed(session)
    assert (placed.state, placed.problems) == ("accepted", ())


def test_the_same_order_again_is_confirmed_again_and_nothing_doubles(counter: Counter) -> None:
    counter.say(order())
    assert counter.say(order().replace("Bonjour,", "Rebonjour,")) == [(RESELLER, "order_confirmed")]
    assert counter.decided()["reason"] == "order_repeated"
    assert len(counter.contracts()) == len(counter.invitations()) == 1


def test_the_same_number_with_other_content_is_a_conflict_and_changes_nothing(counter: Counter) -> None:
    counter.say(order())
    assert counter.say(order(licences=41)) == [(RESELLER, "order_problems")]
    assert counter.decided()["reason"] == "order_conflict"
    assert counter.decided()["problems"] == [{"field": "po_number", "code": "conflict", "value": "PO-4711"}]
    assert [one.licences for one in counter.contracts()] == [40]


def test_two_service_types_on_one_order_are_refused_with_the_reason(counter: Counter) -> None:
    mixed = order().replace(
        "Nombre de licences : 40", "Nombre de licences : 40\nSKU : 994-000321\nNombre de licences : 2"
    )
    counter.say(mixed)
    assert counter.decided()["problems"] == [
        {"field": "service", "code": "mixed_services", "value": "select, warranty"}
    ]


def test_the_customer_s_address_must_be_the_customer_s(counter: Counter) -> None:
    for address in (RESELLER, "vente@integra.example", DISTRIBUTOR, "moi@vendor.example"):
        counter.say(order().replace(CLAIRE, address))
        assert counter.decided()["problems"] == [{"field": "customer_email", "code": "not_customer", "value": address}]
    assert counter.contracts() == []


def test_an_order_that_nobody_vouches_for_waits_and_an_operator_places_it(counter: Counter) -> None:
    assert counter.say(order(), signed=False) == [(RESELLER, "received_for_review")]
    decided = counter.decided()
    assert (decided["decision"], decided["reason"], decided["review"]) == ("order", "unauthenticated_sender", True)
    bureau = counter.house.bureau()
    done = contracting.accept(bureau, "ORD-000001", datetime.now(UTC))
    assert (done.state, done.contracts) == ("accepted", ("SC-000001",))
    counter.house.once()
    assert {mail["Subject"] for mail in counter.mails(CLAIRE)} == {
        "Détails du contrat de service Logitech Select",
        "Bienvenue dans Logitech Select",
    }


def test_a_lost_invitation_is_sent_again_and_the_earlier_link_is_replaced(counter: Counter) -> None:
    counter.say(order())
    sent = counter.say("Bonjour, le client a perdu l'invitation de la commande PO-4711, pouvez-vous la renvoyer ?\n")
    assert sorted(sent) == [(CLAIRE, "invitation"), (RESELLER, "request_done")]
    assert [one.state for one in counter.invitations()] == [State.REPLACED, State.SENT]
    assert len(set(counter.links())) == 2


def test_the_customer_cancels_within_thirty_days_and_takes_it_back(counter: Counter) -> None:
    counter.say(order(licences=60))
    sent = counter.say("Bonjour,\nje souhaite annuler notre commande Select.\n", sender=CLAIRE, subject="Annulation")
    parties = [(CLAIRE, "contract_cancelled"), (RESELLER, "contract_cancelled"), (DISTRIBUTOR, "contract_cancelled")]
    assert sorted(sent) == parties
    assert [one.state for one in counter.contracts()] == ["cancelled"]
    assert [one.state for one in counter.invitations()] == [State.REVOKED]
    assert counter.spares() == [("Acme SA", 0, 0)]
    sent = counter.say("C'était une erreur, veuillez rétablir le contrat SC-000001.\n", sender=CLAIRE, subject="Erreur")
    assert sorted(sent) == sorted([*parties, (CLAIRE, "invitation")])
    assert [one.state for one in counter.contracts()] == ["active"]
    assert counter.spares() == [("Acme SA", 60, 1)]


def test_a_stranger_s_request_waits_and_a_party_s_unknown_number_is_refused(counter: Counter) -> None:
    counter.say(order())
    assert counter.say("Please cancel PO-4711.\n", sender="x@stranger.example") == [
        ("x@stranger.example", "received_for_review")
    ]
    assert counter.say("Veuillez annuler la commande PO-4712.\n") == [(RESELLER, "request_refused")]
    assert counter.decided()["refused"] == "unknown_contract"
    assert counter.say("Veuillez annuler la commande PO-4711.\n", signed=False) == [(RESELLER, "received_for_review")]
    assert [one.state for one in counter.contracts()] == ["active"]


def test_forty_forty_twenty_give_no_one_and_two_spares(counter: Counter) -> None:
    found = []
    for number, licences in enumerate((40, 40, 20), 1):
        counter.say(order(po=f"PO-{number}", licences=licences))
        found.append(counter.spares())
    assert found == [[("Acme SA", 40, 0)], [("Acme SA", 80, 1)], [("Acme SA", 100, 2)]]


def test_anything_else_is_an_ordinary_ticket(counter: Counter) -> None:
    assert counter.say("Bonjour, quels produits sont pris en charge ?\n") == [(RESELLER, "ticket_opened")]
    decided = counter.decided()
    assert (decided["decision"], decided["reason"], decided["ticket"]) == ("ticket", "question", "EU-000001")
