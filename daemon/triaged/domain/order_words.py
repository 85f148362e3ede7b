"""The words of purchase orders in every language: data from config/labels.toml, made fast to look up.

A label is put together from phrases: a field ("e mail"), a party ("client final") and loose words, in any order and,
in German, without a blank. So a few hundred phrases read thousands of labels, and one unknown word spoils a label:
what nobody listed names nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from triaged.domain import vocabulary
from triaged.domain.order import Role

_LONGEST_LABEL = 100  # characters
_MOST_WORDS = 12
_MOST_JOINED = 6  # words of one phrase
_BRACKETS = re.compile(r"\([^()]{0,60}\)|\[[^\[\]]{0,60}\]|\*")
_TELLING = re.compile(r"\d{2}|@|[^\W_]-?\d")  # values, not labels: PO-1, 40


class Mark(StrEnum):
    """What a phrase means in a label. Where one label holds several, the earlier wins: an "e-mail address" is no
    address, an "order date" no order number."""

    STRANGER = "stranger"
    ELSEWHERE = "elsewhere"
    OTHER = "other"
    EMAIL = "email"
    DATE = "date"
    COUNTRY = "country"
    YEARS = "years"
    LICENCES = "licences"
    PO_NUMBER = "po_number"
    SKU = "sku"
    SERVICE = "service"
    CITY = "city"
    ADDRESS = "address"
    CONTACT = "contact"
    COMPANY = "company"
    NAME = "name"
    POSITION = "position"
    CUSTOMER = "customer"
    CUSTOMER_MAYBE = "customer_maybe"
    RESELLER = "reseller"
    DISTRIBUTOR = "distributor"
    LOOSE = "loose"


_PARTIES = {
    Mark.CUSTOMER: Role.CUSTOMER,
    Mark.CUSTOMER_MAYBE: Role.CUSTOMER,
    Mark.RESELLER: Role.RESELLER,
    Mark.DISTRIBUTOR: Role.DISTRIBUTOR,
}
_RANKS = {mark: rank for rank, mark in enumerate(Mark)}
OF_A_PARTY = frozenset({Mark.EMAIL, Mark.COUNTRY, Mark.CITY, Mark.ADDRESS, Mark.CONTACT, Mark.COMPANY, Mark.NAME})
_COUNTED = frozenset({Mark.YEARS, Mark.LICENCES})  # with a digit they are a value: "4 Jahre"
_LISTS = ("units", "ordering", "totals", "closing", "placeholders", "countries", "forwarding")
_FILL_IN = "fill_in"
FIELDS = (
    "po_number", "sku", "licences", "customer_name", "customer_email", "customer_address", "reseller_name",
    "reseller_email", "reseller_address", "distributor_name", "distributor_email", "distributor_address",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """What a label names. `field` None: a party alone ("Client final"). `sure` is False where only an everyday word
    names the customer ("client"), who may then be the reseller of a distributor."""

    field: Mark | None
    party: Role | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class OrderWords:
    """All phrases by their keys (folded words, joined). `fill_in`: locale -> field of INTERFACE -> the label that our
    answers ask with."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    units: frozenset[str] = frozenset()
    ordering: frozenset[str] = frozenset()
    totals: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()
    placeholders: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    forwarding: frozenset[str] = frozenset()
    fill_in: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> "OrderWords":
        """From the tables `[order.LANGUAGE]` of labels.toml. Raises VocabularyError naming every fault."""
        problems: list[str] = []
        marks: dict[str, Mark] = {}
        lists: dict[str, set[str]] = {name: set() for name in _LISTS}
        fill_in: dict[str, dict[str, str]] = {}
        for language, phrases in table.items():
            if not isinstance(phrases, Mapping):
                problems.append(f"labels: order.{language} must be a table of lists of phrases, like [order.fr]")
                continue
            for mark, phrase in _phrases(language, phrases, problems):
                _add(marks, phrase, mark, language, problems)
            for name in _LISTS:
                lists[name].update(vocabulary.key(text) for text in _texts(phrases, language, name, problems))
            if _FILL_IN in phrases:
                fill_in[language] = _asked(language, phrases[_FILL_IN], problems)
        words = cls(marks, **{name: frozenset(keys - {""}) for name, keys in lists.items()}, fill_in=fill_in)
        problems += words._misread()
        if problems:
            raise vocabulary.VocabularyError(problems)
        return words

    def fill_in_label(self, name: str, locale: str) -> str:
        """The label by which our answers ask for the field `name` of INTERFACE (§4 `problems`). A locale without
        labels of its own gets its language's, or the English ones. Raises KeyError for a field nobody is asked."""
        for known in (locale, locale.partition("-")[0].partition("_")[0], "en"):
            if known in self.fill_in:
                return self.fill_in[known][name]
        return self.fill_in[min(self.fill_in)][name]

    def label(self, text: str) -> Label | None:
        """What a text names when it is a label and nothing else."""
        if len(text) > _LONGEST_LABEL or _TELLING.search(text):
            return None
        spoken = vocabulary.words(text)
        found = self._marks(spoken)
        if found is None and (bare := vocabulary.words(_BRACKETS.sub(" ", text))) != spoken:
            found = self._marks(bare)
        label = _label(found) if found else None
        return None if label and label.field in _COUNTED and re.search(r"\d", text) else label

    def begins(self, text: str, keys: frozenset[str]) -> bool:
        """Whether the first words of a text are one of these phrases."""
        joined = ""
        for word in vocabulary.words(text[:_LONGEST_LABEL])[:_MOST_JOINED]:
            joined += word
            if joined in keys:
                return True
        return False

    def holds(self, text: str, keys: frozenset[str]) -> bool:
        """Whether one of these phrases stands anywhere in a text."""
        spoken = vocabulary.words(text[:2_000])
        for start in range(len(spoken)):
            joined = ""
            for word in spoken[start : start + _MOST_JOINED + 2]:
                joined += word
                if joined in keys:
                    return True
        return False

    def _marks(self, spoken: Sequence[str]) -> list[Mark] | None:
        """The marks of all words, longest phrases first; None where one word is unknown."""
        if not 0 < len(spoken) <= _MOST_WORDS:
            return None
        found: list[Mark] = []
        at = 0
        while at < len(spoken):
            step = next((n for n in range(_MOST_JOINED, 0, -1) if "".join(spoken[at : at + n]) in self.marks), 0)
            if step:
                found.append(self.marks["".join(spoken[at : at + step])])
            elif halves := self._halves(spoken[at]):
                found += halves
            else:
                return None
            at += max(step, 1)
        return found

    def _halves(self, word: str) -> list[Mark]:
        """A German compound of two phrases: Endkundenadresse, Händlername."""
        for cut in range(4, min(len(word) - 2, 30)):
            first, second = self.marks.get(word[:cut]), self.marks.get(word[cut:])
            if first in _PARTIES and second in OF_A_PARTY:
                return [first, second]
        return []

    def _misread(self) -> Iterator[str]:
        """Labels that we would ask with and not understand in the answer."""
        for language, asked in self.fill_in.items():
            for name, text in asked.items():
                if (found := self.label(text)) is None or field_name(found) != name or not found.sure:
                    yield (
                        f"labels: order.{language}.fill_in.{name}: {text!r} is not read as {name}: "
                        "use words of the lists above"
                    )


