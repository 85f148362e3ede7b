"""Outgoing mail: from values to finished bytes, written by hand and read back at the gate before anybody may send them.

Written by hand because the standard library's modern policy costs 1.4 ms a mail, and because on Python 3.11.7 and
3.12.1 a field value with an encoded line feed (`=?utf-8?q?x=0ABcc:_v@x?=`) becomes a real `Bcc:` field. So every
value is cleaned, every word that is not plain ASCII is encoded here, and `gate` believes only the bytes.
"""

import binascii
import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from triaged.domain.errors import PermanentError

SUBJECT_LENGTH = 200  # characters of a subject; longer ones are cut with an ellipsis
REFERENCES_LENGTH = 900  # bytes of the References field: one folded field stays under RFC 5322's 998 even unfolded
LINE_LENGTH = 998  # RFC 5322 section 2.1.1
MARK = "X-Triaged"  # what `mail/automatic.py` knows our own mail by

REQUIRED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
ALLOWED = frozenset((
    *REQUIRED, "Reply-To", "In-Reply-To", "References", "Content-Language", "Content-Transfer-Encoding",
    "Auto-Submitted", "X-Auto-Response-Suppress", MARK,
))  # fmt: skip

_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(\.[\w-]+)*", re.ASCII)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")  # printable ASCII without < and >
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
_FIELD = re.compile(rb"([!-9;-~]+): (.*)", re.DOTALL)
_ENCODED = re.compile(rb"=\?utf-8\?q\?([!->@-~]+)\?=")
_CONTROL_ESCAPE = re.compile(rb"=(?:[01][0-9A-F]|7F)")
_PREFIXES = re.compile(
    r"\A(?:(?:re|r|aw|antw|sv|vs|tr|fwd?|wg|rv|res|enc|ré[pf]?)\s*(?:\[\d+\]|\(\d+\))?\s*[:：]\s*)+", re.IGNORECASE
)
_NUMBERS = re.compile(r"\[[A-Z]{2,10}-\d{6,18}\]", re.IGNORECASE)
_JOINERS = "\u200c\u200d"  # invisible, but letters of some scripts and many emoji need them
_TOO_LONG_ID = 250


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail to one recipient. `subject` is final (see `subject_for`); `references` are Message-IDs, oldest first.

    `in_reply_to` and `references` come from a stranger's mail: malformed ones are left out. All else is ours:
    a malformed address, Message-ID or locale is a PermanentError. `automatic` is RFC 3834's word: auto-replied for
    answers, auto-generated for alerts. `mark` is the value of X-Triaged, our loop guard.
    """

    sender_name: str
    sender_address: str
    recipient: str
    subject: str
    text: str
    message_id: str
    date: datetime
    html: str = ""
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    locale: str = ""
    automatic: str = "auto-replied"
    mark: str = "notice"


def build(outgoing: Outgoing) -> bytes:
    """The finished mail: CRLF, 7-bit, text part first. The same values give the same bytes.

    Raises PermanentError when a value of ours cannot stand in a mail or the bytes do not pass the `gate`.
    """
    head = [f"{name}: {value}" for name, value in _fields(outgoing) if value]
    finished = "\r\n".join((*head, *_body(outgoing))).encode("ascii")
    gate(finished)
    return finished


def subject_for(subject: str, number: str) -> str:
    """The partner's subject in our answer: one `Re:`, the ticket's number once and in front, at most 200 characters.

    The number goes first so that it survives a narrow list and a cut. Stacked `Re: AW: TR:` of any client collapse.
    """
    return titled(_PREFIXES.sub("", _untagged(clean(subject)), count=1), number, "Re: ")


def titled(title: str, number: str, prefix: str = "") -> str:
    """A sentence of our own as subject: the ticket's number in front once, at most 200 characters."""
    tag = f"[{number}] " if number else ""
    whole = f"{prefix}{tag}{_untagged(clean(title))}".strip()
    return whole if len(whole) <= SUBJECT_LENGTH else whole[: SUBJECT_LENGTH - 1].rstrip() + "…"


