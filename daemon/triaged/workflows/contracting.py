"""What an operator does to orders, contracts and invitations by hand; and what becomes of them by the calendar.

Each is one transaction: the change, its place in the books, the mails that it owes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from triaged import log
from triaged.adapters.db import contracts, directory, engine, invitations, orders, portal
from triaged.adapters.db.contract_models import PurchaseOrder, order_number
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.invitations import InvitationRecord
from triaged.desks import correspondence, inviting, letters, ordering, placing, requests
from triaged.desks.bureau import Bureau
from triaged.desks.ordering import Purchase, Weighed
from triaged.domain import contract as rules
from triaged.domain import invitation as invitation_rules
from triaged.domain.catalogue import Catalogue
from triaged.domain.decision import Reason
from triaged.domain.directory import PartnerRecord
from triaged.domain.errors import PermanentError
from triaged.domain.notices import Notice
from triaged.domain.order import Draft, Finding, State
from triaged.mail import addresses
from triaged.settings import Mailbox, Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: the order's or contract's number, its state now, what is wrong with it, the mails owed."""

    number: str
    state: str
    contracts: tuple[str, ...] = ()
    problems: tuple[Finding, ...] = ()
    notices: tuple[Notice, ...] = ()
    po_number: str = ""

    def document(self) -> dict[str, object]:
        owed = [{"name": n.name.value, "to": list(n.to), "locale": n.locale} for n in self.notices]
        return {
            "number": self.number,
            "state": self.state,
            "contracts": list(self.contracts),
            "problems": [problem.document() for problem in self.problems],
            "notices": owed,
            "po_number": self.po_number or None,
        }


# --- orders -----------------------------------------------------------------------------------------------------------


def accept(bureau: Bureau, number: str, now: datetime) -> Outcome:
    """Vouch for the sender of an order in review: it is placed as if its partner had been authenticated.

    Raises PermanentError when it is not there, or not in review."""
    with bureau.database.write() as session:
        row = _in_review(session, number)
        record = orders.record(row)
        partner = _partner(session, record.sender, bureau.desk.settings)
        purchase = Purchase(
            draft=replace(record.draft, date=""),
            sender=record.sender,
            partner=partner,
            locale=record.locale,
            mailbox=_mailbox(bureau.desk.settings, record.mailbox),
            arrived=record.received_at,
            thread_message_id=record.thread_message_id,
        )
        weighed = replace(ordering.weigh(purchase, bureau.desk, session), completes=row.id)
        if weighed.reason is Reason.ORDER_REPEATED:
            raise PermanentError(
                f"order {number} is {order_number(weighed.stands or 0)} once more, which stands: reject it, "
                "nothing is lost"
            )
        row.decided_by = bureau.actor
        return _placed(session, bureau, weighed, f"o{row.id}", now)


def reject(bureau: Bureau, number: str, why: str, now: datetime) -> Outcome:
    """An order that nobody will carry out; its sender hears nothing. Raises PermanentError where it stands."""
    with bureau.database.write() as session:
        row = orders.numbered(session, number)
        if row is None:
            raise PermanentError(f"there is no order {number}: see `triaged order list`")
        orders.move(row, State.REJECTED)
        row.decided_by, row.note = bureau.actor, why or None
    log.event("order rejected", order=order_number(row.id), by=bureau.actor, why=why or None, at=now)
    return Outcome(order_number(row.id), State.REJECTED.value)


