"""Into the books: an order becomes contracts, a cancellation takes them back, an address is mended; each returns the
mails that it owes. What is written here is written in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from triaged.adapters import territories
from triaged.adapters.db import contracts, customers, estate, invitations, orders, outbox, portal
from triaged.adapters.db.contract_models import PurchaseOrder, order_number
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.estate import SparesChange
from triaged.adapters.db.invitations import InvitationRecord
from triaged.desks import correspondence, inviting, letters, ordering
from triaged.desks.case import Desk
from triaged.desks.ordering import Weighed
from triaged.domain import contract as rules
from triaged.domain import invitation as invitation_rules
from triaged.domain.decision import Reason
from triaged.domain.invitation import Access
from triaged.domain.notices import CountryNote, Notice, NoticeName, SparesFacts
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
    public = books.settings.policy.public_mail_domains
    orders.supersede(books.session, row)
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
    books.session.flush()
    for order_id in dict.fromkeys(one.order_id for one in meant):
        _take_back(books, [one for one in meant if one.order_id == order_id])
    now = _fresh(books, meant)
    notices = letters.cancelled(now, books.session, books.desk, books.now + rules.UNDO, asker)
    return notices + _tell_csm(books, now, changes)


def _take_back(books: Books, cancelled: Sequence[ContractRecord]) -> None:
    """The invitations and unsent mails of an order's cancelled contracts. Who was invited to them keeps his way in by
    another contract of the order that stays, and whom the customer named by any other of the same account."""
    because = f"contract {cancelled[0].number} was cancelled"
    ordered = contracts.of_order(books.session, cancelled[0].order_id)
    stays = [one for one in ordered if one.state is rules.State.ACTIVE]
    group = contracts.of_group(books.session, cancelled[0].customer_id, cancelled[0].site)
    active = [one for one in group if one.state is rules.State.ACTIVE]
    pending = {
        invitation.recipient: invitation
        for one in cancelled
        for invitation in invitations.listed(books.session, one.id)
        if invitation.state in invitation_rules.LIVE
    }
    invitations.revoke(books.session, [one.id for one in pending.values()], because, books.now)
    if not stays:
        outbox.withdraw_about(books.session, [one.id for one in ordered], _OVERTAKEN, because)
    for recipient, before in pending.items():
        home = stays or (active if before.named_by else [])
        if home and not _has_way_in(books, home[0], recipient):
            _invite(books, home[0], recipient, before.locale, before.access, named_by=before.named_by)


def _has_way_in(books: Books, about: ContractRecord, recipient: str) -> bool:
    """Whether this person came into the account already, or has an open invitation to this order."""
    group = contracts.of_group(books.session, about.customer_id, about.site)
    active = {one.id: one.order_id for one in group if one.state is rules.State.ACTIVE}
    known = [one for one in invitations.listed(books.session, recipient=recipient) if one.contract_id in active]
    return any(
        one.state is invitation_rules.State.ACCEPTED
        or (one.state in invitation_rules.LIVE and active[one.contract_id] == about.order_id)
        for one in known
    )


def restore(books: Books, meant: Sequence[ContractRecord], asker: str = "") -> tuple[Notice, ...]:
    """A cancellation taken back: licences, rooms and spares as before; who had not come in yet is invited anew."""
    changes = []
    for one in meant:
        contracts.restore(books.session, one.id)
        changes.append(estate.restored(books.session, one.id, books.actor, books.now, books.settings.catalogue))
    books.session.flush()
    for one in meant:
        for before in _lost_by_cancelling(books, one):
            if not _has_way_in(books, one, before.recipient):
                _invite(books, one, before.recipient, before.locale, before.access, named_by=before.named_by)
    now = _fresh(books, meant)
    return letters.cancelled(now, books.session, books.desk, None, asker) + _tell_csm(books, now, changes)


def _lost_by_cancelling(books: Books, one: ContractRecord) -> list[InvitationRecord]:
    """The newest invitation of each person that this cancellation, and nobody else, revoked."""
    newest = {i.recipient: i for i in invitations.listed(books.session, one.id)}
    return [
        invitation
        for invitation in newest.values()
        if invitation.state is invitation_rules.State.REVOKED and invitation.ended_at == one.cancelled_at
    ]


def _fresh(books: Books, meant: Sequence[ContractRecord]) -> list[ContractRecord]:
    books.session.flush()
    return contracts.listed(books.session, [one.id for one in meant])


def _tell_csm(books: Books, meant: Sequence[ContractRecord], changes: Sequence[SparesChange]) -> tuple[Notice, ...]:
    place = letters.place_of(meant[0], books.settings)
    told = [letters.told(one) for one in meant]
    return letters.csm_note(place, books.desk, changes[-1].csm, meant[0].customer, told, _spares(changes), ())


def mend_address(books: Books, about: ContractRecord, address: str) -> tuple[Notice, ...]:
    """A typing error in the customer's address, in every contract of the order: the old links are revoked, whoever came
    in by them is out, both addresses are told, the right one is invited (INTERFACE §4)."""
    old = about.customer_party.email
    mended = [one for one in contracts.of_order(books.session, about.order_id) if one.customer_party.email == old]
    for one in mended:
        contracts.locked(books.session, one.id).customer_email = address
    books.session.flush()
    _shut_out(books, about, old)
    customers.readdressed(books.session, about.customer_id, old, address, books.settings.policy.public_mail_domains)
    fresh = [one for one in _fresh(books, mended) if one.state is rules.State.ACTIVE]
    _invite(books, fresh[0], address, about.locale, Access.ADMIN)
    place = letters.place_of(about, books.settings)
    told = Notice(NoticeName.ADDRESS_CHANGED, (old,), about.locale, place.facts(books.settings))
    sale = letters.Sale(
        place=place,
        customer=fresh[0].customer,
        site=fresh[0].site,
        csm="",
        reseller=fresh[0].reseller.name,
        po_number=fresh[0].po_number,
        recipients={Role.CUSTOMER: address},
        locales={Role.CUSTOMER: about.locale},
        contracts=tuple(letters.told(one, Role.CUSTOMER) for one in fresh),
        country=fresh[0].country,
    )
    return (told, letters.confirmation(sale, Role.CUSTOMER, books.settings))


def _shut_out(books: Books, about: ContractRecord, old: str) -> None:
    """Whom the mistaken address let in goes with it. Where it is the right one of another order of the account, only
    this order's links end."""
    because = f"the address of contract {about.number} was mended"
    group = contracts.of_group(books.session, about.customer_id, about.site)
    if any(one.customer_party.email == old for one in group):
        ids = {one.id for one in contracts.of_order(books.session, about.order_id)}
        stale = [one.id for one in invitations.listed(books.session, recipient=old) if one.contract_id in ids]
        invitations.revoke(books.session, stale, because, books.now)
        return
    for address in (old, *sorted(portal.named(books.session, about.customer_id, about.site, old))):
        portal.remove(books.session, about.customer_id, about.site, address, books.now, because)
