"""Customers of service contracts: whose an order is (row C9), which customers are one parent entity (row C12)."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import directory
from triaged.adapters.db.contract_models import Contract, Customer, CustomerDomain
from triaged.domain import customer, postal
from triaged.domain.customer import CustomerRecord, Family, Known
from triaged.domain.customer import Matched as Matched
from triaged.domain.order import Order

_LINE = (Customer.id, Customer.name, Customer.parent, Customer.csm)


def family(session: Session, customer_id: int) -> Family:
    """The parent entity over a customer, with every customer below it. A parent that is no customer still is a root;
    the CSM is the root's own, else this customer's, else that of the eldest member that has one."""
    below = sqlalchemy.or_(Customer.parent.is_not(None), Customer.id == customer_id)
    rows = session.execute(sqlalchemy.select(*_LINE).where(below).order_by(Customer.id)).all()
    own = next(row for row in rows if row.id == customer_id)
    parents = {customer.spelling(row.name): row.parent for row in rows if row.parent}
    top = customer.root(own.name, parents)
    named = session.execute(sqlalchemy.select(*_LINE).where(Customer.folded == customer.name_key(top)))
    roots = [row for row in named if customer.spelling(row.name) == top]
    members = {row.id: row for row in (*roots, *rows) if customer.root(row.name, parents) == top}
    names = [row.name for row in roots] + [parent for parent in parents.values() if customer.spelling(parent) == top]
    csms = [row.csm for row in (*roots, own, *(members[row_id] for row_id in sorted(members))) if row.csm]
    return Family(names[0] if names else own.name, tuple(sorted(members)), csms[0] if csms else "")


# Whose an order is


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an order's contracts go. `name` is what mails may say; `note` is for an operator; `made`: the customer is
    new. Empty: not known."""

    customer_id: int
    site: str
    name: str
    csm: str
    locale: str
    country: str
    note: str
    made: bool


def match(session: Session, placed: Order, public: Collection[str], country_of: postal.CountryOf) -> Matched:
    """Whose this order is or would be; nothing is written. `public`: domains where anybody gets an address;
    `country_of`: the ISO code of a country's name or of the country that an address ends in."""
    parents = session.scalars(sqlalchemy.select(Customer.parent).distinct().where(Customer.parent.is_not(None)))
    return customer.settle(
        placed, _known(session, placed, public), [name for name in parents if name], public, country_of
    )


def place(session: Session, placed: Order, public: Collection[str], country_of: postal.CountryOf) -> Placed:
    """Find or make the customer and the site of an order, in the caller's transaction."""
    found = match(session, placed, public, country_of)
    if found.old != found.record:
        one_after_the_other(session)
        found = match(session, placed, public, country_of)
        row_id = _write(session, found)
    else:
        assert found.customer_id is not None  # only a customer that is there can be as it was
        row_id = found.customer_id
    made = found.customer_id is None
    return Placed(row_id, found.site, found.name, found.csm, found.locale, found.country, found.note, made)


def one_after_the_other(session: Session) -> None:
    """Whoever decides orders in one transaction waits here for whoever does too, before either locks a customer: two
    batches never wait for each other. On SQLite there is one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sqlalchemy.text("LOCK TABLE customer IN SHARE ROW EXCLUSIVE MODE"))


def readdressed(session: Session, customer_id: int, old: str, new: str, public: Collection[str]) -> None:
    """The address of a contract was mended from `old` to `new`: a domain that only the mistake taught is forgotten, so
    that its owner never gets in. Call it once the contract says `new`. What an operator imported stays."""
    row = session.get(Customer, customer_id)
    was, now = old.rpartition("@")[2], new.rpartition("@")[2]
    if row is None or not row.made_by_order or was == now:
        return
    emails = session.scalars(sqlalchemy.select(Contract.customer_email).where(Contract.customer_id == customer_id))
    if was in {email.rpartition("@")[2] for email in emails}:
        return
    own = CustomerDomain.customer_id == customer_id
    session.execute(sqlalchemy.delete(CustomerDomain).where(own, CustomerDomain.domain == was))
    if now not in public and not session.scalar(sqlalchemy.select(CustomerDomain.domain).where(own).limit(1)):
        session.add(CustomerDomain(customer_id=customer_id, domain=now))
        session.flush()


def _known(session: Session, placed: Order, public: Collection[str]) -> list[Known]:
    """The customers that the order could be of: by name, by mail domain, by an earlier contract for its address."""
    email = placed.customer.email
    domain = email.rpartition("@")[2]
    ways = [
        sqlalchemy.select(Customer.id).where(Customer.folded == customer.name_key(placed.customer.name)),
        sqlalchemy.select(Contract.customer_id).where(Contract.customer_email == email),
    ]
    if domain not in public:
        ways.append(sqlalchemy.select(CustomerDomain.customer_id).where(CustomerDomain.domain == domain))
    ids = set(session.scalars(sqlalchemy.union(*ways)))
    emails: dict[int, set[str]] = {row_id: set() for row_id in ids}
    asked = sqlalchemy.select(Contract.customer_id, Contract.customer_email).distinct()
    for row_id, address in session.execute(asked.where(Contract.customer_id.in_(ids))):
        emails[row_id].add(address)
    records = directory.CUSTOMERS.load(session, Customer.id.in_(ids)) if ids else {}
    return [Known(row_id, one, family(session, row_id), frozenset(emails[row_id])) for row_id, one in records.items()]


def _write(session: Session, found: Matched) -> int:
    """The customer as `found` says it; its row."""
    own = directory.CUSTOMERS.own(found.record)
    if found.customer_id is None:
        row = Customer(**own, made_by_order=True)
        session.add(row)
        session.flush()
        row_id = row.id
    else:
        row_id = found.customer_id
        session.execute(sqlalchemy.update(Customer).where(Customer.id == row_id).values(**own))
    learned = set(found.record.domains) - set(found.old.domains if found.old else ())
    session.add_all(CustomerDomain(customer_id=row_id, domain=domain) for domain in sorted(learned))
    session.flush()
    return row_id


# What operators look at


def record(session: Session, name: str) -> tuple[int, CustomerRecord] | None:
    """A customer with its row, by name however it is spelled."""
    found = directory.CUSTOMERS.load(session, Customer.folded == customer.name_key(name))
    spelled = customer.spelling(name)
    return next(((row_id, one) for row_id, one in found.items() if customer.spelling(one.name) == spelled), None)


def accounts(session: Session, customer_id: int) -> dict[str, int]:
    """How many contracts each account of a customer has, by its site; empty is the global account (row C9)."""
    counted = sqlalchemy.select(Contract.site, sqlalchemy.func.count()).where(Contract.customer_id == customer_id)
    return dict(session.execute(counted.group_by(Contract.site).order_by(Contract.site)).all())
