"""What mail servers write when a mail did not arrive, each in its own manner: our words, their shapes.

`returned` is the mail that comes back, as it was sent; `to` is whom the report is sent to.
"""

from collections.abc import Callable

WHOLE, HEADER, NOTHING = "message/rfc822", "text/rfc822-headers", ""


def _head(sender: str, to: str, subject: str, *fields: str) -> str:
    return "\r\n".join(
        (
            "Return-Path: <>",
            f"Delivered-To: {to}",
            "Received: from mail.integra.example by mx.vendor.example with ESMTPS id 4bQ7",
            f"From: {sender}",
            f"To: {to}",
            f"Subject: {subject}",
            "Date: Mon, 15 Jun 2026 09:59:12 +0200",
            *fields,
            "",
            "",
        )
    )


def _header_of(returned: bytes) -> str:
    return returned.partition(b"\r\n\r\n")[0].decode("ascii")


def recipient(address: str, action: str = "failed", status: str = "5.1.1", original: str = "", more: str = "") -> str:
    """One paragraph of a delivery status; an empty value leaves its field out."""
    fields = (
        ("Original-Recipient", original and f"rfc822;{original}"),
        ("Final-Recipient", address and f"rfc822; {address}"),
        ("Action", action),
        ("Status", status),
    )
    return "".join(f"{name}: {value}\r\n" for name, value in fields if value) + more


def dsn(to: str, returned: bytes, *recipients: str, number: int = 1, back: str = WHOLE, text: str = "Sorry.") -> bytes:
    """A report as RFC 3464 wants it (Postfix and most others)."""
    told = "\r\n".join(("Reporting-MTA: dns; mail.integra.example\r\n", *recipients))
    parts = [("text/plain; charset=us-ascii", text + "\r\n"), ("message/delivery-status", told)]
    if back == WHOLE:
        parts.append((WHOLE, returned.decode("latin-1")))
    elif back == HEADER:
        parts.append((HEADER, _header_of(returned) + "\r\n"))
    body = "".join(f"--dsn=_/{number}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n" for kind, content in parts)
    head = _head(
        "MAILER-DAEMON@mail.integra.example (Mail Delivery System)",
        to,
        "Undelivered Mail Returned to Sender",
        f"Message-ID: <dsn.{number}@mail.integra.example>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="dsn=_/{number}"',
    )
    return f"{head}{body}--dsn=_/{number}--\r\n".encode("latin-1")


def plain(sender: str, subject: str, text: str, *fields: str) -> Callable[[str, bytes, str], bytes]:
    """A report in words only: `{address}` is who did not get it, `{copy}` the header that came back."""

    def report(to: str, returned: bytes, address: str) -> bytes:
        words = text.format(address=address, copy=_header_of(returned)).replace("\r\n", "\n").replace("\n", "\r\n")
        kind = ("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit")
        return (_head(sender, to, subject, *fields, *kind) + words).encode()

    return report


