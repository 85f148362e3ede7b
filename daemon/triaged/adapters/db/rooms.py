"""Rooms, devices and earlier extensions as rows: found by what people write, made, and given back as records.

Where a device stands and what covers a room is no column here: the ledger says it (`estate.py`).
"""

from collections.abc import Collection

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import estate as ledger
from triaged.adapters.db.contract_models import Contract, Customer, Device, Extension, Room, row_id
from triaged.adapters.db.estate_views import room_number
from triaged.domain import customer, order
from triaged.domain import estate as rules
from triaged.domain.errors import PermanentError
from triaged.domain.estate import Group
from triaged.domain.estate_records import DeviceRecord, ExtensionRecord, RoomRecord, Unit

# Finding


def customer_named(session: Session, name: str) -> Customer | None:
    """The customer of a name as people write it; of several that are alike only the one that is spelled so."""
    alike = sqlalchemy.select(Customer).where(Customer.folded == customer.name_key(name))
    rows = list(session.scalars(alike.order_by(Customer.id)))
    for same in (lambda row: row.name == name, lambda row: customer.spelling(row.name) == customer.spelling(name)):
        exact = [row for row in rows if same(row)]
        if len(exact) == 1:
            return exact[0]
    return rows[0] if len(rows) == 1 else None


def need_customer(session: Session, name: str) -> Customer:
    """Raises PermanentError where there is none."""
    row = customer_named(session, name)
    if row is None:
        raise PermanentError(f"there is no customer {name}, or several are alike: see `triaged customer list`")
    return row


def sites(session: Session, row: Customer) -> tuple[str, ...]:
    """The sites of a customer that are accounts by themselves, or may become one (row C9)."""
    contracts = sqlalchemy.select(Contract.site).where(Contract.customer_id == row.id).distinct()
    return tuple(dict.fromkeys(site for site in (*session.scalars(contracts), *row.sites) if site))


def site_named(session: Session, row: Customer, written: str) -> str | None:
    """The site as its account has it; empty for none and for the head office; None where there is no such site."""
    folded = order.folded(written)
    found = next((site for site in sites(session, row) if order.folded(site) == folded), None)
    return "" if found is None and folded in ("", order.folded(row.head_office)) else found


def room_in(session: Session, group: Group, name: str) -> Room | None:
    """The room of exactly this name in a group."""
    key = (Room.customer_id == group[0], Room.site == group[1], Room.name == name)
    return session.scalar(sqlalchemy.select(Room).where(*key))


def room(session: Session, written: str, group: Group | None = None) -> Room:
    """The room `RM-000012`, or the one of that name, in which capitals don't matter: in the group if it has one, else
    anywhere. Raises PermanentError where there is none or there are several."""
    number = row_id(written, "RM") if written.upper().startswith("RM-") else None
    found = session.get(Room, number) if number is not None else room_in(session, group, written) if group else None
    if found is not None:
        return found
    rows = [row for row in session.scalars(sqlalchemy.select(Room)) if row.name.casefold() == written.casefold()]
    rows = [row for row in rows if (row.customer_id, row.site) == group] or rows
    if len(rows) > 1:
        numbers = ", ".join(room_number(row.id) for row in rows)
        raise PermanentError(f"several rooms are called {written}: say which by its number: {numbers}")
    if not rows:
        raise PermanentError(f"there is no room {written}: see `triaged room list`, or add it with `triaged room add`")
    return rows[0]


def device(session: Session, serial: str) -> Device:
    """Raises PermanentError where there is none."""
    row = device_of(session, "".join(serial.split()).upper())
    if row is None:
        raise PermanentError(f"there is no device {serial}: add it with `triaged device add`")
    return row


def device_of(session: Session, serial: str) -> Device | None:
    return session.scalar(sqlalchemy.select(Device).where(Device.serial == serial))


