"""Which daemons live: each beats every few seconds by the database's clock, and whoever is silent for too long is dead
(DESIGN §4.3)."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db import clock
from triaged.adapters.db.models import Host

SILENCE = timedelta(seconds=30)
ONCE = "once"  # in the status of `run --once`


def beat(session: Session, owner: str, name: str, pid: int, status: dict[str, Any]) -> bool:
    """I live; `status` is what `triaged status` shows of me. False when there was no row of mine: I am new, or was
    taken for dead."""
    at = clock.moment(session)
    statement = sqlalchemy.update(Host).where(Host.id == owner).values(beat_at=at, status=status).returning(Host.id)
    if session.scalar(statement, execution_options={"synchronize_session": False}) is not None:
        return True
    session.execute(
        sqlalchemy.insert(Host).values(id=owner, name=name, pid=pid, started_at=at, beat_at=at, status=status)
    )
    return False


def leave(session: Session, owner: str) -> None:
    """A graceful end: nothing of mine is left to take over."""
    session.execute(sqlalchemy.delete(Host).where(Host.id == owner))


def alive(session: Session) -> frozenset[str]:
    """Owners with a heartbeat."""
    return frozenset(session.scalars(living(session)))


def living(session: Session) -> sqlalchemy.Select[str]:
    """The same, to be asked inside another statement."""
    return sqlalchemy.select(Host.id).where(_lives(session))


def pollers(session: Session) -> frozenset[str]:
    """The living that poll mailboxes for good: not `run --once`, which takes what is free and goes."""
    found = session.execute(sqlalchemy.select(Host.id, Host.status).where(_lives(session)))
    return frozenset(owner for owner, status in found if ONCE not in status)


def bury(session: Session) -> tuple[str, ...]:
    """Forget the dead and name them."""
    statement = sqlalchemy.delete(Host).where(sqlalchemy.not_(_lives(session))).returning(Host.id)
    return tuple(session.scalars(statement, execution_options={"synchronize_session": False}))


def _lives(session: Session) -> ColumnElement[bool]:
    """A beat that lies ahead of the clock is one from before it was set back: its host must beat again."""
    return sqlalchemy.and_(
        Host.beat_at > clock.moment(session, -SILENCE), Host.beat_at < clock.moment(session, SILENCE)
    )


def declare_dead(session: Session, owners: Collection[str]) -> None:
    """Somebody saw that these have died, however short ago they beat."""
    if owners:
        session.execute(sqlalchemy.delete(Host).where(Host.id.in_(owners)))


def listed(session: Session) -> list[Host]:
    return list(session.scalars(sqlalchemy.select(Host).order_by(Host.started_at)))


def only(session: Session, owner: str) -> None:
    """We hold the lock that only one may hold: all others are dead, however short ago they beat."""
    session.execute(sqlalchemy.delete(Host).where(Host.id != owner))
