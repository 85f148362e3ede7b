"""How far a mail is believed: one ladder, on which each rung may do what those below it may, and more (DESIGN §5).

From is a claim: what proves it is our border server's word, and what gives it weight is who we know under that address.
"""

from enum import StrEnum


class Rung(StrEnum):
    """Where a mail stands, lowest first; `docs/security.md` says what each may do."""

    DIRTY = "dirty"  # its header holds bytes that forge fields: quarantine, no answer at all
    UNAUTHENTICATED = "unauthenticated"  # nobody vouches for From: review, one fixed receipt a day
    UNKNOWN = "unknown"  # From is proved, and nobody we know: review, a neutral receipt
    REGISTERED = "registered"  # a partner by its domain: facts, priority, orders, what its contracts allow it
    EXACT = "exact"  # an address that we hold byte for byte: a partner's contact, a party of a contract


def rung(*, dirty: bool, authenticated: bool, registered: bool = False, exact: bool = False) -> Rung:
    """The rung of a mail; what we know of an address counts only where From is proved."""
    if dirty:
        return Rung.DIRTY
    if not authenticated:
        return Rung.UNAUTHENTICATED
    if exact:
        return Rung.EXACT
    return Rung.REGISTERED if registered else Rung.UNKNOWN
