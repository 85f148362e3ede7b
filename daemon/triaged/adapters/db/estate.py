"""The estate's ledger in the database: entries are only ever added, and every sum is a fold over them (row N8).

Whoever adds first locks the customers whose sums he reads, so that two writers never give the same licence away.
Locks are taken in one order: the contract's row, then customers by id.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import customers
from triaged.adapters.db.contract_models import Contract, Customer, EstateEntry, contract_number
from triaged.domain import contract as terms_of
from triaged.domain import estate, spares
from triaged.domain.catalogue import Catalogue, ServiceType
from triaged.domain.customer import Family
from triaged.domain.errors import PermanentError
from triaged.domain.estate import Entry, Estate, Kind, Recorded, Refusal, Terms


@dataclass(frozen=True, slots=True)
class SparesChange:
    """What a purchase or a cancellation did to a parent entity's on-site spares (row C12). `rooms`: Select licences in
    force now; `csm` is empty where nobody is named."""

    parent: str
    rooms: int
    before: int
    now: int
    csm: str


# The ledger


def recorded(session: Session, members: Collection[int] | None = None) -> list[Recorded]:
    """The entries of these customers, or of all, in the order in which they were written."""
    query = (
        sqlalchemy.select(*_ENTRY, *_TERMS)
        .outerjoin(Contract, Contract.id == EstateEntry.contract_id)
        .order_by(EstateEntry.id)
    )
    if members is not None:
        query = query.where(EstateEntry.customer_id.in_(members))
    return [_recorded(row) for row in session.execute(query)]


_ENTRY = [
    getattr(EstateEntry, name)
    for name in (
        "id", "at", "actor", "kind", "customer_id", "site", "contract_id", "room_id", "device_id", "quantity", "detail",
    )
]  # fmt: skip
_TERMS = [getattr(Contract, name) for name in ("service", "purchased_at", "ends", "timezone")]


def _recorded(row: Any) -> Recorded:
    detail = row.detail
    entry = Entry(
        kind=Kind(row.kind),
        group=(row.customer_id, row.site),
        contract=row.contract_id,
        room=row.room_id,
        device=row.device_id,
        quantity=row.quantity,
        terms=_terms(row) if row.kind == Kind.PURCHASED else None,
        came_from=detail.get("came_from"),
        product=detail.get("product", ""),
        place=detail.get("place", ""),
    )
    return Recorded(row.id, row.at, row.actor, entry)


def _terms(row: Any) -> Terms:
    until = None if row.ends is None else _midnight(row.ends + timedelta(days=1), row.timezone)
    return Terms(contract_number(row.contract_id), ServiceType(row.service), row.purchased_at, until)


def _midnight(day: date, timezone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)


def load(session: Session, members: Collection[int] | None = None) -> Estate:
    """The estate of these customers, or of all."""
    return estate.fold(one.entry for one in recorded(session, members))


def locked(session: Session, members: Collection[int]) -> Estate:
    """The same, ours alone to change until the transaction ends (SQLite has one writer anyway)."""
    rows = sqlalchemy.select(Customer.id).where(Customer.id.in_(members)).order_by(Customer.id)
    session.execute(rows.with_for_update(key_share=True)).all()  # others may still refer to the customer
    return load(session, members)


def add(session: Session, entries: Iterable[Entry], actor: str, now: datetime) -> tuple[int, ...]:
    """Write entries down; returns their ids. Nothing in the ledger is ever changed or removed."""
    rows = [_row(entry, actor, now) for entry in entries]
    for row in rows:  # one by one: the ids follow the order
        session.add(row)
        session.flush()
    return tuple(row.id for row in rows)


def _row(entry: Entry, actor: str, now: datetime) -> EstateEntry:
    detail = {"came_from": entry.came_from, "product": entry.product, "place": entry.place}
    return EstateEntry(
        at=now,
        kind=entry.kind.value,
        customer_id=entry.group[0],
        site=entry.group[1],
        contract_id=entry.contract,
        room_id=entry.room,
        device_id=entry.device,
        quantity=entry.quantity,
        actor=actor,
        detail={name: value for name, value in detail.items() if value not in (None, "")},
    )


# What the contracts desk tells the estate


def purchased(session: Session, contract_id: int, actor: str, now: datetime, catalogue: Catalogue) -> SparesChange:
    """The licences of a new contract come in; once, however often it is said."""
    row, family, before = _opened(session, contract_id)
    if contract_id in before.holdings:
        return _change(before, before, family, catalogue, max(now, row.purchased_at))
    add(session, (Entry(Kind.PURCHASED, _group(row), contract_id, quantity=row.licences),), actor, now)
    after = load(session, family.members)
    return _change(before, after, family, catalogue, max(now, row.purchased_at))


def cancelled(session: Session, contract_id: int, actor: str, now: datetime, catalogue: Catalogue) -> SparesChange:
    """The licences go out, and the rooms that they covered are free of them; nothing where they are out already."""
    row, family, before = _opened(session, contract_id)
    entries = estate.cancel(before, contract_id)
    after = _after(session, before, entries, actor, now)
    return _change(before, after, family, catalogue, max(now, row.purchased_at))


def restored(session: Session, contract_id: int, actor: str, now: datetime, catalogue: Catalogue) -> SparesChange:
    """The exact inverse of `cancelled`, but for rooms that another contract has covered meanwhile."""
    row, family, before = _opened(session, contract_id)
    entries = estate.restore(before, contract_id, now)
    after = _after(session, before, entries, actor, now)
    return _change(before, after, family, catalogue, max(now, row.purchased_at))


def _opened(session: Session, contract_id: int) -> tuple[Contract, Family, Estate]:
    row = session.get(Contract, contract_id)
    if row is None:
        raise PermanentError(f"there is no contract {contract_number(contract_id)}: see `triaged contract list`")
    family = customers.family(session, row.customer_id)
    return row, family, locked(session, family.members)


def _group(row: Contract) -> estate.Group:
    return row.customer_id, row.site


def _after(session: Session, before: Estate, entries: tuple[Entry, ...] | Refusal, actor: str, now: datetime) -> Estate:
    if isinstance(entries, Refusal):
        return before
    add(session, entries, actor, now)
    return before.after(entries)


def _change(before: Estate, after: Estate, family: Family, catalogue: Catalogue, now: datetime) -> SparesChange:
    """`now` is at least the purchase: a mail server's clock may be ahead of ours."""
    was, units = (spares.granted(one.holdings.values(), catalogue.rooms_per_spare, now) for one in (before, after))
    return SparesChange(family.root, spares.rooms(after.holdings.values(), now), was, units, family.csm)


