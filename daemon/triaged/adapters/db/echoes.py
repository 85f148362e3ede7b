"""Whether a mail answers an answer of ours. A program that marks nothing as automatic is known by that alone, so what
would open a ticket in this way is answered once a day (RFC 3834 §2: an answer must not be answered by a program).
"""

from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy.orm import Session

from triaged.adapters.db.models import Outbox

_WITHIN = timedelta(days=1)
_CONSIDERED = 50  # mails to one address


def subjects_told(session: Session, recipient: str, now: datetime) -> frozenset[str]:
    """Under which subjects we wrote to this address lately."""
    query = sqlalchemy.select(Outbox.subject).where(Outbox.recipient == recipient, Outbox.created_at > now - _WITHIN)
    return frozenset(session.scalars(query.order_by(Outbox.id.desc()).limit(_CONSIDERED)))
