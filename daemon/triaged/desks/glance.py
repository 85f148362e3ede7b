"""A customer's entitlement at a glance (row C10): every service order with its licences and days, and the warranty
extensions that it bought before, or why one of them covers nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from triaged.adapters.db import contracts, estate_views
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.estate_views import ExtensionView, LicenceView
from triaged.adapters.db.portal import Group
from triaged.domain import contract as rules
from triaged.domain.catalogue import Catalogue, ServiceType, TermStart
from triaged.domain.estate import PER_ROOM


@dataclass(frozen=True, slots=True)
class Line:
    """A service order as its customer sees it: no purchase order number, which is the sellers' matter. `assigned` and
    `free` are None for services whose licences cover no rooms; `starts_latest` is set while the term has not begun;
    `cancellable_until` only while it may still be cancelled."""

    number: str
    service: str
    years: int
    licences: int
    assigned: int | None
    free: int | None
    state: str
    purchased: date
    starts: date | None
    ends: date | None
    starts_latest: date | None
    cancellable_until: date | None


@dataclass(frozen=True, slots=True)
class Balance:
    """The licences of one service that are in force, over all its service orders."""

    service: str
    licences: int
    assigned: int | None
    free: int | None


@dataclass(frozen=True, slots=True)
class Extension:
    """An earlier warranty extension; `reason` (cover.Unmatched) says why it covers nothing, else it is empty. Nothing
    of another customer is here: neither its name nor what it has."""

    serial: str
    product: str
    years: int
    purchased: date
    ends: date | None
    reason: str


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The service orders of a group of contracts, newest first."""

    group: Group
    lines: tuple[Line, ...]
    balances: tuple[Balance, ...]
    extensions: tuple[Extension, ...]


def entitlement(session: Session, group: Group, catalogue: Catalogue, now: datetime) -> Entitlement:
    found = contracts.of_group(session, group.customer_id, group.site)
    seen = estate_views.overview(session, group.customer_id, group.site, now, catalogue)
    held = {one.contract_id: one for one in seen.licences}
    lines = tuple(_line(one, held.get(one.id), catalogue, now) for one in reversed(found))
    return Entitlement(group, lines, _balances(lines), _extensions(session, group, catalogue, now))


def _line(one: ContractRecord, held: LicenceView | None, catalogue: Catalogue, now: datetime) -> Line:
    zone = ZoneInfo(one.timezone)
    today, purchased = rules.day_of(now, zone), rules.day_of(one.purchased_at, zone)
    active = one.state is rules.State.ACTIVE
    over = active and one.ends is not None and one.ends < today
    covering = held if held and held.in_force and ServiceType(one.service) in PER_ROOM else None
    later = catalogue.term_start is TermStart.FIRST_ASSIGNMENT and one.starts is None and active
    return Line(
        number=one.number,
        service=one.service,
        years=one.years,
        licences=one.licences,
        assigned=covering.assigned if covering else None,
        free=covering.free if covering else None,
        state=rules.State.EXPIRED.value if over else one.state.value,
        purchased=purchased,
        starts=one.starts,
        ends=one.ends,
        starts_latest=purchased + catalogue.term_latest if later and catalogue.term_latest is not None else None,
        cancellable_until=one.cancellable_until if active and today <= one.cancellable_until else None,
    )


def _balances(lines: Iterable[Line]) -> tuple[Balance, ...]:
    of_service: dict[str, list[Line]] = {service.value: [] for service in ServiceType}
    for line in lines:
        if line.state == rules.State.ACTIVE:
            of_service[line.service].append(line)
    return tuple(
        Balance(
            service, sum(line.licences for line in some), _sum(x.assigned for x in some), _sum(x.free for x in some)
        )
        for service, some in of_service.items()
        if some
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _extensions(session: Session, group: Group, catalogue: Catalogue, now: datetime) -> tuple[Extension, ...]:
    """Those whose device stands in this group, and those whose device stands nowhere yet."""
    devices = estate_views.devices(session, now, catalogue, group.customer_id)
    elsewhere = {device.serial for device in devices if device.room_id is not None and device.site != group.site}
    found = estate_views.extensions(session, catalogue, group.customer_id)
    return tuple(_extension(one, group.customer_id) for one in found if one.serial not in elsewhere)


def _extension(one: ExtensionView, customer_id: int) -> Extension:
    ours = one.device_customer_id == customer_id
    return Extension(one.serial, one.product if ours else "", one.years, one.purchased_on, one.ends, one.reason)
