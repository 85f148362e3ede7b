"""Attached files: listed by safe names, and read where they are text or a sheet (INTERFACE §4 "Which text counts")."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from triaged.domain.errors import PermanentError
from triaged.domain.message import Attachment, Line, Passage, Place
from triaged.mail import bodies, mime, sheets, text, words

_KINDS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/csv": "table",
    "text/tab-separated-values": "table",
    "application/csv": "table",
    "application/json": "json",
    "text/json": "json",
    "text/calendar": "calendar",
    "application/ics": "calendar",
    "application/xml": "text",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "sheet",
    "application/vnd.ms-excel.sheet.macroenabled.12": "sheet",
}
_ENDINGS = {
    "htm": "html",
    "html": "html",
    "csv": "table",
    "tsv": "table",
    "xlsx": "sheet",
    "xlsm": "sheet",
    "json": "json",
    "ics": "calendar",
    "txt": "text",
    "log": "text",
    "md": "text",
    "xml": "text",
}
_UNTYPED = frozenset(
    {
        "application/octet-stream",
        "application/x-unknown",
        "application/vnd.ms-excel",
        "application/zip",
        "application/x-zip-compressed",
    }
)
_TNEF = "Outlook's winmail.dat (TNEF) is not read: ask the sender to send plain text or HTML"
_NOTES = {
    "application/ms-tnef": _TNEF,
    "application/vnd.ms-tnef": _TNEF,
    "application/pkcs7-mime": "S/MIME, encrypted or signed as a whole: not read",
    "application/x-pkcs7-mime": "S/MIME, encrypted or signed as a whole: not read",
    "application/pgp-encrypted": "encrypted with PGP: not read",
    "message/partial": "a piece of a mail sent in several: not read",
    "message/external-body": "only a pointer to a file elsewhere: not read",
    "application/vnd.ms-outlook": "a mail in Outlook's .msg format: not read",
}
_TNEF_NAME = "winmail.dat"
_DELIMITERS = ";\t,|"
_VALUE_LINES = 6  # that one value of a CSV file may go over
_FILE_COST = 2_000  # characters that a file counts for beside its text
_CALENDAR_FIELD = re.compile(r"(SUMMARY|DESCRIPTION|LOCATION|COMMENT)(?:;[^:]{0,300})?:(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """All that is attached: the list, what could be read of it, what forwarded mails quote in turn, and notes."""

    listed: tuple[Attachment, ...]
    passages: tuple[Passage, ...]
    quoted: tuple[Passage, ...]
    notes: tuple[str, ...]


def read(parts: Sequence[mime.Part], limit: int) -> Attached:
    """Everything but the mail's own text; about `limit` characters in all. What came back in a report is only listed:
    it is our own mail."""
    mails = _by_mail(parts)
    texts = {part for own in mails.values() for part in bodies.parts_of(own)}
    listed = [(name(part, number), part) for number, part in enumerate((p for p in parts if p not in texts), 1)]
    found: list[_Text] = []
    for title, part in listed:
        if limit > 0 and not part.reported:
            found.append(_mail(title, part, mails, limit) if part.is_mail else _file(title, part, limit))
            limit -= sum(len(passage.text) for passage in (*found[-1].passages, *found[-1].quoted)) + _FILE_COST
    return Attached(
        listed=tuple(_listed(title, part) for title, part in listed),
        passages=tuple(passage for text in found for passage in text.passages),
        quoted=tuple(passage for text in found for passage in text.quoted),
        notes=tuple(f"{text.title}: {note}" for text in found for note in text.notes if note),
    )


@dataclass(frozen=True, slots=True)
class _Text:
    """What was read of one attachment."""

    title: str
    passages: Sequence[Passage]
    quoted: Sequence[Passage] = ()
    notes: Sequence[str] = ()


def _mail(title: str, part: mime.Part, mails: dict[int, list[mime.Part]], limit: int) -> _Text:
    inner = bodies.read(bodies.parts_of(mails.get(part.opens, [])), limit)
    return _Text(
        title,
        [*_subject(title, part), *(new for body in inner for new in body.passages(False, Place.ATTACHMENT, title))],
        [quoted for body in inner for quoted in body.passages(True)],
        [note for body in inner for note in body.notes],
    )


def _file(title: str, part: mime.Part, limit: int) -> _Text:
    rows, note = lines(part, limit) if kind(part) else ([], "")
    named = tuple(Line(number, row) for number, row in enumerate(rows, 1))
    return _Text(title, [Passage(Place.ATTACHMENT, named, title)] if any(rows) else [], notes=[note])


def _by_mail(parts: Sequence[mime.Part]) -> dict[int, list[mime.Part]]:
    """The parts of the mail itself (0) and of each forwarded mail."""
    found: dict[int, list[mime.Part]] = {}
    for part in parts:
        if not part.is_mail:
            found.setdefault(part.forwarded, []).append(part)
    return found


def _subject(title: str, part: mime.Part) -> list[Passage]:
    value = next((value for field, value in part.fields if field == "subject"), b"")
    subject = words.clean(words.decode(value))
    return [Passage(Place.ATTACHMENT, (Line(1, subject),), title)] if subject else []


def _listed(title: str, part: mime.Part) -> Attachment:
    note = _TNEF if part.name.lower() == _TNEF_NAME else _NOTES.get(part.content_type, "")
    return Attachment(title, part.content_type, part.size, note, tnef=note == _TNEF)


def name(part: mime.Part, number: int) -> str:
    """The safe file name, or one made from the part's number."""
    return part.name or (f"forwarded-{number}.eml" if part.is_mail else f"attachment-{number}")


