"""What people see of the estate: rooms with what covers them, free licences, devices, extensions (rows C10, C11, C17).

Everything is computed from the ledger and the contracts at the moment of asking; nothing of it is stored.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import estate as ledger
from triaged.adapters.db.contract_models import Contract, Customer, CustomerDomain, Device, Extension, Room
from triaged.adapters.db.contract_models import contract_number as number_of
from triaged.domain import contract as terms_of
from triaged.domain import cover, customer, estate
from triaged.domain.catalogue import Catalogue, ServiceType
from triaged.domain.cover import Committed, Cover
from triaged.domain.estate import Estate, Holding, Recorded


def room_number(row_id: int) -> str:
    return f"RM-{row_id:06d}"


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device, where it stands and until when its hardware is covered (row C13)."""

    id: int
    serial: str
    product: str
    customer: str
    site: str
    room_id: int | None
    room: str | None
    purchased_on: date
    covered_until: date | None

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `device list --json`."""
        return {
            "serial": self.serial,
            "product": self.product,
            "room": self.room,
            "covered_until": self.covered_until,
            "customer": self.customer,
            "site": self.site or None,
            "purchased_on": self.purchased_on,
        }


@dataclass(frozen=True, slots=True)
class RoomLicence:
    """A licence that covers a room now."""

    contract_id: int
    number: str
    service: str
    starts: date | None
    ends: date | None


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room with the licences that cover it now, its devices, and which service answers for it (row C17)."""

    id: int
    number: str
    customer: str
    site: str
    name: str
    country: str
    place: str
    jumpstart: date | None
    licences: tuple[RoomLicence, ...]
    committed: Committed
    devices: tuple[DeviceView, ...]

    def document(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "customer": self.customer,
            "site": self.site or None,
            "name": self.name,
            "country": self.country or None,
            "place": self.place or None,
            "jumpstart": self.jumpstart,
            "contracts": [one.number for one in self.licences],
            "commitment": self.committed.by.value,
            "commitment_until": self.committed.until,
            "devices": [device.document() for device in self.devices],
        }


@dataclass(frozen=True, slots=True)
class LicenceView:
    """What one contract holds: `free` licences cover no room. A warranty contract has no rooms: its `free` is 0."""

    contract_id: int
    number: str
    service: str
    licences: int
    assigned: int
    free: int
    in_force: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """One group at a glance."""

    rooms: tuple[RoomView, ...]
    licences: tuple[LicenceView, ...]


@dataclass(frozen=True, slots=True)
class ExtensionView:
    """An earlier warranty extension. `reason` is a cover.Unmatched value, empty where it stands; `ends` is capped by
    the device's age (row C13). `customer` is the customer that it stands for or whose device or name it has."""

    id: int
    serial: str
    sku: str
    years: int
    purchased_on: date
    status: str
    customer_name: str
    customer_email: str
    customer_id: int | None
    device_customer_id: int | None
    product: str
    ends: date | None
    reason: str

    def document(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in _SHOWN}
        return shown | {"product": self.product or None, "reason": self.reason or None}


_SHOWN = ("serial", "sku", "years", "purchased_on", "status", "customer_name", "customer_email", "ends")


# Readings


def overview(session: Session, customer_id: int, site: str, now: datetime, catalogue: Catalogue) -> Overview:
    """Rooms with their cover and the licences of a group."""
    books = _Books(session, now, catalogue, {customer_id})
    group = (customer_id, site)
    held = [one for one in books.estate.holdings.values() if one.group == group]
    return Overview(
        rooms=tuple(books.room(row) for row in books.rooms.values() if (row.customer_id, row.site) == group),
        licences=tuple(_licences(one, now) for one in held),
    )


def _licences(one: Holding, now: datetime) -> LicenceView:
    force = one.in_force(now)
    assigned = len(one.rooms) if force else 0
    number, service = one.terms.number, one.terms.service.value
    return LicenceView(one.contract, number, service, one.licences, assigned, one.free(now), force)


def rooms(session: Session, now: datetime, catalogue: Catalogue, customer_id: int | None = None) -> list[RoomView]:
    """Every room, or a customer's, by customer, site and name."""
    books = _Books(session, now, catalogue, None if customer_id is None else {customer_id})
    return sorted(map(books.room, books.rooms.values()), key=lambda r: (r.customer.casefold(), r.site, r.name))


def devices(session: Session, now: datetime, catalogue: Catalogue, customer_id: int | None = None) -> list[DeviceView]:
    """Every device, or a customer's, by serial number."""
    books = _Books(session, now, catalogue, None if customer_id is None else {customer_id})
    return sorted(map(books.device, books.devices.values()), key=lambda device: device.serial)


