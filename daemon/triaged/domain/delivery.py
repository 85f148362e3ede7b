"""What becomes of a mail that we owe: the states of its row, and the answers a relay can give, as values.

The SMTP door makes the answers, the workflow reads them, the outbox stores them; none of the three knows the others.
"""

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


Answer = Sent | Deferred | Refused | Uncertain
Outage = RelayDown | RelayRefusedUs
