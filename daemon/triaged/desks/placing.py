"""Into the books: an order becomes contracts, a cancellation takes them back, an address is mended; each returns the
mails that it owes. What is written here is written in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from triaged.adapters import territories
from triaged.adapters.db import contracts, customers, estate, invitations, orders, outbox
from triaged.adapters.db.contract_models import PurchaseOrder, order_number
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.estate import SparesChange
from triaged.desks import correspondence, inviting, letters, ordering
from triaged.desks.case import Desk
from triaged.desks.ordering import Weighed
from triaged.domain import contract as rules
from triaged.domain import invitation as invitation_rules
from triaged.domain.decision import Reason
from triaged.domain.invitation import Access
from triaged.domain.notices import CountryNote, Facts, Notice, NoticeName, SparesFacts
from triaged.domain.order import Role, State
from triaged.settings import Settings

# What is no longer true of an order once all its contracts are cancelled.
_OVERTAKEN = (NoticeName.ORDER_CONFIRMED, NoticeName.INVITATION, NoticeName.COUNTRY_TERMS)


@dataclass(frozen=True, slots=True)
class Books:
    """Where it is written: the desk and its post, who acts (`mail`, an operator), at what instant; `cause` is the mail
    or the operator's action that owes what follows."""

    session: Session
    desk: Desk
    post: correspondence.Post
    actor: str
    now: datetime
    cause: correspondence.Cause
    message: int | None = None  # the ledger's row of the mail

    @property
    def settings(self) -> Settings:
        return self.desk.settings


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of an order: its number, its contracts, the mails that are owed besides the invitation."""

    number: str
    contracts: tuple[ContractRecord, ...] = ()
    notices: tuple[Notice, ...] = ()
    invitation: Notice | None = None


def order(books: Books, weighed: Weighed) -> Booked:
    """Write an order down as it was weighed; a complete one becomes contracts, an estate entry each, and an
    invitation."""
    if weighed.reason is Reason.ORDER_REPEATED:
        assert weighed.stands is not None
        again = tuple(contracts.of_order(books.session, weighed.stands))
        return Booked(order_number(weighed.stands), again, ordering.notices(weighed, books.desk, books.session))
    row = _row(books, weighed, weighed.state, weighed.reason)
    if weighed.state is not State.ACCEPTED:
        number = order_number(row.id)
        return Booked(number, (), ordering.notices(weighed, books.desk, books.session, number))
    return _accepted(books, weighed, row)


def review(books: Books, weighed: Weighed, reason: Reason) -> Booked:
    """An order that waits until an operator vouches for its sender."""
    return Booked(order_number(_row(books, weighed, State.REVIEW, reason).id))


def _row(books: Books, weighed: Weighed, state: State, reason: Reason) -> PurchaseOrder:
    purchase = weighed.purchase
    incoming = orders.Incoming(
        draft=purchase.draft,
        checked=weighed.checked,
        state=state,
        reason=reason.value,
        placed_by=purchase.placed_by,
        sender=purchase.sender,
        locale=purchase.locale,
        mailbox=purchase.mailbox.name,
        received_at=purchase.arrived,
        message=books.message,
        thread_message_id=purchase.thread_message_id,
    )
    before = books.session.get(PurchaseOrder, weighed.completes) if weighed.completes else None
    if before is None:
        return orders.add(books.session, incoming)
    orders.move(before, state)
    orders.fill(before, incoming)
    before.placed_by, before.sender = purchase.placed_by, purchase.sender
    return before


def _accepted(books: Books, weighed: Weighed, row: PurchaseOrder) -> Booked:
    purchase, public = weighed.purchase, books.settings.policy.public_mail_domains
    customer = customers.place(books.session, weighed.order, public, territories.code_of)
    made, spares = _contracts(books, weighed, row, customer.customer_id, customer.site)
    sold = ordering.sale(weighed, books.desk, books.session, tuple(letters.told(one) for one in made))
    sold = replace(sold, customer=customer.name, site=customer.site, order=order_number(row.id))
    notices = letters.confirmations(sold, books.settings)
    notices += letters.csm_note(
        sold.place, books.desk, customer.csm, customer.name, sold.contracts, spares, _for_csm(books, sold)
    )
    recipient, locale = weighed.order.customer.email, sold.locales[Role.CUSTOMER]
    _invite(books, made[0], recipient, locale, Access.ADMIN)
    invitation = letters.invitation(sold.place, books.settings, recipient, locale, customer=customer.name)
    row.sender = purchase.sender
    return Booked(order_number(row.id), made, notices, invitation)


def _for_csm(books: Books, sold: letters.Sale) -> tuple[CountryNote, ...]:
    return sold.notes(books.settings.catalogue, letters.spoken(books.desk, books.settings.service.locale))


def _contracts(
    books: Books, weighed: Weighed, row: PurchaseOrder, customer_id: int, site: str
) -> tuple[tuple[ContractRecord, ...], SparesFacts | None]:
    order_, purchase, matched, settings = weighed.order, weighed.purchase, weighed.matched, books.settings
    timezone = ordering.zone(order_, matched, purchase.mailbox, settings)
    languages = ordering.locales(order_, matched, purchase.locale, books.desk, books.session)
    made, changes = [], []
    for number, position in enumerate(order_.positions, 1):
        term, until = letters.days(purchase.arrived, ZoneInfo(timezone), position.years, settings.catalogue)
        terms = contracts.Terms(
            customer_id=customer_id,
            site=site,
            country=order_.country or (matched.country if matched else ""),
            timezone=timezone,
            locale=languages[Role.CUSTOMER],
            order_locale=purchase.locale,
            mailbox=purchase.mailbox.name,
            placed_by=purchase.placed_by,
            purchased_at=purchase.arrived,
            created_at=books.now,
            term=term,
            cancellable_until=until,
        )
        one = contracts.make(books.session, row.id, number, order_, position, terms)
        changes.append(estate.purchased(books.session, one.id, books.actor, books.now, settings.catalogue))
        made.append(one)
    return tuple(made), _spares(changes)


def _spares(changes: Sequence[SparesChange]) -> SparesFacts | None:
    """Several changes of one transaction as one."""
    if not changes:
        return None
    first, last = changes[0], changes[-1]
    return SparesFacts(last.parent, last.rooms, first.before, last.now)


def _invite(
    books: Books,
    about: ContractRecord,
    recipient: str,
    locale: str,
    access: Access,
    *,
    named_by: str = "",
    asked_by: str = "",
) -> int:
    return inviting.invite(
        books.session,
        books.post,
        contracts.locked(books.session, about.id),
        recipient,
        access=access,
        locale=locale,
        named_by=named_by,
        resent=bool(asked_by),
        asked_by=asked_by,
        now=books.now,
        cause=letters.about(books.cause, about),
    )


# --- later ------------------------------------------------------------------------------------------------------------


def resend(books: Books, about: ContractRecord, recipient: str, access: Access, named_by: str) -> None:
    """The invitation once more: the earlier link stops working and says which mail replaced it (row C7)."""
    _invite(
        books,
        about,
        recipient,
        language(books.session, about, recipient),
        access,
        named_by=named_by,
        asked_by=books.actor,
    )


def language(session: Session, about: ContractRecord, recipient: str) -> str:
    """In which language this person was invited before, else the contract's."""
    latest = invitations.latest(session, about.id, recipient)
    return latest.locale if latest else about.locale


