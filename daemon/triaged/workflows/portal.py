"""The portal's stories (rows C4, C5, C10, C15, N7): a link is opened, a code asked for and typed, an entitlement seen,
a colleague named. One story is one transaction; values come out, no page and no HTTP.

Looking changes nothing, however often and by whomever: only a code that was mailed to the invitation's own address, and
that is typed in the browser that asked for it, opens anything. Answers never depend on whether an address is known.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from triaged import log
from triaged.adapters.db import contracts, engine, invitations
from triaged.adapters.db import portal as doors
from triaged.adapters.db.contract_models import Contract, contract_number
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.adapters.db.invitations import InvitationRecord
from triaged.adapters.db.portal import Awaited, Group, PersonRecord
from triaged.desks import correspondence, glance, inviting
from triaged.desks.glance import Entitlement
from triaged.domain import contract as terms
from triaged.domain import credentials, sign_in
from triaged.domain import invitation as rules
from triaged.domain.invitation import Access
from triaged.domain.sign_in import Tried
from triaged.mail import addresses
from triaged.settings import Mailbox, Settings

NAMED_A_DAY = 50  # invitations that the people of one group may cause: pages of ours send no mass mail
_DESK = "contracts"
_COOKIE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Portal:
    """Where the stories play."""

    database: engine.Database
    post: correspondence.Post

    @property
    def settings(self) -> Settings:
        return self.post.settings

    @property
    def mailbox(self) -> Mailbox:
        """Where people write when a page cannot help them."""
        return next(mailbox for mailbox in self.settings.mailboxes if mailbox.desk == _DESK)


# The link of an invitation


class LinkState(StrEnum):
    """What a link is worth."""

    OPEN = "open"
    REPLACED = "replaced"
    EXPIRED = "expired"
    USED = "used"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Link:
    """What a page may say of a link: nothing of the customer, the contract, the recipient. `locale` and `timezone` are
    empty for an unknown one; `until` is when an open one ends or an expired one ended, `replaced_on` when the mail that
    replaces it was sent."""

    state: LinkState
    locale: str = ""
    timezone: str = ""
    until: datetime | None = None
    replaced_on: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    link: Link
    invitation: InvitationRecord | None = None
    contract: ContractRecord | None = None


def open_link(portal: Portal, token: str, now: datetime) -> Link:
    """What the link in a mail is worth now. Changes nothing."""
    with portal.database.read() as session:
        return _find(session, token, portal.post.key, now).link


def _find(session: Session, token: str, key: bytes, now: datetime) -> _Found:
    """A row is looked for and a comparison made whatever was asked, so that the time tells nothing."""
    row = credentials.row_of(token) or 0
    found = invitations.record(session, row)
    contract = contracts.one(session, found.contract_id) if found else None
    genuine = credentials.fits(token, row, found.generation if found else 1, key)
    if found is None or contract is None or not genuine:
        return _Found(Link(LinkState.UNKNOWN))
    link = Link(_state(found, now), found.locale, contract.timezone, found.expires_at, found.replaced_on)
    return _Found(link, found, contract)


def _state(found: InvitationRecord, now: datetime) -> LinkState:
    if rules.open_at(found.state, found.expires_at, now):
        return LinkState.OPEN
    ended = {
        rules.State.REPLACED: LinkState.REPLACED,
        rules.State.ACCEPTED: LinkState.USED,
        rules.State.REVOKED: LinkState.REVOKED,
    }
    return ended.get(found.state, LinkState.EXPIRED)


# Asking for a code


@dataclass(frozen=True, slots=True)
class Asked:
    """What may be said of a code that was asked for: `again_at` is set where it was one too many. Whether a mail goes
    depends on whose address it was, and nobody is told."""

    again_at: datetime | None = None


class NotAnAddress(StrEnum):
    """What was typed as an address is none."""

    TYPED = "not_an_address"


def ask_to_accept(
    portal: Portal, token: str, typed: str, browser: str, locale: str, now: datetime
) -> Link | Asked | NotAnAddress:
    """A code for an invitation: mailed to its recipient, and only if his was the address that was typed. So whatever
    opens links and presses buttons by itself causes no mail and uses nobody's attempts up."""
    address = addresses.deliverable(typed)
    with portal.database.write() as session:
        found = _find(session, token, portal.post.key, now)
        if found.invitation is None or found.contract is None or found.link.state is not LinkState.OPEN:
            return found.link
        if address is None:
            return NotAnAddress.TYPED
        wish = _Wish(address, browser, locale, found.invitation.id, found.contract.timezone, found.contract.mailbox)
        return _ask(session, portal, wish, credentials.same(address, found.invitation.recipient), now)


