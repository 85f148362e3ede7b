"""Who may open the pages: one-time codes, the people of a group of contracts, signed-in browsers.

Neither a code nor a cookie rests here: codes are HMACs of their row, cookies are kept as SHA-256 (domain.credentials).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db import invitations
from triaged.adapters.db.contract_models import Contract, Customer, Invitation, Person, SignIn, SignInCode
from triaged.domain import credentials, sign_in
from triaged.domain import invitation as rules
from triaged.domain.invitation import Access
from triaged.domain.sign_in import Tried

# One-time codes


def asked(session: Session, address: str, invitation_id: int | None, since: datetime) -> list[datetime]:
    """When codes for this address were asked for. Nobody else counts or asks until this transaction ends."""
    _alone(session, address)
    query = sqlalchemy.select(SignInCode.created_at).where(SignInCode.address == address, _for(invitation_id))
    return list(session.scalars(query.where(SignInCode.created_at > since)))


def put_code(
    session: Session,
    *,
    address: str,
    invitation_id: int | None,
    browser: str,
    locale: str,
    timezone: str,
    now: datetime,
) -> SignInCode:
    """A new code, bound to this browser; the ones before it are worth nothing any more."""
    row = SignInCode(
        nonce=secrets.token_hex(16),
        address=address,
        invitation_id=invitation_id,
        browser=browser,
        locale=locale,
        timezone=timezone,
        created_at=now,
        expires_at=now + sign_in.CODE_VALID,
    )
    session.add(row)
    session.flush()
    return row


def asked_here(session: Session, browser: str, invitation_id: int | None, now: datetime) -> str:
    """The address for which this browser asked for its newest code, while that code may still be typed; else empty."""
    row = session.scalar(_newest(browser, invitation_id))
    return row.address if row is not None and row.used_at is None and now <= row.expires_at else ""


def try_code(
    session: Session, browser: str, invitation_id: int | None, typed: str, key: bytes, now: datetime
) -> tuple[Tried, str]:
    """Compare with this browser's newest code; every try is counted. With RIGHT comes the address that it proves."""
    row = session.scalar(_newest(browser, invitation_id).with_for_update().execution_options(populate_existing=True))
    if row is None or row.used_at is not None:
        return Tried.NONE, ""
    if row.tries >= sign_in.TRIES:
        return Tried.DEAD, ""
    if now > row.expires_at:
        return Tried.LATE, ""
    row.tries += 1
    if not credentials.same(typed, credentials.code(row.id, row.nonce, key)):
        return (Tried.DEAD if row.tries >= sign_in.TRIES else Tried.WRONG), ""
    row.used_at = now
    return Tried.RIGHT, row.address


def forget(session: Session, now: datetime) -> None:
    """Codes and sign-ins that ended long ago."""
    for table in (SignInCode, SignIn):
        session.execute(sqlalchemy.delete(table).where(table.expires_at < now - sign_in.KEPT))


def _newest(browser: str, invitation_id: int | None) -> sqlalchemy.Select[SignInCode]:
    query = sqlalchemy.select(SignInCode).where(SignInCode.browser == browser, _for(invitation_id))
    return query.order_by(SignInCode.id.desc()).limit(1)


def _for(invitation_id: int | None) -> ColumnElement[bool]:
    """Codes of this invitation, or those for signing in."""
    return SignInCode.invitation_id == invitation_id  # SQLAlchemy writes IS NULL for None


def _alone(session: Session, text: str) -> None:
    """On PostgreSQL, hold a lock of this name until the end of the transaction; SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        name = int.from_bytes(bytes.fromhex(credentials.digest(text))[:8], "big", signed=True)
        session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(name)))


# People


@dataclass(frozen=True, slots=True)
class Group:
    """Contracts that are seen together, and what somebody may do there; `site` is empty for the global account.

    `id` is his own row among the people: it names the group in a form, and proves that he belongs there."""

    id: int
    customer_id: int
    customer: str
    site: str
    access: Access


@dataclass(frozen=True, slots=True)
class PersonRecord:
    id: int
    customer_id: int
    site: str
    address: str
    access: Access
    since: datetime
    named_by: str


def groups(session: Session, address: str) -> list[Group]:
    """What this person may see, by customer's name, the global account first."""
    query = sqlalchemy.select(Person, Customer.name).join(Customer, Customer.id == Person.customer_id)
    found = session.execute(query.where(Person.address == address).order_by(Customer.name, Person.site))
    return [Group(person.id, person.customer_id, name, person.site, Access(person.access)) for person, name in found]


def locked(session: Session, customer_id: int, site: str) -> list[PersonRecord]:
    """The people of a group, nobody else's to change until the transaction ends: one administrator must remain."""
    _alone(session, f"people of {customer_id} {site}")
    return people(session, customer_id, site)


def people(session: Session, customer_id: int, site: str) -> list[PersonRecord]:
    """Administrators first."""
    query = sqlalchemy.select(Person).where(Person.customer_id == customer_id, Person.site == site)
    return [_person(row) for row in session.scalars(query.order_by(Person.access, Person.address))]


