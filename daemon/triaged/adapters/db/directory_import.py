"""Bringing the directory up to a file: compared in memory a slice at a time, written in bulk, in the caller's
transaction, so that an import is there as a whole or not at all (INTERFACE §2)."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic

import sqlalchemy
from sqlalchemy.orm import InstrumentedAttribute, Session

from triaged.adapters.db import directory, models
from triaged.adapters.db.contract_models import Contract, Customer, Device, EstateEntry, Person, Room
from triaged.adapters.db.directory import Part, Record, Shape
from triaged.domain import customer, postal
from triaged.domain.customer import CustomerRecord
from triaged.domain.directory import AccountRecord, Diff, PartnerRecord
from triaged.domain.errors import PermanentError


@dataclass(slots=True)
class _Plan(Generic[Record]):
    """What has to be done, before anything is."""

    added: list[Record] = field(default_factory=list)
    changed: list[tuple[int, Record, Record]] = field(default_factory=list)  # row id, old, new
    removed: dict[int, str] = field(default_factory=dict)  # row id → key
    unchanged: int = 0

    @property
    def diff(self) -> Diff:
        return Diff(
            added=tuple(record.key for record in self.added),
            changed=tuple(old.change_to(new) for _row_id, old, new in self.changed),
            removed=tuple(self.removed.values()),
            unchanged=self.unchanged,
        )


def import_accounts(
    session: Session, records: Sequence[AccountRecord], *, replace: bool = False, dry_run: bool = False
) -> Diff:
    """Add and change accounts by zoid + region; `replace` also removes those that `records` lacks."""
    return _import(session, directory.ACCOUNTS, records, replace, dry_run)


def import_partners(
    session: Session, records: Sequence[PartnerRecord], *, replace: bool = False, dry_run: bool = False
) -> Diff:
    """Add and change partners by name; `replace` also removes those that `records` lacks."""
    return _import(session, directory.PARTNERS, records, replace, dry_run)


def import_customers(
    session: Session,
    records: Sequence[CustomerRecord],
    *,
    replace: bool = False,
    dry_run: bool = False,
    country_of: postal.CountryOf,
) -> Diff:
    """Add and change customers by name, however it is spelled; `replace` also removes those that `records` lacks.

    A site that has contracts stays, as they spell it: their licence balance hangs on it. Raises PermanentError where a
    customer would go that has contracts, rooms or people."""
    used = _sites_in_use(session)
    kept = [_with_sites(record, used.get(customer.spelling(record.name), ()), country_of) for record in records]
    diff = _import(session, directory.CUSTOMERS, kept, replace, dry_run, removable=_nothing_hangs_on)
    if not dry_run:
        names = [record.name for record in kept]
        for some in directory.slices(names):  # an operator's word now, no longer an order's
            vouched = sqlalchemy.update(Customer).where(Customer.name.in_(some)).values(made_by_order=False)
            session.execute(vouched)
    return diff


def _import(
    session: Session,
    shape: Shape[Record],
    records: Sequence[Record],
    replace: bool,
    dry_run: bool,
    removable: Callable[[Session, dict[int, str]], None] = lambda _session, _removed: None,
) -> Diff:
    if not dry_run and session.get_bind().dialect.name == "postgresql":  # two imports at once: one after the other
        session.execute(sqlalchemy.text(f"LOCK TABLE {shape.table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
    plan = _compare(session, shape, records)
    if replace:
        plan.removed = _lacking(session, shape, records)
        removable(session, plan.removed)
    if not dry_run:
        _remove(session, shape, plan.removed)
        for some in directory.slices(plan.changed):
            _change(session, shape, some)
        _add(session, shape, plan.added)
    return plan.diff


def _compare(session: Session, shape: Shape[Record], records: Sequence[Record]) -> _Plan[Record]:
    plan: _Plan[Record] = _Plan()
    for some in directory.slices(records):
        found = shape.load(session, shape.search.in_({shape.head(record) for record in some}))
        known = {shape.same(record.key): (row_id, record) for row_id, record in found.items()}
        for record in some:
            row_id, old = known.get(shape.same(record.key), (0, None))
            if old is None:
                plan.added.append(record)
            elif old == record:
                plan.unchanged += 1
            else:
                plan.changed.append((row_id, old, record))
    return plan


def _lacking(session: Session, shape: Shape[Record], records: Iterable[Record]) -> dict[int, str]:
    kept = {shape.same(record.key) for record in records}
    rows = session.execute(sqlalchemy.select(shape.table.id, *shape.keys()).order_by(*shape.keys()))
    keys = {row_id: "/".join(key) for row_id, *key in rows}
    return {row_id: key for row_id, key in keys.items() if shape.same(key) not in kept}


def _remove(session: Session, shape: Shape[Record], ids: Collection[int]) -> None:
    for some in directory.slices(ids):
        session.execute(sqlalchemy.delete(shape.table).where(shape.table.id.in_(some)))


def _change(session: Session, shape: Shape[Record], changed: Sequence[tuple[int, Record, Record]]) -> None:
    own = [{"id": row_id, **shape.own(new)} for row_id, old, new in changed if shape.own(old) != shape.own(new)]
    if own:
        session.execute(sqlalchemy.update(shape.table), own)
    for part in shape.parts:
        lists = {
            row_id: getattr(new, part.field)
            for row_id, old, new in changed
            if getattr(old, part.field) != getattr(new, part.field)
        }
        _empty(session, part, lists)
        _fill(session, part, lists)


def _add(session: Session, shape: Shape[Record], records: Sequence[Record]) -> None:
    for some in directory.slices(records):
        session.execute(sqlalchemy.insert(shape.table), [shape.own(record) for record in some])
        ids = _ids(session, shape, some)
        for part in shape.parts:
            _fill(session, part, {ids[record.key]: getattr(record, part.field) for record in some})


def _ids(session: Session, shape: Shape[Record], records: Sequence[Record]) -> dict[str, int]:
    """Row ids by key, asked for afterwards: RETURNING in a known order would cost SQLite a statement per row."""
    keys = shape.keys()
    heads = {getattr(record, shape.key[0]) for record in records}
    found = session.execute(sqlalchemy.select(shape.table.id, *keys).where(keys[0].in_(heads)))
    return {"/".join(key): row_id for row_id, *key in found}


def _empty(session: Session, part: Part, owner_ids: Collection[int]) -> None:
    for some in directory.slices(owner_ids):
        session.execute(sqlalchemy.delete(part.table).where(getattr(part.table, part.owner).in_(some)))


def _fill(session: Session, part: Part, lists: dict[int, Any]) -> None:
    rows = [row for owner_id, items in lists.items() for row in part.rows(owner_id, items)]
    if rows:
        session.execute(sqlalchemy.insert(part.table), rows)


# Customers: what hangs on them


def _sites_in_use(session: Session) -> dict[str, tuple[str, ...]]:
    """The sites that contracts have, by the customer's name."""
    asked = sqlalchemy.select(Customer.name, Contract.site).distinct().join(Contract).where(Contract.site != "")
    used: dict[str, tuple[str, ...]] = {}
    for name, site in session.execute(asked):
        key = customer.spelling(name)
        used[key] = (*used.get(key, ()), site)
    return used


