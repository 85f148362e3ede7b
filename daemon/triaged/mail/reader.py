"""One mail read: raw bytes to the Message that the desks judge.

It puts together what the other modules know: `mime` (fields and parts within limits), `addresses`, `bodies` (which
text counts, what is quoted), `attachments`, `reports`, `automatic` (what kind of sender). No input makes it raise.
"""

import email.utils
import re
from dataclasses import replace
from datetime import UTC, datetime

from triaged.domain.message import House, Message, Nature
from triaged.mail import addresses, attachments, automatic, bodies, charsets, mime, reports, words

_ID = re.compile(r"<[^<>]{1,990}>")
_IDS = 500
_SUBJECT = 1_000
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


def read(raw: bytes, house: House, limits: mime.Limits = mime.LIMITS, truncated: bool = False) -> Message:
    """Read one mail; `truncated` means that only its header was fetched. Never raises: what cannot be believed comes
    back as `unreadable`, with a sentence for the operator."""
    try:
        return _read(raw, house, limits, truncated)
    except (RecursionError, LookupError, ValueError) as error:
        reason = f"reading failed ({type(error).__name__}): keep it with `triaged message raw` and report the bug"
        return Message(unreadable=reason, repaired=True)


def _read(raw: bytes, house: House, limits: mime.Limits, truncated: bool) -> Message:
    mail = mime.parse(raw, limits, header_only=truncated)
    message = _header(mail, limits)
    if mail.dirty:
        return replace(message, fields=())
    if not message.unreadable:
        message = _with_texts(message, mail, limits)
    return _judged(message, mail, house)


def _header(mail: mime.Mail, limits: mime.Limits) -> Message:
    fields = tuple((name, charsets.decode(value, mail.charset)[0]) for name, value in mail.fields)
    shown = Message(fields=fields)
    sender, certain = addresses.author(shown.values("from"))
    to, cc, reply_to = (
        addresses.readable(shown.values(name), limits.addresses + 1) for name in ("to", "cc", "reply-to")
    )
    written = len(to) + len(cc) + len(reply_to)
    crowded = f"more than {limits.addresses} addresses in To, Cc and Reply-To" if written > limits.addresses else ""
    message_ids = _ids(shown, "message-id")
    return replace(
        shown,
        sender=sender,
        subject=_line(next(shown.values("subject"), ""), mail.charset)[:_SUBJECT],
        message_id=message_ids[0] if len(message_ids) == 1 else "",
        in_reply_to=_ids(shown, "in-reply-to"),
        references=_ids(shown, "references"),
        to=to,
        cc=cc,
        reply_to=reply_to,
        date=_date(next(shown.values("date"), "")),
        content_language=_line(next(shown.values("content-language"), ""), "")[:40],
        unreadable=mail.problem or crowded,
        dirty=mail.dirty,
        repaired=mail.repaired or not certain,
        notes=(*mail.notes, *([] if certain else ["From is not exactly one plainly written address"])),
    )


def _line(value: str, charset: str) -> str:
    return words.clean(words.decode(value, charset))


def _ids(message: Message, name: str) -> tuple[str, ...]:
    """Message-IDs with brackets, each once; one that a line end broke is whole again."""
    found = (re.sub(r"\s+", "", match) for value in message.values(name) for match in _ID.findall(value))
    return tuple(dict.fromkeys(match for match in found if match.isascii() and match.isprintable()))[:_IDS]


def _date(value: str) -> datetime | None:
    """The sender's date in UTC (RFC 5322 §3.3), or None: the server's arrival time counts anyway."""
    try:
        return email.utils.parsedate_to_datetime(value[:200]).replace(microsecond=0).astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


def _with_texts(message: Message, mail: mime.Mail, limits: mime.Limits) -> Message:
    own = [part for part in mail.parts if not part.forwarded and not part.is_mail]
    texts = bodies.read(bodies.parts_of(own), limits.text)
    attached = attachments.read(mail.parts, limits.text)
    notes = (*message.notes, *(note for text in texts for note in text.notes), *attached.notes, *_sealed(mail))
    return replace(
        message,
        new=tuple(passage for text in texts for passage in text.passages(quoted=False)),
        quoted=(*(passage for text in texts for passage in text.passages(quoted=True)), *attached.quoted),
        attached=attached.passages,
        attachments=(*attached.listed, *(file for text in texts for file in text.files)),
        calendar=any(attachments.kind(part) == "calendar" for part in own),
        notes=tuple(dict.fromkeys(notes)),
    )


def _sealed(mail: mime.Mail) -> list[str]:
    return ["encrypted or signed as a whole: ask the sender for plain text"] if mail.content_type in _ENCRYPTED else []


def _judged(message: Message, mail: mime.Mail, house: House) -> Message:
    """With its report and its nature; what only a daemon's text says is read when it is known to be one."""
    message = replace(message, report=reports.read(mail))
    nature = automatic.nature(message, house)
    if nature is Nature.DELIVERY_REPORT:
        lines = (line.text for passage in (*message.new, *message.quoted) for line in passage.lines)
        message = replace(message, report=reports.guess(mail, message.subject, lines, message.report))
    return replace(message, nature=nature)
