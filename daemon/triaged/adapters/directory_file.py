"""Reading a directory file (INTERFACE §2) of accounts, partners or customers: JSON array, JSON Lines or CSV, told apart
by its first character.

Every problem of the file is named at once with its place, key, what was found and what to write instead; a file with
problems is used not at all. Nothing is mended but case and surrounding blanks: a directory decides who gets priority.

CSV: the first line names the columns, which are the keys of the JSON entry; cells are separated by comma, semicolon or
tab. Lists are separated by `;` inside one (quoted) cell: domains, sites, partners, contacts as they are, users as
`zuid|email;…`, subscriptions as `service|licences|status|starts|ends;…`; an empty part is one that is not known.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from triaged.domain import customer
from triaged.domain.customer import CustomerRecord
from triaged.domain.directory import AccountRecord, PartnerRecord, SubscriptionRecord, UserRecord

Record = TypeVar("Record", AccountRecord, PartnerRecord, CustomerRecord)
Value = TypeVar("Value")

_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z")
_LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_ID = re.compile(r"[0-9]{1,20}\Z")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*\Z")
_MOST_LICENCES = 2_147_483_647  # what the database's column holds

_USER = ("zuid", "email")
_SUBSCRIPTION = ("service", "licences", "status", "starts", "ends")
_ACCOUNT = ("zoid", "zgid", "name", "region", "super_admin", "domains", "users", "subscriptions", "partners")
_PARTNER = ("name", "region", "locale", "domains", "contacts")
_CUSTOMER = ("name", "parent", "country", "head_office", "sites", "domains", "csm", "locale")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend in the file; `place` is `entry 3` (JSON) or `line 4` (JSON Lines, CSV)."""

    place: str
    key: str
    found: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.place}, {self.key}" if self.key else self.place
        return f"{where}: found {self.found}: {self.fix}" if self.found else f"{where}: {self.fix}"


@dataclass(frozen=True, slots=True)
class Reading(Generic[Record]):
    """What a file holds. Where there are problems, `records` is not to be used."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What entries are held against: known regions, domains that never identify anybody, codes of countries (none
    given: any two letters)."""

    regions: Collection[str]
    public_domains: Collection[str] = frozenset()
    countries: Collection[str] = frozenset()

    def region(self, raw: Any) -> str:
        text = _text(raw)
        if text not in self.regions:
            raise ValueError(f"unknown region{_meant(text, self.regions)}")
        return text

    def country(self, raw: Any) -> str:
        text = _text(raw).upper()
        if not re.fullmatch(r"[A-Z]{2}", text) or (self.countries and text not in self.countries):
            raise ValueError("write the country's ISO 3166 code of two letters, such as FR (GB, not UK)")
        return text

    def customer_domain(self, raw: Any) -> str:
        """A public mail domain may stand there; it identifies nobody (policy `public_mail_domains`)."""
        return _domain(raw)

    def partner_domain(self, raw: Any) -> str:
        """Whoever has an address at a public mail domain would be this partner: refused."""
        domain = _domain(raw)
        if domain in self.public_domains:
            raise ValueError("a public mail domain names nobody: remove it, and list its people under contacts")
        return domain


def read_accounts(data: bytes, rules: Rules) -> Reading[AccountRecord]:
    """The accounts of a file; key `zoid` + `region`, both and `name` are required."""
    return _read(data, rules, _ACCOUNT, _account)


def read_partners(data: bytes, rules: Rules) -> Reading[PartnerRecord]:
    """The partners of a file; key `name`."""
    return _read(data, rules, _PARTNER, _partner)


def read_customers(data: bytes, rules: Rules) -> Reading[CustomerRecord]:
    """The customers of a file; key `name`, however it is spelled."""
    return _read(data, rules, _CUSTOMER, _customer, customer.spelling)


def told(location: str, problems: Sequence[Problem], most: int = 50) -> str:
    """The problems of a file for a person, one a line."""
    count = f"{len(problems):,} problems" if len(problems) > 1 else "1 problem"
    lines = [f"{location}: {count}; the directory stays as it was", *(f"  {problem}" for problem in problems[:most])]
    return "\n".join(lines + [f"  … and {len(problems) - most:,} more"] * (len(problems) > most))


