"""Service contracts and who their parties are. What is written here is written in the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import engine
from triaged.adapters.db.contract_models import Contract as ContractRow
from triaged.adapters.db.contract_models import Customer, Invitation, Person, contract_number, row_id
from triaged.domain import contract as rules
from triaged.domain import invitation as invitation_rules
from triaged.domain.contract import State
from triaged.domain.errors import PermanentError
from triaged.domain.invitation import Access
from triaged.domain.order import Order, Party, Position, Role


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """A contract as everybody but the database sees it; times aware UTC, days the customer's."""

    id: int
    order_id: int
    state: State
    service: str
    sku: str
    years: int
    licences: int
    customer_id: int
    customer: str  # the customer's name
    site: str
    po_number: str
    placed_by: str
    customer_party: Party
    reseller: Party
    distributor: Party
    country: str
    timezone: str
    locale: str
    order_locale: str
    mailbox: str
    purchased_at: datetime
    starts: date | None
    ends: date | None
    cancellable_until: date
    cancelled_at: datetime | None

    @property
    def number(self) -> str:
        return contract_number(self.id)

    def party(self, role: Role) -> Party:
        return {Role.CUSTOMER: self.customer_party, Role.RESELLER: self.reseller, Role.DISTRIBUTOR: self.distributor}[
            role
        ]

    def document(self) -> dict[str, Any]:
        """INTERFACE §4 `contract list --json`, and what else a person may want."""
        return {
            "number": self.number,
            "service": self.service,
            "sku": self.sku,
            "licences": self.licences,
            "starts": self.starts,
            "ends": self.ends,
            "customer": self.customer,
            "reseller": self.reseller.name,
            "distributor": self.distributor.name,
            "po_number": self.po_number,
            "state": self.state.value,
            "purchased_at": self.purchased_at,
            "cancellable_until": self.cancellable_until,
            "years": self.years,
            "site": self.site or None,
            "customer_email": self.customer_party.email,
            "reseller_email": self.reseller.email,
            "distributor_email": self.distributor.email,
            "placed_by": self.placed_by,
            "country": self.country or None,
            "cancelled_at": self.cancelled_at,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What the books add to a position: group, calendar, languages, days."""

    customer_id: int
    site: str
    country: str
    timezone: str
    locale: str
    order_locale: str
    mailbox: str
    placed_by: str
    purchased_at: datetime
    created_at: datetime
    term: rules.Term
    cancellable_until: date


def make(
    session: Session, order_id: int, number: int, order: Order, position: Position, terms: Terms
) -> ContractRecord:
    """The contract of one position of an accepted order."""
    row = ContractRow(
        order_id=order_id,
        position=number,
        service=position.service.value,
        sku=position.sku,
        years=position.years,
        licences=position.licences,
        customer_id=terms.customer_id,
        site=terms.site,
        po_number=order.po_number,
        placed_by=terms.placed_by,
        customer_contact=order.customer.name,
        customer_email=order.customer.email,
        customer_address=order.customer.address,
        reseller_name=order.reseller.name,
        reseller_email=order.reseller.email,
        reseller_address=order.reseller.address,
        distributor_name=order.distributor.name,
        distributor_email=order.distributor.email,
        distributor_address=order.distributor.address,
        country=terms.country or None,
        timezone=terms.timezone,
        locale=terms.locale,
        order_locale=terms.order_locale,
        mailbox=terms.mailbox,
        purchased_at=terms.purchased_at,
        created_at=terms.created_at,
        starts=terms.term.starts,
        ends=terms.term.ends,
        cancellable_until=terms.cancellable_until,
    )
    session.add(row)
    session.flush()
    return record(session, row)


def cancel(session: Session, contract_id: int, by: str, now: datetime) -> ContractRow:
    """Raises PermanentError where it is not active."""
    row = locked(session, contract_id)
    _move(row, State.CANCELLED)
    row.cancelled_at, row.cancelled_by = now, by
    return row


def restore(session: Session, contract_id: int) -> ContractRow:
    """Raises PermanentError where it is not cancelled."""
    row = locked(session, contract_id)
    _move(row, State.ACTIVE)
    row.cancelled_at, row.cancelled_by = None, None
    return row


def expire(session: Session, today: date) -> tuple[str, ...]:
    """Contracts whose last day is over everywhere on earth; returns their numbers."""
    late = sqlalchemy.select(ContractRow).where(ContractRow.state == State.ACTIVE, ContractRow.ends < today)
    rows = list(session.scalars(late.with_for_update(skip_locked=True)))
    for row in rows:
        _move(row, State.EXPIRED)
    return tuple(contract_number(row.id) for row in rows)


def unstarted(session: Session) -> list[ContractRow]:
    """Active contracts whose term has not begun (TermStart.FIRST_ASSIGNMENT)."""
    query = sqlalchemy.select(ContractRow).where(ContractRow.state == State.ACTIVE, ContractRow.starts.is_(None))
    return list(session.scalars(query.with_for_update(skip_locked=True)))


def locked(session: Session, contract_id: int) -> ContractRow:
    row = session.get(ContractRow, contract_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise PermanentError(f"there is no contract {contract_number(contract_id)}: see `triaged contract list`")
    return row


def numbered(session: Session, number: str) -> ContractRow:
    """The row of `SC-000012`. Raises PermanentError where there is none."""
    found = row_id(number, "SC")
    row = session.get(ContractRow, found, with_for_update=True, populate_existing=True) if found is not None else None
    if row is None:
        raise PermanentError(f"there is no contract {number}: see `triaged contract list`")
    return row


def _move(row: ContractRow, wanted: State) -> None:
    if wanted not in rules.TRANSITIONS[State(row.state)]:
        raise PermanentError(f"contract {contract_number(row.id)} is {row.state}: it cannot become {wanted}")
    row.state = wanted.value


# Reading


def one(session: Session, contract_id: int) -> ContractRecord | None:
    row = session.get(ContractRow, contract_id)
    return record(session, row) if row else None


def listed(session: Session, ids: Collection[int] | None = None, state: str = "") -> list[ContractRecord]:
    query = _query()
    if ids is not None:
        query = query.where(ContractRow.id.in_(ids))
    if state:
        query = query.where(ContractRow.state == state)
    return [_record(row, name) for row, name in session.execute(query)]


def of_order(session: Session, order_id: int) -> list[ContractRecord]:
    rows = session.execute(_query().where(ContractRow.order_id == order_id))
    return [_record(row, name) for row, name in rows]


def of_group(session: Session, customer_id: int, site: str) -> list[ContractRecord]:
    """Every contract of a group of contracts (row C9)."""
    where = (ContractRow.customer_id == customer_id, ContractRow.site == site)
    return [_record(row, name) for row, name in session.execute(_query().where(*where))]


def record(session: Session, row: ContractRow) -> ContractRecord:
    name = session.scalar(sqlalchemy.select(Customer.name).where(Customer.id == row.customer_id))
    return _record(row, name or "")


def _query() -> sqlalchemy.Select[ContractRow, str]:
    query = sqlalchemy.select(ContractRow, Customer.name).join(Customer, Customer.id == ContractRow.customer_id)
    return query.order_by(ContractRow.id)


def _record(row: ContractRow, customer: str) -> ContractRecord:
    return ContractRecord(
        id=row.id,
        order_id=row.order_id,
        state=State(row.state),
        service=row.service,
        sku=row.sku,
        years=row.years,
        licences=row.licences,
        customer_id=row.customer_id,
        customer=customer,
        site=row.site,
        po_number=row.po_number,
        placed_by=row.placed_by,
        customer_party=Party(row.customer_contact, row.customer_email, row.customer_address),
        reseller=Party(row.reseller_name, row.reseller_email, row.reseller_address),
        distributor=Party(row.distributor_name, row.distributor_email, row.distributor_address),
        country=row.country or "",
        timezone=row.timezone,
        locale=row.locale,
        order_locale=row.order_locale,
        mailbox=row.mailbox,
        purchased_at=row.purchased_at,
        starts=row.starts,
        ends=row.ends,
        cancellable_until=row.cancellable_until,
        cancelled_at=row.cancelled_at,
    )


# Parties (INTERFACE §4 "Contract verbs")


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is to a contract: `roles` by address or registered domain, `placed` the party that ordered,
    `access` of a person whom the customer named, `invited` whether an invitation went to this very address,
    `accepted` whether it was used, `exact` whether we hold the address itself, not only its organisation's domain."""

    contract: ContractRecord
    roles: frozenset[Role]
    placed: bool
    access: Access | None = None
    invited: bool = False
    accepted: bool = False
    exact: bool = False

    @property
    def only_invited(self) -> bool:
        """Nothing but the recipient of an invitation: he may ask for it again, no more."""
        return not (self.roles or self.placed or self.access)

    @property
    def may_cancel(self) -> bool:
        return Role.CUSTOMER in self.roles or self.placed

    @property
    def may_add(self) -> bool:
        return Role.CUSTOMER in self.roles or self.access is Access.ADMIN


def of_party(session: Session, address: str, partner: str, domains: Collection[str]) -> list[Standing]:
    """Every contract that this sender is a party of: by exact address; for reseller and distributor also by a domain
    that is registered to `partner` in the directory (`domains`: without public mail)."""
    people = _people(session, address)
    invited = _invited(session, address)
    wanted = sqlalchemy.or_(_concerns(address, partner, domains, people), ContractRow.id.in_(invited))
    found = session.execute(_query().where(wanted))
    return [_standing(_record(row, name), address, partner, domains, people, invited) for row, name in found]


def _invited(session: Session, address: str) -> dict[int, Invitation]:
    """The newest invitation of this address to each contract."""
    query = sqlalchemy.select(Invitation).where(Invitation.recipient == address).order_by(Invitation.generation)
    return {row.contract_id: row for row in session.scalars(query)}


def _named(row: Invitation | None) -> Access | None:
    """The access of whom the customer named and nobody revoked, accepted or not."""
    if row is None or not row.named_by or row.state == invitation_rules.State.REVOKED:
        return None
    return Access(row.access)


def _people(session: Session, address: str) -> dict[tuple[int, str], Access]:
    rows = session.scalars(sqlalchemy.select(Person).where(Person.address == address))
    return {(row.customer_id, row.site): Access(row.access) for row in rows}


def _concerns(
    address: str, partner: str, domains: Collection[str], people: Collection[tuple[int, str]]
) -> sqlalchemy.ColumnElement[bool]:
    ours = [ContractRow.customer_email == address, ContractRow.reseller_email == address]
    ours += [ContractRow.distributor_email == address, ContractRow.placed_by == (partner or address)]
    for column in (ContractRow.reseller_email, ContractRow.distributor_email):
        ours += [column.endswith(f"@{domain}", autoescape=True) for domain in domains]
    ours += [sqlalchemy.and_(ContractRow.customer_id == one, ContractRow.site == site) for one, site in people]
    return sqlalchemy.or_(*ours)


def _standing(
    record: ContractRecord,
    address: str,
    partner: str,
    domains: Collection[str],
    people: dict[tuple[int, str], Access],
    invited: dict[int, Invitation],
) -> Standing:
    by_domain = {
        role
        for role in (Role.RESELLER, Role.DISTRIBUTOR)
        if partner and record.party(role).email.rpartition("@")[2] in domains
    }
    exact = {role for role in Role if record.party(role).email == address}
    own = invited.get(record.id)
    access = people.get((record.customer_id, record.site)) or _named(own)
    placed = record.placed_by == (partner or address)
    accepted = own is not None and own.state == invitation_rules.State.ACCEPTED
    held = bool(exact or access or own) or record.placed_by == address
    return Standing(record, frozenset(exact | by_domain), placed, access, own is not None, accepted, held)


def counts(session: Session) -> dict[str, int]:
    """How many stand in each state."""
    return engine.tally(session, ContractRow.state)
