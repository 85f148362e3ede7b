"""A customer's estate as folds over an append-only ledger: licences, the rooms they cover, devices in rooms (N8).

A rule answers with the entries to add or with a Refusal; nothing else ever changes. Each contract's and each device's
entries are folded by themselves, so that the order in which different contracts arrive never matters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from triaged.domain import order
from triaged.domain.catalogue import Catalogue, ServiceType

Group = tuple[int, str]  # customer and site; an empty site is the global account (row C9)

PER_ROOM = frozenset({ServiceType.SELECT, ServiceType.SYNCPLUS})  # a licence covers one room; warranty covers devices


class Kind(StrEnum):
    """What the ledger remembers."""

    PURCHASED = "purchased"
    CANCELLED = "cancelled"
    RESTORED = "restored"  # a cancellation taken back
    ASSIGNED = "assigned"
    RELEASED = "released"
    DEVICE_PLACED = "device_placed"
    DEVICE_MOVED = "device_moved"
    DEVICE_REMOVED = "device_removed"  # out of every room: in stock, in repair, gone
    SPARE_AGREED = "spare_agreed"
    SPARE_WITHDRAWN = "spare_withdrawn"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract's row says of its licences: its shown number, and from which instant until which (excluded) they
    are in force; `until` is None while the term has not begun to run."""

    number: str
    service: ServiceType
    begins: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. `quantity`: licences bought, spares agreed; `came_from`: the room that a device left or
    from which a licence moved; `product` and `place` of a spare."""

    kind: Kind
    group: Group
    contract: int | None = None
    room: int | None = None
    device: int | None = None
    quantity: int = 0
    terms: Terms | None = None  # with PURCHASED
    came_from: int | None = None
    product: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it stands in the ledger."""

    id: int
    at: datetime
    actor: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be done, and what to do instead; for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class Room:
    """A room as the rules see it."""

    id: int
    group: Group
    name: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the rules see it."""

    id: int
    customer: int
    serial: str


@dataclass(frozen=True, slots=True)
class Holding:
    """The licences of one contract. A cancelled one keeps its rooms, so that they come back when it is restored."""

    contract: int
    group: Group
    terms: Terms
    licences: int
    cancelled: bool = False
    rooms: frozenset[int] = frozenset()

    def ended(self, moment: datetime) -> bool:
        """Its term is over."""
        return self.terms.until is not None and self.terms.until <= moment

    def in_force(self, moment: datetime) -> bool:
        return not self.cancelled and self.terms.begins <= moment and not self.ended(moment)

    def covers(self, room: int, moment: datetime) -> bool:
        return room in self.rooms and self.in_force(moment)

    def free(self, moment: datetime) -> int:
        """Licences that cover no room."""
        return self.licences - len(self.rooms) if self.in_force(moment) and self.terms.service in PER_ROOM else 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a device stands."""

    room: int
    group: Group


@dataclass(frozen=True, slots=True)
class Estate:
    """What a ledger comes to. `spares`: agreed units by (product, place)."""

    holdings: Mapping[int, Holding] = field(default_factory=dict)
    devices: Mapping[int, Standing] = field(default_factory=dict)
    spares: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def after(self, entries: Iterable[Entry]) -> "Estate":
        """This estate with more entries in its ledger."""
        holdings, devices, spares = dict(self.holdings), dict(self.devices), dict(self.spares)
        for entry in entries:
            if entry.contract is not None:
                holdings[entry.contract] = _licences(holdings.get(entry.contract), entry)
            elif entry.device is not None:
                _device(devices, entry.device, entry)
            else:
                _spare(spares, entry)
        return Estate(holdings, devices, spares)

    def covering(self, room: int, service: ServiceType, moment: datetime) -> Holding | None:
        """The contract of a service that covers a room."""
        of_service = (holding for holding in self.holdings.values() if holding.terms.service is service)
        return next((holding for holding in of_service if holding.covers(room, moment)), None)


def fold(entries: Iterable[Entry]) -> Estate:
    """The estate that a ledger tells."""
    return Estate().after(entries)