def first_assigned(session: Session, contract_id: int, now: datetime, catalogue: Catalogue) -> None:
    """The day on which a licence of the contract first covered a room; it may begin the term (TermStart)."""
    row = cast(Contract, session.get(Contract, contract_id))
    if row.first_assigned_on is not None:
        return
    zone = ZoneInfo(row.timezone)
    row.first_assigned_on = today = terms_of.day_of(now, zone)
    if row.starts is None:
        purchase = terms_of.day_of(row.purchased_at, zone)
        term = terms_of.term(purchase, row.years, today, today, catalogue)
        row.starts, row.ends = term.starts, term.ends
    session.flush()


# Spares of all parent entities


@dataclass(frozen=True, slots=True)
class SparesRecord:
    """The on-site spares of one parent entity. `agreed`: (product, place, units)."""

    family: Family
    names: tuple[str, ...]
    rooms: int
    granted: int
    agreed: tuple[tuple[str, str, int], ...]

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `spares --json`. `open`: granted and not yet agreed on; `to_return`: agreed on, and taken back
        by a cancellation."""
        units = sum(quantity for _product, _place, quantity in self.agreed)
        return {
            "customer": self.family.root,
            "rooms": self.rooms,
            "granted": self.granted,
            "agreed": [{"product": what, "place": where, "units": number} for what, where, number in self.agreed],
            "open": max(0, self.granted - units),
            "to_return": max(0, units - self.granted),
            "csm": self.family.csm or None,
            "members": list(self.names),
        }


def spares_of(session: Session, family: Family, now: datetime, catalogue: Catalogue) -> SparesRecord:
    """The spares of one parent entity."""
    return _spares(session, family, load(session, family.members), now, catalogue)


def all_spares(session: Session, now: datetime, catalogue: Catalogue) -> list[SparesRecord]:
    """The spares of every parent entity that ever bought Select, by name."""
    buyers = sqlalchemy.select(Contract.customer_id).where(Contract.service == ServiceType.SELECT.value).distinct()
    seen: set[int] = set()
    found = []
    for customer_id in session.scalars(buyers.order_by(Contract.customer_id)).all():
        if customer_id not in seen:
            family = customers.family(session, customer_id)
            seen.update(family.members)
            found.append(spares_of(session, family, now, catalogue))
    return sorted(found, key=lambda one: one.family.root.casefold())


def _spares(session: Session, family: Family, sums: Estate, now: datetime, catalogue: Catalogue) -> SparesRecord:
    names = session.scalars(sqlalchemy.select(Customer.name).where(Customer.id.in_(family.members)))
    holdings: Sequence[estate.Holding] = tuple(sums.holdings.values())
    return SparesRecord(
        family=family,
        names=tuple(sorted(names, key=str.casefold)),
        rooms=spares.rooms(holdings, now),
        granted=spares.granted(holdings, catalogue.rooms_per_spare, now),
        agreed=tuple((what, where, units) for (what, where), units in sorted(sums.spares.items())),
    )
