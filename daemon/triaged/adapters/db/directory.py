"""The directory of customers and partners: what lies in its tables, and the look-ups that the desks ask for (P4, P7).

A batch of mails costs one query per way of matching, however many references it holds.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy
from sqlalchemy.orm import InstrumentedAttribute, Session

from triaged.adapters.db import models
from triaged.adapters.db.contract_models import Customer, CustomerDomain
from triaged.domain import customer
from triaged.domain.customer import CustomerRecord
from triaged.domain.directory import AccountRecord, Match, PartnerRecord, SubscriptionRecord, UserRecord
from triaged.domain.references import Reference, ReferenceKind

Record = TypeVar("Record", AccountRecord, PartnerRecord, CustomerRecord)

SLICE = 1_000  # values per IN list: far below what either database takes


@dataclass(frozen=True, slots=True)
class Part:
    """A list of an entry and its table; an item is the one column's value, or a `record` of several columns."""

    field: str
    table: type[models.Base]
    owner: str
    columns: tuple[str, ...]
    record: type[UserRecord | SubscriptionRecord] | None = None

    def rows(self, owner_id: int, items: Iterable[Any]) -> list[dict[str, Any]]:
        return [{self.owner: owner_id, **self._row(item)} for item in items]

    def load(self, session: Session, owner_ids: Collection[int]) -> dict[int, list[Any]]:
        """The list of each owner, in one query."""
        owner = getattr(self.table, self.owner)
        columns = [getattr(self.table, column) for column in self.columns]
        lists: dict[int, list[Any]] = {owner_id: [] for owner_id in owner_ids}
        for owner_id, *values in session.execute(sqlalchemy.select(owner, *columns).where(owner.in_(owner_ids))):
            lists[owner_id].append(self.record(*values) if self.record else values[0])
        return lists

    def _row(self, item: Any) -> dict[str, Any]:
        return {column: getattr(item, column) if self.record else item for column in self.columns}


@dataclass(frozen=True, slots=True)
class Shape(Generic[Record]):
    """How one kind of entry lies in the tables: the columns of its own row, its key among them, and its lists.

    `derived`: columns that are made from the record and not read back; `searched`: the column that entries are found
    by, else the first of the key; `same`: what two keys have in common that are one entry."""

    table: type[models.Account | models.Partner | Customer]
    record: type[Record]
    key: tuple[str, ...]
    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    derived: tuple[tuple[str, Callable[[Any], Any]], ...] = ()
    searched: str = ""
    same: Callable[[str], str] = str

    def own(self, record: Record) -> dict[str, Any]:
        """The entry's own row."""
        plain = {column: getattr(record, column) for column in self.columns}
        return plain | {column: made(record) for column, made in self.derived}

    def head(self, record: Record) -> Any:
        """What `record` is found by in the column `search`."""
        made = dict(self.derived).get(self.searched)
        return made(record) if made else getattr(record, self.search.key)

    @property
    def search(self) -> InstrumentedAttribute[Any]:
        column: InstrumentedAttribute[Any] = getattr(self.table, self.searched or self.key[0])
        return column

    def keys(self) -> list[InstrumentedAttribute[Any]]:
        return [getattr(self.table, column) for column in self.key]

    def load(self, session: Session, where: sqlalchemy.ColumnElement[bool]) -> dict[int, Record]:
        """The whole entries that `where` selects (at most a slice of them), by row id."""
        columns = [getattr(self.table, column) for column in self.columns]
        found = session.execute(sqlalchemy.select(self.table.id, *columns).where(where).order_by(*self.keys()))
        fields: dict[int, dict[str, Any]] = {i: dict(zip(self.columns, row, strict=True)) for i, *row in found}
        for part in self.parts if fields else ():
            for row_id, items in part.load(session, fields).items():
                fields[row_id][part.field] = tuple(items)
        return {row_id: self.record(**own) for row_id, own in fields.items()}