def _licences(before: Holding | None, entry: Entry) -> Holding:
    if entry.kind is Kind.PURCHASED and entry.contract is not None and entry.terms is not None:
        return Holding(entry.contract, entry.group, entry.terms, entry.quantity)
    if before is None:
        raise ValueError(f"contract {entry.contract} is {entry.kind} in the ledger before it was purchased")
    rooms = frozenset() if entry.room is None else frozenset({entry.room})
    match entry.kind:
        case Kind.CANCELLED | Kind.RESTORED:
            return replace(before, cancelled=entry.kind is Kind.CANCELLED)
        case Kind.ASSIGNED:
            return replace(before, rooms=before.rooms | rooms)
        case Kind.RELEASED:
            return replace(before, rooms=before.rooms - rooms)
        case _:
            raise ValueError(f"{entry.kind} is nothing that happens to a contract")


def _device(devices: dict[int, Standing], device: int, entry: Entry) -> None:
    if entry.kind is Kind.DEVICE_REMOVED or entry.room is None:
        devices.pop(device, None)
    else:
        devices[device] = Standing(entry.room, entry.group)


def _spare(spares: dict[tuple[str, str], int], entry: Entry) -> None:
    key = (entry.product, entry.place)
    more = entry.quantity if entry.kind is Kind.SPARE_AGREED else -entry.quantity
    left = spares.pop(key, 0) + more
    if left:
        spares[key] = left


