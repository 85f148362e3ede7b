"""What looks over the whole house (`audit`, `integrity`) found last, for `status`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from triaged.adapters.db.models import Inspection

MOST = 200  # problems that are kept; a ledger that was emptied would otherwise be written down here line by line


def store(session: Session, name: str, at: datetime, problems: Sequence[str]) -> None:
    """The result of this look takes the place of the last one; no problems: it was clean."""
    kept = [*problems[:MOST], *([f"… and {len(problems) - MOST} more"] if len(problems) > MOST else [])]
    row = session.get(Inspection, name, with_for_update=True)
    if row is None:
        session.add(Inspection(name=name, at=at, problems=kept))
    else:
        row.at, row.problems = at, kept


def last(session: Session, name: str) -> Inspection | None:
    return session.get(Inspection, name)