def clean(value: str) -> str:
    """One line that is safe to print: line ends and tabs become one space; control, bidirectional and other invisible
    characters (Unicode Cc, Cf, Cs) go, but the joiners that scripts and emoji need."""
    plain = value.isascii() and value.isprintable()
    return _spaced(value if plain else "".join(_visible(character) for character in value))


def sendable(address: str) -> bool:
    """Whether a mail to `address` can be built: plain ASCII (an IDN domain as punycode), at most 254 characters."""
    return len(address) <= 254 and "=?" not in address and _ADDRESS.fullmatch(address) is not None


def gate(finished: bytes) -> None:
    """Read the finished bytes as a server would, and refuse what we never write (reliability.md, header injection).

    Raises PermanentError on a field that is not ours, doubled or missing, on a bare CR or LF, NUL, a byte that is
    not ASCII, a line of more than 998 bytes, and on an encoded word that holds a control character.
    """
    rows = finished.split(b"\r\n")
    if not finished.isascii() or b"\0" in finished:
        raise _refused("a NUL or a byte that is not ASCII")
    if finished.count(b"\r") != len(rows) - 1 or finished.count(b"\n") != len(rows) - 1:
        raise _refused("a bare CR or LF")
    if max(map(len, rows)) > LINE_LENGTH:
        raise _refused(f"a line of more than {LINE_LENGTH} bytes")
    if b"" not in rows:
        raise _refused("no end of the header")
    names = [_checked(field) for field in _unfolded(rows[: rows.index(b"")])]
    for name in REQUIRED:
        if name not in names:
            raise _refused(f"no field {name}")
    if len(names) != len(set(names)):
        raise _refused("a field twice")


# --- the gate -----------------------------------------------------------------------------------------------------


def _refused(what: str) -> PermanentError:
    return PermanentError(f"mail not sent: the finished bytes hold {what}; a value slipped past compose.clean")


def _unfolded(rows: list[bytes]) -> Iterator[bytes]:
    """Whole fields; a continuation must carry something, a first line that continues nothing is a field of its own."""
    field = b""
    for row in rows:
        if row[:1] in (b" ", b"\t") and row.strip() and field:
            field += row
            continue
        if field:
            yield field
        field = row
    yield field


def _checked(field: bytes) -> str:
    match = _FIELD.fullmatch(field)
    name = match[1].decode() if match else ""
    if match is None or name not in ALLOWED:
        raise _refused(f"a header line that we never write: {field[:60]!r}")
    if not all(0x20 <= byte < 0x7F for byte in match[2]):
        raise _refused(f"a control character in {name}")
    words = _ENCODED.findall(match[2])
    if match[2].count(b"=?") != len(words) or any(_CONTROL_ESCAPE.search(word) for word in words):
        raise _refused(f"an encoded word in {name} that is not ours or hides a control character")
    return name


# --- values -------------------------------------------------------------------------------------------------------


def _visible(character: str) -> str:
    if character in _JOINERS:
        return character
    match unicodedata.category(character):
        case "Zl" | "Zp":
            return " "
        case "Cc":
            return " " if character in "\t\n\r\v\f\x85" else ""
        case "Cf" | "Cs":
            return ""
        case _:
            return character


def _spaced(value: str) -> str:
    return re.sub(r" {2,}", " ", value).strip()


def _untagged(subject: str) -> str:
    """Without ticket numbers of our form: two of them in one subject would name neither (`threads`)."""
    return _spaced(_NUMBERS.sub(" ", subject))


def _address(value: str, name: str) -> str:
    if not sendable(value):
        raise PermanentError(f"mail not built: {name} {value[:80]!r} is not an ASCII mail address")
    return value


def _mailbox(name: str, address: str) -> str:
    name = clean(name)
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"\r\n <{address}>' if len(quoted) > 60 else f'"{quoted}" <{address}>'
    return f"{_encoded(name)}\r\n <{address}>"


