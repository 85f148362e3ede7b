"""A purchase order (rows C1, C2, C6): what a reader found, what is wrong with it, and what it is once nothing is.

`order_form` reads a `Draft` of plain texts; `check` turns it into an `Order` or names every problem at once.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from triaged.domain.catalogue import Catalogue, ServiceType

MOST_LICENCES = 100_000
# Between two values that one mail gives for one field: nothing is chosen, and both are told to the sender.
CONTRADICTION = " ≠ "

# Local parts that are read by several people (row C6); compared without dots, dashes and underscores.
_GROUPS = frozenset((
    "it", "info", "infos", "informatique", "infra", "infrastructure", "contact", "contacts", "kontakt", "support",
    "helpdesk", "servicedesk", "hotline", "service", "services", "admin", "admins", "administrator",
    "administrateur", "administration", "office", "buero", "sales", "vente", "ventes", "vertrieb", "verkauf",
    "commercial", "achat", "achats", "purchasing", "procurement", "einkauf", "accounting", "compta", "comptabilite",
    "buchhaltung", "finance", "billing", "facturation", "rechnung", "team", "equipe", "hello", "bonjour", "hallo",
    "mail", "email", "post", "accueil", "reception", "empfang", "direction", "secretariat", "sekretariat", "edv",
    "itsupport", "itservice", "ithelpdesk", "itteam", "itdepartment", "dsi", "sysadmin", "systems", "network",
    "reseau", "av", "avteam", "audiovisuel", "meetingrooms", "rooms", "salles", "all", "everyone", "tous", "staff",
    "personnel", "hr", "rh", "marketing", "webmaster", "postmaster", "hostmaster", "noreply",
))  # fmt: skip


class State(StrEnum):
    """Of an order (INTERFACE §4)."""

    ACCEPTED = "accepted"
    INCOMPLETE = "incomplete"
    CONFLICT = "conflict"
    REVIEW = "review"
    REJECTED = "rejected"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.REVIEW: frozenset({State.ACCEPTED, State.INCOMPLETE, State.CONFLICT, State.REJECTED}),
    State.INCOMPLETE: frozenset({State.INCOMPLETE, State.ACCEPTED, State.REJECTED}),
    State.CONFLICT: frozenset({State.REJECTED}),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset(),
}


class Role(StrEnum):
    """A party of an order; the values are the prefixes of INTERFACE's field names."""

    CUSTOMER = "customer"
    RESELLER = "reseller"
    DISTRIBUTOR = "distributor"


class Code(StrEnum):
    """What is wrong with a field, or worth a warning (INTERFACE §4 `problems`, `warnings`)."""

    MISSING = "missing"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    MIXED_SERVICES = "mixed_services"
    CONFLICT = "conflict"
    NOT_CUSTOMER = "not_customer"
    GROUP_ADDRESS = "group_address"  # a warning
    COUNTRY = "country"  # a warning


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or a warning: `field` is one of INTERFACE's names, `value` what was found, as written."""

    field: str
    code: Code
    value: str = ""

    def document(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code.value, "value": self.value}


@dataclass(frozen=True, slots=True)
class Party:
    """Name, mail address and postal address (one line, parts separated by `, `) of one party."""

    name: str = ""
    email: str = ""
    address: str = ""

    def over(self, older: "Party") -> "Party":
        """What this says, and where it says nothing what `older` said."""
        return Party(self.name or older.name, self.email or older.email, self.address or older.address)


