"""Labels and lines as partners write them: what is found, and what must not be."""

import itertools
import random
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.domain import references, vocabulary, wording
from triaged.domain.message import Line, Message, Passage, Place
from triaged.domain.references import Reference, ReferenceKind

HERE = Path(__file__).parent
SERVICES = {
    "Zoho Campaigns": (),
    "Zoho DataPrep": ("Data Prep",),
    "Zoho PageSense": (),
    "Zoho Writer add-ons": ("Modules complémentaires Zoho Writer", "Writer add-on"),
    "Zoho Marketing Automation": (),
}
VALUES = {
    "super_admin": "it@acme.example",
    "customer_email": "user@acme.example",
    "zuid": "650456410",
    "zoid": "60012345678",
    "zgid": "655906806",
    "domain": "acme.example",
    "service": "Zoho CRM",
}
LAYOUTS = (
    "{label} : {value}",
    "{label}: {value}",
    "{label}:{value}",
    "{label} = {value}",
    "{label}\t{value}",
    "{label} – {value}",
    "{label} - {value}",
    "{label} | {value}",
    "{label}\u00a0:\u00a0{value}",
    "{label}：{value}",
    "{label} (obligatoire) : {value}",
    "* **{label}:** {value}",
    "2) {label} : {value}",
    "{label} :\n{value}",
    "{label} :\n\n   {value}",
    "{label}\t\n{value}",
    "Bonjour,\n\n{label} : {value}\n\nCordialement\nJean\njean@integra.example\n+33 6 12 34 56 78",
)


def _table() -> dict[str, object]:
    return tomllib.loads((HERE.parents[1] / "config" / "labels.toml").read_text(encoding="utf-8"))


VOCABULARY = references.Vocabulary.from_table(_table())


def _passage(text: str, place: Place = Place.BODY, name: str = "") -> Passage:
    return Passage(place, tuple(Line(n, line) for n, line in enumerate(text.split("\n"), 1)), name)


def _find(message: Message) -> tuple[Reference, ...]:
    return references.find(message, VOCABULARY, SERVICES)


def _in_text(text: str, subject: str = "") -> list[str]:
    found = _find(Message(new=(_passage(text),), subject=subject))
    return [f"{one.kind} {one.value}" for one in found]


def _rows(name: str) -> list[str]:
    rows = (HERE / name).read_text(encoding="utf-8").split("\n")
    return [row for row in rows if row.strip() and not row.startswith("#")]


LABELS = [tuple(part.strip() for part in row.split("|", 2)) for row in _rows("labels.txt")]
LINES = [tuple(part.strip() for part in row.split("==>")) for row in _rows("lines.txt")]


@pytest.mark.parametrize(("language", "kind", "label"), LABELS)
def test_a_label_is_read_in_every_layout(language: str, kind: str, label: str) -> None:
    written = [layout.format(label=label, value=VALUES[kind]) for layout in LAYOUTS]

    assert {text: [f"{kind} {VALUES[kind]}"] for text in written} == {text: _in_text(text) for text in written}


@pytest.mark.parametrize(("language", "kind", "label"), LABELS)
def test_a_label_without_a_value_says_nothing(language: str, kind: str, label: str) -> None:
    written = [
        text.format(label=label)
        for text in ("{label}", "{label} :", "{label} : \n\nCordialement,\nJean", "{label} :\n-")
    ]

    assert {text: [] for text in written} == {text: _in_text(text) for text in written}


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_a_line_says_what_it_says_and_no_more(text: str, expected: str) -> None:
    text = text.replace("⏎", "\n") if "Super admin → it" in text else text.replace("⏎", "\n").replace("→", "\t")

    assert ([] if expected == "-" else expected.split("; ")) == _in_text(text)


def test_new_text_is_read_before_the_subject_and_that_before_attachments() -> None:
    message = Message(
        new=(_passage("Bonjour\nZOID : 60012345678"),),
        subject="Incident ZUID 650456410",
        attached=(_passage("zgid,service\n655906806,Zoho CRM", Place.ATTACHMENT, "compte.csv"),),
    )

    assert (
        Reference(ReferenceKind.ZOID, "60012345678", "body:2"),
        Reference(ReferenceKind.ZUID, "650456410", "subject"),
        Reference(ReferenceKind.ZGID, "655906806", "attachment:compte.csv"),
        Reference(ReferenceKind.SERVICE, "Zoho CRM", "attachment:compte.csv"),
    ) == _find(message)