def add(books: Books, about: ContractRecord, person: str, access: Access, named_by: str) -> None:
    """An invitation for somebody whom the customer named."""
    _invite(books, about, person, about.locale, access, named_by=named_by)


def cancel(books: Books, meant: Sequence[ContractRecord], asker: str = "") -> tuple[Notice, ...]:
    """Licences and spares reversed, invitations revoked, unsent mails withdrawn; returns what the parties hear."""
    changes = []
    for one in meant:
        contracts.cancel(books.session, one.id, books.actor, books.now)
        changes.append(estate.cancelled(books.session, one.id, books.actor, books.now, books.settings.catalogue))
        _take_back(books, one)
    now = _fresh(books, meant)
    notices = letters.cancelled(now, books.session, books.desk, books.now + rules.UNDO, asker)
    return notices + _tell_csm(books, now, changes)


def _take_back(books: Books, one: ContractRecord) -> None:
    """Its invitations and unsent mails; another contract of the order that stays takes the invitations over."""
    because = f"contract {one.number} was cancelled"
    ordered = contracts.of_order(books.session, one.order_id)
    others = [other for other in ordered if other.state is rules.State.ACTIVE]
    pending = [i for i in invitations.listed(books.session, one.id) if i.state in invitation_rules.LIVE]
    invitations.revoke(books.session, [i.id for i in pending], because, books.now)
    if not others:
        outbox.withdraw_about(books.session, [other.id for other in ordered], _OVERTAKEN, because)
        return
    for before in pending:
        _invite(books, others[0], before.recipient, before.locale, before.access, named_by=before.named_by)


