"""The words by which mails name a customer, in any language: data from config/labels.toml, made fast to look up.

A phrase is written with its words apart ("super admin", "e mail"); a mail may write it apart, together or with
hyphens, underscores, accents and capitals of its own. Phrases of all languages live in one table, because partners
mix languages within one mail.
"""

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from triaged.domain import errors

CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f"
_WORD = re.compile(rf"[{CJK}]|[^\W\d_{CJK}]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Role(StrEnum):
    """What a phrase does in a line. The first seven name what the value beside them is; the rest are words between."""

    SUPER_ADMIN = "super_admin"
    CUSTOMER_EMAIL = "customer_email"
    ZUID = "zuid"
    ZOID = "zoid"
    ZGID = "zgid"
    DOMAIN = "domain"
    SERVICE = "service"
    OTHER = "other"  # the value beside it is something else: an invoice number, the writer's own address
    ASIDE = "aside"  # "as with", "last year", "for example": a sentence about something else
    BLOCKING = "blocking"  # "not", "former", "example", "unknown": no value is read across it
    LINKING = "linking"  # "is", "est", "lautet": as good as a colon
    JOINING = "joining"  # "and", "or": between two labels or two values
    CLOSING = "closing"  # "Best regards": the signature begins
    LOOSE = "loose"  # "the", "address", "of the customer": may stand anywhere between label and value


_LABELS = frozenset(list(Role)[:8])
_TELLING = _LABELS | {Role.CLOSING, Role.ASIDE}
_IDENTIFYING = frozenset(list(Role)[:7])
_LINE_START = "line_start"
_LISTS = frozenset({"customers", "placeholders", "products", "ordinary_words"})
_ELSEWHERE = frozenset({"order", "verbs"})  # tables that other readers are made of


class VocabularyError(errors.PermanentError):
    """The label table cannot be used. `problems` holds one sentence per fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Term:
    """A known phrase. `acronym`: it holds ZUID, ZOID or ZGID itself and so outranks a loose label beside it.
    `line_start`: an everyday word ("domain"), a label only at the start of a line and with a separator after it.
    `customer`: a word for the customer, which may stand right before an address in a sentence."""

    role: Role
    acronym: str = ""
    line_start: bool = False
    customer: bool = False

    @property
    def is_label(self) -> bool:
        return self.role in _LABELS


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All phrases. `terms` by their key (folded words, joined); `beginnings` holds the keys of every phrase's first
    1, 2, … words, so that a reader knows when to stop, `starts` those of labels without a final s. `products` are
    service names worth knowing beside the policy's, `ordinary_words` those of them that mean a service only with the
    maker's name before it ("Mail", "One")."""

    terms: Mapping[str, Term] = field(default_factory=dict)
    beginnings: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    placeholders: frozenset[str] = frozenset()
    products: tuple[str, ...] = ()
    ordinary_words: frozenset[str] = frozenset()

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> "Vocabulary":
        """From the parsed labels.toml: one table per language with a list of phrases per `Role` and `line_start`,
        and the lists `customers`, `placeholders`, `products`, `ordinary_words`. Raises VocabularyError
        naming every fault."""
        problems: list[str] = []
        terms: dict[str, Term] = {}
        beginnings: set[str] = set()
        starts: set[str] = set()
        plain = {name: _strings(table.get(name, ()), name, problems) for name in _LISTS}
        customers = frozenset(key(word) for word in plain["customers"])
        for language, lists in table.items():
            if language in _LISTS | _ELSEWHERE:
                continue
            for role, line_start, phrase in _phrases(language, lists, problems):
                parts = words(phrase)
                keys = _keys(parts)
                if not keys:
                    problems.append(f"labels: {language}.{role}: {phrase!r} holds no word: remove it")
                    continue
                beginnings.update(keys)
                starts.update(name.rstrip("s") for name in keys if role in _TELLING)
                term = Term(role, _acronym([*parts, keys[-1]]), line_start, keys[-1] in customers)
                _add(terms, keys[-1], term, f"{language}: {phrase!r}", problems)
        if problems:
            raise VocabularyError(problems)
        return cls(
            terms=terms,
            beginnings=frozenset(beginnings),
            starts=frozenset(starts),
            placeholders=frozenset(word.casefold() for word in plain["placeholders"]),
            products=plain["products"],
            ordinary_words=frozenset(key(word) for word in plain["ordinary_words"]),
        )

    def term(self, name: str) -> Term | None:
        """The phrase of this key; a label also with a plural or genitive s: ZOIDs, des Super-Administrators."""
        if found := self.terms.get(name):
            return found
        found = self.terms.get(name[:-1]) if name.endswith("s") else None
        return found if found and found.is_label else None

    def may_label(self, text: str) -> bool:
        """False when no label and no closing stands in `text`: a quick look that spares most lines a full reading."""
        spoken = words(text)
        return any(self._tells(spoken, at) for at, word in enumerate(spoken) if word.rstrip("s") in self.starts)

    def _tells(self, spoken: Sequence[str], at: int) -> bool:
        joined = ""
        for place in range(at, len(spoken)):
            joined += spoken[place]
            if (found := self.term(joined)) and found.role in _TELLING:
                return True
            if joined not in self.beginnings:
                return False
        return False


@functools.lru_cache(maxsize=4096)
def fold(word: str) -> str:
    """A word as it is compared: lower case, full width and accents folded. One letter keeps its accent, because
    Italian "è" and Portuguese "é" (is) are not "e" (and)."""
    if word.isascii() or (len(word) == 1 and unicodedata.east_asian_width(word) != "F"):
        return word.lower() if word.isascii() else word.casefold()
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def words(text: str) -> list[str]:
    """Folded words of a text; each Chinese, Japanese or Korean character is a word, and camelCase is taken apart."""
    return [fold(part) for word in _WORD.findall(text) for part in humps(word)]


def humps(word: str) -> Sequence[str]:
    """`superAdminEmail` as super, Admin, Email."""
    if word.islower() or word.istitle() or word.isupper():
        return (word,)
    return _CAMEL.split(word)


def key(text: str) -> str:
    return "".join(words(text))


def _keys(parts: Sequence[str]) -> list[str]:
    return ["".join(parts[: count + 1]) for count in range(len(parts))]


def _acronym(parts: Iterable[str]) -> str:
    return next((part for part in parts if part in ("zuid", "zoid", "zgid")), "")


def _phrases(language: str, lists: object, problems: list[str]) -> Iterable[tuple[Role, bool, str]]:
    if not isinstance(lists, Mapping):
        problems.append(f'labels: {language} must be a table of lists of phrases, like [{language}] with zoid = ["…"]')
        return
    for name in lists:
        if name not in (*Role, _LINE_START):
            near = difflib.get_close_matches(str(name), [*Role, _LINE_START], 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join([*Role, _LINE_START])}"
            problems.append(f"labels: {language}.{name} is not a kind of phrase: {hint}")
    shy = {key(phrase) for phrase in _strings(lists.get(_LINE_START, ()), f"{language}.{_LINE_START}", problems)}
    for role in Role:
        for phrase in _strings(lists.get(role.value, ()), f"{language}.{role}", problems):
            yield role, key(phrase) in shy, phrase


def _strings(found: object, name: str, problems: list[str]) -> tuple[str, ...]:
    if isinstance(found, Sequence) and not isinstance(found, str) and all(isinstance(item, str) for item in found):
        return tuple(found)
    problems.append(f'labels: {name} must be a list of texts, like ["super admin"]')
    return ()


def _add(terms: dict[str, Term], name: str, term: Term, place: str, problems: list[str]) -> None:
    """Two languages may share a word. Where they disagree about its role the earlier role in `Role` wins, which is
    the more careful one; two different kinds of customer reference cannot both be meant."""
    known = terms.get(name)
    if known is None:
        terms[name] = term
    elif known.role != term.role and {known.role, term.role} <= _IDENTIFYING:
        problems.append(f"labels: {place} is listed as {known.role} and as {term.role}: keep one")
    elif _rank(term) < _rank(known):
        terms[name] = term


def _rank(term: Term) -> tuple[int, bool]:
    return list(Role).index(term.role), term.line_start
