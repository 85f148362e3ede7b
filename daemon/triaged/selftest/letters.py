"""Mails that a given configuration must understand, each with what must become of it.

The truth is written with the mail, before anything runs: record, severity and every mail that is owed for it come from
the operator's policy and catalogue, never from our own tables. A token in each mail leads from what the relay took back
to the mail that owed it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from email.utils import format_datetime
from enum import StrEnum

from triaged.domain.catalogue import ServiceType
from triaged.domain.decision import Verdict
from triaged.domain.directory import AccountRecord, PartnerRecord, SubscriptionRecord
from triaged.domain.errors import PermanentError
from triaged.domain.notices import NoticeName
from triaged.domain.policy import Region
from triaged.domain.vocabulary import Role
from triaged.settings import Mailbox, Settings

MARK = "qz[bcdfghjklmnpqrstvwxz]{6}"  # consonants: a word that no form, id or number is taken for
_LETTERS = "bcdfghjklmnpqrstvwxz"
_DEPTH = 60  # parts within parts: no honest mail goes so deep


class Kind(StrEnum):
    """What a mail is, in the words of an operator."""

    LARGE_USER = "large user"
    STANDARD = "standard"
    ORDER = "order"
    UNVOUCHED = "unvouched"
    VACATION = "vacation reply"
    REPORT = "delivery report"
    NESTED = "nested too deep"
    DIRTY = "forged header"
    OVERSIZED = "oversized"
    DUPLICATE = "duplicate"
    NAMESAKE = "same Message-ID"
    NAMELESS = "no Message-ID"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class Owed:
    """A mail that is due for another; `refused`: the relay will not take it, so it must be shown as failed."""

    notice: str
    recipient: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with what must become of it. `severity` and `region` are the ticket's; `kept` is what the ledger holds of
    it, which for an oversized mail is the header."""

    kind: Kind
    token: str
    mailbox: str
    sender: str
    raw: bytes
    verdict: Verdict
    severity: str = ""
    owed: tuple[Owed, ...] = ()
    kept: bytes = b""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.kept or self.raw).hexdigest()

    def but_refused(self, recipient: str) -> "Letter":
        """The same where the relay will not take mails for `recipient`."""
        return replace(self, owed=tuple(replace(one, refused=one.recipient == recipient) for one in self.owed))


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox with its own partner and two customers: one with exactly as many licences as make a large user in its
    region, one with one less."""

    mailbox: Mailbox
    region: Region
    partner: PartnerRecord
    large: AccountRecord
    standard: AccountRecord

    @property
    def sender(self) -> str:
        return self.partner.contacts[0]


class Writer:
    """Writes mails for one configuration. Each mail has its own Received line: equal bytes are a duplicate."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._written = 0
        self._label = _super_admin_label(settings)
        self.places = {m.name: _place(number, m, settings) for number, m in enumerate(settings.mailboxes, 1)}

    @property
    def partners(self) -> tuple[PartnerRecord, ...]:
        """For the throwaway directory."""
        return tuple(place.partner for place in self.places.values())

    @property
    def accounts(self) -> tuple[AccountRecord, ...]:
        return tuple(account for place in self.places.values() for account in (place.large, place.standard))

    def large_user(self, mailbox: str) -> Letter:
        """A mail that must become an S1; its region's associates hear of it."""
        place = self.places[mailbox]
        told = tuple(Owed(NoticeName.PRIORITY_ALERT, one) for one in place.region.associates)
        return self._ticket(Kind.LARGE_USER, place, place.large, "S1", told)

    def standard(self, mailbox: str) -> Letter:
        """A mail of a customer who is one licence short of a large user."""
        place = self.places[mailbox]
        return self._ticket(Kind.STANDARD, place, place.standard, self._settings.policy.default_severity)

    def colleague(self, mailbox: str) -> Letter:
        """A mail of somebody else at the same partner, whom nothing else is written to."""
        place = self.places[mailbox]
        domain = place.sender.rpartition("@")[2]
        default = self._settings.policy.default_severity
        return self._ticket(Kind.STANDARD, place, place.standard, default, sender=f"colleague@{domain}")

    def nameless(self, mailbox: str) -> Letter:
        """A mail without Message-ID."""
        place = self.places[mailbox]
        default = self._settings.policy.default_severity
        return self._ticket(Kind.NAMELESS, place, place.standard, default, message_id="")

    def namesake(self, of: Letter, mailbox: str) -> Letter:
        """Another mail under the Message-ID of `of`: two tickets."""
        place = self.places[mailbox]
        default = self._settings.policy.default_severity
        message_id = _message_id(of.token, of.sender)
        return self._ticket(Kind.NAMESAKE, place, place.standard, default, message_id=message_id)

    def unvouched(self, mailbox: str) -> Letter:
        """A stranger for whom no border server vouches: a ticket in review, one neutral receipt."""
        token = self._token()
        sender = f"someone@{token}.example"
        raw = self._raw(
            token, mailbox, sender, f"Urgent {token}", self._body(self.places[mailbox].large), vouched=False
        )
        owed = (Owed(NoticeName.RECEIVED_FOR_REVIEW, sender),)
        severity = self._settings.policy.default_severity
        return Letter(Kind.UNVOUCHED, token, mailbox, sender, raw, Verdict.TICKET, severity, owed)

    def _ticket(
        self,
        kind: Kind,
        place: Place,
        account: AccountRecord,
        severity: str,
        told: tuple[Owed, ...] = (),
        message_id: str | None = None,
        sender: str = "",
    ) -> Letter:
        token, sender = self._token(), sender or place.sender
        subject = f"Sign-in fails {token}"
        raw = self._raw(token, place.mailbox.name, sender, subject, self._body(account), message_id=message_id)
        owed = (Owed(NoticeName.TICKET_OPENED, sender), *told)
        return Letter(kind, token, place.mailbox.name, sender, raw, Verdict.TICKET, severity, owed)

    def _body(self, account: AccountRecord) -> str:
        return f"Hello,\n\nnobody can sign in since this morning.\n\n{self._label}: {account.super_admin}\n"

    # --- what opens none

    def reply(self, to: Letter, our_message_id: str, mailbox: str) -> Letter:
        """The partner's answer to our mail about `to`: one more message on its ticket."""
        token = self._token()
        thread = f"In-Reply-To: {our_message_id}\r\nReferences: {our_message_id}\r\n"
        body = "Hello,\n\nwe have started it again, the error is still there.\n"
        raw = self._raw(token, mailbox, to.sender, f"Re: Sign-in fails {to.token}", body, extra=thread)
        return Letter(Kind.REPLY, token, mailbox, to.sender, raw, Verdict.UPDATE)

    def again(self, of: Letter, mailbox: str) -> Letter:
        """The same bytes once more, in the same mailbox or in another of the desk."""
        return Letter(Kind.DUPLICATE, of.token, mailbox, of.sender, of.raw, Verdict.DUPLICATE)

    def vacation(self, mailbox: str) -> Letter:
        token = self._token()
        sender = self.places[mailbox].sender
        extra = "Auto-Submitted: auto-replied\r\n"
        raw = self._raw(token, mailbox, sender, f"Automatic reply: {token}", "I am away until Monday.\n", extra=extra)
        return Letter(Kind.VACATION, token, mailbox, sender, raw, Verdict.IGNORE)

    def report(self, mailbox: str) -> Letter:
        """A report about a mail that we never sent."""
        token = self._token()
        domain = self.places[mailbox].sender.rpartition("@")[2]
        sender = f"mailer-daemon@{domain}"
        kind = "multipart/report; report-type=delivery-status; boundary=b"
        body = _REPORT.format(token=token, domain=domain)
        extra = "Auto-Submitted: auto-replied\r\n"
        raw = self._raw(token, mailbox, sender, f"Undelivered {token}", body, extra=extra, content_type=kind)
        return Letter(Kind.REPORT, token, mailbox, sender, raw, Verdict.BOUNCE)

    def nested(self, mailbox: str) -> Letter:
        """A mail that no reader should open; its sender, whom we know, is told."""
        token = self._token()
        sender = self.places[mailbox].sender
        parts = (f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(_DEPTH))
        body = "".join(parts) + f"--b{_DEPTH}\n\nnever read\n"
        kind = "multipart/mixed; boundary=b0"
        raw = self._raw(token, mailbox, sender, f"Fwd: {token}", body, content_type=kind)
        owed = (Owed(NoticeName.UNREADABLE, sender),)
        return Letter(Kind.NESTED, token, mailbox, sender, raw, Verdict.QUARANTINE, owed=owed)

    def dirty(self, mailbox: str) -> Letter:
        """A bare CR that would forge a header field: quarantine, and no answer at all."""
        token = self._token()
        sender = self.places[mailbox].sender
        raw = self._raw(token, mailbox, sender, f"Offer {token}\rX-Forged: yes", "Hello\n")
        return Letter(Kind.DIRTY, token, mailbox, sender, raw, Verdict.QUARANTINE)

    def oversized(self, mailbox: str) -> Letter:
        """Larger than [limits] message: its header is kept, its sender told."""
        token = self._token()
        sender = self.places[mailbox].sender
        filler = "x" * 70 + "\n"
        body = filler * (self._settings.limits.message // 72 + 1)
        raw = self._raw(token, mailbox, sender, f"Screenshots {token}", body)
        header = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        owed = (Owed(NoticeName.TOO_LARGE, sender),)
        return Letter(Kind.OVERSIZED, token, mailbox, sender, raw, Verdict.QUARANTINE, owed=owed, kept=header)

    # --- the contracts desk

    @property
    def orderable(self) -> str:
        """The SKU that orders are written with: one whose customers are invited. Empty where there is none."""
        skus = self._settings.catalogue.skus.values()
        wanted = (ServiceType.SELECT, ServiceType.SYNCPLUS)
        return next((sku.code for service in wanted for sku in skus if sku.service is service), "")

    def order(self, mailbox: str) -> Letter:
        """A complete order with the labels that our own answers ask with: three confirmations and one invitation."""
        token = self._token()
        place = self.places[mailbox]
        customer, distributor = f"buyer@{token}.example", f"orders@distribution-{token}.example"
        values = _order(token, self.orderable, customer, place.sender, distributor)
        words, locale = self._settings.order_words, place.region.locale
        lines = (f"{words.fill_in_label(name, locale)} : {value}" for name, value in values.items())
        raw = self._raw(token, mailbox, place.sender, "Purchase order", "\n".join(lines) + "\n")
        confirmed = (Owed(NoticeName.ORDER_CONFIRMED, one) for one in (customer, place.sender, distributor))
        owed = (*confirmed, Owed(NoticeName.INVITATION, customer))
        return Letter(Kind.ORDER, token, mailbox, place.sender, raw, Verdict.ORDER, owed=owed)

    # --- how a mail looks

    def _token(self) -> str:
        self._written += 1
        number, word = self._written, ""
        for _ in range(6):
            number, letter = divmod(number, len(_LETTERS))
            word = _LETTERS[letter] + word
        return f"qz{word}"

    def _raw(
        self,
        token: str,
        mailbox: str,
        sender: str,
        subject: str,
        body: str,
        *,
        vouched: bool = True,
        message_id: str | None = None,
        extra: str = "",
        content_type: str = "text/plain; charset=utf-8",
    ) -> bytes:
        at = format_datetime(datetime.now(UTC))
        message_id = _message_id(token, sender) if message_id is None else message_id
        named = f"Message-ID: {message_id}\r\n" if message_id else ""
        head = (
            f"{self._border(token, sender, at, vouched)}From: Partner <{sender}>\r\n"
            f"To: {self.places[mailbox].mailbox.address}\r\nSubject: {subject}\r\nDate: {at}\r\n{named}{extra}"
            f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        )
        return (head + body.replace("\n", "\r\n")).encode()

    def _border(self, token: str, sender: str, at: str, vouched: bool) -> str:
        """What the operator's border server writes on top, where [trust] profile has it."""
        trust, domain = self._settings.trust, sender.rpartition("@")[2]
        host = trust.authserv_ids[0] if trust.authserv_ids else "mx.example"
        if not vouched or not trust.authserv_ids:
            signed = ""
        else:
            signed = f"Authentication-Results: {host}; dmarc=pass header.from={domain}\r\n"
        border = f"Received: from mail.{domain} by {host} with ESMTPS id {token}; {at}\r\n"
        if trust.profile == "gmail":
            inner = f"Received: by 2002:a05:6402:1::1 with SMTP id {token}; {at}\r\n"
            return inner + signed + border.replace(f"by {host}", "by mx.google.com")
        return signed + border


def _message_id(token: str, sender: str) -> str:
    return f"<{token}@{sender.rpartition('@')[2]}>"


def _place(number: int, mailbox: Mailbox, settings: Settings) -> Place:
    policy = settings.policy
    region = policy.regions[mailbox.regions[0]]
    domain = f"partner-{number}.example"
    partner = PartnerRecord(
        f"Partner {number}", region.code, region.locale, domains=(domain,), contacts=(f"contact@{domain}",)
    )
    service = next((name for name in policy.service_aliases if name not in policy.excluded_services), "")
    if not service:
        raise PermanentError(
            f"{settings.service.policy}: every service is in excluded_services, so no mail can ever get priority: "
            "leave one out"
        )
    large, standard = (
        AccountRecord(
            zoid=f"9{number:03d}{place}000000",
            region=region.code,
            name=f"Customer {number}-{place}",
            super_admin=f"admin@customer-{number}-{place}.example",
            domains=(f"customer-{number}-{place}.example",),
            subscriptions=(SubscriptionRecord(service, licences, "active", date(2020, 1, 1)),),
        )
        for place, licences in ((1, region.large_user), (2, region.large_user - 1))
    )
    return Place(mailbox, region, partner, large, standard)


def _super_admin_label(settings: Settings) -> str:
    """A label of the operator's own that announces a super admin; a phrase is read with and without its blanks."""
    terms = settings.vocabulary.terms
    labels = sorted(
        (name for name, term in terms.items() if term.role is Role.SUPER_ADMIN and not term.line_start),
        key=lambda name: (name != "superadmin", len(name), name),
    )
    if not labels:
        raise PermanentError(f"{settings.service.labels}: no language has a super_admin label: write one")
    return labels[0]


def _order(token: str, sku: str, customer: str, reseller: str, distributor: str) -> dict[str, str]:
    return {
        "po_number": f"PO-1-{token}",
        "sku": sku,
        "licences": "5",
        "customer_name": f"{token.title()} Industries SA",
        "customer_email": customer,
        "customer_address": "12 rue de la Paix, 75002 Paris, France",
        "reseller_name": f"Reseller {token.title()}",
        "reseller_email": reseller,
        "reseller_address": "3 place Bellecour, 69002 Lyon, France",
        "distributor_name": f"Distribution {token.title()}",
        "distributor_email": distributor,
        "distributor_address": "4 quai de Bacalan, 33300 Bordeaux, France",
    }


def tokens(letters: Iterable[Letter]) -> dict[str, Letter]:
    """Each token's own mail: a duplicate's is the first copy's."""
    return {letter.token: letter for letter in letters if letter.kind is not Kind.DUPLICATE}


_REPORT = """--b
Content-Type: text/plain; charset=utf-8

This message could not be delivered: the mailbox does not exist.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.{domain}

Final-Recipient: rfc822; left.{token}@{domain}
Action: failed
Status: 5.1.1

--b
Content-Type: message/rfc822

From: somebody@{domain}
To: left.{token}@{domain}
Subject: Hello
Message-ID: <never-ours-{token}@{domain}>

Hello
--b--
"""
