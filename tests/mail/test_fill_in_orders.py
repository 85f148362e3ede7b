"""The block of our `order_problems` mail, answered inside a quoted mail, completes the order (row C1)."""

import tomllib

import pytest
from tests import mails_gallery as gallery

from triaged.adapters import templates
from triaged.domain import order_form
from triaged.domain.message import House
from triaged.domain.notices import Facts, FindingFacts, NoticeName
from triaged.domain.order import Draft, Role
from triaged.domain.order_words import FIELDS, OrderWords
from triaged.mail import reader

RENDERER = templates.Renderer([gallery.CHECKOUT / "templates"])
WORDS = OrderWords.from_table(tomllib.loads((gallery.CHECKOUT / "config/labels.toml").read_text("utf-8"))["order"])
HOUSE = House("support.example", frozenset({"select@vendor.example"}))
VALUES = {
    "po_number": "PO-4711", "sku": "994-000148", "licences": "40",
    "customer_name": "Acme SA", "customer_email": "marie@acme.example", "customer_address": "12 rue A, 75002 Paris",
    "reseller_name": "Integra", "reseller_email": "jean@integra.example", "reseller_address": "1 place B, 69002 Lyon",
    "distributor_name": "Distri", "distributor_email": "o@distri.example", "distributor_address": "5 quai C, 13002 Aix",
}  # fmt: skip
ATTRIBUTIONS = {
    "fr": "Le 15/06/2026 à 10:12, Services de support Logitech a écrit :",
    "en": "On 15/06/2026 10:12, Logitech Support Services wrote:",
    "de": "Am 15.06.26 um 10:12 schrieb Logitech Support Services:",
}
HEADERS = {
    "fr": "De : Services <select@vendor.example>\nEnvoyé : lun. 15 juin 2026 10:12\nÀ : Jean\nObjet : Votre commande",
    "en": "From: Services <select@vendor.example>\nSent: Monday, June 15, 2026 10:12\nTo: Jean\nSubject: Your order",
    "de": "Von: Services <select@vendor.example>\nGesendet: 15. Juni 2026 10:12\nAn: Jean\nBetreff: Ihre Bestellung",
}


def mail(locale: str) -> templates.Rendered:
    """Our mail about an order of which everything was missing."""
    problems = tuple(FindingFacts(name, "missing") for name in FIELDS)
    facts = Facts(party="other", order="ORD-000012", problems=problems, ask=True, desk_name="Services")
    return RENDERER.render(NoticeName.ORDER_PROBLEMS, locale, facts)


def labels(locale: str, name: str) -> list[str]:
    """The label line of a field as our mail writes it, with its colon."""
    return [
        line for line in mail(locale).text.splitlines() if line.rstrip(" :\u00a0") == WORDS.fill_in_label(name, locale)
    ]


def answer(kind: str, body: str) -> Draft:
    head = (
        "From: jean@integra.example\nTo: select@vendor.example\nSubject: Re: Votre commande [ORD-000012]\n"
        f"MIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    )
    return order_form.read(reader.read((head + body).replace("\n", "\r\n").encode(), HOUSE), WORDS)


def said(draft: Draft) -> dict[str, str]:
    """The fields that a draft has, by INTERFACE's names."""
    found = {"po_number": draft.po_number}
    for line in draft.lines:
        found |= {"sku": line.sku, "licences": line.licences}
    for role in Role:
        party = draft.party(role)
        found |= {f"{role}_name": party.name, f"{role}_email": party.email, f"{role}_address": party.address}
    return {name: value for name, value in found.items() if value}


def filled(locale: str, only: tuple[str, ...] = FIELDS) -> list[str]:
    rows = mail(locale).text.splitlines()
    for name in only:
        (label,) = labels(locale, name)
        rows[rows.index(label)] = f"{label} {VALUES[name]}"
    return rows


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_our_mail_asks_for_every_field_by_a_label_that_is_read(locale: str) -> None:
    assert [len(labels(locale, name)) for name in FIELDS] == [1] * len(FIELDS)


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
@pytest.mark.parametrize("name", FIELDS)
def test_one_field_filled_in_under_a_quote_is_read_alone(locale: str, name: str) -> None:
    quoted = "\n".join(f"> {row}" for row in filled(locale, (name,)))
    assert said(answer("plain", f"Hello\n\n{ATTRIBUTIONS[locale]}\n{quoted}\n")) == {name: VALUES[name]}


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_a_whole_block_is_read_under_outlooks_header(locale: str) -> None:
    body = f"Hello\n\n{HEADERS[locale]}\n\n" + "\n".join(filled(locale)) + "\n"
    assert said(answer("plain", body)) == VALUES


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_a_whole_block_is_read_under_prefixes(locale: str) -> None:
    quoted = "\n".join(f"> {row}" for row in filled(locale))
    assert said(answer("plain", f"Hello\n\n{ATTRIBUTIONS[locale]}\n{quoted}\n")) == VALUES


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_a_whole_block_is_read_in_quoted_html(locale: str) -> None:
    page = mail(locale).html.partition("<body")[2].partition(">")[2].partition("</body>")[0]
    page = page.replace("&nbsp;", "\u00a0")
    for name in FIELDS:
        (label,) = labels(locale, name)
        assert page.count(f">{label}<") == 1
        page = page.replace(f">{label}<", f">{label} {VALUES[name]}<")
    body = (
        f'<p>Hello</p><div class="gmail_quote"><div class="gmail_attr">{ATTRIBUTIONS[locale]}<br></div>'
        f'<blockquote class="gmail_quote">{page}</blockquote></div>'
    )
    assert said(answer("html", body)) == VALUES


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_values_typed_below_their_labels_are_read(locale: str) -> None:
    rows = mail(locale).text.splitlines()
    for name in ("customer_name", "customer_email", "customer_address", "licences"):
        (label,) = labels(locale, name)
        rows[rows.index(label)] = f"{label}\n{VALUES[name]}".replace(", ", "\n")
    quoted = "\n".join(f"> {line}" for row in rows for line in row.split("\n"))
    found = said(answer("plain", f"Hello\n\n{ATTRIBUTIONS[locale]}\n{quoted}\n"))
    assert found == {n: VALUES[n] for n in ("customer_name", "customer_email", "customer_address", "licences")}


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_an_empty_block_and_our_own_words_are_no_order(locale: str) -> None:
    quoted = "\n".join(f"> {row}" for row in mail(locale).text.splitlines())
    assert not answer("plain", f"Merci, je m'en occupe.\n\n{ATTRIBUTIONS[locale]}\n{quoted}\n")
