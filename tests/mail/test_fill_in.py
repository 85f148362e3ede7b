"""Our own fill-in block, answered inside a quoted mail, names the customer again (rows P9, N9)."""

import tomllib

import pytest
from tests import mails_gallery as gallery

from triaged.adapters import templates
from triaged.domain import references
from triaged.domain.message import House
from triaged.mail import reader

RENDERER = templates.Renderer([gallery.CHECKOUT / "templates"])
LABELS = tomllib.loads((gallery.CHECKOUT / "config" / "labels.toml").read_text(encoding="utf-8"))
VOCABULARY = references.Vocabulary.from_table(LABELS)
HOUSE = House("support.example", frozenset({"partner-support@eu.vendor.example"}))
# What is written behind the first, second, third and fourth label.
ANSWERS = [
    ("super_admin", "boss@acme.example"),
    ("zoid", "655906806"),
    ("zuid", "650456410"),
    ("service", "Zoho CRM"),
]


def evidence(kind: str, body: str) -> set[tuple[str, str]]:
    """What the house reads as new in a reply with this body."""
    head = (
        "From: contact@integra.example\nTo: partner-support@eu.vendor.example\nSubject: Re: panne\n"
        f"MIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    )
    message = reader.read((head + body).replace("\n", "\r\n").encode(), HOUSE)
    found = references.find(message, VOCABULARY, {"Zoho CRM": ("CRM",)})
    return {(r.kind.value, r.value) for r in found if not r.where.startswith("quoted")}


def mail(locale: str) -> templates.Rendered:
    name, facts = gallery.situations(locale)["no_reference"]
    return RENDERER.render(name, locale, facts)


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
@pytest.mark.parametrize("line", range(len(ANSWERS)))
def test_a_line_filled_in_quoted_text_is_read(locale: str, line: int) -> None:
    rows = mail(locale).text.splitlines()
    rows[rows.index("]]") - len(ANSWERS) + line] += f" {ANSWERS[line][1]}"
    quoted = "\n".join(f"> {row}" for row in rows)
    body = f"Bonjour,\n\nLe 25/11/2026 à 18:42, Assistance partenaires a écrit :\n{quoted}\n"
    assert evidence("plain", body) == {ANSWERS[line]}


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
@pytest.mark.parametrize("line", range(len(ANSWERS)))
def test_a_line_filled_in_quoted_html_is_read(locale: str, line: int) -> None:
    rendered = mail(locale)
    rows = rendered.text.splitlines()
    label = rows[rows.index("]]") - len(ANSWERS) + line]
    page = rendered.html.partition("<body")[2].partition(">")[2].partition("</body>")[0]
    filled = page.replace(f">{label}<", f">{label} {ANSWERS[line][1]}<")
    body = (
        '<p>Voilà</p><div class="gmail_quote"><div class="gmail_attr">Le mer. 25 nov. 2026 à 18:42, Assistance'
        f' &lt;a@b.example&gt; a écrit :<br></div><blockquote class="gmail_quote">{filled}</blockquote></div>'
    )
    assert evidence("html", body) == {ANSWERS[line]}


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_an_empty_block_sent_back_names_nobody(locale: str) -> None:
    quoted = "\n".join(f"> {row}" for row in mail(locale).text.splitlines())
    assert evidence("plain", f"Merci.\n\nLe 25/11/2026 à 18:42, Assistance a écrit :\n{quoted}\n") == set()