def admit(session: Session, invitation: Invitation, now: datetime) -> Person:
    """The recipient of an accepted invitation may come in from now on. A reader may rise, never the other way."""
    contract = session.get_one(Contract, invitation.contract_id)
    query = sqlalchemy.select(Person).where(
        Person.customer_id == contract.customer_id,
        Person.site == contract.site,
        Person.address == invitation.recipient,
    )
    row = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        row = Person(
            customer_id=contract.customer_id,
            site=contract.site,
            address=invitation.recipient,
            access=invitation.access,
            since=now,
            named_by=invitation.named_by,
            contract_id=contract.id,
        )
        session.add(row)
    elif Access(invitation.access) is Access.ADMIN:
        row.access = Access.ADMIN.value
    session.flush()
    return row


def change(session: Session, person_id: int, access: Access) -> None:
    """What he may do from now on."""
    session.get_one(Person, person_id, with_for_update=True, populate_existing=True).access = access.value


def remove(
    session: Session,
    customer_id: int,
    site: str,
    address: str,
    now: datetime,
    because: str = "removed by the customer",
) -> bool:
    """They see nothing of this group any more, and no invitation to it lets them in again. False: nobody was there."""
    query = sqlalchemy.select(Person).where(
        Person.customer_id == customer_id, Person.site == site, Person.address == address
    )
    row = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is not None:
        session.delete(row)
    ended = invitations.revoke(session, _letting_in(session, customer_id, site, address), because, now)
    return row is not None or bool(ended)


def named(session: Session, customer_id: int, site: str, address: str) -> set[str]:
    """Everybody who was let into a group by this address, or by somebody whom it let in."""
    chain = {address}
    mine = sqlalchemy.select(Contract.id).where(Contract.customer_id == customer_id, Contract.site == site)
    while True:
        people = sqlalchemy.select(Person.address).where(
            Person.customer_id == customer_id, Person.site == site, Person.named_by.in_(chain)
        )
        invited = sqlalchemy.select(Invitation.recipient).where(
            Invitation.contract_id.in_(mine), Invitation.named_by.in_(chain)
        )
        more = {*session.scalars(people), *session.scalars(invited)} - chain
        if not more:
            return chain - {address}
        chain |= more


def _letting_in(session: Session, customer_id: int, site: str, address: str) -> Sequence[int]:
    query = sqlalchemy.select(Invitation.id).join(Contract, Contract.id == Invitation.contract_id)
    states = (*rules.LIVE, rules.State.ACCEPTED, rules.State.EXPIRED)
    where = (Contract.customer_id == customer_id, Contract.site == site, Invitation.recipient == address)
    return list(session.scalars(query.where(*where, Invitation.state.in_(states))))


def named_since(session: Session, customer_id: int, site: str, since: datetime) -> int:
    """How many invitations people of this group have caused since then."""
    query = sqlalchemy.select(sqlalchemy.func.count()).select_from(Invitation)
    query = query.join(Contract, Contract.id == Invitation.contract_id)
    where = (Contract.customer_id == customer_id, Contract.site == site, Invitation.named_by.is_not(None))
    return session.scalar(query.where(*where, Invitation.created_at > since)) or 0


@dataclass(frozen=True, slots=True)
class Awaited:
    """Somebody who was invited and has not come yet."""

    address: str
    access: Access
    since: datetime


def awaited(session: Session, customer_id: int, site: str, now: datetime) -> list[Awaited]:
    """Open invitations to a group, one per person, by address."""
    query = sqlalchemy.select(Invitation).join(Contract, Contract.id == Invitation.contract_id)
    where = (Contract.customer_id == customer_id, Contract.site == site, Invitation.state.in_(rules.LIVE))
    rows = session.scalars(query.where(*where).order_by(Invitation.recipient, Invitation.id))
    found = {row.recipient: row for row in rows if rules.open_at(rules.State(row.state), row.expires_at, now)}
    known = {person.address for person in people(session, customer_id, site)}
    return [
        Awaited(row.recipient, Access(row.access), row.sent_at or row.created_at)
        for row in found.values()
        if row.recipient not in known
    ]


def _person(row: Person) -> PersonRecord:
    return PersonRecord(
        row.id, row.customer_id, row.site, row.address, Access(row.access), row.since, row.named_by or ""
    )


# Signed-in browsers


def signed_in(session: Session, cookie: str, address: str, now: datetime) -> None:
    session.add(
        SignIn(token=credentials.digest(cookie), address=address, since=now, expires_at=now + sign_in.SIGNED_IN)
    )
    session.flush()


def who(session: Session, cookie: str, now: datetime) -> str:
    """The address behind a browser's cookie; empty when nobody is signed in there."""
    row = session.get(SignIn, credentials.digest(cookie)) if cookie else None
    return row.address if row is not None and now <= row.expires_at else ""


def sign_out(session: Session, cookie: str) -> None:
    session.execute(sqlalchemy.delete(SignIn).where(SignIn.token == credentials.digest(cookie)))
