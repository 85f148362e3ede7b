"""What covers a device and a room, and until when: warranty (row C13), earlier extensions (C10), JumpStart (C17)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from triaged.domain import contract
from triaged.domain.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Cover:
    """First and last day, both included."""

    starts: date
    ends: date


def device_covered_until(first_purchase: date, covers: Iterable[Cover], catalogue: Catalogue) -> date | None:
    """The last day of a device's warranty by its room's contract and its own extensions; None where there is none.
    A cover that begins when the device is older than the limit covers nothing."""
    ends = (
        last
        for cover in covers
        if (last := contract.covered_until(first_purchase, cover.ends, catalogue)) >= cover.starts
    )
    return max(ends, default=None)


class Commitment(StrEnum):
    """Which service answers for a room."""

    SELECT = "select"
    JUMPSTART = "jumpstart"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Committed:
    """`until`: its last day; None where it is open or there is none."""

    by: Commitment
    until: date | None = None


def commitment(select: Cover | None, covered: bool, jumpstart: date | None, today: date) -> Committed:
    """The better one: Select where it covers the room, though JumpStart's 90 days run beside it (row C17).
    `covered`: a Select licence covers the room; `select`: its term, None while that has not begun to run."""
    if covered:
        return Committed(Commitment.SELECT, select.ends if select else None)
    if jumpstart is not None and jumpstart <= today <= contract.jumpstart_ends(jumpstart):
        return Committed(Commitment.JUMPSTART, contract.jumpstart_ends(jumpstart))
    return Committed(Commitment.NONE)


class Unmatched(StrEnum):
    """Why an earlier warranty extension stands on no device (row C10, the FAQ's reasons)."""

    ORDER_PENDING = "order_pending"  # its order is still being processed
    CUSTOMER_UNKNOWN = "customer_unknown"  # its order names nobody whom we know
    SERIAL_UNKNOWN = "serial_unknown"  # no such device is registered
    OTHER_CUSTOMER = "other_customer"  # the device is registered for another customer than its order names


def unmatched(status: str, customer: int | None, device_of: int | None) -> Unmatched | None:
    """Why not, or None: it stands. `customer`: whom the extension's order names; `device_of`: whose the device is."""
    if status == "pending":
        return Unmatched.ORDER_PENDING
    if customer is None:
        return Unmatched.CUSTOMER_UNKNOWN
    if device_of is None:
        return Unmatched.SERIAL_UNKNOWN
    return None if device_of == customer else Unmatched.OTHER_CUSTOMER
