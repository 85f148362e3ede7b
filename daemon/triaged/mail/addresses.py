"""Addresses out of raw header values: angle brackets before display names, words decoded after splitting.

Python's own parsers take a display name for the sender, break on an encoded comma and recurse on parentheses
(cpython#102988, CVE-2023-27043), so the scanner is ours: one pass, no recursion. Domains are compared as ASCII
bytes; a foreign script becomes punycode only by IDNA without mapping: mapping folds look-alikes onto real names.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import email_validator
import idna

from triaged.domain.message import Address
from triaged.mail import words

_TOKEN = re.compile(
    r"""(?P<word>=\?[^?\s]{1,64}\?[bBqQ]\?[^?\s]*\?=)
      | (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<angle><[^<>]*>)
      | (?P<comment>\()
      | (?P<mark>[,;:])
      | (?P<text>[^",;:<>(=]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_STEP = re.compile(r"[^()\\]+|\\.|[()\\]", re.DOTALL)
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}", re.ASCII)
_QUOTED_LOCAL = re.compile(r'"\s{0,9}@')
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_FOREIGN_DOTS = "\u3002\uff0e\uff61"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One entry of an address list. `address` is None where no usable one was written; `plain` when it stood there
    exactly as RFC 5322 wants it: nothing was guessed, mended or unpacked from a group."""

    address: Address | None
    plain: bool


@dataclass(slots=True)
class _Entry:
    text: list[str] = field(default_factory=list)
    quotes: list[str] = field(default_factory=list)
    angles: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.angles or self.quotes or "".join(self.text).strip())


def usable(text: str) -> str | None:
    """`text` as one address in ASCII lower case (domain in punycode), or None: one @, ASCII local part, sane domain."""
    local, at, domain = text.strip().rpartition("@")
    if not at or "=?" in local or not _LOCAL.fullmatch(local):
        return None
    folded = _domain(domain.rstrip(".").translate(_UPPER))
    return f"{local.translate(_UPPER)}@{folded}" if folded else None


def deliverable(text: str) -> str | None:
    """`text` as an address that mail can be sent to, in the form of `usable`; None where it is none (no DNS asked)."""
    address = usable(text)
    if address is None:
        return None
    try:
        email_validator.validate_email(
            address, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except email_validator.EmailNotValidError:
        return None
    return address if "." in address.rpartition("@")[2] else None


def _domain(domain: str) -> str | None:
    if domain.isascii():
        return domain if _DOMAIN.fullmatch(domain) else None
    if any(dot in domain for dot in _FOREIGN_DOTS):
        return None
    try:
        return idna.encode(domain).decode("ascii")
    except (idna.IDNAError, ValueError):
        return None


def parse(value: str, limit: int = 2000) -> tuple[Mailbox, ...]:
    """All entries of one raw, unfolded address field; reading stops after `limit` entries."""
    found: list[Mailbox] = []
    for entry, grouped in _entries(value):
        found += _mailboxes(entry, grouped)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


def readable(values: Iterable[str], limit: int = 2000) -> tuple[Address, ...]:
    """The usable addresses of several fields, each once, in order."""
    found: dict[str, Address] = {}
    for value in values:
        for box in parse(value, limit):
            if box.address:
                found.setdefault(box.address.address, box.address)
    return tuple(found.values())


def author(values: Iterable[str]) -> tuple[Address | None, bool]:
    """Who wrote, by all From fields of a mail, and whether that is beyond doubt: one field, one entry, plainly written.
    None unless there is exactly one usable address."""
    values = tuple(values)
    boxes = [box for value in values for box in parse(value)]
    addresses = {box.address.address: box.address for box in boxes if box.address}
    sender = next(iter(addresses.values())) if len(addresses) == 1 else None
    return sender, len(values) == 1 and len(boxes) == 1 and boxes[0].plain and sender is not None


def _entries(value: str) -> Iterator[tuple[_Entry, bool]]:
    """Entries between commas, and whether each stood in a group."""
    entry, grouped = _Entry(), False
    for kind, piece in _tokens(value):
        if piece == ":" and kind == "mark" and not entry.angles:
            entry, grouped = _Entry(), True
        elif kind == "mark":
            if not entry.empty:
                yield entry, grouped
            entry, grouped = _Entry(), grouped and piece != ";"
        else:
            _add(entry, kind, piece)
    if not entry.empty:
        yield entry, grouped


def _tokens(value: str) -> Iterator[tuple[str, str]]:
    position = 0
    while match := _TOKEN.match(value, position):
        kind, position = str(match.lastgroup), match.end()
        if kind == "comment":
            start, position = position, _comment_end(value, position)
            yield kind, value[start : max(start, position - 1)]
        elif match[0] in ('"', "<") and kind == "text":
            yield kind, value[position - 1 :]  # opened and never closed: the rest is plain text
            return
        else:
            yield kind, match[0]


def _comment_end(value: str, position: int) -> int:
    depth = 1
    for step in _COMMENT_STEP.finditer(value, position):
        depth += {"(": 1, ")": -1}.get(step[0], 0)
        if not depth:
            return step.end()
    return len(value) + 1


def _add(entry: _Entry, kind: str, piece: str) -> None:
    match kind:
        case "angle":
            entry.angles.append(piece[1:-1])
        case "comment":
            entry.comments.append(piece)
            entry.text.append(" ")
        case "quoted":
            entry.quotes.append(re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL))
            entry.text.append(piece)
        case _:
            entry.text.append(piece)


def _mailboxes(entry: _Entry, grouped: bool) -> list[Mailbox]:
    text = "".join(entry.text).strip()
    if entry.angles:
        single = len(entry.angles) == 1
        plain = single and not grouped and not entry.angles[0].rstrip().endswith(".") and _unmixed(entry)
        return [_mailbox(usable(angle), _name(entry), plain) for angle in entry.angles]
    if address := usable(text):
        name = words.clean(words.decode(" ".join(entry.comments)))
        return [_mailbox(address, name, not grouped and not text.endswith("."))]
    if _QUOTED_LOCAL.search(text):  # a quoted local part, which may hold the address of somebody else
        return [Mailbox(None, False)]
    found = [address for word in re.split(r"[\s<>\"']+", text) if (address := usable(word))]
    return [_mailbox(address, "", False) for address in found] or [Mailbox(None, False)]


def _unmixed(entry: _Entry) -> bool:
    """No second address stands bare beside the one in brackets: checkers on the way may have read that one."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', " ", "".join(entry.text))
    return all(usable(word) == usable(entry.angles[0]) for word in bare.split() if "@" in word)


def _mailbox(address: str | None, name: str, plain: bool) -> Mailbox:
    return Mailbox(Address(address, name), plain) if address else Mailbox(None, False)


def _name(entry: _Entry) -> str:
    text = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), "".join(entry.text))
    return words.clean(words.decode(text)) or words.clean(words.decode(" ".join(entry.comments)))
