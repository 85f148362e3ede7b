"""What ties mails together: our keyed Message-IDs and return paths (proof), the number in a subject (a hint), the log
line's id.

A Message-ID of ours carries its ticket and an HMAC of it under the installation's key, so a reply is bound to a mail
that we really sent: whoever guesses a ticket's number proves nothing (INTERFACE §4 "Reply", DESIGN §5).
"""

import hmac
import re
from collections.abc import Iterator

from triaged.domain.message import Message

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no letter that is read as a digit (I, L, O, U)
_HALF_BITS = 20
_HALF_MASK = (1 << _HALF_BITS) - 1
_ROUNDS = 6
_MAC_LENGTH = 16  # hex digits
_NO_TICKET = "x"
_CONSIDERED = 64  # ids of one mail that are tried, the newest: a forged field must not buy a million HMACs
_RETURNED = "return-path"  # purpose of the return path's MAC
_LOCAL_PART = 64  # octets (RFC 5321 §4.5.3.1.1)

_OUR_FORM = re.compile(r"<((?:[a-z][a-z0-9]*-\d{1,18}|x)\.[a-z0-9._-]{1,80})\.([0-9a-f]{16})@([a-z0-9.-]{1,253})>")
_RETURN_PATH = re.compile(r"(?<![a-z0-9._+-])bounce\+([a-z0-9._-]{3,64})\.([0-9a-f]{16})@([a-z0-9.-]{1,253})")
# Where servers write to whom the envelope was addressed; `received` says it in its `for` clause.
_ENVELOPE_FIELDS = frozenset(
    {
        "to",
        "delivered-to",
        "x-delivered-to",
        "x-original-to",
        "envelope-to",
        "x-envelope-to",
        "x-rcpt-to",
        "x-forwarded-to",
        "x-original-recipient",
        "apparently-to",
        "resent-to",
        "received",
    }
)
_NUMBER = re.compile(r"\[([A-Za-z][A-Za-z0-9]{0,9}-\d{1,18})\]")


def log_id(row: int, key: bytes) -> str:
    """Eight base-32 characters for ledger row `row` (0 <= row < 2**40): unique because it is a permutation (a Feistel
    network over two halves of 20 bits), unguessable because it is keyed (INTERFACE §5)."""
    left, right = row >> _HALF_BITS & _HALF_MASK, row & _HALF_MASK
    for turn in range(_ROUNDS):
        left, right = right, left ^ _mixed(turn, right, key)
    number = left << _HALF_BITS | right
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))


def row_of(log_id: str, key: bytes) -> int | None:
    """The row behind a log id, upper or lower case; None when it is no log id."""
    digits = [_ALPHABET.find(character) for character in log_id.upper()]
    if len(digits) != 8 or -1 in digits:
        return None
    number = 0
    for digit in digits:
        number = number << 5 | digit
    left, right = number >> _HALF_BITS, number & _HALF_MASK
    for turn in reversed(range(_ROUNDS)):
        left, right = right ^ _mixed(turn, left, key), left
    return left << _HALF_BITS | right


def _mixed(turn: int, half: int, key: bytes) -> int:
    digest = hmac.digest(key, b"log-id %d %d" % (turn, half), "sha256")
    return int.from_bytes(digest[:4], "big") & _HALF_MASK


def message_id(ticket: str, cause: str, domain: str, key: bytes) -> str:
    """`<eu-000123.7q3kx2m8.1.MAC@domain>`: fixed for one cause, so that a second try sends the same mail again.

    `ticket` may be empty (a mail about no ticket); `cause` is what owes the mail, such as `7Q3KX2M8.1`.
    """
    stem = f"{ticket or _NO_TICKET}.{cause}".lower()
    return f"<{stem}.{_mac(stem, domain, key)}@{domain.lower()}>"


def is_ours(message_id: str, domain: str, key: bytes) -> bool:
    """Did we really make this Message-ID? Compared in constant time."""
    return _proved(message_id, domain, key) is not None


