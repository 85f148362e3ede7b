"""What opens the portal: the link of an invitation and one-time codes, both HMACs under the installation's key.

Neither rests anywhere: whoever reads the database, or the queue, can open nothing (DESIGN §4.3).
"""

import base64
import hashlib
import hmac
import re

_MAC_BYTES = 24
_TOKEN = re.compile(r"([0-9a-z]{1,12})-([A-Za-z0-9_-]{32})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
CODE_LENGTH = 6
ROWS = 2**31  # no row has such a number: PostgreSQL keeps them in four bytes


def invitation_token(row: int, generation: int, key: bytes) -> str:
    """The last part of an invitation's link: row in base 36, and 192 bits that nobody can guess."""
    mac = hmac.digest(key, b"invitation %d %d" % (row, generation), "sha256")[:_MAC_BYTES]
    return f"{_base36(row)}-{base64.urlsafe_b64encode(mac).decode()}"


def row_of(token: str) -> int | None:
    """Which row a token speaks of; it proves nothing until `fits`. None when it can be no row's."""
    match = _TOKEN.fullmatch(token)
    found = int(match[1], 36) if match else ROWS
    return found if found < ROWS else None


def fits(token: str, row: int, generation: int, key: bytes) -> bool:
    """Whether the token is this row's, compared in constant time."""
    return hmac.compare_digest(token.encode(errors="replace"), invitation_token(row, generation, key).encode())


def code(row: int, nonce: str, key: bytes) -> str:
    """The six digits of a one-time code; `nonce` makes two codes of one row number differ after a restore."""
    mac = hmac.digest(key, f"code {row} {nonce}".encode(), "sha256")
    return f"{int.from_bytes(mac[:8], 'big') % 10**CODE_LENGTH:0{CODE_LENGTH}d}"


def form_token(browser: str, place: str, key: bytes) -> str:
    """What a form of ours carries, so that no other page can send it: bound to the browser's cookie and the form."""
    return hmac.digest(key, f"form {browser} {place}".encode(), "sha256").hex()[:32]


def digest(secret: str) -> str:
    """How a cookie is stored: SHA-256 (hex)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
