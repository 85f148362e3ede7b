"""What a purchase order is worth: complete, incomplete, the same again, or in conflict with one that stands (C1, C2).

`weigh` asks and stores nothing, `notices` says who would hear what: the daemon, `explain` and an operator's hand run
the same code.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from triaged.adapters import territories
from triaged.adapters.db import contracts, customers, orders
from triaged.adapters.db.contract_models import order_number
from triaged.adapters.db.customers import Matched
from triaged.adapters.db.engine import Session
from triaged.desks import letters
from triaged.desks.case import Desk
from triaged.domain import contract
from triaged.domain import order as rules
from triaged.domain.decision import Reason
from triaged.domain.directory import PartnerRecord
from triaged.domain.notices import ContractFacts, Notice
from triaged.domain.order import Checked, Code, Draft, Finding, Order, Role, State, Surroundings
from triaged.domain.request import Refusal
from triaged.mail import addresses
from triaged.settings import Mailbox, Settings


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order as it lies on the desk: who placed it, who is answered, in which language, when it arrived.

    `completes` is the row of an incomplete order that this is an answer to."""

    draft: Draft
    sender: str
    partner: PartnerRecord | None
    locale: str
    mailbox: Mailbox
    arrived: datetime
    completes: int | None = None
    thread_message_id: str = ""

    @property
    def placed_by(self) -> str:
        return self.partner.name if self.partner else self.sender


@dataclass(frozen=True, slots=True)
class Weighed:
    """The judgement. `stands` is the accepted order under the same number, `cancelled` whether all of it was cancelled,
    `completes` the order that this completes."""

    purchase: Purchase
    checked: Checked
    reason: Reason
    state: State
    stands: int | None = None
    completes: int | None = None
    matched: Matched | None = None
    cancelled: bool = False

    @property
    def problems(self) -> tuple[Finding, ...]:
        return self.checked.problems

    @property
    def order(self) -> Order:
        assert self.checked.order is not None  # only of a complete one
        return self.checked.order


def weigh(purchase: Purchase, desk: Desk, session: Session) -> Weighed:
    """Check the order, and look whether one stands under its number already."""
    checked = rules.check(purchase.draft, surroundings(purchase, desk.settings))
    number = purchase.draft.po_number
    stands = orders.accepted(session, purchase.placed_by, number) if number else None
    if stands is not None:
        gone = all(one.state is contract.State.CANCELLED for one in contracts.of_order(session, stands.id))
        if not gone and checked.order is not None and checked.order.fingerprint == stands.fingerprint:
            return Weighed(purchase, checked, Reason.ORDER_REPEATED, State.ACCEPTED, stands=stands.id)
        conflict = Finding("po_number", Code.CONFLICT, number)
        checked = Checked(None, (conflict, *checked.problems), checked.warnings)
        return Weighed(purchase, checked, Reason.ORDER_CONFLICT, State.CONFLICT, stands=stands.id, cancelled=gone)
    before = orders.incomplete(session, purchase.placed_by, number)
    completes = purchase.completes or (before.id if before else None)
    if checked.order is None:
        return Weighed(purchase, checked, Reason.ORDER_INCOMPLETE, State.INCOMPLETE, completes=completes)
    matched = customers.match(session, checked.order, desk.settings.policy.public_mail_domains, territories.code_of)
    return Weighed(purchase, checked, Reason.ORDER_COMPLETE, State.ACCEPTED, completes=completes, matched=matched)


def surroundings(purchase: Purchase, settings: Settings) -> Surroundings:
    partner = purchase.partner
    return Surroundings(
        catalogue=settings.catalogue,
        valid=addresses.deliverable,
        country_of=territories.code_of,
        ours=frozenset(address.rpartition("@")[2] for address in settings.house.addresses) | {settings.house.domain},
        partners=frozenset(partner.domains) if partner else frozenset(),
        sellers=frozenset((*partner.contacts, purchase.sender)) if partner else frozenset({purchase.sender}),
        public=frozenset(settings.policy.public_mail_domains),
    )


# --- whose calendar, which language -----------------------------------------------------------------------------------


def zone(order: Order, matched: Matched | None, mailbox: Mailbox, settings: Settings) -> str:
    """The customer's country's, else the mailbox's first region's."""
    country = order.country or (matched.country if matched else "")
    return (territories.zone_of(country) if country else "") or settings.policy.regions[mailbox.regions[0]].timezone