def room_history(session: Session, row: Room) -> tuple[Recorded, ...]:
    return estate.room_history(ledger.recorded(session, {row.customer_id}), row.id)


def device_history(session: Session, row: Device) -> tuple[Recorded, ...]:
    return estate.device_history(ledger.recorded(session, {row.customer_id}), row.id)


def told(session: Session, history: Iterable[Recorded]) -> list[dict[str, Any]]:
    """A history with names in the place of row ids."""
    kept = list(history)
    ids = {one.entry.room for one in kept} | {one.entry.came_from for one in kept}
    names = dict(session.execute(sqlalchemy.select(Room.id, Room.name).where(Room.id.in_(ids - {None}))).all())
    return [
        {
            "at": one.at,
            "actor": one.actor,
            "kind": one.entry.kind.value,
            "contract": number_of(one.entry.contract) if one.entry.contract else None,
            "room": names.get(one.entry.room or 0),
            "came_from": names.get(one.entry.came_from or 0),
        }
        for one in kept
    ]


def deployed(session: Session, members: Collection[int]) -> frozenset[str]:
    """The products that stand in rooms of these customers."""
    standing = ledger.load(session, members).devices
    rows = session.execute(sqlalchemy.select(Device.id, Device.product).where(Device.customer_id.in_(members)))
    return frozenset(row.product for row in rows if row.id in standing)


def places(session: Session, members: Collection[int]) -> frozenset[str]:
    """Where hardware can be shipped to: addresses of these customers, places of their rooms."""
    found: set[str] = set()
    lines = sqlalchemy.select(Customer.head_office, Customer.sites).where(Customer.id.in_(members))
    for head_office, sites in session.execute(lines):
        found |= {head_office, *sites}
    contracts = sqlalchemy.select(Contract.customer_address).where(Contract.customer_id.in_(members))
    found |= set(session.scalars(contracts))
    found |= set(session.scalars(sqlalchemy.select(Room.place).where(Room.customer_id.in_(members))))
    return frozenset(found - {""})


# Earlier warranty extensions


def extensions(session: Session, catalogue: Catalogue, customer_id: int | None = None) -> list[ExtensionView]:
    """Every extension, or those that have to do with a customer: its orders name it, or its device has the serial
    number. Each with the reason why it does not stand, if it does not (row C10)."""
    query = sqlalchemy.select(Extension, Device).outerjoin(Device, Device.serial == Extension.serial)
    found = _matched(session, catalogue, query)
    return [one for one in found if customer_id in (None, one.customer_id, one.device_customer_id)]


def _matched(session: Session, catalogue: Catalogue, query: Any) -> list[ExtensionView]:
    rows = session.execute(query.order_by(Extension.serial, Extension.purchased_on)).all()
    named = _Named(session) if rows else None
    return [_extension(row, named.customer(row), device, catalogue) for row, device in rows] if named else []


def _extension(row: Extension, whose: int | None, device: Device | None, catalogue: Catalogue) -> ExtensionView:
    reason = cover.unmatched(row.status, whose, device.customer_id if device else None)
    ends = None
    if device and reason is None:
        ends = cover.device_covered_until(device.purchased_on, [_term(row)], catalogue)
    return ExtensionView(
        **{name: getattr(row, name) for name in _STORED},
        customer_id=whose,
        device_customer_id=device.customer_id if device else None,
        product=device.product if device else "",
        ends=ends,
        reason=reason.value if reason else "",
    )


_STORED = ("id", "serial", "sku", "years", "purchased_on", "status", "customer_name", "customer_email")


def _term(row: Extension) -> Cover:
    return Cover(row.purchased_on, terms_of.last_day(row.purchased_on, row.years))


class _Named:
    """Whom the order of an extension names: by the customer's name, else by the address on a contract or its domain.
    Never a guess: two customers, or a name against an address, are nobody."""

    def __init__(self, session: Session) -> None:
        self._names: dict[str, set[int]] = defaultdict(set)
        self._addresses: dict[str, set[int]] = defaultdict(set)
        for row_id, folded in session.execute(sqlalchemy.select(Customer.id, Customer.folded)):
            self._names[folded].add(row_id)
        domains = sqlalchemy.select(CustomerDomain.domain, CustomerDomain.customer_id)
        contacts = sqlalchemy.select(Contract.customer_email, Contract.customer_id)
        for query in (domains, contacts):
            for written, row_id in session.execute(query):
                self._addresses[written.lower()].add(row_id)

    def customer(self, row: Extension) -> int | None:
        address = row.customer_email.strip().lower()
        by_address = self._addresses.get(address) or self._addresses.get(address.rpartition("@")[2], set())
        by_name = self._names.get(customer.name_key(row.customer_name), set())
        both = by_name & by_address if by_name and by_address else by_name | by_address
        return next(iter(both)) if len(both) == 1 else None


