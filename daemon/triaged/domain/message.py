"""One mail as the house sees it: values only, made by `mail/`, read by `desks/`.

A mail's text is cut into passages, so that every reference can say where it was found
(INTERFACE §4: `subject` | `body:LINE` | `html` | `quoted:LINE` | `attachment:NAME`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Place(StrEnum):
    """Where in a mail a passage stands."""

    SUBJECT = "subject"
    BODY = "body"
    HTML = "html"
    ATTACHMENT = "attachment"
    QUOTED = "quoted"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of readable text; `number` counts from 1 in the text it was cut from."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines of one place; `name` is the attachment's safe file name, else empty."""

    place: Place
    lines: tuple[Line, ...]
    name: str = ""

    def where(self, number: int) -> str:
        """The `where` of evidence on line `number` (INTERFACE §4)."""
        match self.place:
            case Place.SUBJECT | Place.HTML:
                return self.place.value
            case Place.ATTACHMENT:
                return f"attachment:{self.name}"
            case _:
                return f"{self.place.value}:{number}"

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Address:
    """One mail address. `address` is ASCII lower case (an IDN domain as punycode), `name` the decoded display name."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file by its safe name; `size` in decoded bytes. `note` says what we could not read of it."""

    name: str
    content_type: str
    size: int
    note: str = ""
    tnef: bool = False  # Outlook's own wrapping: its sender is told that we cannot read it


class Nature(StrEnum):
    """What kind of sender wrote: decides whether a ticket and an answer may follow (INTERFACE §4)."""

    PERSON = "person"
    MACHINE = "machine"  # Auto-Submitted: auto-generated: work, but never answered
    LIST = "list"  # through a mailing list: a partner's is work without answer
    AUTO_REPLY = "auto_reply"
    DELIVERY_REPORT = "delivery_report"  # DSN, MDN, Exchange and free-text bounces
    OWN = "own_mail"


@dataclass(frozen=True, slots=True)
class Message:
    """One received mail, read.

    `fields` are the top-level header fields in wire order as (lower-case name, raw unfolded value), for whoever
    must judge the header itself. `unreadable` is empty, or the reason why nothing of it may be believed (DESIGN §4.0).
    `dirty` marks a preflight failure: such a mail gets no answer at all. `repaired` marks a header block or From
    that had to be mended: readable, never authenticated. `new` and `quoted` never overlap; `new` is never empty
    when the mail has text.
    """

    sender: Address | None = None
    subject: str = ""
    message_id: str = ""  # with angle brackets; empty when missing or malformed
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    date: datetime | None = None
    content_language: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    new: tuple[Passage, ...] = ()  # body or HTML text that the sender wrote now
    attached: tuple[Passage, ...] = ()  # readable attachments and forwarded mails
    quoted: tuple[Passage, ...] = ()  # what the sender quoted
    attachments: tuple[Attachment, ...] = ()
    calendar: bool = False
    report: "Report | None" = None
    nature: Nature = Nature.PERSON
    unreadable: str = ""
    dirty: bool = False
    repaired: bool = False
    notes: tuple[str, ...] = field(default=())  # what the reader mended or lost, for `message show`

    def values(self, name: str) -> Iterator[str]:
        """Raw values of all top-level fields called `name` (lower case), in wire order."""
        return (value for field_name, value in self.fields if field_name == name)

    @property
    def subject_passage(self) -> Passage:
        return Passage(Place.SUBJECT, (Line(1, self.subject),))

    @property
    def text(self) -> str:
        """The new text alone, for people and language guessing."""
        return "\n".join(passage.text for passage in self.new)


class ReportKind(StrEnum):
    """What a report is about."""

    DELIVERY = "delivery"  # whether a mail arrived (RFC 3464, or in free text)
    DISPOSITION = "disposition"  # what a reader did with it (MDN, RFC 8098)
    OTHER = "other"  # a complaint, an aggregate: about mails, but not about their delivery


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mail for one recipient; `recipients` are its names in the report: as we wrote it, and where it
    ended. `action` is failed, delayed, delivered, relayed, expanded or empty."""

    action: str = ""
    status: str = ""
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a delivery report says (RFC 3464 where it is one): `action` is failed, delayed, delivered, relayed,
    expanded, displayed (MDN) or empty; `original_message_id` and `recipient` are empty when it does not say. Of several
    recipients these are the worst one's; `fates` has them all."""

    action: str = ""
    recipient: str = ""
    original_message_id: str = ""
    status: str = ""
    kind: ReportKind = ReportKind.DELIVERY
    fates: tuple[Fate, ...] = ()


@dataclass(frozen=True, slots=True)
class Authentication:
    """What our own border server said of the From (INTERFACE §4 "Authenticated"). `verdict`: pass | fail | none."""

    verdict: str = "none"
    reason: str = "no Authentication-Results of ours"

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"


@dataclass(frozen=True, slots=True)
class House:
    """Who we are on the wire: `domain` is the right-hand side of our Message-IDs, `addresses` every address that
    we send from or receive at (lower case)."""

    domain: str
    addresses: frozenset[str]