@dataclass(frozen=True, slots=True)
class DraftLine:
    """One position as written; `service` and `years` where the mail names them beside the SKU."""

    sku: str = ""
    licences: str = ""
    service: str = ""
    years: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as written, nothing believed yet. `country` where the customer's is named by itself; `date` the day of
    the order in a file that an operator imports (never believed from a mail)."""

    po_number: str = ""
    lines: tuple[DraftLine, ...] = ()
    customer: Party = Party()
    reseller: Party = Party()
    distributor: Party = Party()
    country: str = ""
    date: str = ""
    where: tuple[tuple[str, str], ...] = ()  # field -> `where` of evidence, for `explain`

    def __bool__(self) -> bool:
        return bool(self.po_number or self.lines or (self.customer, self.reseller, self.distributor) != _NOBODY)

    def over(self, older: "Draft") -> "Draft":
        """An answer to our fill-in block over the order that it completes."""
        return Draft(
            po_number=self.po_number or older.po_number,
            lines=_completed(self.lines, older.lines),
            customer=self.customer.over(older.customer),
            reseller=self.reseller.over(older.reseller),
            distributor=self.distributor.over(older.distributor),
            country=self.country or older.country,
            date=self.date or older.date,
            where=self.where or older.where,
        )

    def party(self, role: Role) -> Party:
        return {Role.CUSTOMER: self.customer, Role.RESELLER: self.reseller, Role.DISTRIBUTOR: self.distributor}[role]

    def document(self) -> dict[str, Any]:
        """JSON that `draft_of` reads back."""
        return {name: value for name, value in asdict(self).items() if name != "where"}


_NOBODY = (Party(), Party(), Party())


def _completed(new: tuple[DraftLine, ...], old: tuple[DraftLine, ...]) -> tuple[DraftLine, ...]:
    """A block with one position completes an order of one; anything else replaces the positions."""
    if len(new) == 1 and len(old) == 1:
        pairs = {f.name: getattr(new[0], f.name) or getattr(old[0], f.name) for f in fields(DraftLine)}
        if new[0].sku and new[0].sku != old[0].sku:  # what stood beside another SKU says nothing of this one
            pairs |= {"service": new[0].service, "years": new[0].years}
        return (DraftLine(**pairs),)
    return new or old


def draft_of(document: dict[str, Any]) -> Draft:
    """The draft that `Draft.document` made."""
    return Draft(
        po_number=document["po_number"],
        lines=tuple(DraftLine(**line) for line in document["lines"]),
        customer=Party(**document["customer"]),
        reseller=Party(**document["reseller"]),
        distributor=Party(**document["distributor"]),
        country=document["country"],
        date=document["date"],
    )


@dataclass(frozen=True, slots=True)
class Position:
    """One line of a good order: it becomes one contract."""

    sku: str
    service: ServiceType
    years: int
    licences: int


@dataclass(frozen=True, slots=True)
class Order:
    """A complete order; addresses are normalised, `country` is an ISO 3166 code or empty."""

    po_number: str
    positions: tuple[Position, ...]
    customer: Party
    reseller: Party
    distributor: Party
    country: str = ""

    @property
    def service(self) -> ServiceType:
        return self.positions[0].service

    def party(self, role: Role) -> Party:
        return {Role.CUSTOMER: self.customer, Role.RESELLER: self.reseller, Role.DISTRIBUTOR: self.distributor}[role]

    @property
    def fingerprint(self) -> str:
        """The same for the same order however it was spelled: SHA-256 (hex) over the folded values."""
        said = {
            "po": folded(self.po_number),
            "positions": sorted((p.sku, p.licences) for p in self.positions),
            "parties": [[folded(p.name), p.email, folded(p.address)] for p in map(self.party, Role)],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an order is checked against. `valid` normalises a mail address or gives None; `country_of` reads the
    customer's country from its name or the end of an address; `ours` are our own domains, `partners` those of the
    sender's registered organisation and `sellers` its people's addresses, `public` the free-mail domains."""

    catalogue: Catalogue
    valid: Callable[[str], str | None]
    country_of: Callable[[str], str]
    ours: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    sellers: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Checked:
    """`order` is None where there is a problem."""

    order: Order | None
    problems: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Found:
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def problem(self, name: str, code: Code, value: str = "") -> None:
        self.problems.append(Finding(name, code, value))


def check(draft: Draft, around: Surroundings) -> Checked:
    """Every problem of the draft at once (row C1), or the order."""
    found = _Found()
    if not draft.po_number:
        found.problem("po_number", Code.MISSING)
    elif len(draft.po_number) > 64 or CONTRADICTION in draft.po_number:
        found.problem("po_number", Code.INVALID, draft.po_number[:200])
    positions = _positions(draft, around.catalogue, found)
    parties = {role: _party(role, draft.party(role), around, found) for role in Role}
    _own_address(parties, around, found)
    customer = parties[Role.CUSTOMER]
    if customer.email and is_group(customer.email):
        found.warnings.append(Finding("customer_email", Code.GROUP_ADDRESS, customer.email))
    country = around.country_of(draft.country) or around.country_of(customer.address)
    notes = around.catalogue.countries.get(country)
    if notes and any(position.service in notes.services for position in positions):
        found.warnings.append(Finding("customer_address", Code.COUNTRY, country))
    problems, warnings = tuple(dict.fromkeys(found.problems)), tuple(found.warnings)
    if problems:
        return Checked(None, problems, warnings)
    order = Order(draft.po_number, positions, customer, parties[Role.RESELLER], parties[Role.DISTRIBUTOR], country)
    return Checked(order, (), warnings)


def is_group(address: str) -> bool:
    """Whether several people read this address, as far as its local part tells (row C6)."""
    local = address.partition("@")[0].partition("+")[0].lower()
    return re.sub(r"[._-]", "", local) in _GROUPS


