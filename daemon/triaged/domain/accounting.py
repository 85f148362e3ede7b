"""What an audit compares, and what it calls a difference (DESIGN §4.5, row N1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

UNSEEN = "not looked at: "  # before the reason why a mailbox was not; that is no difference


class Check(StrEnum):
    """One comparison, one line of `triaged audit`; docs/operator.md explains each."""

    SERVER = "server"  # every UID up to the cursor ↔ a row of the ledger
    ARCHIVE = "archive"  # what lies in the archive was seen by us
    BYTES = "bytes"  # stored mails are there and undamaged
    DECISIONS = "decisions"  # ledger ↔ decisions
    TICKETS = "tickets"  # tickets ↔ the mails that opened them
    DUPLICATES = "duplicates"  # one mail, one ticket
    DUTIES = "duties"  # what a decision owes ↔ the queue
    QUEUE = "queue"  # the queue ↔ what caused it; nothing stands still
    CONTRACTS = "contracts"  # orders ↔ contracts ↔ licences, invitations ↔ mails
    DATABASE = "database"  # the file itself


@dataclass(frozen=True, slots=True)
class Difference:
    """What does not add up: which check saw it, where, and what to do. `message`, `queue` are rows, `about` any other
    number that people know: a ticket, an order, a contract, an invitation."""

    check: Check
    text: str = field(compare=False)  # may hold a count or a time, which move on between two looks
    fix: str
    mailbox: str | None = None
    uidvalidity: int | None = None
    uid: int | None = None
    message: int | None = None
    queue: int | None = None
    about: str | None = None

    def document(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}

    def sentence(self) -> str:
        return f"{self.text}. {self.fix}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a look over a table: `last` is the row to go on after, None where that was all."""

    last: int | None = None
    looked_at: Mapping[Check, int] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict)  # what is counted and is no difference
