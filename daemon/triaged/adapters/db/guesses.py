"""Who tries ids until one fits: the answers stay the same, but an operator hears of it (DESIGN §5)."""

from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db import alarms
from triaged.adapters.db.models import MessageRow

MOST = 5  # different ids and addresses in a day that belong to nobody we know
_DAY = timedelta(days=1)
_LOOKED_AT = 50  # of a sender's mails, the newest: a flood must not make each mail cost more than the one before


def watch(session: Session, sender: str, now: datetime) -> None:
    """Raise an alarm, once a day, when `sender` has named too many customers that nobody has."""
    newest = sqlalchemy.select(MessageRow.receipt, MessageRow.decided_at).where(MessageRow.sender == sender)
    rows = session.execute(newest.order_by(MessageRow.id.desc()).limit(_LOOKED_AT))
    receipts = [receipt for receipt, at in rows if receipt and at is not None and at > now - _DAY]
    unknown = {value for receipt in receipts for value in receipt.get("unknown", ())}
    if len(unknown) > MOST:
        text = (
            f"{sender} named {len(unknown)} customers that nobody has within a day: is he guessing? His mails: "
            "`triaged message list`; his registration: `triaged partner list`"
        )
        alarms.ring(session, f"guess:{sender}", text, now, rest=_DAY)
