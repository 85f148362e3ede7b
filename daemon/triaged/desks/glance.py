"""A customer's entitlement at a glance (row C10): every service order with its licences and days."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from triaged.adapters.db import contracts, estate
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.portal import Group
from triaged.domain import contract as rules
from triaged.domain.catalogue import Catalogue, TermStart
from triaged.domain.estate import PER_ROOM, Holding


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
class Entitlement:
    """The service orders of a group of contracts, newest first."""

    group: Group
    lines: tuple[Line, ...]


def entitlement(session: Session, group: Group, catalogue: Catalogue, now: datetime) -> Entitlement:
    found = contracts.of_group(session, group.customer_id, group.site)
    holdings = estate.load(session, [group.customer_id]).holdings
    return Entitlement(group, tuple(_line(one, holdings.get(one.id), catalogue, now) for one in reversed(found)))


def _line(one: ContractRecord, holding: Holding | None, catalogue: Catalogue, now: datetime) -> Line:
    zone = ZoneInfo(one.timezone)
    today, purchased = rules.day_of(now, zone), rules.day_of(one.purchased_at, zone)
    active = one.state is rules.State.ACTIVE
    over = active and one.ends is not None and one.ends < today
    covering = holding if holding and holding.terms.service in PER_ROOM and active and not over else None
    later = catalogue.term_start is TermStart.FIRST_ASSIGNMENT and one.starts is None and active
    return Line(
        number=one.number,
        service=one.service,
        years=one.years,
        licences=one.licences,
        assigned=len(covering.rooms) if covering else None,
        free=covering.free(now) if covering else None,
        state=rules.State.EXPIRED.value if over else one.state.value,
        purchased=purchased,
        starts=one.starts,
        ends=one.ends,
        starts_latest=purchased + catalogue.term_latest if later and catalogue.term_latest is not None else None,
        cancellable_until=one.cancellable_until if active and today <= one.cancellable_until else None,
    )
