"""One mail on the desk with everything that was looked up for it: evidence, customer, partner, language.

Looking up and weighing happen here, once; what follows from it is decided in `support.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from triaged.adapters.db import directory
from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.domain import entitlement, identification, trust
from triaged.domain.decision import Sender, Step
from triaged.domain.directory import AccountRecord, Match, PartnerRecord
from triaged.domain.identification import Identification
from triaged.domain.message import Address, Authentication, Message, Nature
from triaged.domain.policy import Region
from triaged.domain.references import Reference, ReferenceKind
from triaged.mail import automatic, compose, language, senders
from triaged.settings import Mailbox, Settings


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it lies on the desk: read, judged by the border server, with the time the server took it in and what
    it says of its customer (found before any transaction begins)."""

    message: Message
    authentication: Authentication
    arrived: datetime
    mailbox: Mailbox
    truncated: bool = False
    evidence: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What the desk decides with; `key` proves our own Message-IDs, `locales` are those with templates."""

    settings: Settings
    locales: tuple[str, ...]
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of the customer once the evidence was weighed."""

    identification: Identification
    account: AccountRecord | None = None
    licences: int | None = None
    tier: entitlement.Tier | None = None
    region: Region | None = None
    steps: tuple[Step, ...] = ()
    left_out: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One mail with all that was looked up for it."""

    mail: Mail
    desk: Desk
    partner: PartnerRecord | None
    trusted: bool
    evidence: tuple[Reference, ...]
    customer: Customer
    region: Region
    locale: str
    requester: str  # who opened the ticket, for associates; of a new one its sender
    about: str  # the ticket's subject, likewise
    answerable: bool  # only a person's mail, to the one From; never a machine's or a list's

    @property
    def sender(self) -> Sender | None:
        sender = self.mail.message.sender
        if sender is None:
            return None
        return Sender(sender.address, self.partner.name if self.partner else "", self.mail.authentication.passed)

    @property
    def rung(self) -> trust.Rung:
        """Where the mail stands on the ladder by what the directory knows of its sender."""
        return rung(self.mail, self.partner)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What the mail names a customer by and the directory does not have."""
        findings = self.customer.identification.findings
        return tuple(dict.fromkeys(f.reference.value for f in findings if f.note == identification.UNKNOWN))

    @property
    def service(self) -> str:
        return next((r.value for r in self.evidence if r.kind is ReferenceKind.SERVICE), "")

    @property
    def missing(self) -> tuple[str, ...]:
        """The default parameter, unless the mail gives an address for it, or the right one anywhere (row P9)."""
        if any(r.kind is ReferenceKind.SUPER_ADMIN for r in self.evidence):
            return ()
        account = self.customer.account
        if account and account.super_admin and account.super_admin in _everything(self.mail.message):
            return ()
        return ("super_admin",)


def rung(mail: Mail, partner: PartnerRecord | None, party: bool = False) -> trust.Rung:
    """Where a mail stands on the ladder; `party`: of a contract, by its exact address."""
    sender = mail.message.sender
    return trust.rung(
        dirty=mail.message.dirty,
        authenticated=mail.authentication.passed,
        registered=partner is not None,
        exact=party or (partner is not None and sender is not None and sender.address in partner.contacts),
    )


def look_up(mail: Mail, desk: Desk, session: Session) -> Case:
    """Read the evidence and ask the directory. Nothing is stored."""
    message, settings = mail.message, desk.settings
    trusted = mail.authentication.passed or not settings.trust.require
    sender = message.sender
    partner = directory.partner_of(session, sender.address, settings.policy.public_mail_domains) if sender else None
    customer = weigh(mail.evidence, partner, settings, session, mail.arrived)
    told = customer.region if trusted and partner else None  # nobody else learns from a number that an account is there
    region = told or settings.policy.regions[_region_of(partner, mail.mailbox)]
    return Case(
        mail=mail,
        desk=desk,
        partner=partner,
        trusted=trusted,
        evidence=mail.evidence,
        customer=customer,
        region=region,
        locale=_locale(message, partner, region, desk),
        requester=sender.address if sender else "",
        about=message.subject,
        answerable=_answerable(message),
    )


def _answerable(message: Message) -> bool:
    """Only a person, only at an address that SMTP can carry; never a machine, a list, or a daemon."""
    sender = message.sender
    if sender is None or not compose.sendable(sender.address):
        return False
    return message.nature is Nature.PERSON and automatic.answerable(message)


