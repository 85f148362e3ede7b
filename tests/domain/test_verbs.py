"""What mails ask for in free wording: verbs.txt line by line, and what must never happen."""

import time
import tomllib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.domain import verbs, vocabulary
from triaged.domain.invitation import Access
from triaged.domain.message import Address, Line, Message, Passage, Place
from triaged.domain.request import Asked, Verb

HERE = Path(__file__).parent
OWN = frozenset({"select@vendor.example"})
VERBS = {
    "resend": Verb.RESEND_INVITATION,
    "add": Verb.ADD_PERSON,
    "cancel": Verb.CANCEL_CONTRACT,
    "restore": Verb.RESTORE_CONTRACT,
    "status": Verb.CONTRACT_STATUS,
    "none": None,
}


def _table() -> dict[str, object]:
    return tomllib.loads((HERE.parents[1] / "config" / "labels.toml").read_text(encoding="utf-8"))


WORDS = verbs.VerbWords.from_table(_table())


def _message(text: str, subject: str = "", quoted: str = "") -> Message:
    return Message(
        sender=Address("claire@acme.example"),
        subject=subject,
        new=(_passage(text, Place.BODY),) if text else (),
        quoted=(_passage(quoted, Place.QUOTED),) if quoted else (),
    )


def _passage(text: str, place: Place) -> Passage:
    return Passage(place, tuple(Line(n, line) for n, line in enumerate(text.split("\n"), 1)))


def _read(text: str, subject: str = "") -> Asked:
    return verbs.read(_message(text, subject), WORDS, OWN)


def _cases() -> list[tuple[str, ...]]:
    rows = (HERE / "verbs.txt").read_text(encoding="utf-8").split("\n")
    kept = [row for row in rows if row.strip() and not row.startswith("#")]
    return [tuple(part.strip() for part in row.split("|", 4)) for row in kept]


CASES = _cases()


def _written(text: str) -> Message:
    subject, text = text[1:].split("]", 1) if text.startswith("[") else ("", text)
    return _message(text.strip().replace("⏎", "\n"), subject)


def _list(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))


def _people(addresses: tuple[str, ...], access: str) -> tuple[tuple[str, Access], ...]:
    each = _list(access) if "," in access else (access,) * len(addresses)
    return tuple((address, Access(kind)) for address, kind in zip(addresses, each, strict=True))


@pytest.mark.parametrize(("verb", "numbers", "people", "access", "text"), CASES, ids=[case[-1][:60] for case in CASES])
def test_a_mail_asks_for_what_its_line_says(verb: str, numbers: str, people: str, access: str, text: str) -> None:
    asked = verbs.read(_written(text), WORDS, OWN)
    assert asked.verb == VERBS[verb]
    assert numbers == "*" or asked.numbers == _list(numbers)
    assert asked.people == _people(_list(people), access)


def test_more_than_a_third_of_the_cases_ask_for_nothing() -> None:
    assert len(CASES) >= 350
    assert sum(case[0] == "none" for case in CASES) >= 0.35 * len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "none"], ids=lambda case: case[-1][:60])
def test_accents_do_not_matter(case: tuple[str, ...]) -> None:
    apart = unicodedata.normalize("NFKD", case[-1])
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    assert verbs.read(_written(plain), WORDS, OWN).verb == VERBS[case[0]]


def test_what_is_quoted_is_not_asked() -> None:
    message = _message("Merci pour votre retour.", quoted="> Merci d'annuler la commande PO-4711.")
    assert verbs.read(message, WORDS, OWN) == Asked()


def test_the_signature_asks_for_nothing_and_names_nobody() -> None:
    asked = _read("Merci d'ajouter paul@acme.example.\n\n-- \nClaire, administratrice\nannuler: lea@acme.example")
    assert (asked.verb, asked.people) == (Verb.ADD_PERSON, (("paul@acme.example", Access.READER),))


def test_the_subject_of_a_reply_is_somebody_elses() -> None:
    assert _read("Bien reçu.", subject="Re: Annuler la commande PO-4711").verb is None
    assert _read("", subject="Annuler la commande PO-4711").verb is Verb.CANCEL_CONTRACT


