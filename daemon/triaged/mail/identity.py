"""Is this the same mail again? Raw bytes differ when a second server carried it, so the content is compared without
the fields that servers add (DESIGN §4.1). A Message-ID alone never decides: it is the sender's claim."""

import hashlib

_KEPT = frozenset(
    {b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"content-type", b"content-transfer-encoding"}
)


def content_hash(raw: bytes) -> str:
    """SHA-256 (hex) of the fields that the sender wrote and of the body, with line ends folded to LF."""
    header, _blank, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    digest = hashlib.sha256()
    keep = False
    for line in header.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            keep = line.partition(b":")[0].strip().lower() in _KEPT
        if keep:
            digest.update(line + b"\n")
    digest.update(b"\n" + body.rstrip(b"\n"))
    return digest.hexdigest()