def of_ticket(ticket: TicketRecord, evidence: tuple[Reference, ...], desk: Desk, session: Session) -> Case:
    """A ticket on the desk again: an associate set its customer or vouched for its sender. The clock is that of the
    first mail, and the subscriptions are those of its day."""
    settings = desk.settings
    mailbox = next((m for m in settings.mailboxes if m.name == ticket.mailbox), settings.mailboxes[0])
    partner = directory.partner(session, ticket.partner) if ticket.partner else None
    customer = weigh(evidence, partner, settings, session, ticket.opened_at)
    trusted = ticket.may_be_told or (partner is not None and not settings.trust.require)
    message = Message(sender=Address(ticket.requester), subject=ticket.subject)
    verdict = Authentication("pass" if ticket.authenticated else "none", "as the ticket says")
    return Case(
        mail=Mail(message, verdict, ticket.opened_at, mailbox),
        desk=desk,
        partner=partner,
        trusted=trusted,
        evidence=evidence,
        customer=customer,
        region=settings.policy.regions[ticket.region],
        locale=ticket.locale,
        requester=ticket.requester,
        about=ticket.subject,
        answerable=ticket.answerable,
    )


def _region_of(partner: PartnerRecord | None, mailbox: Mailbox) -> str:
    """The partner's region if the mailbox serves it, else the mailbox's first (INTERFACE §4 "Region")."""
    if partner and partner.region in mailbox.regions:
        return partner.region
    return mailbox.regions[0]


def _locale(message: Message, partner: PartnerRecord | None, region: Region, desk: Desk) -> str:
    """The partner's language, else the mail's, else the region's, else the service's: the first that has templates."""
    wishes = (
        partner.locale if partner else None,
        language.guess(message.text, message.content_language),
        region.locale,
        desk.settings.service.locale,
    )
    return next((wish for wish in wishes if wish in desk.locales), desk.locales[0])


def weigh(
    evidence: tuple[Reference, ...],
    partner: PartnerRecord | None,
    settings: Settings,
    session: Session,
    arrived: datetime,
) -> Customer:
    """Which account the evidence agrees on, and how large it was on the day of arrival."""
    matches: Mapping[Reference, tuple[Match, ...]] = directory.accounts_for(session, evidence)
    found = identification.identify(evidence, matches, _barred(partner, settings, evidence))
    steps = [Step("identify", _told(finding)) for finding in found.findings if finding.matches]
    ignored = tuple(Step("identify", _told(finding)) for finding in found.findings if not finding.matches)
    if found.account_id is None:
        return Customer(found, steps=tuple(steps), left_out=ignored)
    account = directory.account(session, found.account_id)
    assert account is not None  # it was found in this very transaction
    region = settings.policy.regions[account.region]
    counted = entitlement.count(
        account.subscriptions, settings.policy, arrived.astimezone(ZoneInfo(region.timezone)).date()
    )
    tier = entitlement.tier(counted.licences, region)
    steps.append(Step("account", f"{account.name}, ZOID {account.zoid}, region {account.region}, via {found.via}"))
    steps.append(Step("count", f"{settings.policy.count_licences} of {_services(counted)} = {counted.licences}"))
    steps.append(
        Step(
            "tier",
            f"{counted.licences} licences, key from {region.key_account}, large from {region.large_user}: {tier}",
        )
    )
    uncounted = tuple(Step("count", f"{s.service} {s.licences}: {why}") for s, why in counted.left_out)
    return Customer(found, account, counted.licences, tier, region, tuple(steps), ignored + uncounted)


def _barred(
    partner: PartnerRecord | None, settings: Settings, evidence: tuple[Reference, ...]
) -> identification.Barred:
    named = {reference.value.rpartition("@")[2] for reference in evidence}
    return identification.Barred(
        public=settings.policy.public_mail_domains
        | {name for name in named if "." in name and senders.is_suffix(name)},
        ours=frozenset(address.rpartition("@")[2] for address in settings.house.addresses) | {settings.house.domain},
        partners=frozenset(partner.domains) if partner else frozenset(),
    )


def _told(finding: identification.Finding) -> str:
    reference = finding.reference
    names = ", ".join(f"{m.name} ({m.zoid}, {m.region}) by {m.kind}" for m in finding.matches) or finding.note
    return f"{reference.kind} {reference.value} ({reference.where}): {names}"


def _services(counted: entitlement.Count) -> str:
    return ", ".join(f"{s.service} {s.licences}" for s in counted.counted) or "no active eligible subscription"


def _everything(message: Message) -> str:
    passages = (*message.new, message.subject_passage, *message.attached, *message.quoted)
    return "\n".join(passage.text for passage in passages).lower()