def test_the_words_that_decided_are_named() -> None:
    assert _read("Bonjour,\nmerci de renvoyer l'invitation.").because == "body:1: merci de … renvoyer"


def test_a_sentence_that_an_editor_broke_is_one() -> None:
    text = "Nous vous remercions de votre accueil et nous ne souhaitons surtout\npas annuler notre commande PO-4711."
    assert _read(text).verb is None


def test_a_paragraph_of_one_very_long_line_is_read_to_its_end() -> None:
    assert _read("Tout va bien ici. " * 200 + "Merci d'annuler la commande PO-4711.").verb is Verb.CANCEL_CONTRACT


@pytest.mark.parametrize(
    ("text", "known", "found"),
    [
        ("Merci d'annuler PO-4711.", ["PO-4711", "PO-4712"], ["PO-4711"]),
        ("Merci d'annuler PO 4711.", ["PO-4711"], ["PO-4711"]),
        ("Merci d'annuler po4711", ["PO-4711"], ["PO-4711"]),
        ("commande 47110", ["4711"], []),
        ("commande 4711", ["4711", "47110"], ["4711"]),
        ("BC 2024/118 :", ["2024/118", "2024/11"], ["2024/118"]),
        ("écrit le 12/03/2024 à po-4711@acme.example", ["2024", "PO-4711"], []),
        ("12 licences", ["12"], []),
        ("Wunsch-Nr. März 7", ["WUNSCH-NR. MARZ 7"], ["WUNSCH-NR. MARZ 7"]),
        ("rien", ["---", ""], []),
    ],
)
def test_known_numbers_are_found_as_whole_words(text: str, known: list[str], found: list[str]) -> None:
    assert verbs.mentions(_message(text), known) == tuple(found)
    assert verbs.mentions(_message("", subject=text), known) == tuple(found)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"fr": {"rezend": ["renvoyer"]}}, "did you mean resend?"),
        ({"fr": {"resend": "renvoyer"}}, "must be a list of texts"),
        ({"fr": ["renvoyer"]}, "must be a table"),
        ({"fr": {"resend": ["…"]}}, "one word at least"),
        (["renvoyer"], "must be tables"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(table: object, told: str) -> None:
    with pytest.raises(vocabulary.VocabularyError, match="verbs") as caught:
        verbs.VerbWords.from_table({"verbs": table})
    assert told in str(caught.value)


def test_an_operators_own_wording_is_read() -> None:
    dutch = {"ask": ["gelieve"], "cancel": ["annuleren"], "contract": ["bestelling"], "mine": ["onze"]}
    table = _table() | {"verbs": {"nl": dutch}}
    words = verbs.VerbWords.from_table(table)
    assert verbs.read(_message("Gelieve onze bestelling te annuleren."), words).verb is Verb.CANCEL_CONTRACT


@pytest.mark.parametrize(
    "unit",
    [
        "annuler annuler ",
        "merci de ne pas annuler la commande PO-4711, ",
        "Bitte fügen Sie senden Sie geben Sie ",
        "a@b.example ",
        "a.b-c/d_",
        "PO 4711 et ",
        "annuleraaaaaaaaaaaaaaaaaaaaaa ",
        "…?!.",
        "annuler\n",
        "x" * 50,
    ],
)
def test_a_megabyte_of_anything_is_read_soon(unit: str) -> None:
    message = _message(unit * (1_000_000 // len(unit)), subject=unit * 2000)
    begun = time.process_time()
    verbs.read(message, WORDS, OWN)
    verbs.mentions(message, ["PO-4711", "a", "b.c", "4711 4711 4711"])
    assert time.process_time() - begun < 2


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*sorted(WORDS.words), "PO-4711", ",", ".", "?", "paul@acme.example", "\n", "…"]), max_size=40
    )
)
def test_no_order_of_known_words_makes_the_reader_raise(said: list[str]) -> None:
    asked = _read(" ".join(said), subject=" ".join(said[:5]))
    assert asked.people == () or asked.verb is Verb.ADD_PERSON


@given(st.text(max_size=300))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    verbs.read(_message(text, subject=text), WORDS, OWN)
    verbs.mentions(_message(text), [text])