ACCOUNTS: Shape[AccountRecord] = Shape(
    table=models.Account,
    record=AccountRecord,
    key=("zoid", "region"),
    columns=("zoid", "region", "zgid", "name", "super_admin"),
    parts=(
        Part("domains", models.AccountDomain, "account_id", ("domain",)),
        Part("users", models.AccountUser, "account_id", ("zuid", "email"), UserRecord),
        Part("partners", models.AccountPartner, "account_id", ("partner",)),
        Part(
            "subscriptions",
            models.Subscription,
            "account_id",
            ("service", "licences", "status", "starts", "ends"),
            SubscriptionRecord,
        ),
    ),
)
PARTNERS: Shape[PartnerRecord] = Shape(
    table=models.Partner,
    record=PartnerRecord,
    key=("name",),
    columns=("name", "region", "locale"),
    parts=(
        Part("domains", models.PartnerDomain, "partner_id", ("domain",)),
        Part("contacts", models.PartnerContact, "partner_id", ("address",)),
    ),
)
CUSTOMERS: Shape[CustomerRecord] = Shape(
    table=Customer,
    record=CustomerRecord,
    key=("name",),
    columns=("name", "parent", "country", "head_office", "sites", "csm", "locale"),
    parts=(Part("domains", CustomerDomain, "customer_id", ("domain",)),),
    derived=(("folded", lambda record: customer.name_key(record.name)),),
    searched="folded",
    same=customer.spelling,
)


def slices(values: Collection[Any]) -> Iterator[list[Any]]:
    """`values` in lists that an IN can take."""
    everything = list(values)
    return (everything[start : start + SLICE] for start in range(0, len(everything), SLICE))


# Which column answers for each way of matching.
_COLUMNS: dict[ReferenceKind, InstrumentedAttribute[Any]] = {
    ReferenceKind.SUPER_ADMIN: models.Account.super_admin,
    ReferenceKind.CUSTOMER_EMAIL: models.AccountUser.email,
    ReferenceKind.ZUID: models.AccountUser.zuid,
    ReferenceKind.ZOID: models.Account.zoid,
    ReferenceKind.ZGID: models.Account.zgid,
    ReferenceKind.DOMAIN: models.AccountDomain.domain,
}
_STRENGTH = {kind: place for place, kind in enumerate(ReferenceKind)}


def accounts_for(session: Session, references: Iterable[Reference]) -> dict[Reference, tuple[Match, ...]]:
    """The accounts that each reference names, strongest way first, each account once; a service names none.

    An address names the accounts whose super admin it is and those whose user it is; only where there is neither,
    those that own its domain. An id is looked up as ZUID, ZOID and ZGID whatever its label said (INTERFACE §4).
    Public, our own and the partner's domains are not barred here: `domain.identification` does that, with the reason.
    """
    ways = {reference: _ways(reference) for reference in references}
    wanted: dict[ReferenceKind, set[str]] = defaultdict(set)
    for asked in ways.values():
        for kind, value in asked.items():
            wanted[kind].add(value)
    found = {kind: _matches(session, kind, values) for kind, values in wanted.items()}
    return {
        reference: _strongest(match for kind, value in asked.items() for match in found[kind].get(value, ()))
        for reference, asked in ways.items()
    }


def lookup(session: Session, text: str) -> tuple[Match, ...]:
    """What the table says of an address, a domain or an id, for `account lookup`."""
    value = text.strip().strip("<>").lower()
    if value.isdecimal():
        kind = ReferenceKind.ZOID
    elif "@" in value.lstrip("@"):
        kind = ReferenceKind.SUPER_ADMIN
    else:
        kind, value = ReferenceKind.DOMAIN, value.lstrip("@")
    reference = Reference(kind, value, "")
    return accounts_for(session, [reference])[reference]


def _ways(reference: Reference) -> dict[ReferenceKind, str]:
    """In which columns to look, and for what."""
    value = reference.value
    match reference.kind:
        case ReferenceKind.SUPER_ADMIN | ReferenceKind.CUSTOMER_EMAIL:
            people = dict.fromkeys((ReferenceKind.SUPER_ADMIN, ReferenceKind.CUSTOMER_EMAIL), value)
            return people | {ReferenceKind.DOMAIN: value.rpartition("@")[2]}
        case ReferenceKind.ZUID | ReferenceKind.ZOID | ReferenceKind.ZGID:
            return dict.fromkeys((ReferenceKind.ZUID, ReferenceKind.ZOID, ReferenceKind.ZGID), value)
        case ReferenceKind.DOMAIN:
            return {ReferenceKind.DOMAIN: value}
        case ReferenceKind.SERVICE:
            return {}


