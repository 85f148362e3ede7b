"""Which text of a mail counts (INTERFACE §4), cut into what the sender wrote now and what is quoted.

Of alternatives the plain text is read, and the HTML where the plain text is empty, a stub, or lacks what the HTML has;
a part beside others is read in any case.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from triaged.domain.message import Attachment, Line, Passage, Place
from triaged.mail import mime, quotes, text, uuencode, words

_BODY_TYPES = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext"})
_HTML_FACTOR = 4  # of HTML, that many times more characters are read: most are markup
_PART_COST = 500  # characters that a part counts for beside its text
_FLOWED_LENGTH = 2_000
_PAGE = re.compile(rb"[\s\xef\xbb\xbf]{0,100}<(?:!doctype html|html)[\s>]", re.IGNORECASE)
_PAGE_BEGINS = 400  # bytes
_WORD = re.compile(r"\w{3,40}")
_TELLING = re.compile(r"\d{5,}|[^\s<>@\"'()\[\],;:]{1,64}@[\w.-]{1,253}\w")
_MISSING_WORDS = 3
_STUB_WORDS = 60


@dataclass(frozen=True, slots=True)
class Body:
    """One text of the mail: its lines, which of them are quoted, what was odd about it and what was packed into it."""

    place: Place
    lines: tuple[Line, ...]
    quoted: tuple[bool, ...]
    notes: tuple[str, ...] = ()
    files: tuple[Attachment, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def new_text(self) -> str:
        return "\n".join(line.text for line, flag in zip(self.lines, self.quoted, strict=True) if not flag)

    def as_quoted(self) -> "Body":
        """Without its new lines: they stand in another part already."""
        lines = tuple(line for line, flag in zip(self.lines, self.quoted, strict=True) if flag)
        return replace(self, lines=lines, quoted=(True,) * len(lines))

    def passages(self, quoted: bool, place: Place | None = None, name: str = "") -> tuple[Passage, ...]:
        """Its new or its quoted lines as one passage; none where these lines are empty."""
        lines = tuple(line for line, flag in zip(self.lines, self.quoted, strict=True) if flag == quoted)
        if not any(line.text for line in lines):
            return ()
        return (Passage(Place.QUOTED if quoted else place or self.place, lines, "" if quoted else name),)


def parts_of(parts: Sequence[mime.Part]) -> tuple[mime.Part, ...]:
    """The parts that are the mail's own text: shown inline and without a file name, or else its first text."""
    texts = [part for part in parts if part.content_type in _BODY_TYPES]
    inline = [part for part in texts if part.disposition != "attachment" and not part.name]
    return tuple(inline or texts[:1])


def read(parts: Iterable[mime.Part], limit: int) -> tuple[Body, ...]:
    """The texts that count, in order; about `limit` characters of them all."""
    groups: dict[tuple[int, int], list[mime.Part]] = {}
    for number, part in enumerate(parts):
        groups.setdefault((part.alternative, 0 if part.alternative else number), []).append(part)
    found: list[Body] = []
    for group in groups.values():
        if limit > 0:
            bodies = tuple(_counting(group, limit))
            found += bodies
            limit -= sum(len(body.text) for body in bodies) + _PART_COST
    return tuple(found)


def _counting(group: Sequence[mime.Part], limit: int) -> Iterator[Body]:
    share = limit // len(group)
    plain = [_plain(part, share) for part in group if not _is_html(part)]
    rich = [_rich(part, share) for part in group if _is_html(part)]
    said, shown = ("\n".join(body.text for body in bodies) for bodies in (plain, rich))
    if not rich:
        yield from plain
    elif not _lacks(said, shown):
        yield from (*plain, *(body for body in rich if "\t" not in said and _has_columns(body.new_text)))
    elif _is_stub(said, shown):
        yield from rich
    elif _lacks(said, "\n".join(body.new_text for body in rich)):
        yield from (*plain, *rich)
    else:
        yield from (*plain, *(body.as_quoted() for body in rich))


