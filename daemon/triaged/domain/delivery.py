"""What becomes of a mail that we owe: the states of its row, and the answers a relay can give, as values.

The SMTP door makes the answers, the workflow reads them, the outbox stores them; none of the three knows the others.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

MOST_DOUBTS = 2  # one resend after the first doubt; after the second only a person decides


class State(StrEnum):
    """State of an outbox row (INTERFACE §4 `queue list`)."""

    QUEUED = "queued"
    SENDING = "sending"  # committed just before DATA: from here on nobody can be sure without the relay's answer
    SENT = "sent"
    UNCERTAIN = "uncertain"  # stopped between DATA and its answer (RFC 1047)
    FAILED = "failed"
    HELD = "held"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Sent:
    """The relay took the mail: `status` is its answer, as `250 2.0.0 Ok`."""

    status: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Surely not taken, later perhaps: a 4xx answer, or the connection was lost before the mail was given."""

    status: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not taken, and never will be: a 5xx answer, or an address that cannot be written in SMTP."""

    status: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The mail was given and no answer came: taken or not, nobody can know."""

    reason: str


@dataclass(frozen=True, slots=True)
class RelayDown:
    """The relay cannot be used now, whatever the mail: no connection, no TLS, refused before MAIL."""

    reason: str


@dataclass(frozen=True, slots=True)
class RelayRefusedUs:
    """The relay answers and does not want us: wrong user name or password. Waits for a person, retried slowly."""

    reason: str


class Why(StrEnum):
    """The kind of a refusal or deferral, in a word for log lines and for whoever counts them."""

    GREYLISTED = "greylisted"  # come again, it says: nothing is wrong
    CLOSING = "closing"  # 421: it takes nothing on this connection
    CUT = "cut"  # the connection was lost before the mail was given
    MAILBOX = "mailbox"  # no such address, or its mailbox takes nothing
    SIZE = "size"  # too large, or no room for it
    POLICY = "policy"  # it may not, or its content is not liked
    OTHER = "other"


_ENHANCED = re.compile(r"[245](\d\d) (?:[245]\.(\d{1,3})\.(\d{1,3}))?")
_GREY = re.compile(r"gr[ea]y-?list|4\.7\.1\b.*(?:later|again|minute|second)|postgrey", re.IGNORECASE)
_BY_STATUS = {("1", ""): Why.MAILBOX, ("2", ""): Why.MAILBOX, ("2", "3"): Why.SIZE, ("3", "4"): Why.SIZE}
_BY_CODE = {"50": Why.MAILBOX, "51": Why.MAILBOX, "52": Why.SIZE, "53": Why.MAILBOX}


def why(status: str) -> Why:
    """What an answer such as `451 4.7.1 Greylisted, come again` means: by its enhanced status (RFC 3463), else by its
    code (RFC 5321 §4.2.3)."""
    found = _ENHANCED.match(status)
    if found is None:
        return Why.CUT if status.startswith("connection lost") else Why.OTHER
    code, subject, detail = found[1], found[2] or "", found[3] or ""
    if status.startswith("421"):
        return Why.CLOSING
    if status.startswith("4") and _GREY.search(status):
        return Why.GREYLISTED
    told = _BY_STATUS.get((subject, detail)) or _BY_STATUS.get((subject, ""))
    if told or subject == "7":
        return told or Why.POLICY
    return Why.OTHER if subject else _BY_CODE.get(code, Why.OTHER)


Answer = Sent | Deferred | Refused | Uncertain
Outage = RelayDown | RelayRefusedUs