def place(
    bureau: Bureau, drafts: Sequence[Draft], placed_by: str, now: datetime, *, dry_run: bool = False
) -> tuple[Outcome, ...]:
    """Orders of a file: with one that has a problem nothing is written and nobody is written to, whoever imports mends
    the file. Each is judged as if it had come by mail from `placed_by`, a registered partner's name or address.
    `dry_run`: judged, nothing written. Raises PermanentError where there is no such partner."""
    with bureau.database.write() as session:
        settings = bureau.desk.settings
        partner = directory.partner(session, placed_by) or _partner(session, placed_by.lower(), settings)
        if partner is None:
            raise PermanentError(
                f"{placed_by} is no registered partner, nor the address of one: `triaged partner list` shows them"
            )
        judged = [_judged(session, bureau, draft, placed_by, partner, now) for draft in drafts]
        if dry_run or any(weighed.problems for weighed in judged):
            return tuple(_rehearsed(session, bureau, weighed) for weighed in judged)
        stamp = int(now.timestamp() * 1000)
        again = (_judged(session, bureau, draft, placed_by, partner, now) for draft in drafts)  # each after the last
        return tuple(_placed(session, bureau, weighed, f"f{stamp}.{n}", now) for n, weighed in enumerate(again, 1))


def _rehearsed(session: Session, bureau: Bureau, weighed: Weighed) -> Outcome:
    notices = () if weighed.problems else ordering.notices(weighed, bureau.desk, session)
    number = weighed.purchase.draft.po_number
    return Outcome("", weighed.state.value, (), weighed.problems, notices, number)


def _judged(
    session: Session, bureau: Bureau, draft: Draft, placed_by: str, partner: PartnerRecord, now: datetime
) -> Weighed:
    sender = addresses.deliverable(placed_by) or _answered(draft, partner)
    mailbox = _mailbox(bureau.desk.settings, "")
    purchase = Purchase(
        draft=draft,
        sender=sender,
        partner=partner,
        locale=letters.spoken(bureau.desk, partner.locale),
        mailbox=mailbox,
        arrived=_bought(draft.date, bureau.desk.settings, mailbox, now),
    )
    return ordering.weigh(purchase, bureau.desk, session)


def _answered(draft: Draft, partner: PartnerRecord) -> str:
    """Who hears of problems: the partner's address on the order, else its first contact."""
    named = [draft.distributor.email.lower(), draft.reseller.email.lower()]
    own = [a for a in named if a in partner.contacts or a.rpartition("@")[2] in partner.domains]
    found = next(iter([*own, *partner.contacts]), "")
    if not found:
        raise PermanentError(f"{partner.name} has no contact to answer to: give --placed-by an address of it")
    return found


def _bought(written: str, settings: Settings, mailbox: Mailbox, now: datetime) -> datetime:
    """The day of purchase that a file names, at noon there; today where it names none. Raises PermanentError on a day
    that is none, or has not come."""
    if not written:
        return now
    day = _day(written)
    zone = ZoneInfo(settings.policy.regions[mailbox.regions[0]].timezone)
    if day is None or day > now.astimezone(zone).date():
        raise PermanentError(f"date of purchase {written!r}: write a day that has come, as 2026-05-31")
    return now if day == now.astimezone(zone).date() else datetime.combine(day, time(12), zone).astimezone(UTC)