# Balances and history


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one service in one group: licences in force, and how many of them cover a room."""

    licences: int = 0
    assigned: int = 0

    @property
    def free(self) -> int:
        return self.licences - self.assigned


def balances(estate: Estate, group: Group, moment: datetime) -> dict[ServiceType, Balance]:
    """The licences of a group by service; a site's balance is independent of every other's (row C9)."""
    found: dict[ServiceType, Balance] = {}
    for holding in estate.holdings.values():
        if holding.group == group and holding.in_force(moment):
            before = found.get(holding.terms.service, Balance())
            after = Balance(before.licences + holding.licences, before.assigned + len(holding.rooms))
            found[holding.terms.service] = after
    return found


def room_history(recorded: Sequence[Recorded], room: int) -> tuple[Recorded, ...]:
    """What happened to a room: licences given and taken, also by cancelling their contract; devices in and out."""
    covering: set[int] = set()
    kept = []
    for one in recorded:
        entry = one.entry
        by_contract = entry.kind in (Kind.CANCELLED, Kind.RESTORED) and entry.contract in covering
        if room in (entry.room, entry.came_from) or by_contract:
            kept.append(one)
        if entry.room == room and entry.contract is not None:
            (covering.add if entry.kind is Kind.ASSIGNED else covering.discard)(entry.contract)
    return tuple(kept)


def device_history(recorded: Sequence[Recorded], device: int) -> tuple[Recorded, ...]:
    return tuple(one for one in recorded if one.entry.device == device)


# Licences


def assign(
    estate: Estate, contract: int, room: Room, moment: datetime, came_from: int | None = None
) -> tuple[Entry, ...] | Refusal:
    """Cover a room by a licence of a contract (row C11)."""
    holding = estate.holdings.get(contract)
    if holding is None:
        return Refusal(f"contract {contract} is not in the ledger")
    number, service = holding.terms.number, holding.terms.service
    if service not in PER_ROOM:
        return Refusal(f"{number} is a {service} contract: it covers devices, not rooms")
    if refusal := _not_in_force(holding, moment):
        return refusal
    if room.group != holding.group:
        return Refusal(f"room {room.name} belongs to another account than {number}: each has its own licences")
    if (other := estate.covering(room.id, service, moment)) is not None:
        return Refusal(f"room {room.name} is already covered by {other.terms.number}: release it there first")
    if holding.free(moment) < 1:
        return Refusal(f"all {holding.licences} licences of {number} cover a room: release one, or buy more")
    return (Entry(Kind.ASSIGNED, holding.group, contract, room.id, came_from=came_from),)


def release(estate: Estate, contract: int, room: Room) -> tuple[Entry, ...] | Refusal:
    """Take a licence from a room; it is free for another one."""
    holding = estate.holdings.get(contract)
    if holding is None:
        return Refusal(f"contract {contract} is not in the ledger")
    if room.id not in holding.rooms or holding.cancelled:
        return Refusal(f"{holding.terms.number} does not cover room {room.name}: there is nothing to release")
    return (Entry(Kind.RELEASED, holding.group, contract, room.id),)


def move_licence(
    estate: Estate, contract: int, source: Room, target: Room, moment: datetime
) -> tuple[Entry, ...] | Refusal:
    """From one room to another, both or nothing; the history of both rooms tells it."""
    released = release(estate, contract, source)
    if isinstance(released, Refusal):
        return released
    assigned = assign(estate.after(released), contract, target, moment, came_from=source.id)
    return assigned if isinstance(assigned, Refusal) else (*released, *assigned)


def _not_in_force(holding: Holding, moment: datetime) -> Refusal | None:
    if holding.cancelled:
        return Refusal(f"{holding.terms.number} is cancelled: its licences cover nothing")
    if not holding.in_force(moment):
        return Refusal(f"{holding.terms.number} is not in force: its licences cover nothing")
    return None


# Contracts


def cancel(estate: Estate, contract: int) -> tuple[Entry, ...] | Refusal:
    """The licences are gone, and every room that they covered is free of them."""
    holding = estate.holdings.get(contract)
    if holding is None:
        return Refusal(f"contract {contract} is not in the ledger")
    if holding.cancelled:
        return Refusal(f"{holding.terms.number} is cancelled already")
    return (Entry(Kind.CANCELLED, holding.group, contract),)


def restore(estate: Estate, contract: int, moment: datetime) -> tuple[Entry, ...] | Refusal:
    """The exact inverse of `cancel`: every room is covered again. Only a room that another contract of the service has
    covered meanwhile stays with that one, and its licence comes back free."""
    holding = estate.holdings.get(contract)
    if holding is None:
        return Refusal(f"contract {contract} is not in the ledger")
    if not holding.cancelled:
        return Refusal(f"{holding.terms.number} is not cancelled: there is nothing to restore")
    over, service = holding.ended(moment), holding.terms.service  # what is over covers nothing and takes no room
    taken = (room for room in sorted(holding.rooms) if not over and estate.covering(room, service, moment))
    released = (Entry(Kind.RELEASED, holding.group, contract, room) for room in taken)
    return (*released, Entry(Kind.RESTORED, holding.group, contract))


# Devices


def supported(product: str, catalogue: Catalogue) -> str | Refusal:
    """The catalogue's spelling of a supported product (row C14); case, accents and spacing don't matter."""
    known = {_plain(name): name for name in catalogue.products}
    if (name := known.get(_plain(product))) is not None:
        return name
    return Refusal(
        f"{product} is not among the supported products ({', '.join(catalogue.products)}): "
        "write it as there, or add a [[product]] to catalogue.toml"
    )


def _plain(name: str) -> str:
    return order.folded(name).replace(" ", "")


def place(estate: Estate, device: Device, room: Room) -> tuple[Entry, ...] | Refusal:
    """Put a device into a room, from wherever in its account it was (row C11)."""
    if device.customer != room.group[0]:
        return Refusal(f"{device.serial} belongs to another customer than room {room.name}")
    standing = estate.devices.get(device.id)
    if standing is None:
        return (Entry(Kind.DEVICE_PLACED, room.group, room=room.id, device=device.id),)
    if standing.room == room.id:
        return Refusal(f"{device.serial} is in room {room.name} already")
    if standing.group != room.group:
        return Refusal(
            f"{device.serial} stands in another account than room {room.name}: take it out there first, "
            "each account is by itself"
        )
    return (Entry(Kind.DEVICE_MOVED, room.group, room=room.id, device=device.id, came_from=standing.room),)


def take_out(estate: Estate, device: Device) -> tuple[Entry, ...] | Refusal:
    """Out of its room: in stock, in repair, gone."""
    standing = estate.devices.get(device.id)
    if standing is None:
        return Refusal(f"{device.serial} is in no room")
    return (Entry(Kind.DEVICE_REMOVED, standing.group, device=device.id, came_from=standing.room),)
