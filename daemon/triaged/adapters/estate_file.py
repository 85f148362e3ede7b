"""Rooms, devices and earlier warranty extensions as CSV, read and written (rows C10, C11).

The first line names the columns; cells are separated by comma, semicolon or tab. Every problem is named with its line,
column, what was found and what to write instead, and a file with problems is used not at all. A column that a file
does not have leaves things as they are. Devices of a room stand in one cell: `serial|product|purchase date;…`, of which
a device that is known already needs the serial number alone.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from triaged.domain.estate_records import DeviceRecord, ExtensionRecord, Problem, RoomRecord, Unit

Record = TypeVar("Record", RoomRecord, DeviceRecord, ExtensionRecord)
Value = TypeVar("Value")

_SERIAL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{2,63}\Z")
_MAIL = re.compile(r"[^@\s;,<>]+@[^@\s;,<>]+\.[^@\s;,<>]+\Z")
_MOST_YEARS = 10
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for a formula


@dataclass(frozen=True, slots=True)
class Reading(Generic[Record]):
    """What a file holds: records with their line, and the columns that it has. With problems it is not to be used."""

    records: tuple[tuple[int, Record], ...]
    columns: frozenset[str]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Shape(Generic[Record]):
    """One kind of file: its columns, which are needed, how a line is read and written."""

    columns: tuple[str, ...]
    needed: tuple[str, ...]
    build: "Callable[[_Cells], Record | None]"


def read(data: bytes, shape: Shape[Record]) -> Reading[Record]:
    """The records of a file, or every problem of it at once."""
    found = _Found()
    names: list[str] = []
    records: list[tuple[int, Record]] = []
    seen: dict[str, int] = {}
    for number, cells in _rows(data, found):
        if not names:
            names = [name.strip().lower() for name in cells]
            _check_columns(names, shape, found)
            if found.problems:
                break
        elif (one := _record(number, names, cells, shape, found)) is not None:
            first = seen.setdefault(one.key.casefold(), number)
            if first != number:
                found.add(number, "", one.key, f"it is in line {first} already: keep one of the two")
            records.append((number, one))
    if not names and not found.problems:
        found.add(1, "", "", f"the file is empty: its first line names the columns {', '.join(shape.columns)}")
    return Reading(tuple(records), frozenset(names), tuple(found.problems))


def write(records: Iterable[Record], shape: Shape[Record]) -> str:
    """The records as `read` takes them back unchanged."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(shape.columns)
    table.writerows([_written(getattr(record, name)) for name in shape.columns] for record in records)
    return out.getvalue()


