"""A personal invitation to the services portal (rows C4, C5, C7, N7): its states, its life, how often it may be resent.

One row is one mail: a resend replaces it by the next generation, so that an old link can say which mail replaced it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

RESENDS_A_DAY = 3


class State(StrEnum):
    """INTERFACE §4 `invite list`."""

    OWED = "owed"
    SENT = "sent"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.OWED: frozenset({State.SENT, State.ACCEPTED, State.EXPIRED, State.REVOKED, State.REPLACED}),
    State.SENT: frozenset({State.OWED, State.ACCEPTED, State.EXPIRED, State.REVOKED, State.REPLACED}),
    State.EXPIRED: frozenset({State.REPLACED, State.REVOKED}),
    State.REVOKED: frozenset(),
    State.ACCEPTED: frozenset({State.REVOKED}),
    State.REPLACED: frozenset(),
}
LIVE = (State.OWED, State.SENT)


class Access(StrEnum):
    """What a person of the customer may do (row C15)."""

    ADMIN = "admin"
    READER = "reader"


def expires(sent: datetime, valid: timedelta) -> datetime:
    """The instant until which the link works: `valid` from the sending, rounded up to the full minute that the mail
    names."""
    whole = (sent + valid).replace(second=0, microsecond=0)
    return whole if whole == sent + valid else whole + timedelta(minutes=1)


def open_at(state: State, expires_at: datetime | None, now: datetime) -> bool:
    """Whether the link of this generation works now. One that is owed works too: its mail may have arrived before
    its answer did."""
    return state in LIVE and (expires_at is None or now <= expires_at)