def extension_of(session: Session, record: ExtensionRecord) -> Extension | None:
    key = (Extension.serial == record.serial, Extension.sku == record.sku)
    return session.scalar(sqlalchemy.select(Extension).where(*key, Extension.purchased_on == record.purchased_on))


# As the rules and the files see them


def ruled_room(row: Room) -> rules.Room:
    return rules.Room(row.id, (row.customer_id, row.site), row.name)


def ruled_device(row: Device) -> rules.Device:
    return rules.Device(row.id, row.customer_id, row.serial)


def room_records(session: Session) -> list[RoomRecord]:
    """Every room with its devices, as `room import` reads it."""
    names, standing = _customers(session), ledger.load(session).devices
    inside: dict[int, list[Unit]] = {}
    for row in session.scalars(sqlalchemy.select(Device).order_by(Device.serial)):
        if row.id in standing:
            unit = Unit(row.serial, row.product, row.purchased_on)
            inside.setdefault(standing[row.id].room, []).append(unit)
    return [
        RoomRecord(
            names[row.customer_id], row.name, row.site, row.country or "", row.place, row.jumpstart,
            tuple(inside.get(row.id, ())),
        )
        for row in session.scalars(sqlalchemy.select(Room).order_by(Room.customer_id, Room.site, Room.name))
    ]  # fmt: skip


def device_records(session: Session) -> list[DeviceRecord]:
    """Every device, as `device import` reads it."""
    names, standing = _customers(session), ledger.load(session).devices
    rooms = {row.id: row for row in session.scalars(sqlalchemy.select(Room))}
    records = []
    for row in session.scalars(sqlalchemy.select(Device).order_by(Device.serial)):
        where = rooms[standing[row.id].room] if row.id in standing else None
        site, name = (where.site, where.name) if where else ("", "")
        records.append(DeviceRecord(row.serial, row.product, row.purchased_on, names[row.customer_id], site, name))
    return records


def extension_records(session: Session) -> list[ExtensionRecord]:
    rows = session.scalars(sqlalchemy.select(Extension).order_by(Extension.serial, Extension.purchased_on))
    return [_extension_record(row) for row in rows]


def _extension_record(row: Extension) -> ExtensionRecord:
    return ExtensionRecord(**{name: getattr(row, name) for name in ExtensionRecord.__slots__})


def _customers(session: Session) -> dict[int, str]:
    return dict(session.execute(sqlalchemy.select(Customer.id, Customer.name)).all())


# Writing


def put_room(session: Session, group: Group, record: RoomRecord, columns: Collection[str]) -> tuple[Room, str]:
    """The room of a record as it says: the row, and `added`, `changed` or empty."""
    row = room_in(session, group, record.name)
    values = {"country": record.country or None, "place": record.place, "jumpstart": record.jumpstart}
    if row is None:
        row = Room(customer_id=group[0], site=group[1], name=record.name, **values)
        session.add(row)
        session.flush()
        return row, "added"
    return row, _changed(row, {name: value for name, value in values.items() if name in columns})


def put_device(session: Session, row: Device | None, customer_id: int, unit: DeviceRecord) -> tuple[Device, str]:
    """The device of a record whose product is in the catalogue's spelling; where it stands is another matter. `row`:
    the one that is there already."""
    values = {"product": unit.product, "purchased_on": unit.purchased_on}
    if row is None:
        row = Device(serial=unit.serial, customer_id=customer_id, **values)
        session.add(row)
        session.flush()
        return row, "added"
    return row, _changed(row, values)


def put_extension(session: Session, record: ExtensionRecord, columns: Collection[str]) -> str:
    row = extension_of(session, record)
    values = {name: getattr(record, name) for name in ExtensionRecord.__slots__}
    if row is None:
        session.add(Extension(**values))
        session.flush()
        return "added"
    return _changed(row, {name: value for name, value in values.items() if name in columns})


def _changed(row: Room | Device | Extension, values: dict[str, object]) -> str:
    differing = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return "changed" if differing else ""
