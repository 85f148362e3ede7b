"""Rooms, devices and earlier extensions from a file: all of it or nothing, every problem named by its line.

A file's lines go through the same rules as a single command, in one transaction; with a problem, or for a dry run, it
is taken back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triaged.adapters import estate_file
from triaged.adapters.db import engine, rooms
from triaged.adapters.db import estate as ledger
from triaged.adapters.db.contract_models import Customer, Device, Room
from triaged.adapters.db.engine import Session
from triaged.domain import estate
from triaged.domain.catalogue import Catalogue
from triaged.domain.estate import Entry, Estate, Refusal
from triaged.domain.estate_records import DeviceRecord, ExtensionRecord, Outcome, Problem, RoomRecord, Unit


@dataclass(frozen=True, slots=True)
class Import:
    """One import: who does it, when, against which catalogue. `dry_run` writes nothing; `fresh` refuses what is there
    already, for the commands that add one thing."""

    database: engine.Database
    catalogue: Catalogue
    actor: str
    now: datetime
    dry_run: bool = False
    fresh: bool = False


@dataclass(slots=True)
class _Run:
    """An import under way: what it found and did so far. `sums` by customer."""

    session: Session
    job: Import
    columns: frozenset[str]
    line: int = 0
    problems: list[Problem] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    sums: dict[int, Estate] = field(default_factory=dict)
    groups: dict[tuple[str, str], estate.Group | None] = field(default_factory=dict)  # customer and site as written

    def problem(self, column: str, found: str, fix: str) -> None:
        self.problems.append(Problem(self.line, column, found, fix))

    def did(self, key: str, what: str) -> None:
        if what == "added":
            self.added.append(key)
        elif what == "changed":
            self.changed.append(key)
        else:
            self.unchanged += 1
        if self.job.fresh and what != "added":
            self.problem("", key, "it is there already: `import` changes it")

    def write(self, customer_id: int, entries: tuple[Entry, ...]) -> None:
        ledger.add(self.session, entries, self.job.actor, self.job.now)
        self.sums[customer_id] = self.estate(customer_id).after(entries)

    def estate(self, customer_id: int) -> Estate:
        if customer_id not in self.sums:
            self.sums[customer_id] = ledger.locked(self.session, {customer_id})
        return self.sums[customer_id]


def import_rooms(job: Import, reading: estate_file.Reading[RoomRecord]) -> Outcome:
    """Add and change rooms, and put the devices into them that their lines name."""
    return _import(job, reading.columns, reading.records, _room)


def import_devices(job: Import, reading: estate_file.Reading[DeviceRecord]) -> Outcome:
    """Add and change devices; where the file has a column `room`, put each where it says."""
    return _import(job, reading.columns, reading.records, _device)


def import_extensions(job: Import, reading: estate_file.Reading[ExtensionRecord]) -> Outcome:
    """Add and change earlier warranty extensions; whether one stands is found out when it is looked at (row C10)."""
    return _import(job, reading.columns, reading.records, _extension)


def _import(
    job: Import,
    columns: frozenset[str],
    records: "Sequence[tuple[int, estate_file.Record]]",
    take: "Callable[[_Run, estate_file.Record], None]",
) -> Outcome:
    with job.database.write(engine.IMPORTING) as session:
        trial = session.begin_nested()
        run = _Run(session, job, columns)
        for run.line, record in records:
            take(run, record)
        if run.problems or job.dry_run:
            trial.rollback()
    return Outcome(tuple(run.added), tuple(run.changed), run.unchanged, tuple(run.problems))


# One line


def _room(run: _Run, record: RoomRecord) -> None:
    place = _group(run, record.customer, record.site)
    if place is None:
        return
    row, what = rooms.put_room(run.session, place, record, run.columns)
    inside = [_unit(run, row, unit) for unit in record.devices]
    run.did(record.key, what or ("changed" if any(inside) else ""))


def _unit(run: _Run, room: Room, unit: Unit) -> bool:
    """A device that a room's line names: made where it is not known, and put there. True where something changed."""
    row, what = rooms.device_of(run.session, unit.serial), ""
    if row is None or unit.product or unit.purchased_on:
        product = unit.product or (row.product if row else "")
        bought = unit.purchased_on or (row.purchased_on if row else None)
        if not product or bought is None:
            run.problem("devices", unit.serial, "this device is not known yet: write serial|product|purchase date")
            return False
        record = DeviceRecord(unit.serial, product, bought, "")
        row, what = _put(run, row, room.customer_id, record, "devices")
    return row is not None and (_stand(run, row, room, "devices") or bool(what))


def _device(run: _Run, record: DeviceRecord) -> None:
    place = _group(run, record.customer, record.site)
    if place is None:
        return
    room = rooms.room_in(run.session, place, record.room) if record.room else None
    if record.room and room is None:
        run.problem("room", record.room, "there is no such room in this account: `triaged room add` makes it")
        return
    row, what = _put(run, rooms.device_of(run.session, record.serial), place[0], record, "serial")
    moved = row is not None and "room" in run.columns and _stand(run, row, room, "room")
    run.did(record.key, what or ("changed" if moved else ""))


def _extension(run: _Run, record: ExtensionRecord) -> None:
    run.did(record.key, rooms.put_extension(run.session, record, run.columns))


def _group(run: _Run, name: str, site: str) -> estate.Group | None:
    if (known := run.groups.get((name, site))) is None:
        known = run.groups[name, site] = _found_group(run, name, site)
    return known


def _found_group(run: _Run, name: str, site: str) -> estate.Group | None:
    customer = rooms.customer_named(run.session, name)
    if customer is None:
        run.problem("customer", name, "no such customer, or several alike: `triaged customer import` brings it in")
        return None
    found = rooms.site_named(run.session, customer, site)
    if found is None:
        known = "; ".join(rooms.sites(run.session, customer)) or "none"
        run.problem("site", site, f"no such site; empty is the head office, known are: {known}")
        return None
    return customer.id, found


def _put(
    run: _Run, row: Device | None, customer_id: int, record: DeviceRecord, column: str
) -> tuple[Device | None, str]:
    """The device as the record says, in the catalogue's spelling; None where it cannot be."""
    if row is not None and row.customer_id != customer_id:
        owner = run.session.get(Customer, row.customer_id)
        run.problem(column, record.serial, f"it is registered for {owner.name if owner else 'another customer'}")
        return None, ""
    product = estate.supported(record.product, run.job.catalogue)
    if isinstance(product, Refusal):
        run.problem("product" if column == "serial" else column, record.product, product.text)
        return None, ""
    if record.purchased_on > run.job.now.date():
        run.problem("purchased_on" if column == "serial" else column, f"{record.purchased_on}", "it is in the future")
        return None, ""
    unit = DeviceRecord(record.serial, product, record.purchased_on, record.customer)
    return rooms.put_device(run.session, row, customer_id, unit)


def _stand(run: _Run, row: Device, room: Room | None, column: str) -> bool:
    """Put it there, or out of every room. True where it moved."""
    device, sums = rooms.ruled_device(row), run.estate(row.customer_id)
    standing = sums.devices.get(row.id)
    if (standing.room if standing else None) == (room.id if room else None):
        return False
    answer = estate.place(sums, device, rooms.ruled_room(room)) if room else estate.take_out(sums, device)
    if isinstance(answer, Refusal):
        run.problem(column, row.serial, answer.text)
        return False
    run.write(row.customer_id, answer)
    return True
