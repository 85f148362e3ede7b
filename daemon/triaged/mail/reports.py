"""What a delivery report says: who did not get which of our mails, and whether that is final.

Machine-readable reports first (RFC 3464 delivery status, RFC 8098 disposition); the Action decides, because delayed
and delivered are not failed. Free text (Exchange, qmail, Exim) is read only where the sender is known to be a daemon.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from triaged.domain.message import Report
from triaged.mail import addresses, headers, mime

_SIZE = 65_536
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_ID = re.compile(r"^[\s>|]{0,10}message-id:\s{0,20}(<[^<>\s]{3,500}>)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
_DELAYED = re.compile(
    r"delayed|will (?:continue|keep|be re-?tr)|not yet been delivered|still being|retard[ée]e|verzögert|retrasad"
    r"|warning:",
    re.IGNORECASE,
)
_DELIVERED = re.compile(
    r"(?:delivered|relayed|remis|zugestellt|entregado)\s?:|was (?:successfully )?delivered", re.IGNORECASE
)
_WORST_FIRST = ("failed", "delayed", "relayed", "expanded", "delivered")
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})


def read(mail: mime.Mail) -> Report | None:
    """The report that the mail's parts hold; None where no part is machine-readable."""
    for part in mail.parts:
        if part.content_type in ("message/delivery-status", "message/global-delivery-status"):
            return replace(_delivery(part), original_message_id=_returned_id(mail.parts))
        if part.content_type in ("message/disposition-notification", "message/global-disposition-notification"):
            return _disposition(part, mail.parts)
    return None


def guess(mail: mime.Mail, subject: str, lines: Iterable[str], known: Report | None = None) -> Report:
    """Fill what a report lacks from its text, for senders that are certainly daemons."""
    report = known or Report()
    text = "\n".join(lines)[:_SIZE]
    status = _STATUS.search(text)
    failed = headers.Block(mail.fields, 0).first("x-failed-recipients").decode("ascii", "replace")
    return Report(
        action=report.action or _action(f"{subject}\n{text}"),
        recipient=report.recipient or _recipient(failed) or _recipient(text),
        original_message_id=report.original_message_id or _returned_id(mail.parts) or _id_in(text),
        status=report.status or (status[1] if status else ""),
    )


def _action(text: str) -> str:
    if _DELIVERED.search(text[:1_000]):
        return "delivered"
    return "delayed" if _DELAYED.search(text) else "failed"


def _recipient(text: str) -> str:
    for found in _ADDRESS.finditer(text):
        address = addresses.usable(found[0])
        if address and not address.startswith(("mailer-daemon@", "postmaster@")):
            return address
    return ""


def _groups(part: mime.Part) -> list[headers.Block]:
    """Fields of each paragraph; the per-message one is first (RFC 3464 §2.1)."""
    content = part.content(_SIZE).replace(b"\r\n", b"\n").strip(b"\n")
    return [headers.split_part(group, 0, len(group)) for group in re.split(rb"\n(?:[ \t]*\n)+", content)]


def _delivery(part: mime.Part) -> Report:
    reports = [_per_recipient(group) for group in _groups(part)]
    ranked = [report for action in _WORST_FIRST for report in reports if report.action == action]
    return next(iter([*ranked, *(report for report in reports if report.recipient)]), Report())


def _per_recipient(group: headers.Block) -> Report:
    def value(name: str) -> str:
        return group.first(name).decode("utf-8", "replace")

    action = re.match(r"[a-z]+", value("action").lower())
    status = _STATUS.search(value("status")) or _STATUS.search(value("diagnostic-code"))
    recipient = _recipient(value("original-recipient")) or _recipient(value("final-recipient"))
    return Report(action[0] if action else "", recipient, "", status[1] if status else "")


def _disposition(part: mime.Part, parts: tuple[mime.Part, ...]) -> Report:
    for group in _groups(part):
        if disposition := group.first("disposition").decode("ascii", "replace"):
            original = re.search(r"<[^<>\s]{1,500}>", group.first("original-message-id").decode("ascii", "replace"))
            return Report(
                action=disposition.rpartition(";")[2].partition("/")[0].strip().lower(),
                recipient=_per_recipient(group).recipient,
                original_message_id=original[0] if original else _returned_id(parts),
            )
    return Report(original_message_id=_returned_id(parts))


def _returned_id(parts: tuple[mime.Part, ...]) -> str:
    """Message-ID of the mail or header that came back."""
    for part in parts:
        if part.is_mail:
            values = [field.value for field in part.fields if field.name == "message-id"]
            if found := _id_in(f"message-id: {values[0].decode('ascii', 'replace')}" if values else ""):
                return found
        elif part.content_type in _HEADER_TYPES and (found := _id_in(part.content(_SIZE).decode("ascii", "replace"))):
            return found
    return ""


def _id_in(text: str) -> str:
    found = _ID.search(text)
    return found[1] if found else ""
