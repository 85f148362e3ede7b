"""Is this the same mail again? Raw bytes differ when a second server carried it, so the content is compared without
the fields that servers add (DESIGN §4.1). A Message-ID alone never decides: it is the sender's claim.

Nor is a new Message-ID enough to be something new: the first half of the hash is that of what was said, to whom and by
whom, and is the same for ten thousand mails of one text, however they are numbered and dated (DESIGN §4.6).
"""

import hashlib
import re

HALF = 32  # hex digits: 128 bits each
_SAID = frozenset({b"from", b"to", b"cc", b"subject"})
_KEPT = _SAID | {b"date", b"message-id", b"content-type", b"content-transfer-encoding"}
_BOUNDARY = re.compile(rb'boundary="?([^\s";]{10,70})', re.IGNORECASE)
_BOUNDARIES = 20  # that are looked for: they are drawn anew for each mail


def content_hash(raw: bytes) -> str:
    """64 hex digits: SHA-256, cut, of what was said (`said`), then of that with the fields by which its sender tells
    one mail from another; line ends folded to LF."""
    header, _blank, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    body = body.rstrip(b"\n")
    return _hash(_fields(header, _SAID), _plain(header, body)) + _hash(_fields(header, _KEPT), body)


def said(content: str) -> str:
    """The half of a content hash that stays when the same is said again."""
    return content[:HALF]


def _hash(fields: bytes, body: bytes) -> str:
    digest = hashlib.sha256(fields)
    digest.update(b"\n")
    digest.update(body)
    return digest.hexdigest()[:HALF]


def _fields(header: bytes, names: frozenset[bytes]) -> bytes:
    kept, keep = [], False
    for line in header.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            keep = line.partition(b":")[0].strip().lower() in names
        if keep:
            kept.append(line + b"\n")
    return b"".join(kept)


def _plain(header: bytes, body: bytes) -> bytes:
    """The body without the boundaries between its parts."""
    found = [match[1] for match, _ in zip(_BOUNDARY.finditer(header + b"\n" + body), range(_BOUNDARIES), strict=False)]
    for boundary in found:
        body = body.replace(boundary, b"")
    return body
