"""Attached files: listed by safe names, and read where they are text of any kind (INTERFACE §4 "Which text counts")."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from triaged.domain.message import Attachment, Line, Passage, Place
from triaged.mail import bodies, mime, text, words

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
}
_ENDINGS = {
    "htm": "html",
    "html": "html",
    "csv": "table",
    "tsv": "table",
    "json": "json",
    "ics": "calendar",
    "txt": "text",
    "log": "text",
    "md": "text",
    "xml": "text",
}
_UNTYPED = frozenset({"application/octet-stream", "application/x-unknown", "application/vnd.ms-excel"})
_NOTES = {
    "application/ms-tnef": "Outlook's winmail.dat (TNEF) is not read: ask the sender to send plain text or HTML",
    "application/vnd.ms-tnef": "Outlook's winmail.dat (TNEF) is not read: ask the sender to send plain text or HTML",
    "application/pkcs7-mime": "S/MIME, encrypted or signed as a whole: not read",
    "application/x-pkcs7-mime": "S/MIME, encrypted or signed as a whole: not read",
    "application/pgp-encrypted": "encrypted with PGP: not read",
    "message/partial": "a piece of a mail sent in several: not read",
    "message/external-body": "only a pointer to a file elsewhere: not read",
    "application/vnd.ms-outlook": "a mail in Outlook's .msg format: not read",
}
_TNEF = "application/ms-tnef"
_TNEF_NAME = "winmail.dat"
_DELIMITERS = ";\t,|"
_READ = 60  # files and forwarded mails that are read
_CALENDAR_FIELD = re.compile(r"(SUMMARY|DESCRIPTION|LOCATION|COMMENT)(?:;[^:]{0,300})?:(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """All that is attached: the list, what could be read of it, what forwarded mails quote in turn, and notes."""

    listed: tuple[Attachment, ...]
    passages: tuple[Passage, ...]
    quoted: tuple[Passage, ...]
    notes: tuple[str, ...]


def read(parts: Sequence[mime.Part], limit: int) -> Attached:
    """Everything but the mail's own text; `limit` characters of each file. What came back in a report is only listed:
    it is our own mail."""
    texts = {part for own in _by_mail(parts).values() for part in bodies.parts_of(own)}
    passages: list[Passage] = []
    quoted: list[Passage] = []
    notes: list[str] = []
    listed = [part for part in parts if part not in texts]
    for number, part in enumerate(listed, 1):
        if part.reported or number > _READ:
            continue
        if part.is_mail:
            inner = bodies.read(bodies.parts_of(_by_mail(parts).get(part.opens, [])), limit)
            passages += _subject(part, name(part, number))
            passages += (
                found for body in inner for found in body.passages(False, Place.ATTACHMENT, name(part, number))
            )
            quoted += (found for body in inner for found in body.passages(True))
            continue
        rows, note = lines(part, limit)
        if any(rows):
            named = tuple(Line(index, row) for index, row in enumerate(rows, 1))
            passages.append(Passage(Place.ATTACHMENT, named, name(part, number)))
        notes += [f"{name(part, number)}: {note}"] if note else []
    return Attached(
        tuple(_listed(part, number) for number, part in enumerate(listed, 1)),
        tuple(passages),
        tuple(quoted),
        tuple(notes),
    )


def _by_mail(parts: Sequence[mime.Part]) -> dict[int, list[mime.Part]]:
    """The parts of the mail itself (0) and of each forwarded mail."""
    found: dict[int, list[mime.Part]] = {}
    for part in parts:
        if not part.is_mail:
            found.setdefault(part.forwarded, []).append(part)
    return found


def _subject(part: mime.Part, name: str) -> list[Passage]:
    value = next((value for field, value in part.fields if field == "subject"), b"")
    subject = words.clean(words.decode(value))
    return [Passage(Place.ATTACHMENT, (Line(1, subject),), name)] if subject else []


def _listed(part: mime.Part, number: int) -> Attachment:
    """The attachment as `message show` lists it; `number` names it where the mail gives no name."""
    note = _NOTES[_TNEF] if part.name.lower() == _TNEF_NAME else _NOTES.get(part.content_type, "")
    return Attachment(name(part, number), part.content_type, part.size, note)


def name(part: mime.Part, number: int) -> str:
    """The safe file name, or one made from the part's number."""
    return part.name or (f"forwarded-{number}.eml" if part.is_mail else f"attachment-{number}")


def kind(part: mime.Part) -> str:
    """How the part is read: html, table, json, calendar, text; empty for what is no text."""
    ending = part.name.lower().rpartition(".")[2] if "." in part.name else ""
    if part.content_type in _UNTYPED:
        return _ENDINGS.get(ending, "")
    by_type = _KINDS.get(part.content_type, "text" if part.content_type.startswith("text/") else "")
    return _ENDINGS.get(ending, by_type) if by_type == "text" else by_type


def lines(part: mime.Part, limit: int) -> tuple[list[str], str]:
    """The readable lines of a text-like part, label before value, and a note for the operator."""
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
        case "text":
            found = content.split("\n")
        case _:
            return [], ""
    return [words.fold(line).strip(" ") for line in found], note


def _rows(content: str) -> Iterator[str]:
    """Rows with a tab between values, whatever stood there."""
    first = content.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    for line in content.split("\n"):
        try:
            yield "\t".join(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:
            yield line


def calendar(content: str) -> list[str]:
    """What people wrote into an invitation (RFC 5545 §3.1 unfolded, §3.3.11 unescaped)."""
    found = []
    for line in re.sub(r"\n[ \t]", "", content).split("\n"):
        if field := _CALENDAR_FIELD.match(line):
            found += re.sub(r"\\([,;\\])", r"\1", re.sub(r"\\[nN]", "\n", field[2])).split("\n")
    return found
