"""Orders are read as their golden mails say: two files in `tests/mails_contracts/orders`, .eml and .json, are a test.

An invitation goes to the customer's address that is read here, so these cases are above all about whose value it is.
"""

import json
import re
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.domain import order_form, vocabulary
from triaged.domain.message import Address, House, Line, Message, Passage, Place
from triaged.domain.order import Draft, Role
from triaged.domain.order_words import FIELDS, OrderWords, field_name
from triaged.mail import reader

CHECKOUT = Path(__file__).parents[2]
MAILS = CHECKOUT / "tests" / "mails_contracts" / "orders"
TABLE = tomllib.loads((CHECKOUT / "config" / "labels.toml").read_text("utf-8"))["order"]
WORDS = OrderWords.from_table(TABLE)
HOUSE = House("support.example", frozenset({"select@vendor.example"}))


def body(*lines: str, subject: str = "", place: Place = Place.BODY) -> Message:
    passage = Passage(place, tuple(Line(number, text) for number, text in enumerate(lines, 1)))
    return Message(sender=Address("jean@integra.example"), subject=subject, new=(passage,))


def read(*lines: str, subject: str = "") -> Draft:
    return order_form.read(body(*lines, subject=subject), WORDS)


def lines_of(draft: Draft, known: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The positions, with what the expectation speaks of."""
    return [
        {key: getattr(line, key) for key in (known[at] if at < len(known) else ("sku", "licences"))}
        for at, line in enumerate(draft.lines)
    ]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(MAILS.glob("*.eml"))])
def test_a_golden_mail_is_read_as_its_expectation_says(path: Path) -> None:
    expected: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    draft = order_form.read(reader.read(path.read_bytes(), HOUSE), WORDS)
    document = draft.document()
    found = {key: document[key] for key in expected if key not in ("is_order", "lines")}
    found |= {"is_order": order_form.is_order(draft), "lines": lines_of(draft, expected["lines"])}
    assert found == expected


# --- whose value it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", sorted(TABLE))
@pytest.mark.parametrize("name", FIELDS)
def test_every_label_that_our_answers_ask_with_is_read_back(locale: str, name: str) -> None:
    label = WORDS.label(WORDS.fill_in_label(name, locale))
    assert label is not None
    assert field_name(label) == name


def test_a_locale_without_labels_asks_in_its_language_or_in_english() -> None:
    assert WORDS.fill_in_label("sku", "fr-CA") == WORDS.fill_in_label("sku", "fr")
    assert WORDS.fill_in_label("customer_name", "pt") == "End customer name"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Adresse e-mail du client final (administrateur informatique)", "customer_email"),
        ("Adresse de l'entreprise du client", "customer_address"),
        ("Adresse de messagerie du client final", "customer_email"),
        ("E-Mail-Adresse des Endkunden", "customer_email"),
        ("Endkunden-E-Mail", "customer_email"),
        ("EndkundenE-Mail", "customer_email"),
        ("Customer e-mail", "customer_email"),
        ("end-customer email address", "customer_email"),
        ("E-mail (client final)", "customer_email"),
        ("Company address of the end customer", "customer_address"),
        ("Siège social du client final", "customer_address"),
        ("Société du revendeur", "reseller_name"),
        ("Reseller contact e-mail", "reseller_email"),
        ("Händleradresse", "reseller_address"),
        ("E-mail du grossiste", "distributor_email"),
        ("P.O. Number", "po_number"),
        ("Réf. commande", "po_number"),
        ("Date de commande", "date"),
        ("Réf. article", "sku"),
        ("Qté commandée", "licences"),
        ("Durée (années)", "years"),
    ],
)
def test_labels_are_put_together_from_phrases(text: str, name: str) -> None:
    label = WORDS.label(text)
    assert label is not None
    assert field_name(label) == name


@pytest.mark.parametrize(
    "text",
    ["Bonjour", "E-mail du commercial", "Code client", "Customer number", "Adresse de facturation", "Notre référence",
     "Client final du revendeur", "Votre contact chez Integra", "SKU 994-000148", "", "de la", "12", "N° de devis"],
)  # fmt: skip
def test_what_nobody_listed_names_no_field(text: str) -> None:
    label = WORDS.label(text)
    assert label is None or field_name(label) in ("", "other", "elsewhere")


BEFORE = ("N° de commande : PO-4711", "SKU : 994-000148", "Licences : 40")
LEAKS = [
    ("Client final", "Nom : Acme SA", "Cordialement,", "E-mail : jean@integra.example"),
    ("Client final", "Nom : Acme SA", "--", "Jean Martin", "E-mail : jean@integra.example"),
    ("Client final", "Nom : Acme SA", "Revendeur", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Revendeur :", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Commercial en charge : Jean Martin", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Nous restons à disposition.", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "E-mail de facturation : compta@integra.example"),
    ("Client final : Acme SA", "De : jean@integra.example", "E-mail : jean@integra.example"),
    ("Revendeur", "Nom : Integra", "Client final : Acme SA", "E-mail : jean@integra.example"),
    ("E-mail : jean@integra.example", "Client final : Acme SA"),
    ("jean@integra.example", "Client final : Acme SA"),
    ("Client final", "Acme SA", "", "jean@integra.example"),
    ("Client final", "Acme SA", "", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "", "", "jean@integra.example"),
    ("E-mail du client final :", "", "jean@integra.example"),
    ("E-mail du client final :", "Cordialement, jean@integra.example"),
    ("E-mail du client final :", "Pour toute question, écrivez à jean@integra.example."),
    ("E-mail du client final : ____", "jean@integra.example"),
    ("Client final : Acme SA", "Bestellt von", "E-mail : jean@integra.example"),
    ("Revendeur et client final", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Jean Martin | Integra | jean@integra.example"),
    ("Client final\tAcme SA", "Revendeur\tIntegra", "E-mail\tjean@integra.example"),
    ("Client final : Acme SA", "Sent from my phone", "E-mail : jean@integra.example"),
    ("Client final", "Acme SA", "Adresse de facturation :", "Integra SARL", "jean@integra.example"),
    ("Client final : Acme SA", "Adresse de livraison :", "Integra SARL", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Facturé à : Integra SARL", "E-mail : jean@integra.example"),
    ("Client final : Acme SA", "Votre interlocutrice : Jeanne", "E-mail : jean@integra.example"),
    ("End customer", "Acme", "12 High Street", "Leeds LS1 1AA", "Bill to:", "Integra", "jean@integra.example"),
    ("End customer: Acme", "Billing contact: Jean", "E-mail: jean@integra.example"),
    ("End customer: Acme", "Logitech contact: Jean", "E-mail: jean@integra.example"),
    ("End customer: Acme", "Requested by: Jean", "E-mail: jean@integra.example"),
    ("Endkunde: Acme", "Rechnung an: Integra", "E-Mail: jean@integra.example"),
    ("Endkunde: Acme", "Ihr Ansprechpartner: Jean", "E-Mail: jean@integra.example"),
    ("Bill-to customer: Integra", "E-mail: jean@integra.example"),
    ("Revendeur : Integra ; Client final : Acme SA", "E-mail : jean@integra.example"),
    ("Revendeur\tIntegra\tClient final\tAcme SA", "E-mail\tjean@integra.example\t\t"),
    ("Client final\tRevendeur", "Acme SA", "75001 Paris", "Integra", "jean@integra.example", "69001 Lyon"),
    ("Client final\tRevendeur", "Acme SA", "75001 Paris", "Integra", "jean@integra.example", "Jo", "j@integra.example"),
    ("Client final\tRevendeur", "E-mail : jean@integra.example", "Nom : Acme SA"),
]  # fmt: skip


@pytest.mark.parametrize("lines", LEAKS)
def test_an_address_of_somebody_else_is_never_the_customers(lines: tuple[str, ...]) -> None:
    assert read(*BEFORE, *lines).customer.email == ""


@pytest.mark.parametrize(
    "lines",
    [
        ("Client final", "Nom : Acme SA", "E-mail : m@acme.example"),
        ("Client final :", "", "Nom : Acme SA", "", "E-mail : m@acme.example"),
        ("Client final : Acme SA", "Téléphone : 01 00 00 00 00", "E-mail : m@acme.example"),
        ("1. Client final", "a) Nom : Acme SA", "b) E-mail : m@acme.example"),
        ("=== CLIENT FINAL ===", "Nom = Acme SA", "E-mail = m@acme.example"),
        ("[Client final]", "nom: Acme SA", "email: <m@acme.example>"),
        ("Client final", "E-mail", "m@acme.example"),
        ("Client final : Acme SA <m@acme.example>",),
        ("Client final\tAcme SA\tm@acme.example\t12 rue de la Paix, 75002 Paris",),
        ("E-mail du client final :", "m@acme.example"),
        ("E-mail du client final : mailto:m@acme.example",),
        ("E-mail du client final : m@acme.example<mailto:m@acme.example>",),
        ("Endkunde: Acme SA (m@acme.example)",),
        ("\tClient final\tRevendeur", "E-mail\tm@acme.example\tjean@integra.example"),
        ("Client final\t\tRevendeur\t", "E-mail\tm@acme.example\tE-mail\tjean@integra.example"),
        ("Client final\tRevendeur", "E-mail : m@acme.example", "E-mail : jean@integra.example"),
        (
            "Client final\tRevendeur",
            "Acme",
            "75001 Paris",
            "m@acme.example",
            "Integra",
            "69001 Lyon",
            "j@integra.example",
        ),
        ("Facturé à\tClient final", "Nom : Integra", "Mail : j@integra.example", "Nom : Acme", "Mail : m@acme.example"),
        ("| | Client final | Revendeur |", "|---|---|---|", "| E-mail | m@acme.example | jean@integra.example |"),
        ("Client final : Acme SA", "Adresse de livraison : 12 rue de la Paix, 75002 Paris", "E-mail : m@acme.example"),
    ],
)
def test_the_customers_own_address_is_found(lines: tuple[str, ...]) -> None:
    assert read(*BEFORE, *lines).customer.email == "m@acme.example"


def test_an_address_ends_where_the_signature_begins() -> None:
    draft = read(
        *BEFORE, "Client final : Acme SA", "Adresse : 12 rue de la Paix", "75002 Paris", "Jean Martin", "Integra"
    )
    assert draft.customer.address == "12 rue de la Paix, 75002 Paris"


def test_a_mail_address_between_name_and_street_keeps_them_apart() -> None:
    customer = read(*BEFORE, "Client final : Acme SA <m@acme.example> 12 rue de la Paix, 75002 Paris").customer
    assert (customer.name, customer.address) == ("Acme SA", "12 rue de la Paix, 75002 Paris")


def test_a_value_tells_where_it_stood() -> None:
    draft = read(*BEFORE, "E-mail du client final : m@acme.example")
    assert dict(draft.where) == {
        "po_number": "body:1",
        "sku": "body:2",
        "licences": "body:3",
        "customer_email": "body:4",
    }


def test_html_is_believed_before_the_plain_text_beside_it() -> None:
    page = Passage(Place.HTML, (Line(1, "SKU\tLicences"), Line(2, "994-000148\t40")))
    plain = Passage(Place.BODY, tuple(Line(n, t) for n, t in enumerate(["SKU", "Licences", "994-000148", "40"], 1)))
    draft = order_form.read(Message(subject="Bon de commande PO-4711", new=(plain, page)), WORDS)
    assert [(line.sku, line.licences) for line in draft.lines] == [("994-000148", "40")]


@pytest.mark.parametrize("beside", ["Page 1/1", "Seite 1 von 2", "Date : 22.06.2026", "Licences 40"])
def test_what_follows_a_heading_is_no_po_number(beside: str) -> None:
    draft = read(f"COMMANDE D'ACHAT                    {beside}", "N° de commande : 4500091234", "SKU : 994-000148")
    assert draft.po_number == "4500091234"


def test_our_own_numbers_are_no_po_numbers() -> None:
    assert read("N° de commande : ORD-000012", "SKU : 994-000148").po_number == ""
    assert read("SKU : 994-000148", subject="Bon de commande ORD-000012").po_number == ""


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Bon de commande PO-4711", "PO-4711"),
        ("Commande n° 45001", "45001"),
        ("Purchase Order #4500123", "4500123"),
        ("PO4711 Acme", "PO4711"),
        ("Bestellung Nr. 2026-117", "2026-117"),
        ("TR: Commande PO/2026/17 - Acme", "PO/2026/17"),
        ("RE: Commande PO-4711", ""),
        ("Commande de 4000 licences", ""),
        ("994-000148", ""),
        ("Commande du 12/06/2026", ""),
        ("commande PO-INT-9071", "PO-INT-9071"),
        ("Notre commande n° PO-SA-3001 du 22/06", "PO-SA-3001"),
        ("Commande n° 2026-778 : 40 licences", "2026-778"),
        ("Commande du 22/06", ""),
        ("Commande page 1/1", ""),
    ],
)
def test_a_subject_names_the_order_where_no_label_does(subject: str, number: str) -> None:
    assert read("SKU : 994-000148", "Licences : 40", subject=subject).po_number == number


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_holds_several_orders() -> None:
    rows = [
        "PO number\tOrder date\tSKU\tLicences\tCustomer name\tCustomer email\tCountry",
        "PO-1\t2026-06-01\t994-000148\t40\tAcme SA\tm@acme.example\tFR",
        "PO-2\t2026-06-02\t994-000303\t5\tBeta\tb@beta.example\tDE",
        "PO-1\t2026-06-01\t994-000303\t20\tAcme SA\tm@acme.example\tFR",
        "\t\t994-000305\t7",
        "Total\t\t\t72",
    ]
    first, second = order_form.read_rows(rows, WORDS)
    assert (first.po_number, first.date, first.country, first.customer.email) == (
        "PO-1",
        "2026-06-01",
        "FR",
        "m@acme.example",
    )
    assert [(line.sku, line.licences) for line in first.lines] == [
        ("994-000148", "40"),
        ("994-000303", "20"),
        ("994-000305", "7"),
    ]
    assert (second.po_number, [line.licences for line in second.lines]) == ("PO-2", ["5"])
    assert dict(second.where)["po_number"] == "row:3"


def test_rows_without_a_number_are_orders_of_their_own() -> None:
    rows = ["PO\tSKU\tQty\tCustomer email", "\t994-000148\t40\ta@acme.example", "\t994-000148\t5\tb@beta.example"]
    assert [(draft.po_number, draft.customer.email) for draft in order_form.read_rows(rows, WORDS)] == [
        ("", "a@acme.example"),
        ("", "b@beta.example"),
    ]


def test_a_file_of_labels_is_one_order() -> None:
    drafts = order_form.read_rows(["N° de commande\tPO-1", "SKU\t994-000148", "Licences\t40"], WORDS)
    assert [(draft.po_number, draft.lines[0].licences) for draft in drafts] == [("PO-1", "40")]


@pytest.mark.parametrize("rows", [[], [""], ["nothing here"], ["\t\t"]])
def test_a_file_without_an_order_is_empty(rows: list[str]) -> None:
    assert order_form.read_rows(rows, WORDS) == ()


# --- the table of words -------------------------------------------------------------------------------------------


def test_every_fault_of_the_words_is_told_at_once() -> None:
    table = {
        "fr": {"sku": "référence", "email": ["mail"], "name": ["mail"], "colour": ["bleu"], "city": ["12"]},
        "en": [],
        "de": {"fill_in": {"sku": "SKU"}},
    }
    with pytest.raises(vocabulary.VocabularyError) as raised:
        OrderWords.from_table(table)
    told = "\n".join(raised.value.problems)
    faults = [
        "order.fr.sku", "listed as email and as name", "order.fr.colour", "'12' holds no word", "order.en must be",
        "order.de.fill_in.licences is missing", "order.de.fill_in.sku: 'SKU' is not read as sku",
    ]  # fmt: skip
    assert [fault for fault in faults if fault not in told] == []


# --- hostile ------------------------------------------------------------------------------------------------------


HOSTILE = {
    "labels": ["E-mail du client final : " * 40] * 5_000,
    "colons": [":" * 1_000] * 5_000,
    "label flood": ["SKU : 994-000148", "Licences : 40"] * 8_000,
    "contradictions": [f"N° de commande : PO-{number}" for number in range(20_000)],
    "skus on a line": ["994-000148 " * 90] * 3_000,
    "numbers": ["1 000 " * 160] * 3_000,
    "at signs": ["a@" * 500] * 5_000,
    "addresses": ["E-mail du client final : " + "a@b.example " * 80] * 3_000,
    "tabs": ["\t".join(["SKU"] * 500)] * 3_000,
    "rows": ["PO\tSKU\tLicences", *("PO-1\t994-000148\t1" for _ in range(10_000))],
    "waiting": [*["SKU : 994-000148"] * 6_000, *["Licences : 40"] * 6_000],
    "address that never ends": ["Client final", "Acme", *["rue"] * 12_000],
    "bars": ["|" * 1_000] * 5_000,
    "blanks": [("SKU" + " " * 300) * 3] * 5_000,
    "compounds": ["Endkunden" * 11 + " : x"] * 10_000,
    "dots": ["." * 1_000 + "x"] * 5_000,
    "po tokens": ["PO-1." * 200] * 5_000,
    "controls": ["".join(map(chr, range(32))) * 20] * 2_000,
    "one line": ["N° de commande : PO-4711 " * 40_000],
}  # fmt: skip


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in HOSTILE.items()])
def test_reading_stays_short_whatever_comes(lines: list[str]) -> None:
    begun = time.perf_counter()
    draft = read(*lines, subject="Commande " + "PO-1 " * 200)
    order_form.is_order(draft)
    assert time.perf_counter() - begun < 4


def test_ten_thousand_rows_are_ten_thousand_orders() -> None:
    rows = ["PO\tSKU\tLicences\tCustomer email", *(f"PO-{n}\t994-000148\t1\ta{n}@acme.example" for n in range(10_000))]
    begun = time.perf_counter()
    drafts = order_form.read_rows(rows, WORDS)
    assert (len(drafts), drafts[-1].customer.email) == (10_000, "a9999@acme.example")
    assert time.perf_counter() - begun < 15


def test_more_positions_than_anybody_orders_are_visible_and_no_order() -> None:
    draft = read("N° de commande : PO-1", *(f"{n} x 994-{n:06}" for n in range(1, 700)))
    assert (len(draft.lines), draft.lines[-1].sku) == (501, "+ 199")


def test_control_characters_never_reach_a_value() -> None:
    draft = read(
        "SKU : 994-000148", "Nom du client final : Ac\x1b[31mme\x00 SA", "Adresse du client final : 1 rue\x07 A"
    )
    assert (draft.customer.name, draft.customer.address) == ("Ac[31mme SA", "1 rue A")


PIECES = st.sampled_from(
    ["Client final", "Revendeur", "E-mail", "Adresse", "SKU", "N° de commande", "Licences", ":", "\t", " ", "\n",
     "m@acme.example", "994-000148", "40", "12 rue A", "75002 Paris", "Acme SA", "Cordialement", "[[", "]]", "|", "-",
     "=", "x", "Total", ">", "*", "…"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_no_text_makes_the_reader_raise_or_invent(text: str) -> None:
    draft = read(*text.split("\n"))
    written = "".join(character for character in text.casefold() if character.isalnum())
    for party in map(draft.party, Role):
        for value in (party.name, party.email):
            for one in re.split(" ≠ |, ", value):
                assert "".join(character for character in one.casefold() if character.isalnum()) in written
