"""Who may add to a ticket, and which of two copies counts: proof of thread and proof of sender, never one alone."""

import pytest
from tests.house import desk
from tests.house.test_contracts import CLAIRE, RESELLER, order
from tests.threats.threatened import COLLEAGUE, FRENCH, LARGE, PARTNER, STRANGER, House, letter

from triaged.adapters.db import contracts

THREE = {
    "a guessed number": ({"subject": "Re: [EU-000001] Question"}, "a colleague's ticket needs a colleague"),
    "our Message-ID": ({"head": "In-Reply-To: {ours}\r\n"}, "a forwarded mail gives it to anybody"),
    "our Message-ID among others": ({"head": "References: <a@b> {ours} <c@d>\r\n"}, "wherever it stands"),
    "our Message-ID, and the partner in Cc": (
        {"head": f"In-Reply-To: {{ours}}\r\nCc: {PARTNER}\r\n"},
        "Cc proves nothing",
    ),
    "our Message-ID, and the partner as Reply-To": (
        {"head": f"In-Reply-To: {{ours}}\r\nReply-To: {PARTNER}\r\nSender: {PARTNER}\r\n"},
        "nor does any other field",
    ),
}


def opened(house: House) -> str:
    house.one(letter(FRENCH))
    return house.queue()[0].message_id


@pytest.mark.parametrize("sender", [STRANGER, "desk@brightwave.example"])
def test_nobody_joins_a_ticket_that_is_not_his(house: House, sender: str) -> None:
    ours = opened(house)
    for parts, why in THREE.values():
        told = {name: text.format(ours=ours) for name, text in parts.items()}
        receipt = house.one(letter(LARGE + why, sender=sender, **told))  # type: ignore[arg-type]  # a test's own keywords
        assert (receipt["decision"], receipt["linked"]) == ("ticket", "EU-000001"), why
    ticket = house.installation.ticket("EU-000001")
    assert (ticket.severity, ticket.account, len(house.installation.history("EU-000001"))) == ("S3", None, 1)
    assert {entry.recipient for entry in house.queue()[1:]} <= {sender, "support-eu@vendor.example"}


@pytest.mark.parametrize("head", ["In-Reply-To: {ours}\r\n", ""])
def test_an_unproved_partner_with_proof_of_the_thread_waits_in_review(house: House, head: str) -> None:
    ours = opened(house)
    receipt = house.one(letter(LARGE, verdict=None, subject="Re: [EU-000001] x", head=head.format(ours=ours)))
    assert (receipt["reason"], receipt["linked"], receipt["review"]) == ("unauthenticated_sender", "EU-000001", True)


def test_both_proofs_together_add_to_the_ticket(house: House) -> None:
    ours = opened(house)
    receipt = house.one(letter(LARGE, sender=COLLEAGUE, head=f"In-Reply-To: {ours}\r\n"))
    assert (receipt["decision"], receipt["ticket"], receipt["severity"]) == ("update", "EU-000001", "S1")


@pytest.mark.parametrize("change", [("eu-000001", "eu-000002"), (".", "x"), ("@", "@x.")])
def test_a_changed_message_id_of_ours_proves_nothing(house: House, change: tuple[str, str]) -> None:
    ours = opened(house).replace(*change, 1)
    receipt = house.one(letter(FRENCH, head=f"In-Reply-To: {ours}\r\n"))
    assert (receipt["decision"], receipt["linked"]) == ("ticket", None)


def test_an_order_is_completed_only_by_the_party_that_placed_it(house: House) -> None:
    house.one(letter(order().replace("SKU : 994-000148\n", ""), sender=RESELLER, to=desk.SELECT), "select")
    missing = letter("SKU : 994-000148\n", sender="desk@brightwave.example", subject="Re: [ORD-000001]", to=desk.SELECT)
    assert house.one(missing, "select")["contracts"] == []
    with house.app.database.read() as session:
        assert contracts.listed(session) == []
    assert all(entry.recipient != CLAIRE for entry in house.queue())


# --- copies


def test_a_better_vouched_copy_takes_the_first_ones_ticket_out_of_review(house: House) -> None:
    raw = letter(LARGE, verdict=None)
    house.one(raw)
    better = b"Authentication-Results: mx.vendor.example; dmarc=pass header.from=integra.example\r\n" + raw
    receipt = house.one(better)
    assert (receipt["ticket"], receipt["severity"], receipt["trust"]) == ("EU-000001", "S1", "exact")
    assert [ticket.state for ticket in house.installation.tickets()] == ["open"]


def test_a_better_vouched_mail_of_the_same_id_and_other_words_is_its_own(house: House) -> None:
    """Or whoever knows an id could have his words vouched for, or theirs suppressed."""
    house.one(letter("Donnez accès à eve@stranger.example.\n", verdict=None, message_id="<x@integra.example>"))
    house.one(letter(LARGE, message_id="<x@integra.example>"))
    found = [(t.number, t.state, t.severity) for t in house.installation.tickets()]
    assert found == [("EU-000001", "review", "S3"), ("EU-000002", "open", "S1")]


@pytest.mark.parametrize("verdict", [None, "dmarc=pass"])
def test_a_squatted_message_id_suppresses_nothing(house: House, verdict: str | None) -> None:
    house.one(letter("rien\n", sender=STRANGER, verdict=verdict, message_id="<x@integra.example>"))
    receipt = house.one(letter(LARGE, message_id="<x@integra.example>"))
    assert (receipt["decision"], receipt["severity"]) == ("ticket", "S1")


def test_mails_without_an_id_are_told_apart_by_what_they_say(house: House) -> None:
    bare = [letter(text).replace(b"Message-ID: ", b"X-Was: ") for text in ("un\n", "deux\n")]
    receipts = house.receive(*bare, bare[0])
    assert [receipt["decision"] for receipt in receipts] == ["ticket", "ticket", "duplicate"]


def test_the_same_mail_five_times_is_one_ticket_and_one_answer(house: House) -> None:
    raw = letter(FRENCH)
    receipts = [house.one(b"X-Hop: %d\r\n" % n + raw) for n in range(5)]
    assert [one["decision"] for one in receipts] == ["ticket", *["duplicate"] * 4]
    assert {one["linked"] for one in receipts[1:]} == {"EU-000001"}
    assert len(house.queue()) == 1


def test_another_services_verification_mail_goes_to_nobody(house: House) -> None:
    """Help desks have been used to receive sign-up codes: nothing that comes in is passed on."""
    code = letter("Your verification code is 482913\n", sender="noreply@service.example", subject="482913 is your code")
    receipt = house.one(code)
    assert (receipt["reason"], receipt["notices"], house.queue()) == ("unknown_sender", [], [])
