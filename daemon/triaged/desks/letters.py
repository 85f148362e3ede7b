"""The contracts desk's mails: who hears what of an order, a contract, an invitation (rows C3, C4, C8, C14).

Every party gets its own copy: the purchase order number is for reseller and distributor, nobody reads another party's
address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from triaged.adapters.db import directory
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.desks.case import Desk
from triaged.desks.correspondence import Cause
from triaged.domain import contract, credentials
from triaged.domain.catalogue import Catalogue, ServiceType
from triaged.domain.notices import (
    ContractFacts,
    CountryNote,
    Facts,
    FindingFacts,
    Notice,
    NoticeName,
    SparesFacts,
)
from triaged.domain.order import Finding, Role
from triaged.domain.request import Refusal, Verb
from triaged.settings import Mailbox, Settings


@dataclass(frozen=True, slots=True)
class Place:
    """From which mailbox a mail comes, and whose calendar and clock its reader has."""

    mailbox: Mailbox
    timezone: str

    def facts(self, settings: Settings, **said: Any) -> Facts:
        return Facts(
            region=self.mailbox.regions[0],
            timezone=self.timezone,
            mailbox=self.mailbox.address,
            desk_name=settings.senders["contracts"].name,
            portal=portal(settings),
            **said,
        )


def portal(settings: Settings) -> str:
    """The portal's sign-in page; empty where no `public_url` is configured."""
    return f"{settings.service.public_url.rstrip('/')}/" if settings.service.public_url else ""


def link(settings: Settings, row: int, generation: int, key: bytes) -> str:
    """The link of one generation of an invitation: made when its mail is sent, and nowhere kept."""
    return f"{portal(settings)}i/{credentials.invitation_token(row, generation, key)}"


def place_of(one: ContractRecord, settings: Settings) -> Place:
    """A contract's mailbox, or the desk's first where that is configured no more."""
    mailboxes = [mailbox for mailbox in settings.mailboxes if mailbox.desk == "contracts"] or [*settings.mailboxes]
    return Place(next((m for m in mailboxes if m.name == one.mailbox), mailboxes[0]), one.timezone)


def locale_for(session: Session, address: str, fallback: str, desk: Desk) -> str:
    """The language of the partner that this address belongs to, else the order's."""
    partner = directory.partner_of(session, address, desk.settings.policy.public_mail_domains)
    return spoken(desk, partner.locale if partner else None, fallback)


def spoken(desk: Desk, *wishes: str | None) -> str:
    """The first of the wishes that has templates."""
    return next((wish for wish in (*wishes, desk.settings.service.locale) if wish in desk.locales), desk.locales[0])


# --- what a mail says of a contract ---------------------------------------------------------------------------------


def told(one: ContractRecord, role: Role | None = None, invitation: str = "") -> ContractFacts:
    """A contract as its reader may see it: the PO number is not the customer's."""
    return ContractFacts(
        number=one.number,
        service=one.service,
        sku=one.sku,
        years=one.years,
        licences=one.licences,
        starts=one.starts,
        ends=one.ends,
        cancellable_until=one.cancellable_until,
        state=one.state.value,
        po_number="" if role is Role.CUSTOMER else one.po_number,
        customer=one.customer,
        invitation=invitation,
    )


def findings(found: Iterable[Finding]) -> tuple[FindingFacts, ...]:
    return tuple(FindingFacts(one.field, one.code.value, one.value) for one in found)


def countries(catalogue: Catalogue, code: str, service: ServiceType, locale: str) -> tuple[CountryNote, ...]:
    """Where the service is missing or differs (row C14), in the reader's language."""
    one = catalogue.countries.get(code)
    if one is None or service not in one.services:
        return ()
    return (CountryNote(one.code, one.note_in(locale), tuple(s.value for s in one.services)),)


# --- the mails ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sale:
    """An accepted order for its mails. `locales` by party; `recipients` by party: who reads that party's copy;
    `country` the customer's."""

    place: Place
    customer: str
    site: str
    csm: str
    reseller: str
    po_number: str
    recipients: dict[Role, str]
    locales: dict[Role, str]
    contracts: tuple[ContractFacts, ...]
    order: str = ""
    warnings: tuple[FindingFacts, ...] = ()
    country: str = ""

    def notes(self, catalogue: Catalogue, locale: str) -> tuple[CountryNote, ...]:
        return countries(catalogue, self.country, ServiceType(self.contracts[0].service), locale)


def about(cause: Cause, one: ContractRecord) -> Cause:
    """The same cause, for a mail about this contract."""
    return replace(cause, number=one.number, contract_id=one.id)


def confirmations(sale: Sale, settings: Settings) -> tuple[Notice, ...]:
    """`order_confirmed`: one copy per party (row C3); two parties with one address share one copy."""
    copies = {address: confirmation(sale, role, settings) for role, address in reversed(sale.recipients.items())}
    return tuple(reversed(copies.values()))


