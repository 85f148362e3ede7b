"""Mails built by hand, byte for byte: what no mail library would let you write."""

from triaged.domain.message import House, Message
from triaged.mail import reader

HOUSE = House("support.example", frozenset({"partner-support@vendor.example"}))
HEAD = b"From: Jean <jean@integra.example>\r\nTo: partner-support@vendor.example\r\nSubject: Aide\r\n"


def mail(body: bytes = b"Bonjour\r\n", *fields: bytes, head: bytes = HEAD) -> bytes:
    """A mail of `head`, further header fields and a body."""
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def multipart(kind: bytes, *parts: bytes, head: bytes = HEAD) -> bytes:
    """A mail of parts, each with its own header and empty line."""
    return mail(sections(*parts), b"Content-Type: multipart/" + kind + b'; boundary="b=_/1"', head=head)


def sections(*parts: bytes, boundary: bytes = b"b=_/1") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def part(content_type: bytes, content: bytes, *fields: bytes) -> bytes:
    return b"Content-Type: " + content_type + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + content


def read(raw: bytes) -> Message:
    return reader.read(raw, HOUSE)
