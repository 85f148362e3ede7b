"""From what we owe to finished bytes in the outbox, in the transaction that decided it (DESIGN §4.3, §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from triaged.adapters import templates
from triaged.adapters.db import brakes, outbox
from triaged.adapters.db.engine import Session
from triaged.domain.notices import Notice, NoticeName
from triaged.mail import compose, threads
from triaged.settings import Settings

VALID_FOR = timedelta(hours=48)  # a receipt that could not be delivered for two days says nothing any more
_RECEIPT_DUE = timedelta(minutes=5)  # order of sending for mails without a deadline of their own
# Not part of the thread of the mail that caused them: their readers have not seen it.
_OUR_OWN_THREAD = frozenset(
    {NoticeName.PRIORITY_ALERT, NoticeName.INVITATION, NoticeName.CSM_NOTE, NoticeName.COUNTRY_TERMS}
)
# A receipt is worth nothing after two days; what a contract's parties must know is owed until they have it.
_RECEIPTS = frozenset(
    {
        NoticeName.TICKET_OPENED,
        NoticeName.RECEIVED_FOR_REVIEW,
        NoticeName.PRIORITY_GRANTED,
        NoticeName.PRIORITY_ALERT,
        NoticeName.UNREADABLE,
        NoticeName.TOO_LARGE,
        NoticeName.SIGN_IN_CODE,
    }
)


@dataclass(frozen=True, slots=True)
class Post:
    """What letters are made with."""

    settings: Settings
    renderer: templates.Renderer
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cause:
    """What made us owe the mails: a received mail (`m17`) or an associate's action (`e45`).

    `number` is the order or contract that an answer to the mail belongs to, where it is no ticket. `replies_to` and
    `thread` are the partner's Message-IDs, and only `asker`, where it is named, is in that thread. `vouched`: our
    border server vouches for the sender. `braked` marks a mail whose answers the brakes count (nobody vouches for it,
    or it says again what was said before), not what an accepted order's other parties hear. `echo` marks one that
    answers an answer of ours: the brakes count what goes back to its sender, and nothing else."""

    key: str
    log_id: str
    desk: str
    mailbox: str
    replies_to: str = ""
    thread: tuple[str, ...] = ()
    ticket_id: int | None = None
    message_id: int | None = None
    vouched: bool = True
    braked: bool = False
    echo: bool = False
    number: str = ""
    contract_id: int | None = None
    asker: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """How long a mail rests before it goes, because `doubts` mails before it may have arrived."""

    until: datetime
    doubts: int


def owe(
    session: Session,
    post: Post,
    notices: Sequence[Notice],
    ticket: str,
    cause: Cause,
    now: datetime,
    rest: Rest | None = None,
) -> tuple[Notice, ...]:
    """Put every notice into the outbox, one row and one finished mail per recipient. Returns the notices with their
    subjects. `rest` is of a mail that replaces one in doubt."""
    rows: list[outbox.Owed] = []
    titled: list[Notice] = []
    before = outbox.owed_for(session, cause.key) if cause.desk == "contracts" else 0  # invitations go by themselves
    for notice in notices:
        full = replace(notice, facts=replace(notice.facts, ticket=ticket))
        for recipient in full.to:
            log_id = f"{cause.log_id}.{before + len(rows) + 1}"
            row = _row(post, full, recipient, log_id, cause, now)
            rows.append(replace(row, due_at=rest.until, doubts=rest.doubts) if rest else row)
        titled.append(replace(full, subject=rows[-1].subject) if full.to else full)
    limits = post.settings.limits
    outbox.put(session, rows, brakes.Limits(per_address=limits.answers_per_sender, in_all=limits.answers_per_hour))
    return tuple(titled)


def _row(post: Post, notice: Notice, recipient: str, log_id: str, cause: Cause, now: datetime) -> outbox.Owed:
    facts, settings = notice.facts, post.settings
    message_id = threads.message_id(facts.ticket or cause.number, log_id.lower(), settings.service.domain, post.key)
    ours = notice.name in _OUR_OWN_THREAD or cause.asker not in ("", recipient)
    wordless = not cause.vouched and notice.name is NoticeName.RECEIVED_FOR_REVIEW  # its Message-ID is its word, too
    letter = Letter(
        notice=notice,
        desk=cause.desk,
        recipient=recipient,
        message_id=message_id,
        reply_to=mailbox_of(settings, cause.desk, cause.mailbox, facts.region),
        in_reply_to="" if ours or wordless else cause.replies_to,
        references=() if ours or wordless else tuple(dict.fromkeys((*cause.thread, cause.replies_to))),
        automatic="auto-generated" if ours else "auto-replied",
    )
    outgoing = written(post, letter, now)
    return outbox.Owed(
        cause=cause.key,
        log_id=log_id,
        notice=notice.name.value,
        recipient=recipient,
        envelope_from=envelope_from(post, message_id, outgoing.reply_to),
        subject=outgoing.subject,
        message_id=message_id,
        body=None if notice.seal else compose.build(outgoing),
        created_at=now,
        due_at=now,
        deadline=_deadline(notice, now),
        not_after=now + VALID_FOR if notice.name in _RECEIPTS else None,
        braked=((cause.braked and cause.asker in ("", recipient)) or (cause.echo and not ours)) and not notice.seal,
        ticket_id=cause.ticket_id,
        contract_id=cause.contract_id,
        seal=notice.seal or None,
        source_message_id=cause.message_id,
    )


def envelope_from(post: Post, message_id: str, mailbox: str) -> str:
    """Where a bounce of this mail goes: its own keyed return path, or the mailbox that answers come to where no
    `[bounce] mailbox` receives return paths."""
    settings = post.settings
    keyed = threads.return_path(message_id, settings.service.domain, post.key) if settings.bounce_mailbox else ""
    return keyed or mailbox


def _deadline(notice: Notice, now: datetime) -> datetime:
    """That of the duty it discharges; an invitation goes after the confirmation that announces it."""
    if notice.facts.acknowledge:
        return notice.facts.acknowledge.target
    return now + _RECEIPT_DUE + (timedelta(seconds=1) if notice.name is NoticeName.INVITATION else timedelta())


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person, before it has words."""

    notice: Notice
    desk: str
    recipient: str
    message_id: str
    reply_to: str
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    automatic: str = "auto-replied"


