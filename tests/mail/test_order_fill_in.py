"""The fill-in block of `order_problems`, answered inside a quoted mail, completes the order (rows C1, P9)."""

import tomllib
from dataclasses import replace

import pytest
from tests import mails_gallery as gallery

from triaged.adapters import templates
from triaged.domain import order_form
from triaged.domain.message import House
from triaged.domain.order import Draft, DraftLine, Party
from triaged.domain.order_words import OrderWords
from triaged.mail import reader

RENDERER = templates.Renderer([gallery.CHECKOUT / "templates"])
WORDS = OrderWords.from_table(
    tomllib.loads((gallery.CHECKOUT / "config" / "labels.toml").read_text(encoding="utf-8"))["order"]
)
HOUSE = House("support.example", frozenset({"select@vendor.example"}))
LINES = (DraftLine("994-000303", "40"), DraftLine("994-000148", "5"))
PARTIES = ["ana.petit@bellerive.example", "1 quai Droit, 69001 Lyon"]


def mail(locale: str, positions: int) -> templates.Rendered:
    name, facts = gallery.situations(locale)["problems"]
    return RENDERER.render(name, locale, replace(facts, positions=positions))


def values(positions: int) -> list[str]:
    return [value for line in LINES[:positions] for value in (line.sku, line.licences)] + PARTIES


def draft(kind: str, body: str) -> Draft:
    head = (
        "From: contact@integra.example\nTo: select@vendor.example\nSubject: Re: 4500-77812\n"
        f"MIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    )
    return order_form.read(reader.read((head + body).replace("\n", "\r\n").encode(), HOUSE), WORDS)


def completed(positions: int) -> Draft:
    return Draft(lines=LINES[:positions], customer=Party(email=PARTIES[0]), distributor=Party(address=PARTIES[1]))


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
@pytest.mark.parametrize("positions", [1, 2])
def test_a_block_filled_in_quoted_text_is_read(locale: str, positions: int) -> None:
    rows = mail(locale, positions).text.splitlines()
    written = values(positions)
    first = rows.index("]]") - len(written)
    for row, value in enumerate(written, first):
        rows[row] += f" {value}"
    quoted = "\n".join(f"> {row}" for row in rows)
    body = f"Bonjour,\n\nLe 25/11/2026 à 18:42, Services de support Logitech a écrit :\n{quoted}\n"
    assert replace(draft("plain", body), where=()) == completed(positions)


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
@pytest.mark.parametrize("positions", [1, 2])
def test_a_block_filled_in_quoted_html_is_read(locale: str, positions: int) -> None:
    page = mail(locale, positions).html.partition("<body")[2].partition(">")[2].partition("</body>")[0]
    before, _open, rest = page.partition("[[")
    title, *rows = rest.partition("]]")[0].split("</div>")
    written = values(positions)
    for row, value in enumerate(written):
        rows[row] += f" {value}"
    filled = f"{before}[[{'</div>'.join([title, *rows])}]]{rest.partition(']]')[2]}"
    body = (
        '<div>Bonjour,</div><div class="gmail_quote"><div class="gmail_attr">Le mer. 25 nov. 2026 à 18:42, Select '
        f"&lt;select@vendor.example&gt; a écrit :<br></div><blockquote>{filled}</blockquote></div>"
    )
    assert replace(draft("html", body), where=()) == completed(positions)


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_a_block_left_empty_orders_nothing(locale: str) -> None:
    quoted = "\n".join(f"> {row}" for row in mail(locale, 1).text.splitlines())
    body = f"Merci !\n\nLe 25/11/2026 à 18:42, Services de support Logitech a écrit :\n{quoted}\n"
    assert not draft("plain", body)
