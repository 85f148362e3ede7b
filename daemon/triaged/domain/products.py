"""Which service a text names: canonical names and aliases, compared without case, accents, blanks or maker's name."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from triaged.domain import vocabulary

_MAKER = "zoho"
_BRACKETS = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_PARTS = re.compile(r"[,;/&|、・]|\s\+\s|\s(?:and|et|und|y|e|en|ou|or|oder|と)\s", re.IGNORECASE)
_LONGEST_OWN_WORDS = 80
_ACRONYM = 3
_CONNECTING = frozenset(
    {
        "zoho",
        *[
            "a",
            "da",
            "das",
            "de",
            "del",
            "della",
            "des",
            "di",
            "do",
            "dos",
            "du",
            "for",
            "fur",
            "of",
            "per",
            "pour",
            "para",
            "the",
            "van",
            "von",
            "voor",
        ],
    }
)
_WORD = re.compile(rf"[{vocabulary.CJK}]|[^\W_{vocabulary.CJK}]+")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Service names by key (folded words, joined). `ordinary` keys mean a service only with the maker's name."""

    names: Mapping[str, str]
    scattered: Sequence[tuple[frozenset[str], str]]  # words of the policy's longer names: they may stand in any order
    beginnings: frozenset[str]
    ordinary: Collection[str]

    @classmethod
    def of(
        cls, services: Mapping[str, Sequence[str]], products: Sequence[str], ordinary: Collection[str]
    ) -> "Catalogue":
        """`services`: canonical name -> aliases, of the policy; `products`: further canonical names."""
        names: dict[str, str] = {}
        scattered: dict[frozenset[str], str] = {}
        beginnings: set[str] = set()
        for canonical, aliases in [*services.items(), *((product, ()) for product in products)]:
            for alias in (canonical, *aliases):
                parts = [part for part in _keys(alias) if part != _MAKER]
                beginnings.update("".join(parts[:count]) for count in range(1, len(parts) + 1))
                if parts:
                    names.setdefault("".join(parts), canonical)
                if canonical in services and len(apart := frozenset(parts) - _CONNECTING) > 1:
                    scattered.setdefault(apart, canonical)
        return cls(names, tuple(scattered.items()), frozenset(beginnings), ordinary)

    def labelled(self, text: str) -> tuple[str, ...]:
        """Services that stand behind a label, in order: the known ones, else the label's own words."""
        parts = [self._longest(part) for part in _PARTS.split(text)]
        whole = self._longest(text)
        known = tuple(dict.fromkeys(part for part in parts if part))
        if whole and whole not in known:  # a name that a comma or "and" divides, or that goes on within brackets
            known = (whole, *known) if len(known) > 1 else (whole,)
        return known or _own_words(text)

    def known(self, text: str) -> tuple[str, ...]:
        """Like `labelled`, without unknown names."""
        return tuple(name for name in self.labelled(text) if name in self.names.values())

    def alone(self, text: str) -> str | None:
        """The service whose name is the whole text."""
        return self.names.get("".join(part for part in _keys(text) if part != _MAKER))

    def leading(self, text: str) -> str | None:
        """The service that a text begins with, after the maker's name."""
        found = self._found(text[:_LONGEST_OWN_WORDS])
        return self.names[found[0][1]] if found and found[0][0] <= 1 else None

    def unmistakable(self, text: str) -> str | None:
        """The one service that an unlabelled text names: with the maker's name, or with a capital and a name that
        is no ordinary word. None when there is none, or more than one."""
        found = {self.names[key] for _, key, sure in self._found(text) if sure}
        return found.pop() if len(found) == 1 else None

    def mentioned(self, text: str) -> tuple[str, ...]:
        """Every service that a sentence names in full, in order; letters that others use too ("CRM") need the maker's
        name. "The add-ons of Zoho Writer" are not Zoho Writer."""
        found = [key for _, key, sure in self._found(text) if sure]
        words = _keys(text)[:200] if found else []
        joined = "".join(words)
        full = [key for key in found if len(key) > _ACRONYM or _MAKER + key in joined]
        return tuple(self._completed(key, frozenset(words)) or self.names[key] for key in full)

    def _completed(self, key: str, present: frozenset[str]) -> str | None:
        """The longer name of which `key` is a word, where its other words stand elsewhere in the text."""
        return next((name for apart, name in self.scattered if {key} < apart <= present), None)

    def _longest(self, text: str) -> str | None:
        """The longest name in `text`; or the longer one that its words make in another order, as in "Zoho Writer:
        add-on", which is not Zoho Writer."""
        found = min(((-len(key), start, key) for start, key, _ in self._found(text)), default=None)
        best = found[2] if found else ""
        present = frozenset(_keys(text)[:200])
        for apart, canonical in self.scattered:
            if apart <= present and (not best or (best != "".join(apart) and best in apart)):
                return canonical
        return self.names[best] if best else None

    def _found(self, text: str) -> list[tuple[int, str, bool]]:
        """(word index, key, unmistakable) of every longest match."""
        spelled = _spelled(text)[:200]
        keys = [vocabulary.fold(word) for word in spelled]
        found, index = [], 0
        while index < len(keys):
            after, key = self._match(keys, index)
            if key:
                made = any(word.startswith(_MAKER) for word in keys[index:after])
                made = made or (index > 0 and keys[index - 1].endswith(_MAKER))
                sure = made or (key not in self.ordinary and spelled[index][0].isupper())
                found.append((index, key, sure))
            index = after if key else index + 1
        return found

    def _match(self, keys: Sequence[str], index: int) -> tuple[int, str]:
        key, best, after = "", "", index
        for place in range(index, len(keys)):
            key += keys[place].removeprefix(_MAKER)  # "ZohoCRM", "modules complémentaires Zoho Writer"
            if not key:
                break
            if key not in self.beginnings:
                break
            if key in self.names:
                best, after = key, place + 1
        return after, best


def _keys(name: str) -> list[str]:
    return [vocabulary.fold(word) for word in _spelled(name)]


def _spelled(text: str) -> list[str]:
    return [part for word in _WORD.findall(text) for part in vocabulary.humps(word)]


def _own_words(text: str) -> tuple[str, ...]:
    words = " ".join(_BRACKETS.sub(" ", text).split()).strip(" .,:;!?*_-–\"'«»<>()[]|")
    return (words,) if words and len(words) <= _LONGEST_OWN_WORDS and any(map(str.isalpha, words)) else ()
