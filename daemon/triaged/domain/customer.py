"""End customers of service contracts (rows C9, C12): who they are, which company is which, which site an order is for.

Comparing is tolerant of spelling and never guesses: two names or two addresses are the same or they are not.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

from triaged.domain import directory, order, postal


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


@lru_cache(maxsize=65_536)
def spelling(name: str) -> str:
    """The name however it was spelled: no case, no accents, no punctuation, `S.A.` as `SA`. What tells it apart from
    another's stays: nobody can spell it by calling themselves so."""
    plain = shown(name)
    words = " ".join(_joined_initials(order.folded(plain).split())) or plain.casefold().strip()
    return words + name[len(plain) :].casefold().rstrip()


# What a company's name ends or begins with and what does not tell it from another (row C9: matching the account).
_LEGAL_FORMS = frozenset((
    "sa", "sas", "sasu", "sarl", "eurl", "sci", "snc", "scop", "gie", "gmbh", "mbh", "ag", "kg", "kgaa", "ohg", "ug",
    "se", "ltd", "limited", "plc", "llp", "llc", "lp", "inc", "incorporated", "corp", "corporation", "co", "company",
    "bv", "nv", "srl", "spa", "sl", "slu", "ab", "as", "asa", "oy", "oyj", "aps", "pty", "pte", "kk", "sro", "doo",
    "zoo", "sp", "cie",
))  # fmt: skip
_TOLD_APART = re.compile(r"\s*\([^()\s]+\.[^()\s]+(?:, \d+)?\)\s*\Z")  # what `_free_name` adds
_LEADING_FORMS = frozenset(("sa", "sas", "sarl", "eurl", "sci", "snc", "ste", "societe", "firma", "fa"))


def shown(name: str) -> str:
    """The name without what tells it apart from another's."""
    return _TOLD_APART.sub("", name) or name


def name_key(name: str) -> str:
    """The name for comparing companies: folded, without the legal form at its end or its beginning. `Acme S.A.` and
    `ACME SAS` have one key, and so has `Acme (stranger.example)`; `Acme` and `Acme Industries` have two."""
    kept = spelling(shown(name)).split()
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


# Sites


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which account of a customer an address belongs to: `site` as its contracts know it, empty the global account of
    the head office. `record` is the customer once it knows this address."""

    site: str
    record: CustomerRecord


def site_of(address: str, record: CustomerRecord, country_of: postal.CountryOf) -> Grouping:
    """Row C9: the head office's address means the global account, any other address an account of its own. A customer
    without a head office has it here."""
    if knows_head_office(address, record, country_of):
        return Grouping("", record)
    known = [site for site in record.sites if postal.same(address, site, country_of)]
    if known:
        return Grouping(known[0], record)
    if not record.head_office:
        return Grouping("", replace(record, head_office=address))
    return Grouping(address, replace(record, sites=(*record.sites, address)))


def knows_head_office(address: str, record: CustomerRecord, country_of: postal.CountryOf) -> bool:
    return bool(record.head_office) and postal.same(address, record.head_office, country_of)


def knows(address: str, record: CustomerRecord, country_of: postal.CountryOf) -> bool:
    """Whether `address` is the customer's head office or one of its sites."""
    known = (record.head_office, *record.sites)
    return any(postal.same(address, one, country_of) for one in known if one)


# Whose an order is


@dataclass(frozen=True, slots=True)
class Known:
    """A customer that an order may be of, with its parent entity (`family`) and the mail addresses of its contracts."""

    row_id: int
    record: CustomerRecord
    family: Family
    emails: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Matched:
    """Whose an order is. `customer_id` None: a customer to be made; `record` is the customer once the order is placed,
    `old` as it is; `note` tells an operator what is not plain."""

    customer_id: int | None
    record: CustomerRecord
    site: str
    csm: str = ""
    note: str = ""
    old: CustomerRecord | None = None

    @property
    def name(self) -> str:
        """As mails may say it: nobody is told that another has the same name."""
        return shown(self.record.name)

    @property
    def locale(self) -> str:
        return self.record.locale or ""

    @property
    def country(self) -> str:
        return self.record.country or ""


def settle(
    placed: order.Order,
    known: Collection[Known],
    parents: Iterable[str],
    public: Collection[str],
    country_of: postal.CountryOf,
) -> Matched:
    """The customer of an order, by name and mail domain together: a name alone never lets anybody into an account.

    `known`: at least every customer with this `name_key`, this mail domain or a contract for this mail address;
    `parents`: every name that stands as a parent; `public`: domains where anybody gets an address."""
    asked = _Asked(placed, frozenset(public), country_of)
    named = [one for one in known if name_key(one.record.name) == asked.key]
    agreeing = asked.narrowed(
        [one for one in named if asked.agrees(one)] or [one for one in named if _blank(one, asked)]
    )
    if len(agreeing) == 1:
        return asked.joined(agreeing[0])
    at_home = [one for one in known if one not in named and asked.agrees(one) and asked.lives_at(one)]
    if len(at_home) == 1 and not agreeing:
        return asked.joined(at_home[0])
    return _new(asked, known, named, parents)


