"""What a delivery report says: who did not get which of our mails, and whether that is final.

Machine-readable reports first (RFC 3464 delivery status, RFC 8098 disposition); the Action decides, because delayed
and delivered are not failed. Free text (Exchange, qmail, Exim) is read only where the sender is known to be a daemon,
and only down to where the mail that came back begins: a mail that quotes "5.1.1" must not fail by its own words.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from triaged.domain.message import Fate, Report, ReportKind
from triaged.mail import addresses, headers, mime

_SIZE = 65_536
_FATES = 50  # recipients of one report that are read
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_TROUBLE = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45])[0-5]\d[ -]")  # an SMTP answer without an enhanced status
_ID = re.compile(r"^[\s>|]{0,10}message-id:\s{0,20}(<[^<>\s]{3,500}>)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
_RETURNED = re.compile(  # where the mail that came back begins, in reports without parts
    r"^[\s>|*-]{0,20}(?:below this line is a copy|this is a copy of (?:the|your) message|returned mail follows"
    r"|(?:original|undelivered|unsent|returned) (?:message|mail)(?: headers?)?(?: follows)?[\s:-]{0,40}$"
    r"|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|(?:return-path|received|message-id):\s)",
    re.IGNORECASE | re.MULTILINE,
)
_DELAYED = re.compile(
    r"delayed|will (?:continue|keep|be re-?tr)|not yet been delivered|still being|retard|verzögert|retrasad"
    r"|warning:|ritardat|atrasad|vertraagd|opóźnion",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"permanent|giv(?:ing|en|e) up|gave up|too long|expired|no further|will not (?:be re-?tr|retry|try again|continue)"
    r"|définitiv|endgültig|abgebrochen|definitiv",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"undeliver|(?:not|n't|unable to|cannot|could not|failed to|impossible to) (?:be )?deliver|delivery (?:\w+ )?failed"
    r"|delivery failure|failure notice|returned (?:mail|to sender)|mail returned|does ?n[o']t exist|address not found"
    r"|(?:user|recipient|address|mailbox) (?:is )?(?:unknown|not found|unavailable|disabled|full)"
    r"|(?:unknown|no such) (?:user|recipient|address|mailbox)|rejected|bounced"
    r"|non remis|non distribu|n'a pas pu être|(?:remise|distribution|livraison) a échoué|échec|introuvable|rejeté"
    r"|unzustellbar|nicht (?:zugestellt|gefunden)|zustellung (?:ist )?fehlgeschlagen|fehlgeschlagen|abgelehnt"
    r"|no se (?:puede|pudo|ha podido|encontró)|no entregado|error (?:en la|de) entrega|rechazad"
    r"|non recapit|mancata consegna|impossibile (?:recapitare|consegnare)|não (?:foi|pôde|é) |falha|devolvid"
    r"|onbestelbaar|niet (?:bezorgd|afgeleverd)|mislukt|niedostarcz|nie (?:dostarczono|można)|配信不能|配信できません",
    re.IGNORECASE,
)
_DELIVERED = re.compile(
    r"(?<!non )(?<!not )(?<!no )(?<!nicht )(?:delivered|relayed|remis|zugestellt|entregado)\s?:"
    r"|was (?:successfully )?delivered",
    re.IGNORECASE,
)
_WORST_FIRST = ("failed", "delayed", "relayed", "expanded", "delivered")
_BY_CLASS = {"5": "failed", "4": "delayed", "2": "delivered"}
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_OTHER_TYPES = frozenset({"message/feedback-report", "application/zip", "application/gzip", "application/tlsrpt+gzip"})


def read(mail: mime.Mail) -> Report | None:
    """The report that the mail's parts hold; None where no part is machine-readable. One inside a forwarded mail is
    what somebody tells us of, no report to us."""
    for part in mail.parts:
        if part.forwarded:
            continue
        if part.content_type in ("message/delivery-status", "message/global-delivery-status"):
            return replace(_delivery(part), original_message_id=_returned_id(mail.parts))
        if part.content_type in ("message/disposition-notification", "message/global-disposition-notification"):
            return _disposition(part, mail.parts)
    return None


def guess(mail: mime.Mail, subject: str, lines: Iterable[str], known: Report | None = None) -> Report:
    """Fill what a report lacks from its text, for senders that are certainly daemons."""
    if known is not None and (known.kind is not ReportKind.DELIVERY or (known.action and known.fates)):
        return known if known.original_message_id else _named(known, mail, lines)
    if any(part.content_type in _OTHER_TYPES and not part.forwarded for part in mail.parts):
        return Report(kind=ReportKind.OTHER, original_message_id=_returned_id(mail.parts))
    whole = "\n".join(lines)[:_SIZE]
    begins = _RETURNED.search(whole)
    text = whole[: begins.start()] if begins else whole
    failed = headers.Block(mail.fields, 0).first("x-failed-recipients").decode("ascii", "replace")
    fate = _told(subject, text, failed)
    report = known or Report()
    return Report(
        action=report.action or fate.action,
        recipient=report.recipient or next(iter(fate.recipients), ""),
        original_message_id=report.original_message_id or _returned_id(mail.parts) or _id_in(whole),
        status=report.status or fate.status,
        fates=report.fates or (fate,),
    )


def _named(report: Report, mail: mime.Mail, lines: Iterable[str]) -> Report:
    return replace(report, original_message_id=_returned_id(mail.parts) or _id_in("\n".join(lines)[:_SIZE]))


def _told(subject: str, text: str, failed: str) -> Fate:
    """What a daemon's own words say. `failed` is the field X-Failed-Recipients, which only failures have."""
    action = "failed" if failed else _action(subject, text)
    status = _TROUBLE.search(text) if action in ("failed", "delayed") else _STATUS.search(text)
    named = _recipients(failed) or _recipients(text)
    return Fate(action, status[1] if status else "", named)