def locales(order: Order, matched: Matched | None, locale: str, desk: Desk, session: Session) -> dict[Role, str]:
    """Each party's language: its entry's, for the customer also its country's, else the order's."""
    country = order.country or (matched.country if matched else "")
    customer = letters.spoken(desk, matched.locale if matched else None, territories.language_of(country), locale)
    others = (Role.RESELLER, Role.DISTRIBUTOR)
    return {Role.CUSTOMER: customer} | {
        role: letters.locale_for(session, order.party(role).email, locale, desk) for role in others
    }


# --- who hears of it --------------------------------------------------------------------------------------------------


def notices(weighed: Weighed, desk: Desk, session: Session, number: str = "") -> tuple[Notice, ...]:
    """The mails of an order as far as they are known before it is booked: without contract numbers and link."""
    purchase, settings = weighed.purchase, desk.settings
    place = letters.Place(purchase.mailbox, settings.policy.regions[purchase.mailbox.regions[0]].timezone)
    match weighed.reason:
        case Reason.ORDER_REPEATED:
            return (_again(weighed, desk, session),)
        case Reason.ORDER_COMPLETE:
            sold = sale(weighed, desk, session, _provisional(weighed, settings))
            invited = letters.invitation(
                sold.place, settings, weighed.order.customer.email, sold.locales[Role.CUSTOMER], customer=sold.customer
            )
            return (*letters.confirmations(sold, settings), invited)
        case _:
            return (
                letters.problems(
                    place,
                    settings,
                    purchase.sender,
                    purchase.locale,
                    weighed.problems,
                    weighed.checked.warnings,
                    order=number,
                    po_number=purchase.draft.po_number,
                    positions=len(purchase.draft.lines),
                    refusal=Refusal.ALREADY_CANCELLED.value if weighed.cancelled else "",
                ),
            )


def sale(weighed: Weighed, desk: Desk, session: Session, positions: tuple[ContractFacts, ...]) -> letters.Sale:
    """An accepted order for its mails."""
    order, matched, purchase = weighed.order, weighed.matched, weighed.purchase
    assert matched is not None  # a complete order was matched
    country = order.country or matched.country
    return letters.Sale(
        place=letters.Place(purchase.mailbox, zone(order, matched, purchase.mailbox, desk.settings)),
        customer=matched.name,
        site=matched.site,
        csm=matched.csm,
        reseller=order.reseller.name,
        po_number=order.po_number,
        recipients={role: order.party(role).email for role in Role},
        locales=locales(order, matched, purchase.locale, desk, session),
        contracts=positions,
        warnings=letters.findings(weighed.checked.warnings),
        country=country,
    )


def _provisional(weighed: Weighed, settings: Settings) -> tuple[ContractFacts, ...]:
    """The contracts that the order will become, without their numbers."""
    order = weighed.order
    where = ZoneInfo(zone(order, weighed.matched, weighed.purchase.mailbox, settings))
    found = []
    for position in order.positions:
        term, until = letters.days(weighed.purchase.arrived, where, position.years, settings.catalogue)
        found.append(
            ContractFacts(
                number="",
                service=position.service.value,
                sku=position.sku,
                years=position.years,
                licences=position.licences,
                starts=term.starts,
                ends=term.ends,
                cancellable_until=until,
            )
        )
    return tuple(found)


def _again(weighed: Weighed, desk: Desk, session: Session) -> Notice:
    """The same confirmation once more, to whoever asked; nobody else is bothered."""
    assert weighed.stands is not None
    booked = contracts.of_order(session, weighed.stands)
    first, purchase, role = booked[0], weighed.purchase, _role(weighed)
    sold = letters.Sale(
        place=letters.place_of(first, desk.settings),
        customer=first.customer,
        site=first.site,
        csm="",
        reseller=first.reseller.name,
        po_number=first.po_number,
        recipients={role: purchase.sender},
        locales={role: purchase.locale},
        contracts=tuple(letters.told(one, role) for one in booked),
        order=order_number(weighed.stands),
        warnings=letters.findings(weighed.checked.warnings),
    )
    return letters.confirmation(sold, role, desk.settings, repeated=True)


def _role(weighed: Weighed) -> Role:
    """Whose copy the sender gets: by its exact address, else by its organisation's domains."""
    order, purchase = weighed.order, weighed.purchase
    partners = (Role.RESELLER, Role.DISTRIBUTOR)
    domains = purchase.partner.domains if purchase.partner else ()
    exact = [role for role in partners if order.party(role).email == purchase.sender]
    near = [role for role in partners if order.party(role).email.rpartition("@")[2] in domains]
    return next(iter((*exact, *near)), Role.RESELLER)