def test_quoted_text_counts_only_when_the_rest_names_no_customer() -> None:
    quoted = (_passage("> ZOID : 60012345678\n> Service : Zoho Desk", Place.QUOTED),)
    silent = Message(new=(_passage("Toujours en panne.\nService : Zoho CRM"),), quoted=quoted)
    naming = Message(new=(_passage("ZUID : 650456410"),), quoted=quoted)

    assert [f"{r.kind} {r.value}" for r in _find(silent)] == ["service Zoho CRM", "zoid 60012345678"]
    assert _find(silent)[1].where == "quoted:1"
    assert [f"{r.kind} {r.value}" for r in _find(naming)] == ["zuid 650456410"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Zoho CRM : import bloqué", "Zoho CRM"),
        ("Problème DataPrep", "Zoho DataPrep"),
        ("Panne Zoho Mail", "Zoho Mail"),
        ("Zoho CRM et Zoho Desk", None),
        ("One more thing: mail is down", None),
        ("Show people the forms", None),
        ("le crm est lent", None),
        ("Re: [EU-000123] bonjour", None),
    ],
)
def test_an_unmistakable_service_in_the_subject_counts_when_no_label_names_one(
    subject: str, expected: str | None
) -> None:
    assert ([f"service {expected}"] if expected else []) == _in_text("Bonjour", subject)
    assert _in_text("Service : Books", subject) == ["service Zoho Books"]


def test_a_service_of_the_text_gives_way_to_the_subject_and_to_a_second_one_there() -> None:
    text = "Zoho Campaigns is not sending our newsletters"

    assert _in_text(text, "Newsletters") == ["service Zoho Campaigns"]
    assert _in_text(text, "Zoho Desk") == ["service Zoho Desk"]
    assert _in_text(text, "Zoho Desk and Zoho CRM") == []
    assert _find(Message(new=(_passage(f"Hello\n{text}"),)))[0].where == "body:2"


def test_a_repeated_reference_is_kept_once_where_it_was_first() -> None:
    message = Message(new=(_passage("ZOID : 60012345678\nZOID = 600 123 456 78"),), subject="ZOID 60012345678")

    assert (Reference(ReferenceKind.ZOID, "60012345678", "body:1"),) == _find(message)


def test_only_the_first_thousand_characters_of_a_line_are_read() -> None:
    assert _in_text("x" * 900 + " ZOID : 60012345678") == ["zoid 60012345678"]
    assert _in_text("x" * 1000 + " ZOID : 60012345678") == []


def test_only_the_first_twenty_thousand_lines_are_read() -> None:
    assert _in_text("\n" * 19_998 + "ZOID : 60012345678") == ["zoid 60012345678"]
    assert _in_text("\n" * 20_001 + "ZOID : 60012345678") == []


def test_a_new_label_needs_no_code() -> None:
    table = {"fr": {"zoid": ["numéro magique"]}}
    own = references.Vocabulary.from_table(table)
    message = Message(new=(_passage("Numero-Magique : 60012345678\nZOID : 655906806"),))

    assert [one.value for one in references.find(message, own, {})] == ["60012345678"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"fr": {"zoidd": ["x"]}}, ["fr.zoidd", "did you mean zoid"]),
        ({"fr": {"zoid": "ZOID"}}, ["fr.zoid", "list of texts"]),
        ({"fr": ["ZOID"]}, ["fr must be a table"]),
        ({"fr": {"zoid": ["1"]}}, ["fr.zoid", "holds no word"]),
        ({"fr": {"zoid": ["org"]}, "en": {"zuid": ["org"]}}, ["'org'", "zoid", "zuid", "keep one"]),
        ({"products": "CRM"}, ["products", "list of texts"]),
    ],
)
def test_a_faulty_label_table_is_refused_with_its_place_and_fix(table: dict[str, object], words: list[str]) -> None:
    with pytest.raises(references.VocabularyError) as caught:
        references.Vocabulary.from_table(table)

    assert [word for word in words if word not in str(caught.value)] == []


@given(st.permutations([f"{label} : {VALUES[kind]}" for _, kind, label in LABELS[:40]]))
@settings(max_examples=25, deadline=None)
def test_the_order_of_lines_does_not_change_what_is_found(lines: list[str]) -> None:
    assert {f"{kind} {VALUES[kind]}" for _, kind, _ in LABELS[:40]} == set(_in_text("\n".join(lines)))


@given(st.text(alphabet="0123456789 .-+/()\n,:", max_size=400))
@settings(max_examples=200, deadline=None)
def test_numbers_without_labels_say_nothing(text: str) -> None:
    assert _in_text(text) == []


