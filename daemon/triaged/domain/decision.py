"""What was decided on one mail, and why: the receipt that is stored, printed, and explained (row N2)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from triaged.domain.notices import Notice
from triaged.domain.order import Finding
from triaged.domain.references import Reference
from triaged.domain.trust import Rung


class Verdict(StrEnum):
    """What became of the mail (INTERFACE §4 `decision`)."""

    TICKET = "ticket"
    UPDATE = "update"
    ORDER = "order"
    REQUEST = "request"
    BOUNCE = "bounce"
    IGNORE = "ignore"
    DUPLICATE = "duplicate"
    QUARANTINE = "quarantine"


class Reason(StrEnum):
    """Why: the first that applies, in this order (INTERFACE §4; docs/reasons.md explains each to an operator)."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    OWN_MAIL = "own_mail"
    DELIVERY_REPORT = "delivery_report"
    AUTO_REPLY = "auto_reply"
    MAILING_LIST = "mailing_list"
    UNAUTHENTICATED_SENDER = "unauthenticated_sender"
    REPLY = "reply"
    UNKNOWN_SENDER = "unknown_sender"
    UNLINKED_PARTNER = "unlinked_partner"
    NO_CUSTOMER_REFERENCE = "no_customer_reference"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CONFLICTING_REFERENCES = "conflicting_references"
    EXCLUDED_SERVICE = "excluded_service"
    LARGE_ACCOUNT = "large_account"
    KEY_ACCOUNT = "key_account"
    STANDARD_ACCOUNT = "standard_account"
    ORDER_COMPLETE = "order_complete"
    ORDER_INCOMPLETE = "order_incomplete"
    ORDER_REPEATED = "order_repeated"
    ORDER_CONFLICT = "order_conflict"
    RESEND_INVITATION = "resend_invitation"
    ADD_PERSON = "add_person"
    CANCEL_CONTRACT = "cancel_contract"
    RESTORE_CONTRACT = "restore_contract"
    CONTRACT_STATUS = "contract_status"
    QUESTION = "question"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote: `partner` is the registered partner's name or empty."""

    address: str
    partner: str = ""
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class AccountFound:
    """The one account that the evidence agrees on; `via` is the strongest kind that agreed."""

    zoid: str
    name: str
    via: str
    region: str


@dataclass(frozen=True, slots=True)
class Step:
    """One rule with its inputs, for `explain`: what was asked, what was found."""

    rule: str
    finding: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report did to a mail of ours: `outcome` is bounced, delayed or delivered; `fix` is what to type."""

    outcome: str
    mail: int
    log_id: str
    to: str
    notice: str
    status: str = ""
    fix: str = ""

    def document(self) -> dict[str, Any]:
        names = ("outcome", "mail", "log_id", "to", "notice", "status", "fix")
        return {name: getattr(self, name) or None for name in names}


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole decision on one mail."""

    verdict: Verdict
    reason: Reason
    desk: str
    region: str
    locale: str
    sender: Sender | None = None
    evidence: tuple[Reference, ...] = ()
    account: AccountFound | None = None
    service: str = ""
    licences: int | None = None
    tier: str = ""
    thresholds: tuple[int, int] | None = None  # licences from which an account is key, and large, in its region
    severity: str = ""
    priority: bool = False
    missing: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    ticket: str = ""  # the ticket that was opened or added to
    linked: str = ""  # a ticket that the mail names but may not add to
    ticket_reason: Reason | None = None  # why the ticket is as it is, where that is not why the mail was decided so
    review: bool = False
    reclassifies: bool = False  # an update that changes customer, severity, flag and deadlines
    enriches: bool = False  # an update that adds evidence, service or the missing parameter, and changes nothing else
    primary_customer_email: str = ""
    answerable: bool = False  # a person wrote: later mails of the ticket may go to him
    problems: tuple[Finding, ...] = ()  # of an order
    warnings: tuple[Finding, ...] = ()
    order: str = ""  # our number of the order
    contracts: tuple[str, ...] = ()  # numbers of the contracts that it made or is about
    refused: str = ""  # a request.Refusal value
    returned: Returned | None = None  # what a delivery report changed
    trust: Rung | None = None  # where the mail stands on the ladder; None where no mail was decided on
    unknown: tuple[str, ...] = ()  # ids and addresses in it by which we know nobody
    steps: tuple[Step, ...] = ()
    excluded: tuple[Step, ...] = ()  # evidence seen and not counted, and why

    @property
    def why(self) -> Reason:
        """What the ticket and its mails give as the reason: a reply's own reason is only that it is one."""
        return self.ticket_reason or self.reason

    def document(self) -> dict[str, Any]:
        """The receipt of INTERFACE §4; every key is present. Byte-identical for the same mail, directory and policy."""
        sender = self.sender
        account = self.account
        return {
            "decision": self.verdict.value,
            "reason": self.reason.value,
            "desk": self.desk,
            "region": self.region or None,
            "locale": self.locale or None,
            "sender": sender
            and {"address": sender.address, "partner": sender.partner or None, "authenticated": sender.authenticated},
            "evidence": [{"kind": r.kind.value, "value": r.value, "where": r.where} for r in self.evidence],
            "account": account and {"zoid": account.zoid, "name": account.name, "via": account.via},
            "service": self.service or None,
            "licences": self.licences,
            "tier": self.tier or None,
            "severity": self.severity or None,
            "priority_large_user": self.priority,
            "missing": list(self.missing),
            "notices": [
                {"name": n.name.value, "to": list(n.to), "locale": n.locale, "subject": n.subject or None}
                for n in self.notices
            ],
            "ticket": self.ticket or None,
            "linked": self.linked or None,
            "thresholds": self.thresholds and {"key_account": self.thresholds[0], "large_user": self.thresholds[1]},
            "primary_customer_email": self.primary_customer_email or None,
            "review": self.review,
            "problems": [finding.document() for finding in self.problems],
            "warnings": [finding.document() for finding in self.warnings],
            "order": self.order or None,
            "contracts": list(self.contracts),
            "refused": self.refused or None,
            "returned": self.returned and self.returned.document(),
            "trust": self.trust,
            "unknown": list(self.unknown),
            "steps": [{"rule": s.rule, "finding": s.finding} for s in self.steps],
            "excluded": [{"rule": s.rule, "finding": s.finding} for s in self.excluded],
        }