def _matches(session: Session, kind: ReferenceKind, values: Collection[str]) -> dict[str, list[Match]]:
    """The accounts behind each value of one column, in one query."""
    account, column = models.Account, _COLUMNS[kind]
    asked = sqlalchemy.select(column, account.id, account.zoid, account.region, account.name)
    if column.class_ is not account:
        asked = asked.join(column.class_, column.class_.account_id == account.id)
    found: dict[str, list[Match]] = defaultdict(list)
    for some in slices(values):
        for value, row_id, zoid, region, name in session.execute(asked.where(column.in_(some))):
            found[value].append(Match(row_id, zoid, region, name, kind))
    return found


def _strongest(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Each account once, by the strongest way it matched; a domain counts only where nothing else matched."""
    ordered = sorted(matches, key=lambda match: (_STRENGTH[match.kind], match.region, match.zoid))
    best = {match.account_id: match for match in reversed(ordered)}
    exact = any(match.kind is not ReferenceKind.DOMAIN for match in best.values())
    return tuple(
        match
        for match in ordered
        if best.pop(match.account_id, None) and not (exact and match.kind is ReferenceKind.DOMAIN)
    )


def accounts(session: Session, ids: Collection[int]) -> dict[int, AccountRecord]:
    """Whole accounts by row id, a handful of queries for a thousand."""
    return {
        row_id: record
        for some in slices(ids)
        for row_id, record in ACCOUNTS.load(session, models.Account.id.in_(some)).items()
    }


def account(session: Session, row_id: int) -> AccountRecord | None:
    return accounts(session, [row_id]).get(row_id)


def partner_of(session: Session, address: str, public: Collection[str] = ()) -> PartnerRecord | None:
    """The registered partner that `address` writes for; None for nobody and where several claim it (`claims`)."""
    claimants = claims(session, address, public)
    return claimants[0] if len(claimants) == 1 else None


def claims(session: Session, address: str, public: Collection[str] = ()) -> tuple[PartnerRecord, ...]:
    """The partners that claim `address`, by name: those that list it as a contact, else those that own exactly its
    domain, unless that is a public mail domain. More than one is for a person to settle."""
    contact, domain = models.PartnerContact, models.PartnerDomain
    found = _partners(session, sqlalchemy.select(contact.partner_id).where(contact.address == address))
    host = address.rpartition("@")[2]
    if found or host in public:
        return found
    return _partners(session, sqlalchemy.select(domain.partner_id).where(domain.domain == host))


def _partners(session: Session, ids: sqlalchemy.Select[int]) -> tuple[PartnerRecord, ...]:
    found = PARTNERS.load(session, models.Partner.id.in_(ids)).values()
    return tuple(sorted(found, key=lambda partner: partner.name))


def partner(session: Session, name: str) -> PartnerRecord | None:
    return next(iter(PARTNERS.load(session, models.Partner.name == name).values()), None)


def accounts_by_zoid(session: Session, zoid: str, region: str | None = None) -> tuple[AccountRecord, ...]:
    """The accounts with this ZOID: one per region at most."""
    where = models.Account.zoid == zoid
    if region:
        where &= models.Account.region == region
    return tuple(ACCOUNTS.load(session, where).values())


def everything(session: Session, shape: Shape[Record]) -> Iterator[Record]:
    """Every entry in the order of its key, read a slice at a time: `export` is this, one document each."""
    ids: Sequence[int] = session.scalars(sqlalchemy.select(shape.table.id).order_by(*shape.keys())).all()
    for some in slices(ids):
        yield from shape.load(session, shape.table.id.in_(some)).values()


def unregistered_partners(session: Session) -> tuple[str, ...]:
    """Names that accounts give as their partners and that no partner has: their tickets would wait in review."""
    named, known = models.AccountPartner.partner, models.Partner.name
    asked = sqlalchemy.select(named).distinct().where(named.not_in(sqlalchemy.select(known)))
    return tuple(sorted(session.scalars(asked)))
