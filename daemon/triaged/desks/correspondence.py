"""From what we owe to finished bytes in the outbox, in the transaction that decided it (DESIGN §4.3, §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from triaged.adapters import templates
from triaged.adapters.db import outbox
from triaged.adapters.db.engine import Session
from triaged.domain.notices import Notice, NoticeName
from triaged.mail import compose, threads
from triaged.settings import Settings

VALID_FOR = timedelta(hours=48)  # a receipt that could not be delivered for two days says nothing any more
_RECEIPT_DUE = timedelta(minutes=5)  # order of sending for mails without a deadline of their own
_OUR_OWN_THREAD = NoticeName.PRIORITY_ALERT  # associates are not part of the partner's thread


@dataclass(frozen=True, slots=True)
class Post:
    """What letters are made with."""

    settings: Settings
    renderer: templates.Renderer
    key: bytes


@dataclass(frozen=True, slots=True)
class Cause:
    """What made us owe the mails: a received mail (`m17`) or an associate's action (`e45`).

    `replies_to` and `thread` are the partner's Message-IDs; `doubtful` marks mails to somebody for whom our border
    server does not vouch: only those are counted by the brakes."""

    key: str
    log_id: str
    desk: str
    mailbox: str
    replies_to: str = ""
    thread: tuple[str, ...] = ()
    ticket_id: int | None = None
    message_id: int | None = None
    doubtful: bool = False


def owe(
    session: Session, post: Post, notices: Sequence[Notice], ticket: str, cause: Cause, now: datetime
) -> tuple[str, ...]:
    """Put every notice into the outbox, one row and one finished mail per recipient. Returns their log ids."""
    rows: list[outbox.Owed] = []
    for notice in notices:
        full = replace(notice, facts=replace(notice.facts, ticket=ticket))
        for recipient in full.to:
            log_id = f"{cause.log_id}.{len(rows) + 1}"
            rows.append(_row(post, full, recipient, log_id, cause, now))
    limits = post.settings.limits
    outbox.put(session, rows, outbox.Limits(per_address=limits.answers_per_sender, in_all=limits.answers_per_hour))
    return tuple(row.log_id for row in rows)


def _row(post: Post, notice: Notice, recipient: str, log_id: str, cause: Cause, now: datetime) -> outbox.Owed:
    facts, settings = notice.facts, post.settings
    message_id = threads.message_id(facts.ticket, log_id.lower(), settings.service.domain, post.key)
    rendered = post.renderer.render(notice.name, notice.locale, facts)
    identity = settings.senders[cause.desk]
    reply_to = _mailbox_of(settings, cause, facts.region)
    ours = notice.name is _OUR_OWN_THREAD
    outgoing = compose.Outgoing(
        sender_name=identity.name,
        sender_address=identity.address,
        recipient=recipient,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=message_id,
        date=now,
        reply_to=reply_to,
        in_reply_to="" if ours else cause.replies_to,
        references=() if ours else tuple(dict.fromkeys((*cause.thread, cause.replies_to))),
        locale=rendered.locale,
        automatic="auto-generated" if ours else "auto-replied",
        mark=notice.name.value,
    )
    return outbox.Owed(
        cause=cause.key,
        log_id=log_id,
        notice=notice.name.value,
        recipient=recipient,
        envelope_from=reply_to,
        subject=outgoing.subject,
        message_id=message_id,
        body=compose.build(outgoing),
        created_at=now,
        due_at=now,
        deadline=facts.acknowledge.target if facts.acknowledge else now + _RECEIPT_DUE,
        not_after=now + VALID_FOR,
        braked=cause.doubtful,
        ticket_id=cause.ticket_id,
        source_message_id=cause.message_id,
    )


def _mailbox_of(settings: Settings, cause: Cause, region: str) -> str:
    """The region's mailbox of this desk, so that an answer comes where it belongs."""
    here = settings.mailbox(cause.mailbox)
    serving = (m for m in settings.mailboxes if m.desk == cause.desk and region in m.regions)
    return here.address if region in here.regions else next((m.address for m in serving), here.address)
