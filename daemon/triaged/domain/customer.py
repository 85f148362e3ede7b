"""End customers of service contracts (rows C9, C12): who they are, which company is which, which site an order is for.

Comparing is tolerant of spelling and never guesses: two names or two addresses are the same or they are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from triaged.domain import directory, order


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """A customer as the import file says it; `name` is its key, `parent` the name of its parent entity, whether that
    is a customer itself or not. Addresses are one line each."""

    name: str
    parent: str | None = None
    country: str | None = None
    head_office: str = ""
    sites: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    csm: str | None = None
    locale: str | None = None

    def __post_init__(self) -> None:
        for field in ("sites", "domains"):
            object.__setattr__(self, field, tuple(sorted(set(getattr(self, field)))))

    @property
    def key(self) -> str:
        return self.name

    def document(self) -> dict[str, Any]:
        """The entry of the import file, ready for JSON."""
        return directory.document_of(self)

    def change_to(self, new: Self) -> directory.Change:
        return directory.change_of(self, new)


@dataclass(frozen=True, slots=True)
class Family:
    """The customers of one parent entity (row C12): `root` its name, `members` their rows, `csm` who looks after it."""

    root: str
    members: tuple[int, ...]
    csm: str


def root(name: str, parents: Mapping[str, str]) -> str:
    """The folded name at the top over `name`. `parents`: folded name → the parent's name as written. A circle is cut
    at its first name in the alphabet, so that everybody in it has the same root."""
    path = [spelling(name)]
    while above := spelling(parents.get(path[-1], "")):
        if above in path:
            return min(path[path.index(above) :])
        path.append(above)
    return path[-1]


# Names


def spelling(name: str) -> str:
    """The name however it was spelled: no case, no accents, no punctuation."""
    return order.folded(name) or name.casefold().strip()


# What a company's name ends or begins with and what does not tell it from another (row C9: matching the account).
_LEGAL_FORMS = frozenset((
    "sa", "sas", "sasu", "sarl", "eurl", "sci", "snc", "scop", "gie", "gmbh", "mbh", "ag", "kg", "kgaa", "ohg", "ug",
    "se", "ltd", "limited", "plc", "llp", "llc", "lp", "inc", "incorporated", "corp", "corporation", "co", "company",
    "bv", "nv", "srl", "spa", "sl", "slu", "ab", "as", "asa", "oy", "oyj", "aps", "pty", "pte", "kk", "sro", "doo",
    "zoo", "sp", "cie",
))  # fmt: skip
_LEADING_FORMS = frozenset(("sa", "sas", "sarl", "eurl", "sci", "snc", "ste", "societe", "firma", "fa"))


def name_key(name: str) -> str:
    """The name for comparing companies: folded, without the legal form at its end or its beginning. `Acme S.A.` and
    `ACME SAS` have one key; `Acme` and `Acme Industries` have two."""
    kept = _joined_initials(spelling(name).split())
    while len(kept) > 1 and kept[-1] in _LEGAL_FORMS | {"et", "und", "and"}:
        kept = kept[:-1]
    while len(kept) > 1 and kept[0] in _LEADING_FORMS:
        kept = kept[1:]
    return " ".join(kept)


def _joined_initials(words: list[str]) -> list[str]:
    """`s a r l` as `sarl`: what the dots of `S.A.R.L.` became."""
    joined: list[str] = []
    run = ""
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            run += word
            continue
        joined += [run] if run else []
        joined, run = [*joined, word] if word else joined, ""
    return joined
