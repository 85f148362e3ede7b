"""Signing in by a mailed code (rows C5, N7): for how long, how often, and what became of a code that was typed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

TRIES = 5
CODE_VALID = timedelta(minutes=10)
CODES_AN_HOUR = 3
HOUR = timedelta(hours=1)
SIGNED_IN = timedelta(hours=12)  # absolute: using the pages does not prolong it
KEPT = timedelta(days=1)  # codes and old sign-ins stay so long after their end


class Tried(StrEnum):
    """What became of a code that somebody typed."""

    RIGHT = "right"
    WRONG = "wrong"
    DEAD = "dead"  # the last of the tries was wrong
    LATE = "late"
    NONE = "none"  # this browser asked for none, or used it already


def again_at(asked: Sequence[datetime], now: datetime) -> datetime | None:
    """When the next code may be asked for; None: now. `asked` are the earlier times, in any order."""
    recent = sorted(time for time in asked if time > now - HOUR)
    return recent[-CODES_AN_HOUR] + HOUR if len(recent) >= CODES_AN_HOUR else None


def digits(typed: str) -> str:
    """What somebody typed or pasted as a code: `123 456` and `123-456` are 123456."""
    return "".join(character for character in typed if character not in " \t\r\n-.\u00a0\u202f")
