"""Raw bytes to header fields and a flat list of parts, within limits.

The standard library's parser recurses on nesting, checks every line against every open boundary (25 MB of empty lines
inside 900 multiparts take it hours) and raises on some headers, so parts are cut here: boundaries are looked for in
the bytes, offsets are kept instead of copies, and every limit is checked before the work it limits. What comes out has
the shape of `email`'s compat32 walk.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from triaged.mail import charsets, headers, uuencode, words


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes unless said; `text` is how many characters of one part are read."""

    message: int = 25 * 1024 * 1024
    header: int = 256 * 1024
    field: int = 16 * 1024
    fields: int = 1_000
    depth: int = 20
    parts: int = 500
    addresses: int = 2_000
    text: int = 256 * 1024


LIMITS = Limits()
_CANDIDATES = 50  # lines per allowed part that may start like a boundary
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,80})/([a-z0-9!#$&^_.+-]{1,80})")
_MEANT = re.compile(rb"\s{0,100}--([^\r\n]{1,200}?)[ \t]*\r?\nContent-", re.IGNORECASE)
# Text that only claims to be base64
_BARE = re.compile(rb"\s{0,100}[A-Za-z0-9+/=]{0,100}(?:[<,.:;@'\x80-\xff]|[ \t]{1,9}\S)")
_MAILS = ("message/rfc822", "message/global", "message/news")
_UNSAFE = re.compile(r'[<>:"|?*\\/%]+')
_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One leaf of the mail, or (type message/rfc822) a forwarded mail, whose own parts follow it.

    `alternative` numbers the multipart/alternative it stands in and `forwarded` the forwarded mail (0: none), which
    says its own number in `opens`; `reported` says that it stands in a multipart/report; `name` is a safe file name,
    empty when none was given.
    """

    content_type: str
    parameters: Mapping[str, str]
    disposition: str
    name: str
    transfer: str
    source: bytes = field(repr=False)
    start: int = 0
    end: int = 0
    depth: int = 0
    alternative: int = 0
    forwarded: int = 0
    opens: int = 0
    reported: bool = False
    fields: tuple[headers.Field, ...] = ()

    @property
    def size(self) -> int:
        """Decoded size in bytes, estimated without decoding."""
        length = self.end - self.start
        if self.transfer == "base64":
            return (length - self.source.count(b"\n", self.start, self.end) * 2) * 3 // 4
        return length

    @property
    def is_mail(self) -> bool:
        return self.content_type in _MAILS

    def content(self, limit: int | None = None) -> bytes:
        """Decoded bytes; of at most about `limit` encoded ones."""
        end = self.end if limit is None else min(self.end, self.start + limit)
        raw = self.source[self.start : end]
        match self.transfer:
            case "base64":
                return raw if self.content_type.startswith("text/") and _BARE.match(raw) else words.base64(raw)
            case "quotedprintable":
                return binascii.a2b_qp(raw)
            case "uuencode" | "xuuencode" | "xuue" | "uue":
                return uuencode.unpacked(raw)
            case _:
                return raw

    def text(self, limit: int) -> tuple[str, str]:
        """The text with LF line ends, at most `limit` characters, and a note for the operator."""
        content = self.content(limit * 4)
        text, note = charsets.decode(content, self.parameters.get("charset", ""))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > limit or self.end - self.start > limit * 4:
            note = f"only the first {limit} characters were read"
        return text[:limit], note


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail cut apart. `problem` is empty, or why nothing of it may be believed, then without parts;
    `dirty` when its header block holds bytes that forge fields; `repaired` when the block had to be mended."""

    fields: tuple[headers.Field, ...] = ()
    parts: tuple[Part, ...] = ()
    content_type: str = "text/plain"
    charset: str = ""
    problem: str = ""
    dirty: bool = False
    repaired: bool = False
    notes: tuple[str, ...] = ()


_NO_MAIL = "there is no header field: these bytes are no mail"


def parse(raw: bytes, limits: Limits = LIMITS, header_only: bool = False) -> Mail:
    """Preflight (DESIGN §4.0), then the parts. Never raises; `header_only` leaves the body alone."""
    block = headers.split(raw)
    head = raw[: block.body].removesuffix(b"\r")  # where a huge header was cut
    if problem := _forged(head) or ("" if block.fields else _NO_MAIL):
        return Mail(_shortened(block, limits), problem=problem, dirty=True, repaired=True)
    mixed = 0 < head.count(b"\r\n") < head.count(b"\n")
    notes = (*block.mended, *(["line ends of two kinds in the header"] if mixed else []))
    problem, incomplete = _oversized(raw, block, limits)
    entity = _entity(block, raw, len(raw))
    mail = Mail(
        _shortened(block, limits) if problem else block.fields,
        content_type=entity.content_type,
        charset=entity.parameters.get("charset", ""),
        problem=problem,
        repaired=bool(notes) or incomplete,
        notes=notes,
    )
    if problem or header_only:
        return mail
    parts, problem = _walk(entity, limits)
    return replace(mail, parts=() if problem else parts, problem=problem)


def _forged(head: bytes) -> str:
    """Bytes that let one field pretend to be two, if the header block holds any."""
    if b"\0" in head:
        return "the header holds a NUL byte: the mail is not believed; look at it with `triaged message raw`"
    if head.count(b"\r") != head.count(b"\r\n"):
        return "the header holds a CR without LF, which forges header fields; look at it with `triaged message raw`"
    return ""


def _oversized(raw: bytes, block: headers.Block, limits: Limits) -> tuple[str, bool]:
    """What is too large in the header or as a whole, and whether some field may have been missed for it."""
    if len(raw) > limits.message:
        return f"the mail has {len(raw)} bytes, more than {limits.message} ([limits] message)", False
    if block.body > limits.header:
        return f"the header has {block.body} bytes, more than {limits.header}: ask the sender to send it anew", True
    if len(block.fields) > limits.fields:
        return f"the header has {len(block.fields)} fields, more than {limits.fields}", True
    for name, value in block.fields:
        if len(value) > limits.field:
            return f"the header field {name[:40]} has {len(value)} bytes, more than {limits.field}", False
    return "", False


def _shortened(block: headers.Block, limits: Limits) -> tuple[headers.Field, ...]:
    return tuple(headers.Field(name, value[: limits.field]) for name, value in block.fields[: limits.fields])


def _entity(block: headers.Block, source: bytes, end: int, default: str = "text/plain") -> Part:
    declared, parameters = words.parameters(_words(block, "content-type"))
    match = _TYPE.match(declared)
    content_type = f"{match[1]}/{match[2]}" if match else default
    disposition, placed = words.parameters(_words(block, "content-disposition"))
    transfer = re.sub(r"[^a-z0-9]", "", _words(block, "content-transfer-encoding").lower())
    name = safe_name(placed.get("filename") or parameters.get("name", ""))
    if content_type == "application/octet-stream" and name.lower().endswith(".eml"):
        content_type = "message/rfc822"
    return Part(
        content_type=content_type,
        parameters=parameters,
        disposition=disposition,
        name=name,
        transfer="" if content_type.startswith("multipart/") else transfer,
        source=source,
        start=block.body,
        end=end,
    )


def _words(block: headers.Block, name: str) -> str:
    return charsets.decode(block.first(name)[: LIMITS.field])[0]


def safe_name(name: str) -> str:
    """A file name as metadata: no folders, control characters or wildcards; at most 100 characters, ending kept."""
    flat = words.clean(name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    flat = _UNSAFE.sub("_", flat).strip(". ")
    if len(flat) <= _NAME_LENGTH:
        return flat
    stem, dot, ending = flat.rpartition(".")
    kept = dot + ending if dot and len(ending) < 10 else ""
    return (stem or flat)[: _NAME_LENGTH - len(kept)] + kept


def _walk(top: Part, limits: Limits) -> tuple[tuple[Part, ...], str]:
    """Leaves in order, by an explicit stack; or what there is too much of."""
    done: list[Part] = []
    stack = [top]
    opened = 0
    while stack:
        part = stack.pop()
        if part.depth > limits.depth:
            return (), f"parts are nested more than {limits.depth} deep: ask the sender to forward it as plain text"
        opened += 1
        children = list(islice(_children(part, opened, limits.parts), limits.parts + 1))
        if not children or part.is_mail:
            done.append(replace(part, fields=_inner_fields(part), opens=opened) if part.is_mail else _leaf(part))
        stack += reversed(children)
        if len(done) + len(stack) > limits.parts:
            return (), f"the mail has more than {limits.parts} parts"
    return tuple(done), ""


def _leaf(part: Part) -> Part:
    """A multipart whose boundary never comes is text."""
    return replace(part, content_type="text/plain") if part.content_type.startswith("multipart/") else part


def _children(part: Part, number: int, limit: int) -> Iterator[Part]:
    if part.is_mail:
        yield _forwarded(part, number)
    if not part.content_type.startswith("multipart/"):
        return
    default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    for start, end in _parts_of(part, limit):
        child = _entity(headers.split_part(part.source, start, end), part.source, end, default)
        yield replace(
            child,
            depth=part.depth + 1,
            alternative=number if part.content_type == "multipart/alternative" else part.alternative,
            forwarded=part.forwarded,
            reported=part.reported or part.content_type == "multipart/report",
        )


def _forwarded(part: Part, number: int) -> Part:
    source = part.content() if part.transfer else part.source
    start, end = (0, len(source)) if part.transfer else (part.start, part.end)
    inner = _entity(headers.split(source, start, end), source, end)
    return replace(inner, depth=part.depth + 1, forwarded=number, reported=part.reported)


def _inner_fields(part: Part) -> tuple[headers.Field, ...]:
    block = headers.split(part.content() if part.transfer else part.source[part.start : part.end])
    return _shortened(block, LIMITS)


def _parts_of(part: Part, limit: int) -> list[tuple[int, int]]:
    """Sections by the declared boundary, or by the one that is obviously meant."""
    boundary = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
    if boundary and (sections := list(islice(_sections(part, boundary, limit), limit + 1))):
        return sections
    meant = _MEANT.match(part.source, part.start, part.end)
    return list(islice(_sections(part, meant[1], limit), limit + 1)) if meant else []


def _sections(part: Part, boundary: bytes, limit: int) -> Iterator[tuple[int, int]]:
    """Offsets of the sections between boundary lines (RFC 2046 §5.1.1); an unclosed last one runs to the end."""
    begin = None
    for line, after, last in _boundary_lines(part, boundary, limit):
        if begin is not None:
            yield begin, max(begin, _before_line_end(part.source, line))
        begin = None if last else after
        if last:
            return
    if begin is not None:
        yield begin, part.end


def _boundary_lines(part: Part, boundary: bytes, limit: int) -> Iterator[tuple[int, int, bool]]:
    """Start of each boundary line, start of the next line, and whether it is the closing one."""
    mark = b"--" + boundary
    rest = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
    position, seen = part.start, 0
    while seen < limit * _CANDIDATES:
        seen += 1
        position = part.source.find(mark, position, part.end)
        if position < 0:
            return
        ending = rest.match(part.source, position + len(mark), part.end)
        if ending and (position == part.start or part.source[position - 1 : position] == b"\n"):
            yield position, ending.end(), bool(ending[1])
        position += len(mark)


def _before_line_end(source: bytes, line: int) -> int:
    """The line end before a boundary belongs to the boundary."""
    return line - (2 if source[line - 2 : line] == b"\r\n" else 1)