def _with_sites(record: CustomerRecord, used: tuple[str, ...], country_of: postal.CountryOf) -> CustomerRecord:
    """`record` with the sites of its contracts in the spelling that these have."""
    others = [site for site in record.sites if not any(postal.same(site, one, country_of) for one in used)]
    return dataclasses.replace(record, sites=(*used, *others)) if used else record


def _nothing_hangs_on(session: Session, removed: dict[int, str]) -> None:
    """Raises PermanentError where one of `removed` has more than its entry."""
    for table in (Contract, Room, Device, Person, EstateEntry):
        for some in directory.slices(removed):
            owner: InstrumentedAttribute[int] = table.customer_id
            ids = session.scalars(sqlalchemy.select(owner).distinct().where(owner.in_(some)).limit(10)).all()
            if ids:
                names = ", ".join(sorted(removed[row_id] for row_id in ids))
                raise PermanentError(
                    f"customer import --replace would remove {names}, with contracts, rooms, devices or people: "
                    "nothing was changed. Add these customers to the file"
                )


# What is remembered of a watched source (`name`: accounts | partners)


def holds(session: Session, name: str, digest: str) -> bool:
    """True when the directory was last brought up to exactly this content."""
    row = session.get(models.DirectorySource, name)
    return row is not None and row.digest == digest


def note_success(session: Session, name: str, location: str, digest: str, now: datetime) -> None:
    """The directory says what its source says, seen at `now`."""
    row = _source(session, name, location)
    row.digest, row.refreshed_at, row.error = digest, now, None


def note_failure(session: Session, name: str, location: str, error: str) -> None:
    """The source could not be taken; what was imported before stays, and so does its digest."""
    _source(session, name, location).error = error


def _source(session: Session, name: str, location: str) -> models.DirectorySource:
    row = session.get(models.DirectorySource, name)
    if row is None:
        row = models.DirectorySource(name=name)
        session.add(row)
    row.location = location
    return row