@dataclass(frozen=True, slots=True)
class _Asked:
    """An order, and what its customer's name and addresses are compared with."""

    order: order.Order
    public: frozenset[str]
    country_of: postal.CountryOf

    @property
    def key(self) -> str:
        return name_key(self.order.customer.name)

    @property
    def domain(self) -> str:
        """The customer's mail domain; empty for one where anybody gets an address."""
        domain = self.order.customer.email.rpartition("@")[2]
        return "" if domain in self.public else domain

    def agrees(self, one: Known) -> bool:
        """Whether the order's mail address is this customer's, by its domain or by an earlier contract."""
        return self.order.customer.email in one.emails or self.at_domain(one)

    def at_domain(self, one: Known) -> bool:
        return bool(self.domain) and self.domain in one.record.domains

    def lives_at(self, one: Known) -> bool:
        return knows(self.order.customer.address, one.record, self.country_of)

    def narrowed(self, found: list[Known]) -> list[Known]:
        """The ones that fit best, where several customers share name and domain."""
        written, email = spelling(self.order.customer.name), self.order.customer.email
        tests: tuple[Callable[[Known], bool], ...] = (
            lambda one: spelling(one.record.name) == written,
            self.lives_at,
            lambda one: email in one.emails,
        )
        for test in tests:
            found = [one for one in found if test(one)] or found
        return found

    def joined(self, one: Known) -> Matched:
        """The order of a customer that we have: what it learns from it, and what an operator should know."""
        notes, record = [], one.record
        if name_key(record.name) != self.key:
            notes.append(f"the order says {self.order.customer.name}; address and mail are those of {record.name}")
        if _blank(one, self):
            record = replace(record, domains=(*record.domains, *([self.domain] if self.domain else ())))
            notes.append(f"{record.name} had no mail of its own yet: this order's is taken for it")
        grouping = site_of(self.order.customer.address, record, self.country_of)
        if len(grouping.record.sites) > len(record.sites):
            notes.append(f"a new site of {record.name}, with an account of its own")
        record = replace(grouping.record, country=record.country or self.order.country or None)
        return Matched(one.row_id, record, grouping.site, one.family.csm, "; ".join(notes), one.record)


def _blank(one: Known, asked: _Asked) -> bool:
    """Whether this customer has nothing yet that says whose mail is its own: the first order does."""
    return not one.emails and not set(one.record.domains) - asked.public


def _new(asked: _Asked, known: Collection[Known], named: Collection[Known], parents: Iterable[str]) -> Matched:
    """A customer to be made: below the parent entity that its domain belongs to, under a name that is nobody else's."""
    written, owners = asked.order.customer.name, [one for one in known if asked.at_domain(one)]
    above = {spelling(one.family.root): one.family for one in owners}
    family = next(iter(above.values())) if len(above) == 1 else None
    parents = set(parents)
    elsewhere = {name_key(parent) for parent in parents} - ({name_key(family.root)} if family else set())
    name, notes = written, []
    if named or asked.key in elsewhere:
        name = _free_name(written, asked, {spelling(one.record.name) for one in named} | set(map(spelling, parents)))
        other = ", ".join(sorted(one.record.name for one in named)) or "a parent entity"
        notes.append(f"{written} could be {other}, but the order's mail does not say so: {name} is a customer apart")
    parent = family.root if family and spelling(family.root) != spelling(name) else None
    if owners:
        whose = ", ".join(sorted(one.record.name for one in owners))
        under = f"a customer of its own under {parent}" if parent else "a customer of its own"
        notes.append(f"{asked.domain} is the domain of {whose}: {name} is {under}")
    record = CustomerRecord(
        name=name,
        parent=parent,
        country=asked.order.country or None,
        head_office=asked.order.customer.address,
        domains=(asked.domain,) if asked.domain else (),
    )
    return Matched(None, record, "", family.csm if family else "", "; ".join(notes))


def _free_name(written: str, asked: _Asked, taken: set[str]) -> str:
    """`Acme (stranger.example)`; at a public domain the whole address, for there the domain says nobody."""
    plain = shown(written)
    tail = asked.domain or asked.order.customer.email
    names = [f"{plain} ({tail})", *(f"{plain} ({tail}, {number})" for number in range(2, len(taken) + 3))]
    return next(name for name in names if spelling(name) not in taken)