def return_path(message_id: str, domain: str, key: bytes) -> str:
    """`bounce+eu-000123.7q3kx2m8.1.MAC@domain`: the envelope sender of the mail with this Message-ID of ours, so that a
    bounce names its mail whatever it quotes (VERP). Its MAC is another than the Message-ID's, because that one stands
    in the References of everybody in the thread. Empty where it would be longer than SMTP allows."""
    form = _OUR_FORM.fullmatch(message_id)
    if form is None:
        return ""
    local = f"bounce+{form[1]}.{_mac(form[1], domain, key, _RETURNED)}"
    return f"{local}@{domain.lower()}" if len(local) <= _LOCAL_PART else ""


def is_return_path(address: str, domain: str) -> bool:
    """Has it the form of our keyed return path?"""
    form = _RETURN_PATH.fullmatch(address)
    return form is not None and form[3] == domain.lower()


def came_by_return_path(message: Message, domain: str) -> bool:
    """Was the mail sent to a return path of our form? Anybody can write such a one: `returned` proves it."""
    return next(_return_paths(message, domain), None) is not None


def returned(message: Message, domain: str, key: bytes) -> str:
    """The Message-ID of our mail whose keyed return path this mail came by; empty where none is proved. Two different
    proofs say nothing."""
    stems = {stem for stem, mac in _return_paths(message, domain) if _right(mac, _mac(stem, domain, key, _RETURNED))}
    if len(stems) != 1:
        return ""
    stem = stems.pop()
    return f"<{stem}.{_mac(stem, domain, key)}@{domain.lower()}>"


def _return_paths(message: Message, domain: str) -> Iterator[tuple[str, str]]:
    """Stem and MAC of every address of the form where servers write the envelope's recipient."""
    considered = 0
    for name, value in message.fields:
        if name not in _ENVELOPE_FIELDS:
            continue
        for form in _RETURN_PATH.finditer(value.lower()):
            if form[3] == domain.lower():
                yield form[1], form[2]
                considered += 1
                if considered == _CONSIDERED:
                    return


def looks_ours(message_id: str, domain: str) -> bool:
    """Has it our domain and our form? Anybody can write such a one: good enough only to ignore a mail."""
    form = _OUR_FORM.fullmatch(message_id.strip().lower())
    return form is not None and form[3] == domain.lower()


def is_keyed(message_id: str) -> bool:
    """Has it the form that this program gives to its mails, in whatever house it runs?"""
    return _OUR_FORM.fullmatch(message_id.strip().lower()) is not None


def ticket_of(message: Message, domain: str, key: bytes) -> str | None:
    """The ticket that this mail answers, proved by an id of ours: In-Reply-To first, then References, newest first."""
    for candidate in _answered(message):
        stem = _proved(candidate, domain, key)
        ticket = stem.partition(".")[0] if stem else _NO_TICKET
        if ticket != _NO_TICKET:
            return ticket.upper()
    return None


def _answered(message: Message) -> Iterator[str]:
    yield from message.in_reply_to[:_CONSIDERED]
    yield from reversed(message.references[-_CONSIDERED:])


def number_in_subject(subject: str) -> str | None:
    """`[EU-000123]` anywhere in a subject, upper case. Two different numbers say nothing."""
    numbers = {number.upper() for number in _NUMBER.findall(subject)}
    return numbers.pop() if len(numbers) == 1 else None


def _proved(message_id: str, domain: str, key: bytes) -> str | None:
    """The part before the MAC where the MAC is right."""
    form = _OUR_FORM.fullmatch(message_id.strip().lower())
    if form is None or form[3] != domain.lower():
        return None
    return form[1] if _right(form[2], _mac(form[1], domain, key)) else None


def _right(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given, wanted)


def _mac(stem: str, domain: str, key: bytes, purpose: str = "message-id") -> str:
    return hmac.digest(key, f"{purpose} {stem}@{domain.lower()}".encode(), "sha256").hex()[:_MAC_LENGTH]