def ask_to_sign_in(portal: Portal, typed: str, browser: str, locale: str, now: datetime) -> Asked | NotAnAddress:
    """A code for somebody who accepted an invitation before; the same answer for everybody else."""
    address = addresses.deliverable(typed)
    if address is None:
        return NotAnAddress.TYPED
    with portal.database.write() as session:
        groups = doors.groups(session, address)
        contract = _newest(session, groups[0]) if groups else None
        timezone = contract.timezone if contract else _zone(portal)
        mailbox = contract.mailbox if contract else portal.mailbox.name
        wish = _Wish(address, browser, locale, None, timezone, mailbox)
        return _ask(session, portal, wish, bool(groups), now)


@dataclass(frozen=True, slots=True)
class _Wish:
    address: str
    browser: str
    locale: str
    invitation_id: int | None
    timezone: str
    mailbox: str


def _ask(session: Session, portal: Portal, wish: _Wish, known: bool, now: datetime) -> Asked:
    doors.forget(session, now)
    earlier = doors.asked(session, wish.address, wish.invitation_id, now - sign_in.HOUR)
    again_at = sign_in.again_at(earlier, now)
    if again_at is not None:
        return Asked(again_at)
    code = doors.put_code(
        session,
        address=wish.address,
        invitation_id=wish.invitation_id,
        browser=credentials.digest(wish.browser),
        locale=wish.locale,
        timezone=wish.timezone,
        now=now,
    )
    inviting.owe_code(session, portal.post, code, _address(portal, wish.mailbox), known, now)
    if known:
        log.event("owed", log_id=f"code.{code.id}", notice="sign_in_code", invitation=wish.invitation_id)
    return Asked()


def asked_here(portal: Portal, token: str, browser: str, now: datetime) -> str:
    """The address that was typed in this browser for the code that it waits for; empty where it waits for none.
    `token` is an invitation's link, empty for signing in."""
    with portal.database.read() as session:
        found = _find(session, token, portal.post.key, now) if token else None
        if found is not None and found.invitation is None:
            return ""
        row = found.invitation.id if found and found.invitation else None
        return doors.asked_here(session, credentials.digest(browser), row, now)


def _address(portal: Portal, mailbox: str) -> str:
    """A contract's mailbox, or the desk's first where that is configured no more."""
    found = (one for one in portal.settings.mailboxes if one.name == mailbox)
    return next(found, portal.mailbox).address


def _zone(portal: Portal) -> str:
    return portal.settings.policy.regions[portal.mailbox.regions[0]].timezone


# Typing a code


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`cookie` is the browser's from now on; we keep only its hash."""

    cookie: str


def accept(portal: Portal, token: str, typed: str, browser: str, now: datetime) -> Link | Tried | SignedIn:
    """The recipient proves to be himself: the invitation is accepted, he is in, and signed in."""
    with portal.database.write() as session:
        found = _find(session, token, portal.post.key, now)
        if found.invitation is None or found.link.state is not LinkState.OPEN:
            return found.link
        tried, address = _try(session, portal, browser, found.invitation.id, typed, now)
        if tried is not Tried.RIGHT:
            return tried
        if address != found.invitation.recipient:
            return Tried.WRONG
        row = invitations.accept(session, found.invitation.id, now)
        if row is None:  # another browser of his was faster
            return _find(session, token, portal.post.key, now).link
        person = doors.admit(session, row, now)
        signed = _signed_in(session, address, now)
    log.event("accepted", invitation=row.id, contract=contract_number(row.contract_id), access=person.access)
    return signed


