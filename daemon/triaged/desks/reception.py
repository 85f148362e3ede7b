"""Which desk reads a mail: that of its mailbox. The daemon, `explain` and `replay` all come through here, and
who vouches for a mail that waited."""

from dataclasses import replace
from datetime import datetime

from triaged.adapters.db.contract_models import row_id
from triaged.adapters.db.engine import Session
from triaged.adapters.db.tickets import TicketRecord
from triaged.desks import case, contracts, correspondence, returned, support
from triaged.desks.case import Desk, Mail
from triaged.desks.contracts import Considered
from triaged.desks.correspondence import Cause
from triaged.desks.placing import Books
from triaged.domain import references
from triaged.domain.decision import Decision, Verdict
from triaged.domain.notices import NoticeName
from triaged.domain.trust import Rung
from triaged.mail import mime, reader, senders
from triaged.settings import Mailbox


def read_mail(
    raw: bytes, mailbox: Mailbox, desk: Desk, arrived: datetime, truncated: bool = False, on_file: bool = False
) -> Mail:
    """Bytes to a mail on the desk: read and judged. `on_file`: of a file nobody knows when it came."""
    settings = desk.settings
    limits = replace(mime.LIMITS, message=settings.limits.message)
    message = reader.read(raw, settings.house, limits, truncated)
    trust = senders.Trust(settings.trust.authserv_ids, settings.trust.profile, settings.trust.received_above)
    evidence = (
        () if message.unreadable else references.find(message, settings.vocabulary, settings.policy.service_aliases)
    )
    vouched = senders.authenticate(message, trust, None if on_file else arrived)
    return Mail(message, vouched, arrived, mailbox, truncated, evidence)


def read_heading(raw: bytes, mailbox: Mailbox, desk: Desk, arrived: datetime) -> Mail:
    """Only who wrote and who vouches for him, for a mail of which nothing else can be read."""
    end = min((raw.find(blank) for blank in (b"\r\n\r\n", b"\n\n") if blank in raw), default=len(raw))
    mail = read_mail(raw[: min(end, mime.LIMITS.header)], mailbox, desk, arrived, truncated=True)
    return replace(mail, evidence=())


def consider(mail: Mail, desk: Desk, session: Session) -> Considered:
    """The decision on one mail; nothing is stored."""
    if mail.mailbox.desk == "contracts":
        considered = contracts.consider(mail, desk, session)
    else:
        considered = Considered(support.consider(mail, desk, session))
    return replace(considered, decision=returned.explained(considered.decision, mail, desk, session))


def rung(mail: Mail, desk: Desk, session: Session) -> Rung:
    """Where a mail stands on the ladder of trust, where that is all that is asked (a duplicate)."""
    one = case.look_up(replace(mail, evidence=()), desk, session)
    return contracts.rung(one, session) if mail.mailbox.desk == "contracts" else one.rung


def vouched(mail: Mail, ticket: TicketRecord, desk: Desk, session: Session) -> Considered:
    """The decision that a mail deserves which waited as `ticket` because nobody vouched for its sender, once somebody
    does: for that ticket, or `linked` to it where it is more than a ticket."""
    if mail.mailbox.desk != "contracts":
        return Considered(support.vouched(mail, ticket, desk, session))
    considered = contracts.consider(mail, desk, session)
    decision = considered.decision
    if considered.work is not None:
        return Considered(replace(decision, linked=ticket.number), considered.work)
    if decision.verdict is not Verdict.TICKET:
        return considered
    why = decision.reason
    decision = replace(decision, verdict=Verdict.UPDATE, ticket=ticket.number, ticket_reason=why, reclassifies=True)
    return Considered(replace(decision, linked=""))


def carry_out(books: Books, considered: Considered) -> Decision:
    """Write what the contracts desk decided, and owe its mails; returns the decision with its numbers and subjects."""
    decision = contracts.carry_out(books, considered)
    invited = [notice for notice in decision.notices if notice.name is NoticeName.INVITATION]  # these are owed already
    owed = [notice for notice in decision.notices if notice not in invited]
    told = correspondence.owe(books.session, books.post, owed, "", _about(books.cause, decision), books.now)
    titled = tuple(correspondence.titled(books.post, notice) for notice in invited)
    return replace(decision, notices=told + titled)


def _about(cause: Cause, decision: Decision) -> Cause:
    """What the mails of a decision are about, so that an answer finds it: the order, else its only contract."""
    contract = row_id(decision.contracts[0], "SC") if decision.contracts else None
    number = decision.order or (decision.contracts[0] if len(decision.contracts) == 1 else "")
    asker = decision.sender.address if decision.sender else ""
    return replace(cause, number=number, contract_id=contract, asker=asker)
