"""What the contracts desk's tables must say together: orders, contracts, licences, confirmations, invitations.

The second half of `conservation`: read only, page by page.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.contract_models import (
    Contract,
    EstateEntry,
    Invitation,
    PurchaseOrder,
    contract_number,
    order_number,
)
from triaged.adapters.db.models import Outbox
from triaged.domain import contract, invitation
from triaged.domain.accounting import Check, Difference, Page
from triaged.domain.estate import Kind
from triaged.domain.notices import NoticeName
from triaged.domain.order import State

PAGE = 500

_RESTORE = "Restore the database from a backup taken before, or mend it by hand"


def orders(session: Session, _on: object, after: int) -> Page:
    """An accepted order has a contract for each position, a confirmation and an invitation; no other has any."""
    columns = (PurchaseOrder.id, PurchaseOrder.state, PurchaseOrder.draft, PurchaseOrder.message_id)
    query = sqlalchemy.select(*columns).where(PurchaseOrder.id > after).order_by(PurchaseOrder.id).limit(PAGE)
    rows = session.execute(query).all()
    ids = [row.id for row in rows]
    made = _counted(session, Contract.order_id, sqlalchemy.true(), ids)
    confirmed = _counted(session, Contract.order_id, Outbox.notice == NoticeName.ORDER_CONFIRMED, ids, Outbox)
    invited = _counted(session, Contract.order_id, sqlalchemy.true(), ids, Invitation)
    found = [one for row in rows for one in _order(row, made[row.id], confirmed[row.id], invited[row.id])]
    return _page(rows, found)


def _counted(session: Session, key: Any, where: Any, ids: Collection[int], about: Any = None) -> Counter[int]:
    """How many contracts an order has, or how many rows of `about` its contracts have."""
    query = sqlalchemy.select(key, sqlalchemy.func.count()).where(key.in_(ids), where).group_by(key)
    query = query.join(about, about.contract_id == Contract.id) if about else query
    return Counter(dict(session.execute(query).all()))


def _order(row: Any, made: int, confirmed: int, invited: int) -> Iterator[Difference]:
    number, wanted = order_number(row.id), len(row.draft.get("lines", ())) if row.state == State.ACCEPTED else 0

    def differs(text: str) -> Difference:
        fix = f"See `triaged order show {number}`. {_RESTORE}"
        return Difference(Check.CONTRACTS, f"order {number} {text}", fix, message=row.message_id, about=number)

    if made != wanted:
        yield differs(f"is {row.state}, has {wanted} positions to carry out and {made} contracts")
    if wanted and made and not confirmed:
        yield differs("is accepted, and no confirmation of it is in the queue")
    if wanted and made and not invited:
        yield differs("is accepted, and nobody was invited")


def contracts(session: Session, _on: object, after: int) -> Page:
    """A contract's licences came in once, and are out again exactly where it was cancelled."""
    columns = (Contract.id, Contract.state, Contract.licences)
    query = sqlalchemy.select(*columns).where(Contract.id > after).order_by(Contract.id).limit(PAGE)
    rows = session.execute(query).all()
    kinds = (Kind.PURCHASED, Kind.CANCELLED, Kind.RESTORED)
    entered = sqlalchemy.select(EstateEntry.contract_id, EstateEntry.kind, EstateEntry.quantity).where(
        EstateEntry.contract_id.in_([row.id for row in rows]), EstateEntry.kind.in_(kinds)
    )
    entries: dict[int | None, list[Any]] = {}
    for one in session.execute(entered):
        entries.setdefault(one.contract_id, []).append(one)
    return _page(rows, [one for row in rows for one in _licences(row, entries.get(row.id, []))])


def _licences(row: Any, entries: Collection[Any]) -> Iterator[Difference]:
    number, kinds = contract_number(row.id), Counter(entry.kind for entry in entries)

    def differs(text: str) -> Difference:
        fix = f"See `triaged contract show {number}`. {_RESTORE}"
        return Difference(Check.CONTRACTS, f"contract {number} {text}", fix, about=number)

    came = [entry.quantity for entry in entries if entry.kind == Kind.PURCHASED]
    if came != [row.licences]:
        told = " + ".join(str(quantity) for quantity in came) or "no"
        yield differs(f"is for {row.licences} licences, and the estate's ledger has {told} of it")
    out = kinds[Kind.CANCELLED] - kinds[Kind.RESTORED]
    if out != (row.state == contract.State.CANCELLED):
        yield differs(f"is {row.state}; the estate's ledger has {out} cancellations of it that stand")


def invitations(session: Session, _on: object, after: int) -> Page:
    """Each invitation that is owed or sent has its mail in the queue; one that was sent says when."""
    columns = (Invitation.id, Invitation.state, Invitation.recipient, Invitation.sent_at)
    query = sqlalchemy.select(*columns).where(Invitation.id > after).order_by(Invitation.id).limit(PAGE)
    rows = session.execute(query).all()
    seals = {f"invitation:{row.id}" for row in rows}
    sealed = set(session.scalars(sqlalchemy.select(Outbox.seal).where(Outbox.seal.in_(seals))))
    return _page(rows, [one for row in rows for one in _invitation(row, f"invitation:{row.id}" in sealed)])


def _invitation(row: Any, has_mail: bool) -> Iterator[Difference]:
    def differs(text: str) -> Difference:
        told = f"invitation {row.id} for {row.recipient} {text}"
        return Difference(Check.CONTRACTS, told, f"triaged invite resend {row.id}", about=f"invitation {row.id}")

    if row.state in invitation.LIVE and not has_mail:
        yield differs(f"is {row.state}, and the queue has no mail of it")
    if row.state == invitation.State.SENT and row.sent_at is None:
        yield differs("was sent and does not say when")


def _page(rows: Collection[Any], found: Collection[Difference]) -> Page:
    last = [row.id for row in rows][-1] if len(rows) == PAGE else None
    return Page(last, {Check.CONTRACTS: len(rows)}, tuple(found))