def sign_in_with(portal: Portal, typed: str, browser: str, now: datetime) -> Tried | SignedIn:
    """Somebody who was in before comes back."""
    with portal.database.write() as session:
        tried, address = _try(session, portal, browser, None, typed, now)
        if tried is not Tried.RIGHT:
            return tried
        groups = doors.groups(session, address)
        if not groups:  # removed since he asked
            return Tried.NONE
        signed = _signed_in(session, address, now)
    log.event("signed_in", person=groups[0].id)
    return signed


def _try(
    session: Session, portal: Portal, browser: str, invitation_id: int | None, typed: str, now: datetime
) -> tuple[Tried, str]:
    digest, code = credentials.digest(browser), sign_in.digits(typed)
    tried, address = doors.try_code(session, digest, invitation_id, code, portal.post.key, now)
    if tried is not Tried.RIGHT:
        log.event("code_refused", because=tried.value, invitation=invitation_id)
    return tried, address


def _signed_in(session: Session, address: str, now: datetime) -> SignedIn:
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)
    doors.signed_in(session, cookie, address, now)
    return SignedIn(cookie)


def who(portal: Portal, cookie: str, now: datetime) -> str:
    """The address that is signed in with this cookie; empty for nobody, and for somebody who was removed since."""
    with portal.database.read() as session:
        address = doors.who(session, cookie, now)
        return address if address and doors.groups(session, address) else ""


def sign_out(portal: Portal, cookie: str) -> None:
    with portal.database.write() as session:
        doors.sign_out(session, cookie)


# The entitlement at a glance (row C10)


@dataclass(frozen=True, slots=True)
class Account:
    """All that somebody may see."""

    address: str
    entitlements: tuple[Entitlement, ...]


def account(portal: Portal, cookie: str, now: datetime) -> Account | None:
    """What the person at this browser may see; None when nobody is signed in, or was removed since."""
    with portal.database.read() as session:
        address = doors.who(session, cookie, now)
        groups = doors.groups(session, address) if address else []
        catalogue = portal.settings.catalogue
        found = tuple(glance.entitlement(session, group, catalogue, now) for group in groups)
        return Account(address, found) if found else None


# People (rows C5, C15)


@dataclass(frozen=True, slots=True)
class Team:
    """The people of a group, and those who were invited and have not come yet."""

    group: Group
    people: tuple[PersonRecord, ...]
    awaited: tuple[Awaited, ...]


@dataclass(frozen=True, slots=True)
class Teams:
    address: str
    teams: tuple[Team, ...]


class Change(StrEnum):
    """What became of a wish about a person; each has its sentence on the page."""

    INVITED = "invited"
    CHANGED = "changed"
    REMOVED = "removed"
    ALREADY_THERE = "already_there"
    NOT_ALLOWED = "not_allowed"
    NOT_AN_ADDRESS = "not_an_address"
    NOT_A_PERSON = "not_a_person"
    NOT_IN_FORCE = "not_in_force"
    TOO_OFTEN = "too_often"
    LAST_ADMIN = "last_admin"
    NOBODY = "nobody"


DONE = frozenset({Change.INVITED, Change.CHANGED, Change.REMOVED})


def teams(portal: Portal, cookie: str, now: datetime) -> Teams | None:
    """Who else sees what the person at this browser sees; None when nobody is signed in."""
    with portal.database.read() as session:
        address = doors.who(session, cookie, now)
        groups = doors.groups(session, address) if address else []
        if not groups:
            return None
        return Teams(address, tuple(_team(session, group, now) for group in groups))


def _team(session: Session, group: Group, now: datetime) -> Team:
    people = tuple(doors.people(session, group.customer_id, group.site))
    shown = group.access is Access.ADMIN
    awaited = tuple(doors.awaited(session, group.customer_id, group.site, now)) if shown else ()
    return Team(group, people, awaited)


