"""The mails we owe, by name, and every fact that their templates may use.

A template gets exactly one value, `Facts`, whatever the notice: so a new locale is only a folder, and nothing that
a reader must not know (the directory's super-admin address, another customer's name) can reach a template by accident.
"""

from dataclasses import dataclass
from datetime import date, datetime
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
    ORDER_CONFIRMED = "order_confirmed"  # to each of the three parties, its own copy (row C3)
    INVITATION = "invitation"  # to the customer, or a person it named, alone (row C4)
    ORDER_PROBLEMS = "order_problems"
    REQUEST_DONE = "request_done"
    REQUEST_REFUSED = "request_refused"
    CONTRACT_CANCELLED = "contract_cancelled"  # to all three parties; `undone` when it was taken back
    ADDRESS_CHANGED = "address_changed"  # to the address that an order had by mistake
    SIGN_IN_CODE = "sign_in_code"
    COUNTRY_TERMS = "country_terms"  # to the customer: a licence was assigned where the service differs (row C14)
    CSM_NOTE = "csm_note"  # to the customer's CSM: spares to agree on, countries where the service differs


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
class ContractFacts:
    """One contract in a mail. `service`: a ServiceType value; days are the customer's calendar days; `starts` and
    `ends` are None while no licence was assigned. `state`: a contract.State value; `invitation`: an invitation.State
    value or empty (only for readers who may know)."""

    number: str
    service: str
    sku: str
    years: int
    licences: int
    starts: date | None
    ends: date | None
    cancellable_until: date
    state: str = "active"
    po_number: str = ""
    customer: str = ""
    invitation: str = ""


@dataclass(frozen=True, slots=True)
class FindingFacts:
    """A problem or warning of an order: INTERFACE's field and code, the value as the sender wrote it."""

    field: str
    code: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class CountryNote:
    """A country where services are missing or differ (row C14): ISO code, the catalogue's words, the services."""

    country: str
    note: str
    services: tuple[str, ...] = ()
    room: str = ""


@dataclass(frozen=True, slots=True)
class SparesFacts:
    """On-site spares of a parent entity (row C12): licences in force, units granted before and now."""

    parent: str
    rooms: int
    before: int
    now: int


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
    # The contracts desk. `party` is the reader: customer | reseller | distributor | other.
    party: str = ""
    order: str = ""  # our number of the order, ORD-000012
    po_number: str = ""  # only in copies for reseller and distributor
    customer: str = ""  # the end customer's name
    reseller: str = ""  # its name, for the customer's confirmation
    site: str = ""  # the site whose separate account it is; empty: the global account of the head office (row C9)
    contracts: tuple[ContractFacts, ...] = ()
    repeated: bool = False  # the same confirmation once more
    problems: tuple[FindingFacts, ...] = ()
    warnings: tuple[FindingFacts, ...] = ()
    positions: int = 0  # lines of the order, with order_problems: several are asked for again together
    skus: tuple[tuple[str, str, int], ...] = ()  # (SKU, service, years) that may be ordered, with order_problems
    countries: tuple[CountryNote, ...] = ()
    spares: SparesFacts | None = None
    verb: str = ""  # a request.Verb value
    refusal: str = ""  # a request.Refusal value
    person: str = ""  # the address that a request added or that an invitation was resent to
    access: str = ""  # admin | reader
    link: str = ""  # the invitation's link, or the portal's address
    portal: str = ""  # the portal's sign-in page
    code: str = ""  # the one-time code
    expires_at: datetime | None = None  # of the link or the code
    replaces: bool = False  # an earlier link stops working with this mail
    named_by: str = ""  # who added the reader of an invitation
    requested: bool = False  # the reader asked for this very mail
    undo_until: datetime | None = None  # until when a cancellation can be undone
    undone: bool = False  # the cancellation was taken back
    cancellable_until: date | None = None  # of the contract that a refusal is about


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to one or several people, each getting his own copy."""

    name: NoticeName
    to: tuple[str, ...]
    locale: str
    facts: Facts
    subject: str = ""  # as far as it is known before the ticket has its number
    seal: str = ""  # invitation:17, code:4: it holds a secret, so its bytes are made when it is sent
