"""The header block: raw bytes cut into fields, and mended where it is broken.

One line that is no field ends the header for Python's parser, and the real From with it; a bare CR starts a new field
and forges one. So the block is cut here: what had to be mended is told, and such a mail is never authenticated
(DESIGN §4.0, §5).
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

_FIELD = re.compile(rb"([!-9;-~]{1,100})([ \t]*):(.*)", re.DOTALL)
_END = re.compile(rb"\n\r?\n")
_LEADING_BLANKS = re.compile(rb"[ \t\r\n]*\n")
_MAILBOX_LINE = re.compile(rb">?From (?![ \t]*:)[^\n]*\n")
_MARK = b"\xef\xbb\xbf"
_LEADING_BLOCKS = 4
_LONGEST = 512 * 1024  # no header is looked for further down
_KNOWN = frozenset(
    b"from to cc bcc subject date reply-to sender return-path received message-id in-reply-to references mime-version "
    b"content-type content-transfer-encoding content-disposition delivered-to x-original-to authentication-results "
    b"dkim-signature x-mailer user-agent auto-submitted precedence list-id importance organization thread-topic".split()
)


class Field(NamedTuple):
    """One header field: lower-case name, unfolded raw value."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A header block: its fields in wire order, the offset where the body starts, and what had to be mended
    (empty: nothing)."""

    fields: tuple[Field, ...]
    body: int
    mended: tuple[str, ...] = ()

    def first(self, name: str) -> bytes:
        """Value of the first field of that name, empty when there is none."""
        return next((field.value for field in self.fields if field.name == name), b"")


def split(raw: bytes, start: int = 0, end: int | None = None) -> Block:
    """Cut the header block of a whole mail that begins at `start`; mends marks, blank lines and junk lines."""
    end = len(raw) if end is None else end
    start, mended = _lead(raw, start, end)
    for _ in range(_LEADING_BLOCKS):
        stop, body = _extent(raw, start, end)
        if body >= end or _has_known(raw[start:stop]) or not _has_known(raw[body : _extent(raw, body, end)[0]]):
            break
        start, mended = body, [*mended, "text before the header was left out"]
    block = _fields(raw, start, stop, body)
    return Block(block.fields, block.body, (*mended, *block.mended))


def split_part(raw: bytes, start: int, end: int) -> Block:
    """Cut the header block of a MIME part, which may be empty: then it starts with an empty line."""
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return Block((), raw.index(b"\n", start) + 1)
    return _fields(raw, start, *_extent(raw, start, end))


def _lead(raw: bytes, start: int, end: int) -> tuple[int, list[str]]:
    """Where the header really starts, past a byte order mark, blank lines and an mbox line."""
    first = start
    if raw.startswith(_MARK, start, end):
        start += len(_MARK)
    if blanks := _LEADING_BLANKS.match(raw, start, end):
        start = blanks.end()
    if line := _MAILBOX_LINE.match(raw, start, end):
        start = line.end()
    return start, ["blank lines or an mbox line before the header were left out"] if start != first else []


def _extent(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """Offsets where the block that begins at `start` stops and where its body begins."""
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return start, raw.index(b"\n", start) + 1
    end = min(end, start + _LONGEST)
    found = _END.search(raw, start, end)
    return (found.start() + 1, found.end()) if found else (end, end)


def _name(line: bytes) -> bytes:
    match = _FIELD.match(line)
    return match[1].lower() if match else b""


def _has_known(block: bytes) -> bool:
    return any(_name(line) in _KNOWN for line in block.split(b"\n"))


def _fields(raw: bytes, start: int, stop: int, body: int) -> Block:
    lines = raw[start:stop].split(b"\n")
    last_known = max((i for i, line in enumerate(lines) if _name(line) in _KNOWN), default=-1)
    fields: list[tuple[str, list[bytes]]] = []
    mended: set[str] = set()
    offset = start
    for index, line in enumerate(lines):
        here, offset = offset, offset + len(line) + 1
        line = line.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(line)
        elif match := _FIELD.match(line):
            fields.append((match[1].decode("ascii").lower(), [match[3]]))
            if match[2]:
                mended.add("a blank before the colon of a header field")
        elif index > last_known and line.strip():
            mended.add("no empty line between header and text")
            body = here
            break
        elif line:
            mended.add("lines in the header that are no field were left out")
    joined = tuple(Field(name, b"".join(parts).strip()) for name, parts in fields)
    return Block(joined, body, tuple(sorted(mended)))