@dataclass(slots=True)
class _Problems:
    """Collects what is wrong, at the place that is being read."""

    rules: Rules
    place: str = ""
    found: list[Problem] = field(default_factory=list)

    def add(self, key: str, value: Any, fix: str) -> None:
        self.found.append(Problem(self.place, key, _shown(value), fix))


class _Entry(dict[str, Any]):
    """A JSON object that remembers keys written twice, which JSON readers drop in silence."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Entry:
    entry = _Entry(pairs)
    if len(entry) < len(pairs):
        names = [name for name, _value in pairs]
        entry.repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
    return entry


def _read(
    data: bytes,
    rules: Rules,
    keys: tuple[str, ...],
    build: Callable[["_Fields"], Record | None],
    same: Callable[[str], str] = str,
) -> Reading[Record]:
    problems = _Problems(rules)
    records: list[Record] = []
    first_seen: dict[str, str] = {}
    for place, entry in _entries(data, keys, problems):
        problems.place = place
        fields = _Fields.of(entry, keys, problems)
        record = build(fields) if fields else None
        if record is None:
            continue
        earlier = first_seen.setdefault(same(record.key), place)
        if earlier != place:
            problems.add("", record.key, f"it is already in {earlier}: keep one of the two")
        records.append(record)
    return Reading(tuple(records), tuple(problems.found))


# The three forms of a file


def _entries(data: bytes, keys: tuple[str, ...], problems: _Problems) -> Iterator[tuple[str, Any]]:
    """(place, entry) of each entry that could be read at all; the others go to `problems`."""
    problems.place = "file"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add("", data[error.start : error.end], f"line {line} is not UTF-8: save the file as UTF-8")
        return iter(())
    match text.lstrip()[:1]:
        case "[":
            return _json_array(text, problems)
        case "{":
            return _json_lines(text, problems)
        case "":
            problems.add("", None, "an empty directory is written as []")
            return iter(())
        case _:
            return _csv(text, keys, problems)


def _json_array(text: str, problems: _Problems) -> Iterator[tuple[str, Any]]:
    entries = _json(text, problems)
    return ((f"entry {number}", entry) for number, entry in enumerate(entries or (), 1))


def _json_lines(text: str, problems: _Problems) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            problems.place = f"line {number}"
            entry = _json(line, problems)
            if entry is not None:
                yield f"line {number}", entry


def _json(text: str, problems: _Problems) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}" if problems.place == "file" else f"column {error.colno}"
        fix = f"not JSON at {place}: {error.msg} (write [ … ], or one whole entry a line)"
        problems.add("", text[error.pos : error.pos + 20] or None, fix)
    except (RecursionError, ValueError):
        problems.add("", text[:20], "brackets nested too deep, or a number too long: this is no directory")
    return None


def _csv(text: str, keys: tuple[str, ...], problems: _Problems) -> Iterator[tuple[str, Any]]:
    head = text.split("\n", 1)[0]
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a large customer's users are one cell
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    line = 1
    try:
        names = [name.strip() for name in next(reader)]
        if not _good_columns(names, keys, problems):
            return
        line = reader.line_num + 1
        for cells in reader:
            problems.place, line = f"line {line}", reader.line_num + 1
            yield from _csv_entry(names, cells, problems)
    except csv.Error as error:
        problems.place = f"line {line}"
        problems.add("", None, f"not CSV: {error}")


def _good_columns(names: list[str], keys: tuple[str, ...], problems: _Problems) -> bool:
    problems.place = "line 1"
    for name in dict.fromkeys(names):
        if name not in keys:
            problems.add("", name, f"unknown column{_meant(name, keys)}")
        elif names.count(name) > 1:
            problems.add("", name, "the column is there twice: keep one")
    return not problems.found


def _csv_entry(names: list[str], cells: list[str], problems: _Problems) -> Iterator[tuple[str, Any]]:
    if not any(cell.strip() for cell in cells):
        return
    if len(cells) != len(names):
        fix = f"the first line names {len(names)} columns: quote cells that contain the separator"
        problems.add("", f"{len(cells)} cells", fix)
        return
    yield problems.place, {name: _csv_value(name, cell.strip()) for name, cell in zip(names, cells, strict=True)}


def _csv_value(name: str, cell: str) -> Any:
    """A cell as JSON would say it; empty is not there."""
    if name not in ("domains", "sites", "partners", "contacts", "users", "subscriptions"):
        return cell or None
    items = [item.strip() for item in cell.split(";") if item.strip()]
    parts = {"users": _USER, "subscriptions": _SUBSCRIPTION}.get(name)
    return [_csv_object(item, parts) for item in items] if parts else items


def _csv_object(item: str, keys: tuple[str, ...]) -> Any:
    """`a|b|c` as an object; as it is when it has too many parts, so that the problem shows it."""
    values = [value.strip() or None for value in item.split("|")]
    return dict(zip(keys, values, strict=False)) if len(values) <= len(keys) else item


# One entry


@dataclass(frozen=True, slots=True)
class _Fields:
    """An entry, or an object in one of its lists, read key by key; what is wrong goes to `problems`."""

    entry: dict[str, Any]
    problems: _Problems
    prefix: str = ""

    @classmethod
    def of(cls, entry: Any, keys: tuple[str, ...], problems: _Problems, prefix: str = "") -> "_Fields | None":
        if not isinstance(entry, dict):
            problems.add(prefix.rstrip("."), entry, f"write an entry with the keys {', '.join(keys)}")
            return None
        for name in getattr(entry, "repeated", ()):
            problems.add(prefix + name, name, "the key is there twice: keep one")
        for name in entry:
            if name not in keys:
                problems.add(prefix + name, name, f"unknown key{_meant(name, keys)}")
        return cls(entry, problems, prefix)

    def one(self, name: str, read: Callable[[Any], Value]) -> Value | None:
        """The value of a key that may be missing."""
        raw = self.entry.get(name)
        return None if raw is None or raw == "" else self._read(name, raw, read)

    def need(self, name: str, read: Callable[[Any], Value]) -> Value | None:
        """The value of a key that must be there; None only when that is a problem."""
        if self.entry.get(name) in (None, ""):
            self.problems.add(self.prefix + name, None, "it is required")
        return self.one(name, read)

    def many(self, name: str, read: Callable[[Any], Value]) -> tuple[Value, ...]:
        items = (self._read(f"{name}[{number}]", raw, read) for number, raw in self._list(name))
        return tuple(item for item in items if item is not None)

    def objects(
        self, name: str, keys: tuple[str, ...], build: Callable[["_Fields"], Value | None]
    ) -> tuple[Value, ...]:
        entries = (_Fields.of(raw, keys, self.problems, f"{name}[{number}].") for number, raw in self._list(name))
        return tuple(item for fields in entries if fields and (item := build(fields)) is not None)

    def _list(self, name: str) -> Iterator[tuple[int, Any]]:
        raw = self.entry.get(name)
        if raw is not None and not isinstance(raw, list):
            self.problems.add(self.prefix + name, raw, "write a list: [ … ]")
            return iter(())
        return enumerate(raw or (), 1)

    def _read(self, name: str, raw: Any, read: Callable[[Any], Value]) -> Value | None:
        try:
            return read(raw)
        except ValueError as error:
            self.problems.add(self.prefix + name, raw, str(error))
            return None


def _account(fields: _Fields) -> AccountRecord | None:
    rules = fields.problems.rules
    zoid, region, name = fields.need("zoid", _id), fields.need("region", rules.region), fields.need("name", _text)
    zgid, super_admin = fields.one("zgid", _id), fields.one("super_admin", _address)
    domains, partners = fields.many("domains", rules.customer_domain), fields.many("partners", _text)
    users = fields.objects("users", _USER, _user)
    subscriptions = fields.objects("subscriptions", _SUBSCRIPTION, _subscription)
    if zoid is None or region is None:
        return None
    return AccountRecord(zoid, region, name or "", zgid, super_admin, domains, users, partners, subscriptions)


def _user(fields: _Fields) -> UserRecord | None:
    zuid, email = fields.one("zuid", _id), fields.one("email", _address)
    if not fields.entry.get("zuid") and not fields.entry.get("email"):
        fields.problems.add(fields.prefix.rstrip("."), fields.entry, "a user needs a zuid, an email or both")
    return UserRecord(zuid, email)


def _subscription(fields: _Fields) -> SubscriptionRecord | None:
    service, status = fields.need("service", _text), fields.need("status", _text)
    licences = fields.need("licences", _licences)
    starts, ends = fields.one("starts", _date), fields.one("ends", _date)
    if starts and ends and ends < starts:
        fields.problems.add(f"{fields.prefix}ends", ends.isoformat(), f"it ends before it starts ({starts})")
    return SubscriptionRecord(service or "", licences or 0, (status or "").lower(), starts, ends)


def _partner(fields: _Fields) -> PartnerRecord | None:
    rules = fields.problems.rules
    name, region, locale = fields.need("name", _text), fields.one("region", rules.region), fields.one("locale", _locale)
    domains, contacts = fields.many("domains", rules.partner_domain), fields.many("contacts", _address)
    return PartnerRecord(name, region, locale, domains, contacts) if name else None


def _customer(fields: _Fields) -> CustomerRecord | None:
    rules = fields.problems.rules
    name, parent = fields.need("name", _text), fields.one("parent", _text)
    if name and parent and customer.spelling(name) == customer.spelling(parent):
        fields.problems.add("parent", parent, "nobody is their own parent: leave it out")
    country, locale = fields.one("country", rules.country), fields.one("locale", _locale)
    head_office, sites = fields.one("head_office", _postal), fields.many("sites", _postal)
    domains, csm = fields.many("domains", rules.customer_domain), fields.one("csm", _address)
    return CustomerRecord(name, parent, country, head_office or "", sites, domains, csm, locale) if name else None


# One value: each returns it folded, or raises ValueError with the fix


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("write a text")
    text = raw.strip()
    if not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("remove the control characters")
    return text


def _postal(raw: Any) -> str:
    """A postal address; its lines become one."""
    lines = raw.splitlines() if isinstance(raw, str) else []
    return _text(", ".join(line.strip(" ,") for line in lines if line.strip(" ,")))


def _id(raw: Any) -> str:
    text = str(raw).strip() if isinstance(raw, str | int) else ""
    if not _ID.match(text):
        raise ValueError(
            "write the digits of the id alone, at most 20 (a spreadsheet that shows 6.0E+10 has lost some: format the "
            "column as text)"
        )
    return text


def _address(raw: Any) -> str:
    text = _text(raw).lower()
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError("write a mail address (a login name is not one)")
    if len(local) > 64 or not _LOCAL_PART.match(local):
        raise ValueError("write the mail address alone, in ASCII, as name@domain")
    return f"{local}@{_domain(domain)}"


def _domain(raw: Any) -> str:
    text = _text(raw).lower()
    if "@" in text:
        raise ValueError("write the domain alone, without @")
    text = text if text.isascii() else _punycode(text)
    if not _DOMAIN.match(text):
        raise ValueError("write a domain such as acme.example")
    return text


def _punycode(domain: str) -> str:
    """An international domain in ASCII, without the mapping that folds look-alikes onto real names (DESIGN §5)."""
    fix = "write the domain in its ASCII form (xn--…)"
    try:
        encoded = domain[:254].encode("idna")
        same = encoded.decode("idna") == domain
    except UnicodeError:
        raise ValueError(fix) from None
    if not same:
        raise ValueError(fix)
    return encoded.decode("ascii")


def _licences(raw: Any) -> int:
    text = str(raw).strip() if isinstance(raw, str | int) else ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > _MOST_LICENCES:
        raise ValueError("write the number of licences: 0 or a whole number above")
    return int(text)


def _date(raw: Any) -> date:
    text = raw.strip() if isinstance(raw, str) else ""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("write the date as 2026-12-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day: write the date as 2026-12-31") from None


def _locale(raw: Any) -> str:
    text = _text(raw)
    if len(text) > 16 or not _LOCALE.match(text):
        raise ValueError("write a language such as fr or pt-BR")
    return text


def _meant(name: str, known: Collection[str]) -> str:
    folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f", did you mean {folded[close[0]]}?" if close else f", known are {', '.join(sorted(known))}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= 60 else text[:59] + "…"