@given(st.text(max_size=500))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_the_finder_raise(text: str) -> None:
    _in_text(text, text)


_FRAGMENTS = [
    *("Super admin", "ZOID", "ZUID :", "Service", "domaine", "not", "est", "et", "Acme", "zut", "ex", "Cordialement"),
    *(" : ", "=", "\t", "|", "(", ")", "<", ">", "/", ",", ";", "@", " ", "-", ".", "?", "+", "\n"),
    *("60012345678", "123", "it@acme.example", "acme.example", "https://crm.zoho.eu/crm/org655906806/"),
    *("スーパー管理者", "は", "\u200b", "\u00a0", "\ud800", "\x00"),
]


@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_heap_of_fragments_makes_the_finder_raise_or_invent(fragments: list[str]) -> None:
    text = "".join(fragments)
    for one in _find(Message(new=(_passage(text),))):
        if one.kind in (ReferenceKind.ZOID, ReferenceKind.ZUID, ReferenceKind.ZGID):
            digits = "".join(filter(str.isdecimal, text))
            assert one.value in digits
            assert 6 <= len(one.value) <= 12
        elif one.kind in (ReferenceKind.SUPER_ADMIN, ReferenceKind.CUSTOMER_EMAIL):
            assert one.value.endswith("@acme.example") or "@" in one.value


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_found_value_always_stands_in_the_text(chosen: list[tuple[str, str, str]], chance: random.Random) -> None:
    text = "\n".join(chance.choice(LAYOUTS).format(label=label, value=VALUES[kind]) for _, kind, label in chosen)

    assert {f"{kind} {VALUES[kind]}" for _, kind, _ in chosen} <= set(_in_text(text))


WORST = {
    "labels": "zoid ",
    "labels and names": "super admin Acme ",
    "open brackets": "zoid (",
    "separators": "zoid : ",
    "digits in groups": "zoid 1 2 3 ",
    "digits glued": "1-1.",
    "local parts": "a.",
    "hosts": "a.b-",
    "at signs": "a@b",
    "links": "http://zoho.eu/",
    "wrapped links": "https://a.safelinks.protection.outlook.com/?url=https%3A%2F%2F",
    "kana": "スーパー管理者",
    "accents": "é",
    "dashes": "super-",
    "spaces": " ",
    "entities": "&lt;",
    "service lists": "Service : Zoho CRM, ",
    "hints": "zoid (a) ",
    "table cells": "zoid|",
    "blockers": "not zoid ",
    "asides": "as with zoid ",
    "asides and labels": "zoid e.g. ",
    "second values": "it@a.io ",
    "second values of one label": "1234567 a ",
    "services in prose": "the Zoho CRM ",
}


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST.keys())
def test_time_is_linear_on_a_megabyte_of_the_worst(unit: str) -> None:
    line = (unit * 1000)[:1000]
    passage = _passage("\n".join(itertools.repeat(line, 1000)))

    began = time.perf_counter()
    _find(Message(new=(passage,)))
    assert time.perf_counter() - began < 8  # a quadratic pattern takes minutes; a busy machine does not


def test_a_single_endless_line_costs_no_more_than_its_beginning() -> None:
    began = time.perf_counter()
    _in_text("zoid (" * 200_000)

    assert time.perf_counter() - began < 1


def test_every_phrase_of_the_table_is_reachable() -> None:
    """A phrase that folds to nothing readable, or is shadowed in its own line, helps nobody."""
    labels = [
        (language, role, phrase)
        for language, lists in _table().items()
        if isinstance(lists, dict)
        for role in ("super_admin", "customer_email", "zuid", "zoid", "zgid", "domain")
        for phrase in lists.get(role, ())
    ]
    missed = [
        (language, role, phrase)
        for language, role, phrase in labels
        if f"{role} {VALUES[role]}" not in _in_text(f"{phrase} : {VALUES[role]}".replace(" s ", "'s "))
    ]

    assert missed == []


def test_camel_case_and_full_width_words_fold_to_the_same_key() -> None:
    assert (
        "superadmin"
        == vocabulary.key("superAdmin")
        == vocabulary.key("ＳＵＰＥＲ admin")
        == vocabulary.key("Súper-Admin")
    )
    assert "e" == vocabulary.key("e") != vocabulary.key("è")


def test_a_line_has_a_shape() -> None:
    line = wording.read(wording.clean("Super admin (e-mail) : it@acme.example"), VOCABULARY)

    assert line.shape == "KolcsA"