QMAIL = plain(
    "MAILER-DAEMON@relay.integra.example",
    "failure notice",
    "Hi. Here is the mailer at relay.integra.example.\nYour mail could not be delivered to this address:\n\n"
    "<{address}>:\nSorry, there is nobody here by that name. (#5.1.1)\n\n"
    "--- Below this line is a copy of the message.\n\n{copy}\n\nThe mail queue is delayed 2.0.0\n",
)
EXIM = plain(
    "Mail Delivery System <Mailer-Daemon@relay.integra.example>",
    "Mail delivery failed: returning message to sender",
    "A mail that you sent could not be delivered to one of its recipients.\nThis is a permanent error.\n\n"
    "  {address}\n    SMTP error from remote mail server after RCPT TO:<{address}>:\n    550 5.1.1 no such user\n\n"
    "------ This is a copy of the message, including all the headers. ------\n\n{copy}\n",
    "X-Failed-Recipients: contact@integra.example",
)
EXIM_LATE = plain(
    "Mail Delivery System <Mailer-Daemon@relay.integra.example>",
    "Warning: message 1rXyZ2-000aBc-1D delayed 24 hours",
    "A mail that you sent has not yet been delivered to:\n\n  {address}\n    mx.integra.example: 451 4.7.1 later\n\n"
    "Delivery attempts will continue for some time.\n\nMessage headers:\n{copy}\n",
)
POSTFIX_WORDS = plain(
    "MAILER-DAEMON (Mail Delivery System)",
    "Undelivered Mail Returned to Sender",
    "Your mail came back.\n\n<{address}>: host mx.integra.example said: 552 5.2.2 mailbox full (in reply to RCPT)\n\n"
    "{copy}\n",
)
GMAIL_WORDS = plain(
    "Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
    "Delivery Status Notification (Failure)",
    "** Address not found **\n\nYour mail wasn't delivered to {address} because nobody has that address.\n\n"
    "----- Original message -----\n\n{copy}\n",
)
EXCHANGE_FR = plain(
    "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@integra.example>",
    "Non remis : [EU-000001] Question",
    "Votre message n'a pas pu être remis.\n{address}\nAdresse introuvable.\n\nMessage d'origine\n\n{copy}\n",
)
EXCHANGE_DE = plain(
    "postmaster@integra.example",
    "Unzustellbar: [EU-000001] Question",
    "Fehler bei der Zustellung an diese Empfänger:\n{address}\nDas Postfach wurde nicht gefunden. #550 5.1.10\n\n"
    "Ursprüngliche Nachricht\n{copy}\n",
)
EXCHANGE_ES = plain(
    "postmaster@integra.example",
    "No se puede entregar: [EU-000001] Question",
    "No se pudo entregar a estos destinatarios:\n{address}\nLa dirección no se encontró.\n\nMensaje original\n{copy}\n",
)
FAILURES = {
    "qmail": QMAIL,
    "exim": EXIM,
    "postfix in words": POSTFIX_WORDS,
    "gmail in words": GMAIL_WORDS,
    "exchange, french": EXCHANGE_FR,
    "exchange, german": EXCHANGE_DE,
    "exchange, spanish": EXCHANGE_ES,
}


def disposition(to: str, returned: bytes, address: str, what: str = "displayed") -> bytes:
    """A reader's receipt (RFC 8098)."""
    text = (
        f"Final-Recipient: rfc822; {address}\r\nDisposition: automatic-action/MDN-sent-automatically; {what}\r\n"
        + "".join(
            f"Original-{line}\r\n" for line in _header_of(returned).split("\r\n") if line.startswith("Message-ID")
        )
    )
    head = _head(
        address,
        to,
        f"Read: {what}",
        f"Message-ID: <mdn.{what}@integra.example>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="mdn"',
    )
    parts = (("text/plain", "Your mail was read."), ("message/disposition-notification", text))
    body = "".join(f"--mdn\r\nContent-Type: {kind}\r\n\r\n{content}\r\n" for kind, content in parts)
    return f"{head}{body}--mdn--\r\n".encode()


def complaint(to: str, returned: bytes, address: str) -> bytes:
    """Somebody pressed "this is spam" (RFC 5965): the mail did arrive."""
    head = _head(
        "Feedback <fbl@mailhost.example>",
        to,
        "abuse report",
        "Message-ID: <fbl@mailhost.example>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="fb"',
    )
    told = f"Feedback-Type: abuse\r\nUser-Agent: FBL/1\r\nVersion: 1\r\nOriginal-Rcpt-To: {address}\r\n"
    parts = (("text/plain", "A complaint: 550 rejected"), ("message/feedback-report", told))
    parts += ((WHOLE, returned.decode("latin-1")),)
    body = "".join(f"--fb\r\nContent-Type: {kind}\r\n\r\n{content}\r\n" for kind, content in parts)
    return f"{head}{body}--fb--\r\n".encode("latin-1")
