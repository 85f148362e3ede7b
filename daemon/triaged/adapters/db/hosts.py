"""Which daemons live: each beats every few seconds, and whoever is silent for too long is dead (DESIGN §4.3)."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.models import Host

SILENCE = timedelta(seconds=30)


def beat(session: Session, owner: str, name: str, pid: int, now: datetime, status: dict[str, Any]) -> None:
    """I live; `status` is what `triaged status` shows of me."""
    row = session.get(Host, owner)
    if row is None:
        session.add(Host(id=owner, name=name, pid=pid, started_at=now, beat_at=now, status=status))
    else:
        row.beat_at, row.status = now, status


def leave(session: Session, owner: str) -> None:
    """A graceful end: nothing of mine is left to take over."""
    session.execute(sqlalchemy.delete(Host).where(Host.id == owner))


def alive(session: Session, now: datetime) -> frozenset[str]:
    """Owners with a heartbeat."""
    return frozenset(session.scalars(sqlalchemy.select(Host.id).where(Host.beat_at > now - SILENCE)))


def bury(session: Session, now: datetime) -> tuple[str, ...]:
    """Forget the dead and name them."""
    dead = tuple(session.scalars(sqlalchemy.select(Host.id).where(Host.beat_at <= now - SILENCE)))
    session.execute(sqlalchemy.delete(Host).where(Host.id.in_(dead)))
    return dead


def listed(session: Session) -> list[Host]:
    return list(session.scalars(sqlalchemy.select(Host).order_by(Host.started_at)))


def only(session: Session, owner: str) -> None:
    """We hold the lock that only one may hold: all others are dead, however short ago they beat."""
    session.execute(sqlalchemy.delete(Host).where(Host.id != owner))
