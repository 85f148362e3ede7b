"""What a delivery report does to the mail that it speaks of (DESIGN §4.4): a bounce opens its duty again.

Anybody can write a report, so it counts only for a mail that we really sent, and only with a proof: our keyed return
path, which nobody but the recipient's side ever sees. Where a mail had none (no `[bounce] mailbox`), its keyed
Message-ID must do, and then the report must not speak of somebody else than the mail's recipient.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from triaged.adapters.db import invitations, returns, tickets
from triaged.adapters.db.engine import Session
from triaged.adapters.db.returns import Sent
from triaged.desks.case import Desk, Mail
from triaged.domain.decision import Decision, Reason, Returned, Step
from triaged.domain.message import Fate, Report, ReportKind
from triaged.mail import reports, threads

_ARRIVED = ("delivered", "relayed", "expanded")
_UNSAID = "the report says no status"


@dataclass(frozen=True, slots=True)
class Matched:
    """A report beside the mail that it speaks of. `why_not` is why it changes nothing; empty where it does."""

    sent: Sent | None
    fate: Fate
    why_not: str = ""

    @property
    def told(self) -> str:
        """For the receipt of the report's own decision."""
        if self.sent is None:
            return self.why_not
        mail = f"mail {self.sent.id} ({self.sent.notice}) to {self.sent.recipient}"
        said = f"{mail}: {self.fate.action or 'nothing certain'} {self.fate.status}".rstrip()
        return f"{said}; changes nothing: {self.why_not}" if self.why_not else said


def match(mail: Mail, desk: Desk, session: Session, *, lock: bool = False) -> Matched:
    """Which mail of ours the report speaks of, and whether it may be believed. Nothing is stored."""
    message, domain = mail.message, desk.settings.service.domain
    report = message.report or Report()
    returned = threads.returned(message, domain, desk.key)
    quoted = report.original_message_id.lower()
    quoted = quoted if threads.is_ours(quoted, domain, desk.key) else ""
    sent = returns.find(session, returned or quoted, lock=lock) if returned or quoted else None
    if sent is None:
        return Matched(None, Fate(), "it names no mail of ours")
    fate = _fate(report, sent)
    return Matched(sent, fate, _why_not(report, fate, sent, returned, quoted, domain))


def _fate(report: Report, sent: Sent) -> Fate:
    """What the report says of this recipient; where it does not name him (he forwards his mail), the worst of all."""
    own = [fate for fate in report.fates if sent.recipient in fate.recipients]
    return reports.worst(own or report.fates)


def _why_not(report: Report, fate: Fate, sent: Sent, returned: str, quoted: str, domain: str) -> str:
    if report.kind is not ReportKind.DELIVERY:
        return "it is not about delivery"
    if returned and quoted and returned != quoted:
        return "it came by the return path of one mail and quotes another"
    if not returned and threads.is_return_path(sent.envelope_from, domain):
        return "it did not come by the mail's return path, and everybody in the thread knows its Message-ID"
    named = [one for told in report.fates for one in told.recipients]
    if not returned and named and sent.recipient not in named:
        return "it speaks of somebody else, and only the Message-ID ties it to this mail"
    return "" if fate.action else "it does not say what became of the mail"


def explained(decision: Decision, mail: Mail, desk: Desk, session: Session) -> Decision:
    """The decision on a report with what it is about; nothing is stored."""
    if decision.reason is not Reason.DELIVERY_REPORT:
        return decision
    return replace(decision, steps=(*decision.steps, Step("match", match(mail, desk, session).told)))


def carry_out(session: Session, decision: Decision, mail: Mail, desk: Desk, report_id: int, now: datetime) -> Decision:
    """Change what the report says, and say so in its decision. Nothing changes where the report is not proved, or is
    about a mail that waits or was withdrawn, or was carried out before."""
    if decision.reason is not Reason.DELIVERY_REPORT:
        return decision
    matched = match(mail, desk, session, lock=True)
    sent, fate = matched.sent, matched.fate
    if sent is None or matched.why_not or not sent.left_us or sent.report_id == report_id:
        return decision
    outcome, fix = "delayed", ""
    if fate.action == "failed":
        outcome, fix = "bounced", _fix(sent)
        _bounced(session, sent, fate.status or _UNSAID, desk, report_id, now)
    elif fate.action in _ARRIVED:
        outcome = "delivered"
        returns.arrived(session, sent, report_id, now)
    else:
        returns.delayed(session, sent, report_id, now)
    about = Returned(outcome, sent.id, sent.log_id, sent.recipient, sent.notice, fate.status, fix)
    return replace(decision, returned=about)


def _fix(sent: Sent) -> str:
    kind, _colon, number = (sent.seal or "").partition(":")
    if kind == "invitation":
        return f"ask for the right address; to the same one: triaged invite resend {number}"
    if kind == "code":
        return "none needed: whoever waits for the code asks again"
    return f"ask for the right address; to the same one: triaged queue retry {sent.id}"


def _bounced(session: Session, sent: Sent, status: str, desk: Desk, report_id: int, now: datetime) -> None:
    returns.bounced(session, sent, report_id, status, now)
    kind, _colon, number = (sent.seal or "").partition(":")
    if kind == "invitation":
        invitations.returned(session, int(number))
    if sent.ticket_id is not None:
        tickets.record(
            session,
            sent.ticket_id,
            at=now,
            actor="triaged",
            kind="bounced",
            detail={"mail": sent.id, "notice": sent.notice, "recipient": sent.recipient, "status": status},
            policy_version=desk.settings.policy.version,
            message=report_id,
        )
