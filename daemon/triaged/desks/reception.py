"""Which desk reads a mail: that of its mailbox. The daemon, `explain` and `replay` all come through here."""

from triaged.adapters.db.engine import Session
from triaged.desks import contracts, support
from triaged.desks.case import Desk, Mail
from triaged.desks.contracts import Considered


def consider(mail: Mail, desk: Desk, session: Session) -> Considered:
    """The decision on one mail; nothing is stored."""
    if mail.mailbox.desk == "contracts":
        return contracts.consider(mail, desk, session)
    return Considered(support.consider(mail, desk, session))