def name(portal: Portal, cookie: str, group_id: int, typed: str, access: Access, locale: str, now: datetime) -> Change:
    """An administrator lets a colleague in, or changes what he may do. The invitation goes to that colleague alone."""
    with portal.database.write() as session:
        actor, group = _administered(session, cookie, group_id, now)
        if group is None:
            return Change.NOT_ALLOWED
        address = addresses.deliverable(typed)
        if address is None:
            return Change.NOT_AN_ADDRESS
        known = doors.locked(session, group.customer_id, group.site)
        person = next((one for one in known if one.address == address), None)
        if person is not None:
            return _changed(session, known, person, access)
        wish = _Named(address, access, actor, locale)
        return _invite(session, portal, group, wish, now)


@dataclass(frozen=True, slots=True)
class _Named:
    address: str
    access: Access
    by: str
    locale: str


def _invite(session: Session, portal: Portal, group: Group, wish: _Named, now: datetime) -> Change:
    found = contracts.of_group(session, group.customer_id, group.site)
    contract = _newest(session, group)
    if not inviting.is_person(session, portal.settings, found, wish.address):
        return Change.NOT_A_PERSON
    if contract is None or contract.state != terms.State.ACTIVE:
        return Change.NOT_IN_FORCE
    day_ago = now - timedelta(days=1)
    before = invitations.latest(session, contract.id, wish.address)
    resent = before is not None and before.state in rules.LIVE
    often = invitations.resends(session, contract.id, wish.address, day_ago) >= rules.RESENDS_A_DAY
    if (resent and often) or doors.named_since(session, group.customer_id, group.site, day_ago) >= NAMED_A_DAY:
        return Change.TOO_OFTEN
    row = inviting.invite(
        session,
        portal.post,
        contract,
        wish.address,
        access=wish.access,
        locale=wish.locale,
        named_by=wish.by,
        resent=resent,
        now=now,
        cause=None,
    )
    log.event("named", invitation=row, contract=contract_number(contract.id), access=wish.access.value)
    return Change.INVITED


def _changed(session: Session, known: list[PersonRecord], person: PersonRecord, access: Access) -> Change:
    if person.access is access:
        return Change.ALREADY_THERE
    if _last_admin(known, person.address):
        return Change.LAST_ADMIN
    doors.change(session, person.id, access)
    log.event("changed", person=person.id, access=access.value)
    return Change.CHANGED


def remove(portal: Portal, cookie: str, group_id: int, typed: str, now: datetime) -> Change:
    """An administrator takes somebody out, or takes an invitation back; one administrator always remains."""
    with portal.database.write() as session:
        _actor, group = _administered(session, cookie, group_id, now)
        if group is None:
            return Change.NOT_ALLOWED
        known = doors.locked(session, group.customer_id, group.site)
        address = addresses.deliverable(typed) or ""
        if _last_admin(known, address):
            return Change.LAST_ADMIN
        if not doors.remove(session, group.customer_id, group.site, address, now):
            return Change.NOBODY
    log.event("removed", person=next((one.id for one in known if one.address == address), None), by=group.id)
    return Change.REMOVED


def _last_admin(known: list[PersonRecord], address: str) -> bool:
    return [one.address for one in known if one.access is Access.ADMIN] == [address]


def _administered(session: Session, cookie: str, group_id: int, now: datetime) -> tuple[str, Group | None]:
    """Who asks, and the group if he may change it. `group_id` is his own row among its people."""
    address = doors.who(session, cookie, now)
    groups = doors.groups(session, address) if address else []
    allowed = (group for group in groups if group.id == group_id and group.access is Access.ADMIN)
    return address, next(allowed, None)


def _newest(session: Session, group: Group) -> Contract | None:
    """The contract by which somebody is invited or written to: the newest that is active, else the newest."""
    found = contracts.of_group(session, group.customer_id, group.site)
    active = [one for one in found if one.state is terms.State.ACTIVE] or found
    return session.get(Contract, active[-1].id) if active else None