def kind(part: mime.Part) -> str:
    """How the part is read: html, table, sheet, json, calendar, text; empty for what is no text."""
    ending = part.name.lower().rpartition(".")[2] if "." in part.name else ""
    if part.content_type in _UNTYPED:
        return _ENDINGS.get(ending, "")
    by_type = _KINDS.get(part.content_type, "text" if part.content_type.startswith("text/") else "")
    return _ENDINGS.get(ending, by_type) if by_type == "text" else by_type


def lines_of(file_name: str, content: bytes) -> list[str]:
    """The readable lines of a file on disk, by its ending, as those of an attachment of that name."""
    part = mime.Part("application/octet-stream", {}, "attachment", file_name, "8bit", content, 0, len(content))
    found, note = lines(part, len(content)) if kind(part) else ([], "")
    if not any(found):
        raise PermanentError(
            f"{file_name}: {note or 'nothing in it can be read'}; give a .csv, .xlsx, .txt, .html or .eml"
        )
    return found


def lines(part: mime.Part, limit: int) -> tuple[list[str], str]:
    """The readable lines of a part of some `kind`, label before value, and a note for the operator."""
    if kind(part) == "sheet":
        found, note = sheets.rows(part.content(), limit)
        return [words.fold(line).strip(" ") for line in found], note
    content, note = part.text(limit)
    match kind(part):
        case "html":
            found = [line.text for line in text.from_html(content)]
        case "table":
            found = list(_rows(content))
        case "json":
            found = re.sub(r"[{}\[\],]", "\n", content).replace('"', "").split("\n")
        case "calendar":
            found = calendar(content)
        case _:
            found = content.split("\n")
    return [words.fold(line).strip(" ") for line in found], note


def _rows(content: str) -> Iterator[str]:
    """Rows with a tab between values, whatever stood there."""
    first = content.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    for record in _records(content.split("\n")):
        try:
            yield "\t".join(" ".join(cell.split()) for cell in next(csv.reader([record], delimiter=delimiter), []))
        except csv.Error:
            yield record


def _records(lines: Sequence[str]) -> Iterator[str]:
    """Lines, joined where a quoted value goes over several; a quote that nothing closes soon is a plain character."""
    at = 0
    while at < len(lines):
        record, end = lines[at], at + 1
        if record.count('"') % 2:
            ends = range(at + 2, min(at + 2 + _VALUE_LINES, len(lines) + 1))
            end = next((end for end in ends if lines[end - 1].count('"') % 2), at + 1)
            record = " ".join(lines[at:end])
        yield record
        at = end


def calendar(content: str) -> list[str]:
    """What people wrote into an invitation (RFC 5545 §3.1 unfolded, §3.3.11 unescaped)."""
    found = []
    for line in re.sub(r"\n[ \t]", "", content).split("\n"):
        if field := _CALENDAR_FIELD.match(line):
            found += re.sub(r"\\([,;\\])", r"\1", re.sub(r"\\[nN]", "\n", field[2])).split("\n")
    return found