def _is_html(part: mime.Part) -> bool:
    """By its type, or because it begins as no plain text does (scripts often send a page as text/plain)."""
    return part.content_type == "text/html" or _PAGE.match(part.content(_PAGE_BEGINS)) is not None


def _lacks(said: str, shown: str) -> bool:
    """The plain text is empty, or lacks an id, an address or a good part of the words that the HTML shows."""
    if not said.strip():
        return True
    if set(_TELLING.findall(shown.lower())) - set(_TELLING.findall(said.lower())):
        return True
    has = set(_WORD.findall(shown.lower()))
    return len(has - set(_WORD.findall(said.lower()))) > max(_MISSING_WORDS, len(has) * 15 // 100)


def _has_columns(shown: str) -> bool:
    """A table whose values stand below their headings: as plain text without tabs it says no longer what is whose."""
    rows = shown.split("\n")
    return any(
        "\t" in heading and heading.count("\t") == row.count("\t") and bool(_TELLING.search(row))
        for heading, row in itertools.pairwise(rows)
        if not _TELLING.search(heading)
    )


def _is_stub(said: str, shown: str) -> bool:
    """Nothing, or a few words that only say that there is HTML."""
    own, there = set(_WORD.findall(said.lower())), set(_WORD.findall(shown.lower()))
    if set(_TELLING.findall(said.lower())) - set(_TELLING.findall(shown.lower())):
        return False
    return len(own) < _STUB_WORDS and len(own & there) * 2 <= len(own)


def _plain(part: mime.Part, limit: int) -> Body:
    content, note = part.text(limit)
    if part.content_type in ("text/enriched", "text/richtext"):
        content = re.sub(r"<(?:[A-Za-z/][^<>]{0,100})>", "", content).replace("<<", "<")
    content, packed = uuencode.without(content)
    rows = content.split("\n")
    numbered = list(enumerate(rows, 1))
    if part.parameters.get("format", "").lower() == "flowed":
        numbered = list(_unflowed(rows, part.parameters.get("delsp", "").lower() == "yes"))
    lines = tuple(Line(number, words.fold(row).rstrip()) for number, row in numbered)
    files = tuple(
        Attachment(mime.safe_name(name), "application/octet-stream", size, "uuencoded in the text")
        for name, size in packed
    )
    return Body(Place.BODY, lines, quotes.quoted([line.text for line in lines]), (note,) if note else (), files)


def _rich(part: mime.Part, limit: int) -> Body:
    content, note = part.text(limit * _HTML_FACTOR)
    rows = text.from_html(content)
    # A container is written as a mail client without HTML would quote it, so that one set of rules judges both.
    flags = quotes.quoted([f"> {row.text}" if row.quoted else row.text for row in rows])
    lines = tuple(Line(number, row.text) for number, row in enumerate(rows, 1))
    return Body(Place.HTML, lines, flags, (note,) if note else ())


def _unflowed(rows: Sequence[str], delete_space: bool) -> Iterator[tuple[int, str]]:
    """Soft line breaks undone (RFC 3676): lines with the number of their first piece."""
    first, pending = 0, ""
    for number, row in enumerate(rows, 1):
        depth = _depth(row)
        content = row[depth:].removeprefix(" ")
        joins = bool(pending) and _depth(pending) == depth and content != "-- "
        if pending and not joins:
            yield first, pending
            pending = ""
        if not pending:
            first = number
        pending += content if joins else f"{'>' * depth}{' ' if depth else ''}{content}"
        if row.endswith(" ") and content != "-- " and len(pending) < _FLOWED_LENGTH:
            pending = pending[:-1] if delete_space else pending
        else:
            yield first, pending
            pending = ""
    if pending:
        yield first, pending


def _depth(row: str) -> int:
    return len(row) - len(row.lstrip(">"))
