"""A look at a mail that nothing could read: by the simplest means there are, within a few kilobytes, never by a parser
that it may have killed. What comes out is text; whoever shows it escapes it."""

import binascii
import re

from triaged.mail import words

_HEAD = 8 * 1024
_BODY = 8 * 1024
_LINES = 40
_WIDTH = 200
_TAG = re.compile(r"<[^<>]{0,500}>")
_TRANSFER = re.compile(rb"^content-transfer-encoding:[ \t]*(\S{1,40})", re.IGNORECASE | re.MULTILINE)


def head(raw: bytes) -> str:
    """The header block as it stands, cut."""
    return _cut(_split(raw)[0].decode("utf-8", "replace"))


def text(raw: bytes) -> str:
    """The first lines of the body: undone from its transfer encoding, without markup, cut."""
    header, body = _split(raw)
    found = _TRANSFER.search(header)
    plain = _decoded(body, found[1].lower() if found else b"")
    return _cut(_TAG.sub("", plain.decode("utf-8", "replace")).strip("\r\n"))


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """The start of the header, and the start of the body wherever that is."""
    ends = [end for blank in (b"\r\n\r\n", b"\n\n") if (end := raw.find(blank)) >= 0]
    if not ends:
        return raw[:_HEAD], b""
    end = min(ends)
    return raw[: min(end, _HEAD)], raw[end : end + _BODY].lstrip(b"\r\n")


def _decoded(body: bytes, transfer: bytes) -> bytes:
    if transfer == b"quoted-printable":
        return binascii.a2b_qp(body)
    if transfer == b"base64":
        return words.base64(body)
    return body


def _cut(plain: str) -> str:
    """Some lines of some width; tabs as spaces, line ends as LF. A CR alone ends no line and would look as if it did:
    that is how header fields are forged, so it is shown."""
    lines = (
        plain.replace("\r\n", "\n").replace("\r", "\N{SYMBOL FOR CARRIAGE RETURN}").replace("\t", "    ").split("\n")
    )
    shown = [line if len(line) <= _WIDTH else f"{line[:_WIDTH]} …" for line in lines[:_LINES]]
    return "\n".join([*shown, f"… {len(lines) - _LINES} lines more"] if len(lines) > _LINES else shown)
