"""Erasure: personal data goes when its time is over (policy `retain`), or when a person asks for it.

Rows, hashes and numbers stay: the ledger is whole, `audit` closes, and the same mail again is still a duplicate. What
is still owed or not finished is never erased: it is refused with what to do first.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from triaged import log
from triaged.adapters.db import alarms, erasure, outbox, portal
from triaged.adapters.db.contract_models import order_number
from triaged.adapters.db.engine import Database, Session
from triaged.adapters.db.models import MessageRow, Ticket
from triaged.domain import erasure as rules
from triaged.domain.delivery import State
from triaged.domain.errors import PermanentError
from triaged.domain.order import State as OrderState
from triaged.domain.policy import Policy
from triaged.settings import Mailbox

_AT_ONCE = 200
_COMPACTED = 256 * 1024 * 1024  # bytes: a file this small is written anew in a second or two
_WITHDRAWABLE = (State.QUEUED, State.HELD, State.UNCERTAIN)


# --- by the clock -----------------------------------------------------------------------------------------------------


def purge(
    database: Database, mailboxes: Collection[Mailbox], policy: Policy, key: bytes, now: datetime
) -> Mapping[str, int]:
    """Erase what is past its time: a ticket with its mails `retain` after it was closed, by its region; a mail without
    ticket by the longest of its mailbox's regions. Returns how many of each."""
    keep, longest = _Keep(mailboxes, policy), max(region.retain for region in policy.regions.values())
    with database.read() as session:
        places, regions = erasure.mailboxes(session), erasure.regions(session)
    done = {"tickets": 0, "mails": 0}
    for region in regions:
        before = now - keep.region(region)
        done["tickets"] += _all(database, lambda s, b=before, r=region: _tickets(s, r, b, key))  # type: ignore[misc]  # bound now
    for place in places:
        before = now - keep.mailbox(place)
        done["mails"] += _all(database, lambda s, b=before, p=place: _mails(s, p, b, key))  # type: ignore[misc]  # bound now
    done["orders"] = _all(database, lambda s: _orders(s, now - longest, key))
    done["letters"] = _all(database, lambda s: _letters(s, now - longest, key))
    done["bodies"] = _all(database, lambda s: erasure.bodies_over(s, now - min(rules.BODIES_KEPT, longest), _AT_ONCE))
    with database.write() as session:
        portal.forget(session, now)
    if any(done.values()):
        log.event("purged", what=",".join(f"{number} {name}" for name, number in done.items() if number))
    return done


@dataclass(frozen=True, slots=True)
class _Keep:
    """How long what is kept; what is configured no more counts as the longest."""

    mailboxes: Collection[Mailbox]
    policy: Policy

    def region(self, code: str) -> timedelta:
        region = self.policy.regions.get(code)
        return region.retain if region else max(one.retain for one in self.policy.regions.values())

    def mailbox(self, name: str) -> timedelta:
        served = next((one.regions for one in self.mailboxes if one.name == name), tuple(self.policy.regions))
        return max(self.region(code) for code in served)


def _all(database: Database, step: Callable[[Session], int]) -> int:
    """Page by page, each its own short transaction."""
    total = 0
    while True:
        with database.write() as session:
            done = step(session)
        total += done
        if done < _AT_ONCE:
            return total


def _tickets(session: Session, region: str, before: datetime, key: bytes) -> int:
    ids = erasure.tickets_over(session, region, before, _AT_ONCE)
    erasure.mails(session, erasure.mails_of(session, ids), key)
    erasure.tickets(session, ids, key)
    return len(ids)


def _mails(session: Session, mailbox: str, before: datetime, key: bytes) -> int:
    ids = erasure.mails_over(session, mailbox, before, _AT_ONCE)
    erasure.mails(session, ids, key)
    return len(ids)


def _orders(session: Session, before: datetime, key: bytes) -> int:
    ids = erasure.orders_over(session, before, _AT_ONCE)
    erasure.orders(session, ids, key)
    return len(ids)


def _letters(session: Session, before: datetime, key: bytes) -> int:
    return erasure.letters(session, erasure.these(erasure.letters_over(session, before, _AT_ONCE)), key)


# --- by hand ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be erased: these mails, or all of one person. `withdraw`: what is still owed for it never goes out."""

    mails: tuple[int, ...] = ()
    address: str = ""
    withdraw: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be, or was, erased: mails, the tickets that they opened, what we answered; `kept` names what stays and
    how it goes; `hindrances` what must be done first."""

    mails: tuple[int, ...]
    tickets: tuple[str, ...]
    letters: int
    orders: tuple[str, ...]
    mentions: int
    kept: tuple[str, ...]
    hindrances: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


class _Undone(Exception):
    """Carries a plan out of the transaction that was only tried."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("only tried")
        self.plan = plan


def plan(database: Database, wish: Wish, key: bytes) -> Plan:
    """What `erase` would do, found by doing it and taking it back."""
    try:
        with database.write() as session:
            raise _Undone(_erased(session, wish, key))
    except _Undone as tried:
        return tried.plan


