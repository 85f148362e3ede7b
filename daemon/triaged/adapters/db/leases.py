"""Who alone may poll a mailbox or run a job, over all hosts on one database, by the database's clock.

A lease is taken or renewed by one UPDATE; its fence goes up when it changes hands. Whoever was thought dead, or was
stopped, finds out because every transaction of his checks his fence. A row that a transaction has locked is passed
over, so that a host that stopped in the middle of one keeps nobody waiting.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db import clock
from triaged.adapters.db.ledger import insert_if_absent
from triaged.adapters.db.models import Lease
from triaged.domain.errors import TransientError

HOLD = timedelta(seconds=60)

_PLAIN = {"synchronize_session": False}


class Lost(TransientError):
    """Another host took the lease: whatever is being done under it must not be committed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is ours for as long as its row has this owner and this fence."""

    name: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A lease as its row says: `free` when nobody holds it, or its holder let it run out."""

    name: str
    owner: str | None
    fence: int
    free: bool
    done_at: datetime | None


def mailbox(name: str) -> str:
    return f"mailbox:{name}"


def job(name: str) -> str:
    return f"job:{name}"


def make(session: Session, names: Iterable[str], done_at: datetime | None = None) -> None:
    """Rows for leases that have none yet; `done_at` is what a job that never ran is taken to have last ended."""
    until = clock.now(session)
    rows: list[dict[str, object]] = [
        {"name": name, "owner": None, "fence": 0, "until": until, "done_at": done_at} for name in names
    ]
    insert_if_absent(session, Lease, rows)


def take(session: Session, name: str, owner: str, not_done_since: datetime | None = None) -> Held | None:
    """Take a lease that is free, or renew our own; None when another holds it. A job is taken only when it has not
    ended since `not_done_since`: whoever comes second finds it done."""
    where = [Lease.name == name, sqlalchemy.or_(_free(session), Lease.owner == owner)]
    if not_done_since is not None:
        where.append(_not_done(session, not_done_since))
    fence = session.scalar(
        sqlalchemy.update(Lease)
        .where(Lease.name.in_(sqlalchemy.select(Lease.name).where(*where).with_for_update(skip_locked=True)))
        .values(
            owner=owner,
            fence=sqlalchemy.case((Lease.owner == owner, Lease.fence), else_=Lease.fence + 1),
            until=clock.moment(session, HOLD),
        )
        .returning(Lease.fence),
        execution_options=_PLAIN,
    )
    return None if fence is None else Held(name, owner, fence)


def _free(session: Session) -> ColumnElement[bool]:
    """Nobody's, or run out, or further ahead than any lease can be: then the clock was set back."""
    return sqlalchemy.or_(
        Lease.owner.is_(None), Lease.until <= clock.moment(session), Lease.until > clock.moment(session, 2 * HOLD)
    )


def _not_done(session: Session, since: datetime) -> ColumnElement[bool]:
    """Not since then; an end that lies ahead of the clock says only that the clock was set back."""
    return sqlalchemy.or_(Lease.done_at.is_(None), Lease.done_at < since, Lease.done_at > clock.moment(session))


def renew(session: Session, held: Collection[Held]) -> None:
    """Hold these for longer, where they are still ours."""
    if held:
        mine = sqlalchemy.select(Lease.name).where(_ours(held)).with_for_update(skip_locked=True)
        statement = sqlalchemy.update(Lease).where(Lease.name.in_(mine)).values(until=clock.moment(session, HOLD))
        session.execute(statement, execution_options=_PLAIN)


def check(session: Session, held: Held) -> None:
    """Keep a lease ours until this transaction ends. Raises Lost when it is not: the transaction is to be rolled
    back."""
    if session.scalar(sqlalchemy.select(Lease.name).where(_ours([held])).with_for_update()) is None:
        raise Lost(f"{held.name}: another host took it over; what this one had begun is dropped")


def release(session: Session, held: Collection[Held]) -> None:
    """Let go of these at once, where they are still ours."""
    if held:
        _let_go(session, _ours(held))


def leave(session: Session, owner: str) -> None:
    """A graceful end: let go of everything."""
    _let_go(session, Lease.owner == owner)


def finish(session: Session, held: Held) -> None:
    """A job ran to its end: it is due again from now."""
    statement = sqlalchemy.update(Lease).where(_ours([held]))
    values = {"owner": None, "until": clock.moment(session), "done_at": clock.moment(session)}
    session.execute(statement.values(**values), execution_options=_PLAIN)


def orphaned(session: Session, alive: Collection[str]) -> tuple[str, ...]:
    """Free what the dead held; names it."""
    return _let_go(session, sqlalchemy.and_(Lease.owner.is_not(None), Lease.owner.not_in(alive)))


def _let_go(session: Session, where: ColumnElement[bool]) -> tuple[str, ...]:
    statement = sqlalchemy.update(Lease).where(where).values(owner=None, until=clock.moment(session))
    return tuple(sorted(session.scalars(statement.returning(Lease.name), execution_options=_PLAIN)))


def standing(session: Session, names: Collection[str]) -> dict[str, Standing]:
    """How these leases stand, by name."""
    columns = (Lease.name, Lease.owner, Lease.fence, _free(session), Lease.done_at)
    found = session.execute(sqlalchemy.select(*columns).where(Lease.name.in_(names)))
    return {name: Standing(name, owner, fence, bool(free), done) for name, owner, fence, free, done in found}


def _ours(held: Collection[Held]) -> ColumnElement[bool]:
    return sqlalchemy.tuple_(Lease.name, Lease.owner, Lease.fence).in_([(h.name, h.owner, h.fence) for h in held])