def confirmation(sale: Sale, role: Role, settings: Settings, *, repeated: bool = False, to: str = "") -> Notice:
    customer = role is Role.CUSTOMER
    contracts = tuple(replace(c, po_number="" if customer else sale.po_number) for c in sale.contracts)
    facts = sale.place.facts(
        settings,
        party=role.value,
        order="" if customer else sale.order,
        po_number="" if customer else sale.po_number,
        customer=sale.customer,
        reseller=sale.reseller,
        site=sale.site,
        contracts=contracts,
        warnings=sale.warnings,
        countries=sale.notes(settings.catalogue, sale.locales[role]),
        repeated=repeated,
    )
    return Notice(NoticeName.ORDER_CONFIRMED, (to or sale.recipients[role],), sale.locales[role], facts)


def invitation(place: Place, settings: Settings, recipient: str, locale: str, seal: str = "", **said: Any) -> Notice:
    """`invitation`: to one person alone; its link is made when it is sent."""
    facts = place.facts(settings, party=Role.CUSTOMER.value, **said)
    return Notice(NoticeName.INVITATION, (recipient,), locale, facts, seal=seal)


def csm_note(
    place: Place,
    desk: Desk,
    csm: str,
    customer: str,
    contracts: Sequence[ContractFacts],
    spares: SparesFacts | None,
    notes: tuple[CountryNote, ...],
) -> tuple[Notice, ...]:
    """`csm_note`: spares to agree on, countries where the service differs; nothing where there is nothing to say."""
    moved = spares if spares is not None and spares.now != spares.before else None
    if not csm or (moved is None and not notes):
        return ()
    facts = place.facts(
        desk.settings, customer=customer, contracts=tuple(contracts), spares=moved, countries=notes, party="other"
    )
    return (Notice(NoticeName.CSM_NOTE, (csm,), spoken(desk, desk.settings.service.locale), facts),)


def problems(
    place: Place,
    settings: Settings,
    to: str,
    locale: str,
    found: tuple[Finding, ...],
    warned: tuple[Finding, ...],
    **said: Any,
) -> Notice:
    """`order_problems`: everything that is wrong, what may be ordered, and the block to fill in (row C1)."""
    skus = tuple((sku.code, sku.service.value, sku.years) for sku in settings.catalogue.skus.values())
    facts = place.facts(
        settings, party="other", problems=findings(found), warnings=findings(warned), skus=skus, ask=True, **said
    )
    return Notice(NoticeName.ORDER_PROBLEMS, (to,), locale, facts)


def done(place: Place, settings: Settings, to: str, locale: str, verb: Verb, **said: Any) -> Notice:
    return Notice(NoticeName.REQUEST_DONE, (to,), locale, place.facts(settings, verb=verb.value, **said))


def refused(
    place: Place, settings: Settings, to: str, locale: str, verb: Verb, refusal: Refusal, **said: Any
) -> Notice:
    facts = place.facts(settings, verb=verb.value, refusal=refusal.value, **said)
    return Notice(NoticeName.REQUEST_REFUSED, (to,), locale, facts)


def cancelled(
    contracts: Sequence[ContractRecord], session: Session, desk: Desk, undo_until: datetime | None, asker: str = ""
) -> tuple[Notice, ...]:
    """`contract_cancelled` to all three parties, each in its language, and to `asker`, a colleague of one of them, in
    its; `undo_until` None: it was taken back."""
    first = contracts[0]
    copies: dict[str, Notice] = {}
    colleague = [(asker, Role.RESELLER)] if asker and asker not in {first.party(role).email for role in Role} else []
    for address, role in [*colleague, *((first.party(r).email, r) for r in reversed(Role))]:
        facts = place_of(first, desk.settings).facts(
            desk.settings,
            party=role.value,
            po_number="" if role is Role.CUSTOMER else first.po_number,
            customer=first.customer,
            contracts=tuple(told(one, role) for one in contracts),
            undo_until=undo_until,
            undone=undo_until is None,
            requested=address == asker,
        )
        locale = (
            locale_for(session, address, first.order_locale, desk)
            if address == asker and role is not Role.CUSTOMER
            else locale_of(first, role, session, desk)
        )
        copies[address] = Notice(NoticeName.CONTRACT_CANCELLED, (address,), locale, facts)
    return tuple(reversed(copies.values()))


def locale_of(one: ContractRecord, role: Role, session: Session, desk: Desk) -> str:
    """A party's language: the customer's own, the partner's by the directory, else the order's."""
    if role is Role.CUSTOMER:
        return spoken(desk, one.locale)
    return locale_for(session, one.party(role).email, one.order_locale, desk)


def days(purchased: datetime, timezone: Any, years: int, catalogue: Catalogue) -> tuple[contract.Term, date]:
    """Term and last day of cancellation of a purchase, by its customer's calendar."""
    bought = contract.day_of(purchased, timezone)
    return contract.term(bought, years, None, bought, catalogue), contract.cancellable_until(bought, catalogue)