def erase(database: Database, wish: Wish, key: bytes, actor: str, why: str, now: datetime) -> Plan:
    """Erase, and note who did it. Raises PermanentError with everything that must be done first."""
    with database.write() as session:
        done = _erased(session, wish, key)
        if done.hindrances:
            raise PermanentError("nothing was erased:\n" + "\n".join(f"- {one}" for one in done.hindrances))
        said = rules.without(why, wish.address, key) if wish.address else why
        for number in done.mails:
            erasure.record(session, number, "erased", actor, said, now)
    return done


def scrub(database: Database) -> str:
    """What was erased leaves the disk too; returns what is left to do, or empty."""
    small = database.path is not None and database.path.stat().st_size < _COMPACTED
    return erasure.scrub(database, compact=small)


def _erased(session: Session, wish: Wish, key: bytes) -> Plan:
    ids = wish.mails or tuple(erasure.of_sender(session, wish.address))
    rows = erasure.locked(session, ids)
    found = {row.id for row in rows}
    tickets = erasure.tickets_of(session, ids, wish.address)
    hindrances = [f"there is no message {one}: `triaged message list` shows them" for one in ids if one not in found]
    hindrances += [*_undecided(rows), *_open(tickets), *_owed(session, wish, ids, tickets)]
    orders = erasure.orders_of(session, ids, wish.address)
    hindrances += _waiting(orders)
    books = erasure.books(session, wish.address) if wish.address else ()
    kept = (
        *(
            f"{order_number(one)} is accepted: a business record"
            for one, state in orders.items()
            if state == OrderState.ACCEPTED
        ),
        *(f"{one} names this address: a business record" for one in books),
    )
    fresh = tuple(row.id for row in rows if row.state != "erased")
    opened = _theirs(session, wish, fresh, tickets)
    blank = Plan(fresh, tuple(one.number for one in opened), 0, (), 0, kept, tuple(hindrances))
    return blank if hindrances else _carried_out(session, wish, blank, opened, orders, key)


def _carried_out(
    session: Session, wish: Wish, plan: Plan, opened: Collection[Ticket], orders: Mapping[int, str], key: bytes
) -> Plan:
    numbers, gone = [one.id for one in opened], [one for one, state in orders.items() if state != OrderState.ACCEPTED]
    letters = erasure.letters(session, erasure.theirs(plan.mails, numbers, wish.address), key)
    told = erasure.said_of(session, plan.mails)
    erasure.mails(session, plan.mails, key)
    erasure.tickets(session, numbers, key)
    erasure.evidence_from(session, told, key)
    erasure.orders(session, gone, key)
    mentions = erasure.mentions(session, wish.address, key) if wish.address else 0
    if wish.address:
        alarms.forget(session, wish.address)
    return replace(plan, letters=letters, orders=tuple(order_number(one) for one in gone), mentions=mentions)


def _theirs(session: Session, wish: Wish, ids: Collection[int], tickets: Collection[Ticket]) -> list[Ticket]:
    """The tickets that go with these mails: those that they opened, or that the person did."""
    openers, named = erasure.openers(session, [one.id for one in tickets]), frozenset(ids)
    by_mail = {ticket for mail, ticket in openers if mail in named}
    return [one for one in tickets if one.id in by_mail or (wish.address and one.requester.lower() == wish.address)]


# --- what must be done first ------------------------------------------------------------------------------------------


def _undecided(rows: Collection[MessageRow]) -> list[str]:
    return [
        f"message {row.id} is not decided yet: `triaged status` says why" for row in rows if row.state == "received"
    ]


def _open(tickets: Collection[Ticket]) -> list[str]:
    return [
        f"ticket {one.number} is {one.state}: `triaged ticket close {one.number}` first"
        for one in tickets
        if one.state != "closed"
    ]


def _owed(session: Session, wish: Wish, ids: Collection[int], tickets: Collection[Ticket]) -> list[str]:
    """Mails that we still owe; withdrawn instead, where that is wished and they are not on the wire."""
    rows = erasure.owed(session, ids, [one.id for one in tickets], wish.address)
    if wish.withdraw:
        for start in range(0, len(rows), _AT_ONCE):
            outbox.withdraw(session, [row.id for row in rows[start : start + _AT_ONCE]], "what it answers was erased")
        rows = [row for row in rows if row.state not in _WITHDRAWABLE]
    return [
        f"mail {row.id} ({row.notice}) is {row.state}: `triaged queue show {row.id}`; let it go out, or erase with "
        "--withdraw and it never does"
        for row in rows
    ]


def _waiting(orders: Mapping[int, str]) -> list[str]:
    waits = {number: state for number, state in orders.items() if state in (OrderState.REVIEW, OrderState.INCOMPLETE)}
    return [
        f"order {order_number(number)} is {state}: `triaged order reject {order_number(number)} --why ...` first"
        for number, state in waits.items()
    ]
