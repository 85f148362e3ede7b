"""The mails we owe, by name, and every fact that their templates may use.

A template gets exactly one value, `Facts`, whatever the notice: so a new locale is only a folder, and nothing that
a reader must not know (the directory's super-admin address, another customer's name) can reach a template by accident.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# The fill-in block of our answers stands between two lines that begin with these marks in every language, so that
# `mail/quotes.py` finds it under any client's quoting (row P9).
FILL_IN_OPEN = "[["
FILL_IN_CLOSE = "]]"


class NoticeName(StrEnum):
    """One name = one folder under templates/<locale>/ (INTERFACE §4 `notices`)."""

    TICKET_OPENED = "ticket_opened"
    RECEIVED_FOR_REVIEW = "received_for_review"
    PRIORITY_GRANTED = "priority_granted"
    PRIORITY_ALERT = "priority_alert"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline of the ticket (row P10): what we aim for and what we owe, aware UTC."""

    target: datetime
    limit: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A reference that the sender wrote, said back to him: `kind` is a ReferenceKind value."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a template may say. `None` or empty where it does not apply.

    `reason` is a decision.Reason value; `excluded_unit` names why a service is excluded (row P5): contacts | rows |
    visitors | credits. `ask` is true when the fill-in block belongs into the mail; `missing` lists what the mail
    lacked (`super_admin`). `right_mailbox` is set when the mail came to the wrong one (row P1).
    `understood` repeats only what the sender wrote. Times are aware UTC; `timezone` is the region's IANA name.
    """

    ticket: str = ""
    subject: str = ""
    reason: str = ""
    region: str = ""
    region_name: str = ""
    timezone: str = "UTC"
    mailbox: str = ""
    right_mailbox: str = ""
    severity: str = ""
    severity_label: str = ""
    priority: bool = False
    tier: str = ""
    service: str = ""
    licences: int | None = None
    threshold: int | None = None
    excluded_unit: str = ""
    understood: tuple[Written, ...] = ()
    missing: tuple[str, ...] = ()
    ask: bool = False
    unread: tuple[str, ...] = ()  # names of attachments that nobody can read but Outlook (winmail.dat)
    received_at: datetime | None = None
    acknowledge: Due | None = None
    determine: Due | None = None
    resolve: Due | None = None
    requester: str = ""
    partner: str = ""
    account: str = ""  # for associates only (priority_alert)
    account_zoid: str = ""  # for associates only
    size_limit: int = 0  # bytes, too_large only
    desk_name: str = ""  # From name of the desk: the signature


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to one or several people, each getting his own copy."""

    name: NoticeName
    to: tuple[str, ...]
    locale: str
    facts: Facts
    subject: str = ""  # as far as it is known before the ticket has its number