def restore(books: Books, meant: Sequence[ContractRecord], asker: str = "") -> tuple[Notice, ...]:
    """A cancellation taken back: licences, rooms and spares as before; who had not come in yet is invited anew."""
    changes = []
    for one in meant:
        contracts.restore(books.session, one.id)
        changes.append(estate.restored(books.session, one.id, books.actor, books.now, books.settings.catalogue))
        for recipient in dict.fromkeys(i.recipient for i in invitations.listed(books.session, one.id)):
            latest = invitations.latest(books.session, one.id, recipient)
            if latest is not None and latest.state is invitation_rules.State.REVOKED and _by_cancelling(latest, one):
                _invite(books, one, recipient, latest.locale, latest.access, named_by=latest.named_by)
    now = _fresh(books, meant)
    return letters.cancelled(now, books.session, books.desk, None, asker) + _tell_csm(books, now, changes)


def _by_cancelling(latest: invitations.InvitationRecord, one: ContractRecord) -> bool:
    return one.cancelled_at is not None and latest.ended_at is not None and latest.ended_at >= one.cancelled_at


def _fresh(books: Books, meant: Sequence[ContractRecord]) -> list[ContractRecord]:
    books.session.flush()
    return contracts.listed(books.session, [one.id for one in meant])


def _tell_csm(books: Books, meant: Sequence[ContractRecord], changes: Sequence[SparesChange]) -> tuple[Notice, ...]:
    place = letters.place_of(meant[0], books.settings)
    told = [letters.told(one) for one in meant]
    return letters.csm_note(place, books.desk, changes[-1].csm, meant[0].customer, told, _spares(changes), ())


def mend_address(books: Books, about: ContractRecord, address: str) -> tuple[Notice, ...]:
    """A typing error in the customer's address: the old link is revoked, both addresses are told, the right one is
    invited (INTERFACE §4)."""
    because = f"the address of contract {about.number} was mended"
    old = about.customer_party.email
    stale = [i for i in invitations.listed(books.session, recipient=old) if i.contract_id == about.id]
    invitations.revoke(books.session, [one.id for one in stale], because, books.now)
    row = contracts.locked(books.session, about.id)
    row.customer_email = address
    contracts.forget(books.session, about, old)
    books.session.flush()
    public = books.settings.policy.public_mail_domains
    customers.readdressed(books.session, row.customer_id, old, address, public)
    fresh = contracts.record(books.session, row)
    _invite(books, fresh, address, about.locale, Access.ADMIN)
    place = letters.place_of(about, books.settings)
    facts: Facts = place.facts(books.settings)
    told = Notice(NoticeName.ADDRESS_CHANGED, (old,), about.locale, facts)
    sale = letters.Sale(
        place=place,
        customer=fresh.customer,
        site=fresh.site,
        csm="",
        reseller=fresh.reseller.name,
        po_number=fresh.po_number,
        recipients={Role.CUSTOMER: address},
        locales={Role.CUSTOMER: about.locale},
        contracts=(letters.told(fresh, Role.CUSTOMER),),
        country=fresh.country,
    )
    return (told, letters.confirmation(sale, Role.CUSTOMER, books.settings))