def _unstructured(value: str) -> str:
    """A Subject: plain and folded at spaces, or encoded where it is not ASCII or only looks encoded."""
    value = clean(value)
    if value.isascii() and "=?" not in value:
        return "\r\n ".join(textwrap.wrap(value, 66, break_long_words=False, break_on_hyphens=False))
    return _encoded(value)


def _encoded(value: str) -> str:
    """RFC 2047 Q words of at most 75 characters, never cut inside a character."""
    words, word = [], ""
    for character in value:
        piece = _q(character)
        if len(word) + len(piece) > 60:
            words.append(word)
            word = ""
        word += piece
    return "\r\n ".join(f"=?utf-8?q?{word}?=" for word in (*words, word))


def _q(character: str) -> str:
    if character == " ":
        return "_"
    if character.isascii() and character.isalnum():
        return character
    return "".join(f"={byte:02X}" for byte in character.encode())


def _identifiers(values: Iterable[str]) -> list[str]:
    """Those that can stand in a field of ours; `=?` would be decoded by careless clients."""
    return [v for v in values if len(v) <= _TOO_LONG_ID and "=?" not in v and _MESSAGE_ID.fullmatch(v)]


def _references(values: Iterable[str]) -> str:
    """The thread's ids within 900 bytes: the first, which names the thread, and as many of the last as fit."""
    ids = list(dict.fromkeys(_identifiers(values)))
    while len(ids) > 2 and sum(len(value) + 3 for value in ids) > REFERENCES_LENGTH:
        del ids[1]
    return "\r\n ".join(ids)


# --- the mail -----------------------------------------------------------------------------------------------------


def _fields(outgoing: Outgoing) -> Iterator[tuple[str, str]]:
    if not _MESSAGE_ID.fullmatch(outgoing.message_id):
        raise PermanentError(f"mail not built: {outgoing.message_id[:80]!r} is not a Message-ID of ours")
    yield "Date", format_datetime(outgoing.date)
    yield "From", _mailbox(outgoing.sender_name, _address(outgoing.sender_address, "sender"))
    yield "To", _address(outgoing.recipient, "recipient")
    yield "Reply-To", outgoing.reply_to and _address(outgoing.reply_to, "Reply-To")
    yield "Subject", _unstructured(outgoing.subject) or "-"
    yield "Message-ID", outgoing.message_id
    yield "In-Reply-To", "".join(_identifiers((outgoing.in_reply_to,)))
    yield "References", _references(outgoing.references)
    yield "Auto-Submitted", _token(outgoing.automatic)
    yield "X-Auto-Response-Suppress", "All"
    yield MARK, _token(outgoing.mark)
    yield "Content-Language", outgoing.locale and _token(outgoing.locale)
    yield "MIME-Version", "1.0"


def _token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise PermanentError(f"mail not built: {value[:80]!r} may only hold ASCII letters, digits, space, dot, - and _")
    return value


def _body(outgoing: Outgoing) -> Iterator[str]:
    if not outgoing.html:
        yield from _part("plain", outgoing.text)
        return
    boundary = "=_" + hashlib.sha256(outgoing.message_id.encode()).hexdigest()[:24]  # `=_` never occurs in QP text
    yield f'Content-Type: multipart/alternative; boundary="{boundary}"'
    yield ""
    for subtype, content in (("plain", outgoing.text), ("html", outgoing.html)):
        yield f"--{boundary}"
        yield from _part(subtype, content)
    yield f"--{boundary}--"
    yield ""


def _part(subtype: str, content: str) -> Iterator[str]:
    yield f"Content-Type: text/{subtype}; charset=utf-8"
    yield "Content-Transfer-Encoding: quoted-printable"
    yield ""
    unix = content.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    encoded = binascii.b2a_qp(unix.encode(errors="replace"), istext=True).decode("ascii")
    yield encoded.replace("\n", "\r\n")