def _written(value: Any) -> str:
    match value:
        case None:
            return ""
        case date():
            return value.isoformat()
        case tuple():
            return ";".join(f"{u.serial}|{u.product}|{_written(u.purchased_on)}" for u in value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


# Lines and cells


@dataclass(slots=True)
class _Found:
    problems: list[Problem] = field(default_factory=list)

    def add(self, line: int, column: str, value: str, fix: str) -> None:
        self.problems.append(Problem(line, column, value[:60], fix))


def _rows(data: bytes, found: _Found) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found.add(line, "", repr(data[error.start : error.end]), "it is not UTF-8: save the file as UTF-8")
        return
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        found.add(line, "", "", f"not CSV: {error}")


def _check_columns(names: list[str], shape: Shape[Any], found: _Found) -> None:
    for name in dict.fromkeys(names):
        if name not in shape.columns:
            close = get_close_matches(name, shape.columns, n=1)
            meant = f", did you mean {close[0]}?" if close else f", known are {', '.join(shape.columns)}"
            found.add(1, "", name, f"unknown column{meant}")
        elif names.count(name) > 1:
            found.add(1, "", name, "the column is there twice: keep one")
    for name in shape.needed:
        if name not in names:
            found.add(1, "", "", f"the column {name} is missing")


def _record(number: int, names: list[str], cells: list[str], shape: Shape[Record], found: _Found) -> Record | None:
    if len(cells) != len(names):
        fix = f"the first line names {len(names)} columns: quote cells that contain the separator"
        found.add(number, "", f"{len(cells)} cells", fix)
        return None
    return shape.build(_Cells(number, dict(zip(names, map(_cell, cells), strict=True)), found))


def _cell(written: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from reading a formula."""
    text = written.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith((*_FORMULA, "'")) else text


@dataclass(frozen=True, slots=True)
class _Cells:
    """A line read column by column; what is wrong is collected."""

    line: int
    cells: dict[str, str]
    found: _Found

    def one(self, name: str, parse: Callable[[str], Value], default: Value) -> Value:
        text = self.cells.get(name, "")
        return self._parsed(name, text, parse, default) if text else default

    def need(self, name: str, parse: Callable[[str], Value], default: Value) -> Value:
        if not self.cells.get(name):
            self.found.add(self.line, name, "", "it is required")
        return self.one(name, parse, default)

    def units(self, name: str) -> tuple[Unit, ...]:
        items = [item.strip() for item in self.cells.get(name, "").split(";") if item.strip()]
        units = (self._parsed(name, item, _unit, None) for item in items)
        return tuple(unit for unit in units if unit is not None)

    def _parsed(self, name: str, text: str, parse: Callable[[str], Value], default: Value) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            self.found.add(self.line, name, text, str(error))
            return default


# One value: each returns it folded, or raises ValueError with the fix


def text(written: str) -> str:
    line = " ".join(written.split())
    if not line.isprintable() or len(line) > 200:
        raise ValueError("write one line of at most 200 characters, without control characters")
    return line


def serial(written: str) -> str:
    """A serial number in capitals, without blanks."""
    folded = "".join(written.split()).upper()
    if not _SERIAL.match(folded):
        raise ValueError("write the serial number as on the device: 3 to 64 letters and digits")
    return folded


def day(written: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written):
        raise ValueError("write the date as 2026-12-31")
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ValueError("there is no such day: write the date as 2026-12-31") from None


def country(written: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", written):
        raise ValueError("write the country's ISO code of two letters, such as FR")
    return written.upper()


def _years(written: str) -> int:
    if not written.isascii() or not written.isdigit() or not 1 <= int(written[:4]) <= _MOST_YEARS:
        raise ValueError(f"write the years as a number, 1 to {_MOST_YEARS}")
    return int(written)


def _mail(written: str) -> str:
    if not _MAIL.match(written):
        raise ValueError("write the mail address alone, as name@domain")
    return written.lower()


def _status(written: str) -> str:
    if written.lower() not in ("processed", "pending"):
        raise ValueError("write processed or pending")
    return written.lower()


def _unit(written: str) -> Unit:
    parts = [part.strip() for part in written.split("|")]
    if len(parts) > 3:
        raise ValueError("write serial|product|purchase date")
    number, product, bought = (*parts, "", "")[:3]
    return Unit(serial(number), text(product), day(bought) if bought else None)


# The three files


def _room(cells: _Cells) -> RoomRecord:
    return RoomRecord(
        customer=cells.need("customer", text, ""),
        name=cells.need("name", text, ""),
        site=cells.one("site", text, ""),
        country=cells.one("country", country, ""),
        place=cells.one("place", text, ""),
        jumpstart=cells.one("jumpstart", day, None),
        devices=cells.units("devices"),
    )


def _device(cells: _Cells) -> DeviceRecord:
    return DeviceRecord(
        serial=cells.need("serial", serial, ""),
        product=cells.need("product", text, ""),
        purchased_on=cells.need("purchased_on", day, date.min),
        customer=cells.need("customer", text, ""),
        site=cells.one("site", text, ""),
        room=cells.one("room", text, ""),
    )


def _extension(cells: _Cells) -> ExtensionRecord:
    return ExtensionRecord(
        serial=cells.need("serial", serial, ""),
        sku=cells.need("sku", text, ""),
        years=cells.need("years", _years, 0),
        purchased_on=cells.need("purchased_on", day, date.min),
        customer_name=cells.need("customer_name", text, ""),
        customer_email=cells.one("customer_email", _mail, ""),
        status=cells.one("status", _status, "processed"),
    )


ROOMS: Shape[RoomRecord] = Shape(
    ("customer", "site", "name", "country", "place", "jumpstart", "devices"), ("customer", "name"), _room
)
DEVICES: Shape[DeviceRecord] = Shape(
    ("serial", "product", "purchased_on", "customer", "site", "room"),
    ("serial", "product", "purchased_on", "customer"),
    _device,
)
EXTENSIONS: Shape[ExtensionRecord] = Shape(
    ("serial", "sku", "years", "purchased_on", "customer_name", "customer_email", "status"),
    ("serial", "sku", "years", "purchased_on", "customer_name"),
    _extension,
)


def told(location: str, problems: Sequence[Problem], most: int = 50) -> str:
    """The problems of a file for a person, one a line."""
    count = f"{len(problems):,} problems" if len(problems) > 1 else "1 problem"
    lines = [f"{location}: {count}; nothing was changed", *(f"  {problem}" for problem in problems[:most])]
    return "\n".join(lines + [f"  … and {len(problems) - most:,} more"] * (len(problems) > most))
