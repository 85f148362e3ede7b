"""What an operator is told once, however often it happens: a flood that says "flood" ten thousand times hides itself.

An alarm is a row with a name; raised again within its rest it says nothing. `status` shows what was raised in a day.
"""

from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from triaged.adapters.db import clock
from triaged.adapters.db.models import Inspection
from triaged.domain import erasure

REST = timedelta(hours=1)
SHOWN = timedelta(days=1)

_PREFIX = "alarm:"


def ring(session: Session, name: str, text: str, now: datetime, rest: timedelta = REST) -> bool:
    """Raise the alarm `name` unless it was raised within `rest`; whether it was. Old ones are forgotten on the way:
    their texts name people."""
    build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = build(Inspection).values(name=f"{_PREFIX}{name}", at=now, problems=[text])
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"at": now, "problems": [text]}, where=Inspection.at <= now - rest
    )
    rung = session.scalar(statement.returning(Inspection.name)) is not None
    if rung:
        session.execute(sqlalchemy.delete(Inspection).where(_ours(), Inspection.at <= now - SHOWN))
    return rung


def since(session: Session, moment: datetime) -> tuple[str, ...]:
    """What was raised at or after `moment`, oldest first."""
    query = sqlalchemy.select(Inspection.problems).where(_ours(), Inspection.at >= moment)
    return tuple(text for texts in session.scalars(query.order_by(Inspection.at, Inspection.name)) for text in texts)


def lately(session: Session) -> tuple[str, ...]:
    """What an operator should still see in `status`."""
    return since(session, clock.now(session) - SHOWN)


def forget(session: Session, address: str) -> None:
    """Alarms that name this address: it is erased."""
    rows = session.scalars(sqlalchemy.select(Inspection).where(_ours())).all()
    for row in rows:
        if erasure.says([row.name, *row.problems], address):
            session.delete(row)


def _ours() -> sqlalchemy.ColumnElement[bool]:
    """A range of the key, not LIKE: it must cost nothing among other rows."""
    return sqlalchemy.and_(Inspection.name >= _PREFIX, Inspection.name < "alarm;")
