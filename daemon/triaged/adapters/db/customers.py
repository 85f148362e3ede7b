"""Customers of service contracts: whose an order is (row C9), which customers are one parent entity (row C12)."""

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.contract_models import Customer
from triaged.domain import customer
from triaged.domain.customer import Family

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
