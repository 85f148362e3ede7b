"""The ladder of trust: what a mail on each rung may and may not do (docs/security.md, DESIGN §5)."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.house import desk
from tests.house.test_contracts import CLAIRE, DISTRIBUTOR, RESELLER, order
from tests.threats.threatened import COLLEAGUE, FRENCH, LARGE, PARTNER, STRANGER, House, house, letter, words_of

from triaged.adapters.db import contracts, tickets
from triaged.adapters.db.models import MessageRow
from triaged.domain.trust import Rung, rung

DIRTY = letter(LARGE, subject="hi\rX-Forged: yes")
RUNGS = {
    "a bare CR in the header": (DIRTY, Rung.DIRTY),
    "a NUL in the header": (letter(LARGE, subject="hi\0"), Rung.DIRTY),
    "no word of our border server": (letter(LARGE, verdict=None), Rung.UNAUTHENTICATED),
    "dmarc fails": (letter(LARGE, verdict="dmarc=fail"), Rung.UNAUTHENTICATED),
    "two From fields": (letter(LARGE, head=f"From: {STRANGER}\r\n"), Rung.UNAUTHENTICATED),
    "a stranger": (letter(LARGE, sender=STRANGER), Rung.UNKNOWN),
    "a partner's domain": (letter(LARGE, sender=COLLEAGUE), Rung.REGISTERED),
    "a partner's contact": (letter(LARGE, sender=PARTNER), Rung.EXACT),
}


@pytest.mark.parametrize(("raw", "expected"), RUNGS.values(), ids=RUNGS)
def test_every_mail_stands_on_one_rung_which_is_stored_and_shown(house: House, raw: bytes, expected: Rung) -> None:
    receipt = house.one(raw)
    assert receipt["trust"] == expected
    with house.app.database.read() as session:
        row = session.get(MessageRow, 1)
        assert row is not None
        assert row.trust == expected


def test_what_we_know_of_an_address_counts_only_where_from_is_proved() -> None:
    assert rung(dirty=False, authenticated=False, registered=True, exact=True) is Rung.UNAUTHENTICATED
    assert rung(dirty=True, authenticated=True, registered=True, exact=True) is Rung.DIRTY
    assert rung(dirty=False, authenticated=True, registered=False, exact=True) is Rung.EXACT


def test_a_partys_own_address_is_exact_at_the_contracts_desk_and_a_duplicate_has_its_rung(house: House) -> None:
    house.one(letter(order(), sender=RESELLER, to=desk.SELECT), "select")
    asked = letter("Bonjour, quel est le statut de notre contrat ?\n", sender=CLAIRE, to=desk.SELECT)
    receipts = house.receive(asked, asked, mailbox="select")
    assert [(one["decision"], one["trust"]) for one in receipts] == [("request", "exact"), ("duplicate", "exact")]


# --- dirty: nothing but quarantine


@pytest.mark.parametrize("mailbox", ["partners-eu", "select"])
def test_a_dirty_mail_lies_in_quarantine_and_nobody_hears_of_it(house: House, mailbox: str) -> None:
    receipt = house.one(DIRTY, mailbox)
    assert (receipt["decision"], receipt["reason"], receipt["notices"]) == ("quarantine", "unreadable", [])
    assert (house.queue(), house.installation.tickets()) == ([], [])


def test_a_dirty_mail_is_not_answered_even_where_from_is_believed(tmp_path: Path) -> None:
    trusting = house_with(tmp_path, 'require = false\nunknown_sender = "accept"')
    assert trusting.one(DIRTY)["decision"] == "quarantine"
    assert trusting.queue() == []
    trusting.app.database.dispose()


def house_with(folder: Path, trust: str) -> House:
    return house(folder, f"sqlite:///{folder}/t.db", trust=trust)


# --- unauthenticated: a ticket in review, one fixed receipt


def test_an_unauthenticated_mail_waits_in_review_without_priority_or_facts(house: House) -> None:
    receipt = house.one(letter(LARGE, verdict=None))
    assert (receipt["decision"], receipt["reason"], receipt["review"]) == ("ticket", "unauthenticated_sender", True)
    assert (receipt["severity"], receipt["priority_large_user"]) == ("S3", False)
    assert receipt["account"] is not None, "operators see what it names"
    (ticket,) = house.installation.tickets()
    assert (ticket.state, ticket.severity, ticket.authenticated) == ("review", "S3", False)
    assert [entry.notice for entry in house.queue()] == ["received_for_review"], "and no associate is woken"


WORDS = ("Xyzzy", "buy-pills", "evil.example", "Frobnicate")


def wordy(**changes: str) -> bytes:
    return letter(
        "Frobnicate the account it@acme.example now: http://evil.example/\n",
        **{
            "sender": PARTNER,
            "verdict": None,
            "subject": "Xyzzy [EU-000001] buy-pills",
            "message_id": "<buy-pills.xyzzy@evil.example>",
            "head": "References: <frobnicate@evil.example>\r\nIn-Reply-To: <frobnicate@evil.example>\r\n"
            "Reply-To: victim@evil.example\r\nCc: other@evil.example\r\nThread-Topic: Xyzzy\r\n",
            **changes,
        },
    )


def test_the_receipt_to_an_unauthenticated_sender_has_not_a_word_of_his_mail(house: House, logged: io.StringIO) -> None:
    house.one(wordy())
    (entry,) = house.queue("queued")
    assert entry.recipient == PARTNER, "never the Reply-To, never the Cc"
    mail, raw = house.mail_of(entry), house.bytes_of(entry).lower()
    assert (mail["In-Reply-To"], mail["References"], mail["Cc"], mail["Bcc"]) == (None, None, None, None)
    everything = (raw.decode() + words_of(mail) + str(mail["Subject"])).lower()
    assert [word for word in WORDS if word.lower() in everything] == []
    logged = logged.getvalue().lower()
    assert "decision=ticket" in logged
    assert [word for word in WORDS if word.lower() in logged] == []


def test_one_receipt_a_day_and_the_others_are_held(either_house: House) -> None:
    now = datetime.now(UTC)
    either_house.receive(*(letter(f"Essai {n}\n", verdict=None) for n in range(5)), at=now)
    assert [entry.state for entry in either_house.queue()] == ["queued", *["held"] * 4]
    either_house.one(letter("Le soir\n", verdict=None), at=now + timedelta(hours=23))
    either_house.one(letter("Le lendemain\n", verdict=None), at=now + timedelta(hours=25))
    assert [entry.state for entry in either_house.queue()][5:] == ["held", "queued"], "what was held does not count"
    assert len(either_house.installation.tickets()) == 7, "what is braked is the answer, never the ticket"


def test_an_unauthenticated_mail_moves_no_order_and_no_contract(house: House) -> None:
    placed = house.one(letter(order(), sender=RESELLER, verdict=None, to=desk.SELECT), "select")
    assert (placed["decision"], placed["reason"], placed["contracts"]) == ("order", "unauthenticated_sender", [])
    house.one(letter(order(po="PO-2"), sender=RESELLER, to=desk.SELECT), "select")
    asked = letter("Veuillez annuler la commande PO-2.\n", sender=CLAIRE, verdict="dmarc=fail", to=desk.SELECT)
    receipt = house.one(asked, "select")
    assert (receipt["decision"], receipt["reason"]) == ("ticket", "unauthenticated_sender")
    with house.app.database.read() as session:
        assert [one.state for one in contracts.listed(session)] == ["active"]


# --- authenticated, unknown


def test_a_proved_stranger_waits_in_review_and_hears_his_own_subject(house: House) -> None:
    receipt = house.one(letter(LARGE, sender=STRANGER, subject="Panne"))
    assert (receipt["reason"], receipt["review"], receipt["severity"]) == ("unknown_sender", True, "S3")
    (entry,) = house.queue()
    assert (entry.notice, entry.recipient, entry.subject) == (
        "received_for_review",
        STRANGER,
        "Re: [EU-000001] Panne",
    )
    said = words_of(house.mail_of(entry))
    assert [fact for fact in ("Acme", "60012345678", "640", "it@acme") if fact in said] == []


def test_a_proved_stranger_adds_to_what_he_opened_and_to_nothing_else(house: House) -> None:
    house.one(letter(FRENCH, sender=STRANGER))
    again = house.one(letter(LARGE, sender=STRANGER, subject="Re: [EU-000001] Question"))
    assert (again["decision"], again["reason"], again["ticket"]) == ("update", "reply", "EU-000001")
    assert (again["severity"], house.installation.ticket("EU-000001").state) == ("S3", "review")
    house.one(letter(FRENCH))
    other = house.one(letter(LARGE, sender=STRANGER, subject="Re: [EU-000002] Question"))
    assert (other["decision"], other["linked"]) == ("ticket", "EU-000002")


def test_a_proved_stranger_places_no_order_and_asks_for_nothing(house: House) -> None:
    placed = house.one(letter(order(), sender=STRANGER, to=desk.SELECT), "select")
    assert (placed["reason"], placed["contracts"]) == ("unknown_sender", [])
    house.one(letter(order(po="PO-2"), sender=RESELLER, to=desk.SELECT), "select")
    for asked in ("Veuillez annuler la commande PO-2.\n", "Merci de renvoyer l'invitation PO-2.\n"):
        receipt = house.one(letter(asked, sender=STRANGER, to=desk.SELECT), "select")
        assert (receipt["decision"], receipt["reason"]) == ("ticket", "unknown_sender")
    assert [entry.recipient for entry in house.queue() if entry.notice == "invitation"] == [CLAIRE]


# --- registered, exact


def test_a_registered_partner_gets_priority_facts_orders_and_may_be_answered_by_his_colleague(house: House) -> None:
    receipt = house.one(letter(LARGE, sender=COLLEAGUE))
    assert (receipt["trust"], receipt["severity"], receipt["priority_large_user"]) == ("registered", "S1", True)
    assert {entry.notice for entry in house.queue()} == {"ticket_opened", "priority_alert"}
    joined = house.one(letter("Merci\n", sender=PARTNER, subject="Re: [EU-000001] Question"))
    assert joined["decision"] == "update"
    placed = house.one(letter(order(), sender=COLLEAGUE, to=desk.SELECT), "select")
    assert (placed["reason"], len(placed["contracts"])) == ("order_complete", 1)


def test_a_party_by_its_organisation_may_do_less_than_one_by_its_address(house: House) -> None:
    """T3 and T4: the reseller's colleague asks and cancels what his house placed, only the customer itself adds."""
    house.one(letter(order(), sender=RESELLER, to=desk.SELECT), "select")
    add = "Merci d'ajouter paul.durand@acme.example à l'invitation PO-4711.\n"
    by_domain = house.one(letter(add, sender=COLLEAGUE, to=desk.SELECT), "select")
    assert (by_domain["trust"], by_domain["refused"]) == ("registered", "not_allowed")
    other = house.one(letter(add, sender="jean@acme.example", to=desk.SELECT), "select")
    assert (other["trust"], other["decision"]) == ("unknown", "ticket"), "at the customer's domain is not the customer"
    exact = house.one(letter(add, sender=CLAIRE, to=desk.SELECT), "select")
    assert (exact["trust"], exact["refused"]) == ("exact", None)
    status = house.one(letter("Statut du contrat PO-4711 ?\n", sender=DISTRIBUTOR, to=desk.SELECT), "select")
    assert (status["trust"], status["reason"]) == ("exact", "contract_status")
    cancel = house.one(letter("Veuillez annuler PO-4711.\n", sender=COLLEAGUE, to=desk.SELECT), "select")
    assert (cancel["reason"], cancel["refused"]) == ("cancel_contract", None)


def test_a_partner_learns_nothing_of_a_customer_that_answers_to_others(house: House) -> None:
    """`boreal.example` names Nordlicht as its partner: to Integra the answer is neutral, and has no fact."""
    receipt = house.one(letter("Service : Zoho CRM\nSuper administrateur : admin@boreal.example\n"))
    assert (receipt["reason"], receipt["review"]) == ("unlinked_partner", True)
    assert [entry.notice for entry in house.queue()] == ["received_for_review"]
    with house.app.database.read() as session:
        ticket = tickets.by_number(session, receipt["ticket"])
    assert ticket is not None
    assert ticket.severity == "S3"