# The books of some customers


@dataclass(slots=True)
class _Books:
    """Everything about some customers' estates, or all, read once."""

    session: Session
    now: datetime
    catalogue: Catalogue
    members: Collection[int] | None
    estate: Estate = field(init=False)
    rooms: dict[int, Room] = field(init=False)
    devices: dict[int, Device] = field(init=False)
    _contracts: dict[int, Contract] = field(init=False)
    _customers: dict[int, str] = field(init=False)
    _extensions: dict[str, list[Cover]] = field(init=False)
    _in_room: dict[int, list[int]] = field(init=False)
    _over_room: dict[int, list[Holding]] = field(init=False)

    def __post_init__(self) -> None:
        self.estate = ledger.load(self.session, self.members)
        self.rooms = {row.id: row for row in self._of(Room, Room.customer_id)}
        self.devices = {row.id: row for row in self._of(Device, Device.customer_id)}
        self._contracts = {row.id: row for row in self._of(Contract, Contract.customer_id)}
        self._customers = dict(self.session.execute(sqlalchemy.select(Customer.id, Customer.name)).all())
        self._extensions = self._standing()
        self._in_room, self._over_room = defaultdict(list), defaultdict(list)
        for device, standing in self.estate.devices.items():
            self._in_room[standing.room].append(device)
        for holding in self.estate.holdings.values():
            for room in holding.rooms if holding.in_force(self.now) else ():
                self._over_room[room].append(holding)

    def _of(self, table: Any, column: Any) -> Iterable[Any]:
        query = sqlalchemy.select(table).order_by(table.id)
        return self.session.scalars(query if self.members is None else query.where(column.in_(self.members)))

    def _standing(self) -> dict[str, list[Cover]]:
        """The extensions that cover a device, by serial number."""
        query = sqlalchemy.select(Extension, Device).join(Device, Device.serial == Extension.serial)
        if self.members is not None:
            query = query.where(Device.customer_id.in_(self.members))
        found: dict[str, list[Cover]] = defaultdict(list)
        for one in _matched(self.session, self.catalogue, query):
            if not one.reason:
                last = terms_of.last_day(one.purchased_on, one.years)
                found[one.serial].append(Cover(one.purchased_on, last))
        return found

    def room(self, row: Room) -> RoomView:
        held = self._over_room.get(row.id, [])
        return RoomView(
            id=row.id,
            number=room_number(row.id),
            customer=self._customers[row.customer_id],
            site=row.site,
            name=row.name,
            country=row.country or "",
            place=row.place,
            jumpstart=row.jumpstart,
            licences=tuple(self._licence(one) for one in held),
            committed=self._committed(row, held),
            devices=tuple(self.device(self.devices[number]) for number in self._in_room.get(row.id, [])),
        )

    def device(self, row: Device) -> DeviceView:
        standing = self.estate.devices.get(row.id)
        covers = list(self._extensions.get(row.serial, []))
        if standing is not None:
            covers += [term for one in self._select(standing.room) if (term := self._term(one))]
        return DeviceView(
            id=row.id,
            serial=row.serial,
            product=row.product,
            customer=self._customers[row.customer_id],
            site=standing.group[1] if standing else "",
            room_id=standing.room if standing else None,
            room=self.rooms[standing.room].name if standing else None,
            purchased_on=row.purchased_on,
            covered_until=cover.device_covered_until(row.purchased_on, covers, self.catalogue),
        )

    def _select(self, room: int) -> list[Holding]:
        return [one for one in self._over_room.get(room, []) if one.terms.service is ServiceType.SELECT]

    def _term(self, one: Holding) -> Cover | None:
        row = self._contracts[one.contract]
        return Cover(row.starts, row.ends) if row.starts and row.ends else None

    def _licence(self, one: Holding) -> RoomLicence:
        row = self._contracts[one.contract]
        return RoomLicence(one.contract, one.terms.number, one.terms.service.value, row.starts, row.ends)

    def _committed(self, row: Room, held: list[Holding]) -> Committed:
        chosen = next((one for one in held if one.terms.service is ServiceType.SELECT), None)
        today = self.now.astimezone(UTC).date()
        term = self._term(chosen) if chosen else None
        return cover.commitment(term, chosen is not None, row.jumpstart, today)