def _day(written: str) -> date | None:
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y"):
        try:
            return datetime.strptime(written.strip()[:10], form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    return None


def _placed(session: Session, bureau: Bureau, weighed: Weighed, key: str, now: datetime) -> Outcome:
    cause = correspondence.Cause(
        key=key,
        log_id=f"order.{key}",
        desk="contracts",
        mailbox=weighed.purchase.mailbox.name,
        replies_to=weighed.purchase.thread_message_id,
        asker=weighed.purchase.sender,
    )
    books = placing.Books(session, bureau.desk, bureau.post, bureau.actor, now, cause)
    booked = placing.order(books, weighed)
    about = replace(
        cause,
        key=f"{booked.number}.{key}",
        log_id=f"{booked.number}.{key}",
        number=booked.number,
        contract_id=booked.contracts[0].id if booked.contracts else None,
    )
    correspondence.owe(session, bureau.post, booked.notices, "", about, now)
    notices = booked.notices + ((booked.invitation,) if booked.invitation else ())
    made = tuple(one.number for one in booked.contracts)
    number = weighed.purchase.draft.po_number
    return Outcome(booked.number, weighed.state.value, made, weighed.problems, notices, number)


def _in_review(session: Session, number: str) -> PurchaseOrder:
    row = orders.numbered(session, number)
    if row is None:
        raise PermanentError(f"there is no order {number}: see `triaged order list`")
    if row.state != State.REVIEW:
        raise PermanentError(f"order {number} is {row.state}, not in review: there is nothing to accept")
    return row


def _partner(session: Session, address: str, settings: Settings) -> PartnerRecord | None:
    return directory.partner_of(session, address, settings.policy.public_mail_domains)


def _mailbox(settings: Settings, name: str) -> Mailbox:
    """The order's mailbox, or the first of the desk."""
    own = [mailbox for mailbox in settings.mailboxes if mailbox.desk == "contracts"]
    if not own:
        raise PermanentError('no mailbox has desk = "contracts": add one to triaged.toml')
    return next((mailbox for mailbox in own if mailbox.name == name), own[0])


# --- contracts --------------------------------------------------------------------------------------------------------


def set_customer_email(bureau: Bureau, number: str, address: str, now: datetime) -> Outcome:
    """A typing error in the customer's address: both addresses are told, the old link is revoked, the right one is
    invited. Raises PermanentError on an address that cannot be the customer's."""
    fresh = addresses.deliverable(address)
    if fresh is None:
        raise PermanentError(f"{address!r} is no mail address: write it as name@domain")
    return _acted(bureau, number, now, lambda books, one: _mended(books, one, fresh))


def _mended(books: placing.Books, one: ContractRecord, address: str) -> tuple[Notice, ...]:
    if one.state is not rules.State.ACTIVE:
        raise PermanentError(f"contract {one.number} is {one.state}: its address is not used any more")
    if address == one.customer_party.email:
        raise PermanentError(f"{address} is the address of {one.number} already: `triaged invite list` shows its mails")
    group = contracts.of_group(books.session, one.customer_id, one.site)
    if inviting.is_sellers(books.session, books.settings, group, address):
        raise PermanentError(
            f"{address} belongs to the reseller, the distributor or us: the invitation must reach the customer alone"
        )
    return placing.mend_address(books, one, address)


def cancel(bureau: Bureau, number: str, now: datetime, *, late: bool = False) -> Outcome:
    """Cancel a contract as its parties may by mail; `late`: after its last day too, which only an operator may.

    Raises PermanentError where it is not active, or too late."""
    return _acted(bureau, number, now, lambda books, one: _cancelled(books, one, late))


def _cancelled(books: placing.Books, one: ContractRecord, late: bool) -> tuple[Notice, ...]:
    if not late and requests.today(one, books.now) > one.cancellable_until:
        raise PermanentError(
            f"contract {one.number} could be cancelled until {one.cancellable_until}: add --late to do it all the same"
        )
    return placing.cancel(books, (one,))


def restore(bureau: Bureau, number: str, now: datetime) -> Outcome:
    """Take a cancellation back within 24 h. Raises PermanentError where there is none, or later."""
    return _acted(bureau, number, now, _restored)


def _restored(books: placing.Books, one: ContractRecord) -> tuple[Notice, ...]:
    if one.state is rules.State.CANCELLED and not requests.undoable(one, books.now):
        raise PermanentError(f"contract {one.number} was cancelled more than 24 h ago: it needs a new order")
    return placing.restore(books, (one,))


def _acted(
    bureau: Bureau,
    number: str,
    now: datetime,
    act: Callable[[placing.Books, ContractRecord], tuple[Notice, ...]],
) -> Outcome:
    """One act on one contract, with its mails, in one transaction."""
    with bureau.database.write() as session:
        one = contracts.record(session, contracts.numbered(session, number))
        cause = _cause(one, bureau.desk.settings, now)
        notices = act(placing.Books(session, bureau.desk, bureau.post, bureau.actor, now, cause), one)
        correspondence.owe(session, bureau.post, notices, "", cause, now)
        session.flush()
        after = contracts.one(session, one.id)
    assert after is not None  # contracts are never deleted
    return Outcome(after.number, after.state.value, (after.number,), (), notices)


def _cause(one: ContractRecord, settings: Settings, now: datetime) -> correspondence.Cause:
    """An operator's act, told apart from every other by its instant."""
    stamp = int(now.timestamp() * 1000)
    return correspondence.Cause(
        key=f"c{one.id}.{stamp}",
        log_id=f"{one.number}.c{stamp}",
        desk="contracts",
        mailbox=letters.place_of(one, settings).mailbox.name,
        number=one.number,
        contract_id=one.id,
        asker="-",  # nobody's thread: no mail asked for it
    )


# --- invitations ------------------------------------------------------------------------------------------------------


def resend(bureau: Bureau, row_id: int, now: datetime) -> InvitationRecord:
    """The next generation of an invitation, whatever its age; never once it was accepted. Returns it."""
    with bureau.database.write() as session:
        before = _invitation(session, row_id)
        one = contracts.one(session, before.contract_id)
        assert one is not None  # an invitation refers to it
        latest = invitations.latest(session, one.id, before.recipient) or before
        if latest.state is invitation_rules.State.ACCEPTED:
            raise PermanentError(f"{before.recipient} has accepted already, and signs in at the portal's page")
        if latest.state is invitation_rules.State.REVOKED:
            raise PermanentError(
                f"invitation {latest.id} was revoked ({latest.ended_because}): whoever shall come in all the same is "
                "named by the customer, or by `triaged contract set-customer-email`"
            )
        if one.state is not rules.State.ACTIVE:
            raise PermanentError(f"contract {one.number} is {one.state}: nobody is invited to it")
        books = placing.Books(
            session, bureau.desk, bureau.post, bureau.actor, now, _cause(one, bureau.desk.settings, now)
        )
        placing.resend(books, one, before.recipient, latest.access, latest.named_by)
        return invitations.latest(session, one.id, before.recipient) or latest


def revoke(bureau: Bureau, row_id: int, why: str, now: datetime) -> InvitationRecord:
    """The person is let in no more: every link of his to this customer's account stops working at once. Returns the
    invitation."""
    with bureau.database.write() as session:
        before = _invitation(session, row_id)
        because = why or f"revoked by {bureau.actor}"
        if not invitations.revoke(session, [row_id], because, now):
            raise PermanentError(f"invitation {row_id} is {before.state}: there is nothing to revoke")
        one = contracts.one(session, before.contract_id)
        assert one is not None  # an invitation refers to it
        portal.remove(session, one.customer_id, one.site, before.recipient, now, because)
        return _invitation(session, row_id)


def _invitation(session: Session, row_id: int) -> InvitationRecord:
    found = invitations.record(session, row_id)
    if found is None:
        raise PermanentError(f"there is no invitation {row_id}: see `triaged invite list`")
    return found


# --- by the calendar --------------------------------------------------------------------------------------------------


def keep_calendar(database: engine.Database, catalogue: Catalogue, now: datetime) -> None:
    """Once a while: invitations and contracts whose time is over, and terms that begin without an assignment."""
    yesterday = (now - timedelta(hours=12)).date()  # over everywhere on earth: UTC-12 is the last to leave a day
    with database.write() as session:
        expired = invitations.expire(session, now)
        for row in contracts.unstarted(session):
            zone = ZoneInfo(row.timezone)
            bought, today = rules.day_of(row.purchased_at, zone), rules.day_of(now, zone)
            term = rules.term(bought, row.years, row.first_assigned_on, today, catalogue)
            row.starts, row.ends = term.starts, term.ends
        ended = contracts.expire(session, yesterday)
    if expired or ended:
        log.event("calendar", invitations_expired=expired, contracts_expired=",".join(ended) or None)