def folded(text: str) -> str:
    """For comparing names and addresses: no case, no accents, no punctuation, single spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w]+", " ", plain.casefold().replace("ß", "ss")).split())


def _positions(draft: Draft, catalogue: Catalogue, found: _Found) -> tuple[Position, ...]:
    if not draft.lines:
        found.problem("sku", Code.MISSING)
        found.problem("licences", Code.MISSING)
    positions = tuple(p for line in draft.lines for p in _position(line, catalogue, found))
    services = dict.fromkeys(position.service.value for position in positions)
    if len(services) > 1:
        found.problem("service", Code.MIXED_SERVICES, ", ".join(services))
    return positions


def _position(line: DraftLine, catalogue: Catalogue, found: _Found) -> Iterator[Position]:
    sku = catalogue.skus.get(line.sku.strip().upper()) or catalogue.skus.get(line.sku.strip())
    if not line.sku:
        found.problem("sku", Code.MISSING)
    elif sku is None:
        found.problem("sku", Code.UNKNOWN, line.sku)
    licences = _licences(line.licences, found)
    if sku is None:
        return
    if line.years and _years(line.years) not in (None, sku.years):
        found.problem("sku", Code.CONFLICT, f"{line.sku}: {line.years}")
    named = service_of(line.service)
    if named and named is not sku.service:
        found.problem("service", Code.CONFLICT, line.service)
    yield Position(sku.code, sku.service, sku.years, licences or 0)


def _licences(written: str, found: _Found) -> int | None:
    if not written:
        found.problem("licences", Code.MISSING)
        return None
    number = _number(written)
    if number is None or not 1 <= number <= MOST_LICENCES:
        found.problem("licences", Code.INVALID, written)
        return None
    return number


_GROUPED = re.compile(r"\d{1,3}(?:[ .,'\u00a0\u202f\u2009’]\d{3})+|\d{1,9}")


def _number(written: str) -> int | None:
    """A whole number as people write it: `1 250`, `1.250`, `40 licences (forty)`; None for anything else, and for
    `4O`, and for `40,000` and `1.000`, which are forty and one where they come out of a German or French ledger."""
    text = re.sub(r"\s*\([^()]{0,60}\)$", "", written.strip())
    match = re.fullmatch(
        rf"[+x×]?\s?({_GROUPED.pattern})(?:[.,]0{{1,2}})?(?:\s+[^\W\d_][^\d]*|[^\W\d_]{{2}}[^\d]*|\s?[x×])?", text
    )
    if match is None or re.fullmatch(r"\d{1,3}[.,]000", match[1]):
        return None
    return int(re.sub(r"\D", "", match[1]))


_MONTHS = re.compile(r"\W{0,3}(?:mois|monate?n?|months?|mths?|m)\b", re.IGNORECASE)


def _years(written: str) -> int | None:
    """The term in whole years: `3 ans`, `3 Jahre (36 Monate)`, `36 months`; None for anything else."""
    match = re.match(r"\D{0,20}(\d{1,3})(?![\d.,]*\d)", written.strip())
    if match is None:
        return None
    number = int(match[1])
    if _MONTHS.match(written.strip()[match.end() :]):
        return number // 12 if number % 12 == 0 else None
    return number


def service_of(written: str) -> ServiceType | None:
    """The service type that a text names; None for several or none."""
    words = folded(written)
    named = {
        ServiceType.SELECT: re.search(r"\bselect\b", words),
        ServiceType.SYNCPLUS: re.search(r"\bsync ?plus\b", words) or re.search(r"\bsync *\+", written.casefold()),
        ServiceType.WARRANTY: re.search(r"\bwarrant(?:y|ies)\b|\bgaranti|garantie", words),
    }
    kinds = [kind for kind, match in named.items() if match]
    return kinds[0] if len(kinds) == 1 else None


_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)  # our mails print names, and mail programs make links of these


def _party(role: Role, written: Party, around: Surroundings, found: _Found) -> Party:
    if not written.name:
        found.problem(f"{role}_name", Code.MISSING)
    elif CONTRADICTION in written.name or _LINK.search(written.name) or not re.search(r"[^\W\d_]", written.name):
        found.problem(f"{role}_name", Code.INVALID, written.name)
    address = around.valid(written.email) if written.email else None
    if not written.email:
        found.problem(f"{role}_email", Code.MISSING)
    elif address is None:
        found.problem(f"{role}_email", Code.INVALID, written.email)
    if not written.address:
        found.problem(f"{role}_address", Code.MISSING)
    elif CONTRADICTION in written.address or not _is_postal(written.address):
        found.problem(f"{role}_address", Code.INVALID, written.address)
    return Party(written.name, address or "", written.address)


def _is_postal(address: str) -> bool:
    """Two words at least, none of them a mail address: enough to tell an address from a slip."""
    words = folded(address)
    return len(words) >= 6 and " " in words and "@" not in address


def _own_address(parties: dict[Role, Party], around: Surroundings, found: _Found) -> None:
    """The customer's address must be the customer's own: the invitation goes there (rows C4, C5)."""
    customer = parties[Role.CUSTOMER].email
    if not customer:
        return
    domain = customer.rpartition("@")[2]
    others = {parties[role].email for role in (Role.RESELLER, Role.DISTRIBUTOR)} - {""}
    taken = {address.rpartition("@")[2] for address in others} | around.partners
    if customer in others | around.sellers or within(domain, around.ours) or within(domain, taken - around.public):
        found.problem("customer_email", Code.NOT_CUSTOMER, customer)


def within(domain: str, domains: frozenset[str] | set[str]) -> bool:
    """Whether `domain` is one of `domains` or lies below one."""
    return any(domain == one or domain.endswith(f".{one}") for one in domains if one)