def _action(subject: str, text: str) -> str:
    """A daemon that says nothing that we understand says nothing: no mail fails by a guess."""
    both = f"{subject}\n{text}"
    trouble = _TROUBLE.search(text)
    if _DELIVERED.search(both[:1_000]) and not trouble:
        return "delivered"
    if _FINAL.search(text) or (trouble and trouble[1].startswith("5")):
        return "failed"
    if _DELAYED.search(both):
        return "delayed"
    return "failed" if trouble or _REPLY.search(text) or _FAILED.search(both) else ""


def _recipients(text: str) -> tuple[str, ...]:
    found = dict.fromkeys(filter(None, (addresses.usable(match[0]) for match in _ADDRESS.finditer(text))))
    return tuple(one for one in found if not one.startswith(("mailer-daemon@", "postmaster@")))[:_FATES]


def _groups(part: mime.Part) -> list[headers.Block]:
    """Fields of each paragraph; the per-message one is first (RFC 3464 §2.1)."""
    content = part.content(_SIZE).replace(b"\r\n", b"\n").strip(b"\n")
    return [headers.split_part(group, 0, len(group)) for group in re.split(rb"\n(?:[ \t]*\n)+", content)]


def _delivery(part: mime.Part) -> Report:
    fates = tuple(fate for group in _groups(part) if (fate := _fate(group)).action or fate.recipients)[:_FATES]
    first = worst(fates)
    return Report(first.action, next(iter(first.recipients), ""), "", first.status, fates=fates)


def worst(fates: Iterable[Fate]) -> Fate:
    """The fate that counts where several are told: failed before delayed before anything good."""
    told = tuple(fates)
    ranked = (fate for action in _WORST_FIRST for fate in told if fate.action == action)
    return next(ranked, next(iter(told), Fate()))


def _fate(group: headers.Block) -> Fate:
    """One recipient's paragraph. An Action that is missing or unknown is read from the class of its status."""

    def value(name: str) -> str:
        return group.first(name).decode("utf-8", "replace")

    word = re.match(r"[a-z]*", value("action").lower())
    action = word[0] if word and word[0] in _WORST_FIRST else ""
    written = _STATUS.search(value("status")) or _STATUS.search(value("diagnostic-code"))
    status = written[1] if written else ""
    named = (*_recipients(value("original-recipient"))[:1], *_recipients(value("final-recipient"))[:1])
    return Fate(action or (_BY_CLASS[status[0]] if status else ""), status, tuple(dict.fromkeys(named)))


def _disposition(part: mime.Part, parts: tuple[mime.Part, ...]) -> Report:
    for group in _groups(part):
        if disposition := group.first("disposition").decode("ascii", "replace"):
            original = re.search(r"<[^<>\s]{1,500}>", group.first("original-message-id").decode("ascii", "replace"))
            return Report(
                action=disposition.rpartition(";")[2].partition("/")[0].strip().lower(),
                recipient=next(iter(_fate(group).recipients), ""),
                original_message_id=original[0] if original else _returned_id(parts),
                kind=ReportKind.DISPOSITION,
            )
    return Report(original_message_id=_returned_id(parts), kind=ReportKind.DISPOSITION)


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