def field_name(label: Label) -> str:
    """INTERFACE's name of the field that a label names; empty where there is none."""
    if label.party is None:
        return label.field.value if label.field else ""
    names = {Mark.COMPANY: "name", Mark.NAME: "name", Mark.EMAIL: "email", Mark.ADDRESS: "address"}
    return f"{label.party}_{names[label.field]}" if label.field in names else ""


def _label(found: Sequence[Mark]) -> Label | None:
    named = {_PARTIES[mark] for mark in found if mark in _PARTIES}
    fields = sorted((mark for mark in found if mark not in _PARTIES and mark is not Mark.LOOSE), key=_RANKS.__getitem__)
    if not named and not fields:
        return None
    if len(named) > 1:
        return Label(Mark.OTHER)
    if Mark.ELSEWHERE in fields and {Mark.CONTACT, Mark.NAME, Mark.COMPANY}.intersection(fields):
        return Label(Mark.STRANGER)  # "billing contact": who knows whose
    party = next(iter(named), None)
    sure = Mark.CUSTOMER_MAYBE not in found or Mark.CUSTOMER in found
    if fields[:1] == [Mark.CONTACT] and Mark.NAME in fields:
        fields = [Mark.NAME]  # "name of the end customer (IT administrator)": the name that is asked for
    if party and fields and fields[0] in (Mark.SKU, Mark.POSITION):
        return Label(Mark.OTHER)  # the reseller's own article or line number
    return Label(fields[0] if fields else None, party, sure)


def _phrases(language: str, lists: Mapping[str, object], problems: list[str]) -> Iterator[tuple[Mark, str]]:
    known = (*Mark, *_LISTS, _FILL_IN)
    for name in lists:
        if name not in known:
            problems.append(f"labels: order.{language}.{name} is not a kind of phrase: known: {', '.join(known)}")
    for mark in Mark:
        for phrase in _texts(lists, language, mark.value, problems):
            yield mark, phrase


def _texts(lists: Mapping[str, object], language: str, name: str, problems: list[str]) -> tuple[str, ...]:
    found = lists.get(name, ())
    if isinstance(found, Sequence) and not isinstance(found, str) and all(isinstance(item, str) for item in found):
        return tuple(found)
    problems.append(f'labels: order.{language}.{name} must be a list of texts, like ["client final"]')
    return ()


def _asked(language: str, found: object, problems: list[str]) -> dict[str, str]:
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for text in found.values()):
        problems.append(f"labels: order.{language}.fill_in must be a table of one text for each field")
        return {}
    for name in sorted(set(FIELDS) ^ set(found)):
        problems.append(f"labels: order.{language}.fill_in.{name} is {'missing' if name in FIELDS else 'no field'}")
    return {name: text for name, text in found.items() if name in FIELDS}


def _add(marks: dict[str, Mark], phrase: str, mark: Mark, language: str, problems: list[str]) -> None:
    """Two languages may share a phrase, but it must mean one thing."""
    name = vocabulary.key(phrase)
    if not name:
        problems.append(f"labels: order.{language}.{mark}: {phrase!r} holds no word: remove it")
    elif marks.setdefault(name, mark) != mark:
        problems.append(f"labels: order.{language}: {phrase!r} is listed as {marks[name]} and as {mark}: keep one")
