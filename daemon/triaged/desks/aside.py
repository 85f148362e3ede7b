"""What no desk decides: mail that is put aside, and mail that waits until an associate looks at it (DESIGN §5)."""

from dataclasses import replace

from triaged.desks import answers, triage
from triaged.desks.case import Case
from triaged.domain.decision import Decision, Reason, Step, Verdict
from triaged.domain.message import Nature, ReportKind
from triaged.domain.notices import Notice


def set_aside(one: Case, *, registered: bool) -> Decision | None:
    """What opens no ticket: unreadable, too large, our own, reports, automatic and list mail of strangers.

    `registered`: the sender is vouched for, and somebody that we work with."""
    message, mail = one.mail.message, one.mail
    if message.unreadable:
        step = Step("read", message.unreadable)
        letters = answers.unreadable(one) if registered and not message.dirty and one.answerable else ()
        return _quiet(one, Verdict.QUARANTINE, Reason.UNREADABLE, step, letters)
    if mail.truncated:
        step = Step("read", "larger than [limits] message: only the header was taken")
        return _quiet(one, Verdict.QUARANTINE, Reason.TOO_LARGE, step, answers.too_large(one))
    match message.nature:
        case Nature.OWN:
            return _quiet(one, Verdict.IGNORE, Reason.OWN_MAIL, Step("recognise", "written by ourselves"))
        case Nature.DELIVERY_REPORT:
            receipt = message.report is not None and message.report.kind is ReportKind.DISPOSITION
            verdict = Verdict.IGNORE if receipt else Verdict.BOUNCE
            told = "a read receipt" if receipt else "a delivery report"
            return _quiet(one, verdict, Reason.DELIVERY_REPORT, Step("recognise", told))
        case Nature.AUTO_REPLY:
            return _quiet(one, Verdict.IGNORE, Reason.AUTO_REPLY, Step("recognise", "an automatic reply"))
        case Nature.MACHINE if not registered:
            return _quiet(one, Verdict.IGNORE, Reason.AUTO_REPLY, Step("recognise", "a machine of no partner"))
        case Nature.LIST if not registered:
            return _quiet(one, Verdict.IGNORE, Reason.MAILING_LIST, Step("recognise", "a list, not a partner"))
        case _:
            return None


def _quiet(one: Case, verdict: Verdict, reason: Reason, step: Step, letters: tuple[Notice, ...] = ()) -> Decision:
    return Decision(
        verdict=verdict,
        reason=reason,
        desk=one.mail.mailbox.desk,
        region=one.region.code,
        locale=one.locale,
        sender=one.sender,
        notices=letters,
        steps=(step,),
    )


def review(one: Case, reason: Reason, why: str) -> Decision:
    """A ticket that waits for an associate; its sender hears that it came and nothing else."""
    decision = triage.plain(one, reason)
    return replace(
        decision,
        review=True,
        primary_customer_email="",
        notices=answers.for_review(one),
        steps=(*decision.steps, Step("review", why)),
    )
