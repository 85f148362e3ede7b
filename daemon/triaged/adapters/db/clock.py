"""The database's clock: hosts whose own clocks differ agree on it who lives, whose lease ran out and what is due."""

from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db.models import UtcDateTime


def moment(session: Session, ahead: timedelta = timedelta()) -> ColumnElement[datetime]:
    """The database's time, `ahead` of it where given, as an expression: on PostgreSQL that of the statement, not of
    the transaction's begin."""
    if session.get_bind().dialect.name == "sqlite":
        shift = f"{ahead.total_seconds():+.3f} seconds"
        return sqlalchemy.func.strftime("%Y-%m-%d %H:%M:%f000", "now", shift, type_=UtcDateTime())
    now = sqlalchemy.func.clock_timestamp(type_=UtcDateTime())
    return sqlalchemy.type_coerce(now + sqlalchemy.literal(ahead, sqlalchemy.Interval()), UtcDateTime())


def now(session: Session) -> datetime:
    """The database's time."""
    told: datetime = session.scalars(sqlalchemy.select(moment(session))).one()
    return told