def titled(post: Post, notice: Notice) -> Notice:
    """A notice with its subject, for receipts."""
    return replace(notice, subject=post.renderer.render(notice.name, notice.locale, notice.facts).subject)


def written(post: Post, letter: Letter, now: datetime) -> compose.Outgoing:
    """The letter with its words. Raises PermanentError when its template is broken."""
    notice = letter.notice
    identity = post.settings.senders[letter.desk]
    rendered = post.renderer.render(notice.name, notice.locale, notice.facts)
    return compose.Outgoing(
        sender_name=identity.name,
        sender_address=identity.address,
        recipient=letter.recipient,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=letter.message_id,
        date=now,
        reply_to=letter.reply_to,
        in_reply_to=letter.in_reply_to,
        references=letter.references,
        locale=rendered.locale,
        automatic=letter.automatic,
        mark=notice.name.value,
    )


def mailbox_of(settings: Settings, desk: str, mailbox: str, region: str) -> str:
    """The region's mailbox of this desk, so that an answer comes where it belongs; the desk's first where `mailbox` is
    configured no more."""
    own = [one for one in settings.mailboxes if one.desk == desk] or [*settings.mailboxes]
    here = next((one for one in settings.mailboxes if one.name == mailbox), own[0])
    serving = (one for one in own if region in one.regions)
    return here.address if region in here.regions else next((one.address for one in serving), here.address)
