"""XLSX files to lines: one line for each row, cells with a tab between, as a person sees them.

Our own reader of the few parts that matter (ECMA-376 part 1, §18): the libraries unpack whatever they are given, and a
file of 1 kB whose only cells are A1 and XFC1000000 makes the fastest of them ask for 500 GB. Here nothing is unpacked
that is not read, inflated bytes are counted while they come, cells far out are not kept, and no entity is expanded.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from xml.parsers import expat

_ENTRIES = 200
_INFLATED = 20_000_000  # bytes of all parts that are read
_CHUNK = 65_536
_SHEETS = 5
_ROWS = 12_000  # of each sheet
_COLUMNS = 60
_CELL = 2_000  # characters
_LAST_DAY = 2_958_466  # of year 9999
_NOT_ZIP = b"\xd0\xcf\x11\xe0"  # the old binary format, and the shell around an encrypted file
_DAY_ZERO = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}  # noqa: DTZ001 - a sheet's dates have no zone
_DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_DATE_CODE = re.compile(r"[ymdhs]", re.IGNORECASE)
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.')
_REFERENCE = re.compile(r"([A-Z]{1,3})\d{1,7}")
_FAULTS = (
    zipfile.BadZipFile, zlib.error, expat.ExpatError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError,
    KeyError, IndexError,
)  # fmt: skip

_Attributes = dict[str, str]


class _Enough(Exception):
    """A limit is reached: what was read so far counts."""


def rows(content: bytes, limit: int) -> tuple[list[str], str]:
    """The rows of the first sheets that are shown, about `limit` characters, a blank line between sheets; and a note
    for the operator where something was not read. Never raises."""
    if content.startswith(_NOT_ZIP):
        return [], "an old Excel file (.xls) or one with a password: ask the sender for .xlsx without, or CSV"
    if content.count(b"PK\x01\x02") > _ENTRIES:
        return [], f"more than {_ENTRIES} parts in one Excel file: not read"
    found: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _read(_Book(archive), found, limit)
    except _Enough as reached:
        return found, str(reached)
    except _FAULTS as error:
        return found, f"not a whole Excel file ({type(error).__name__})"
    return found, ""


@dataclass(slots=True)
class _Book:
    """The archive, and how many bytes may still be inflated."""

    archive: zipfile.ZipFile
    left: int = _INFLATED

    def parse(self, name: str, opened: "_Opened", said: "_Said", closed: "_Closed") -> None:
        """Walk through one part, chunk by chunk. `said` gets text, perhaps in pieces."""
        info = self.archive.getinfo(name)
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = lambda tag, values: opened(_local(tag), {_local(k): v for k, v in values.items()})
        parser.CharacterDataHandler = said
        parser.EndElementHandler = lambda tag: closed(_local(tag))
        parser.StartDoctypeDeclHandler = _refused
        with self.archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                self.left -= len(chunk)
                if self.left < 0:
                    raise _Enough(f"more than {_INFLATED} bytes when unpacked: only the beginning was read")
                parser.Parse(chunk)
        parser.Parse(b"", True)

    def elements(self, name: str) -> list[tuple[str, _Attributes]]:
        """Every element of a small part."""
        found: list[tuple[str, _Attributes]] = []
        self.parse(name, lambda tag, values: found.append((tag, values)), _ignored, _ignored)
        return found

    def has(self, name: str) -> bool:
        return name in self.archive.NameToInfo


_Opened = Callable[[str, _Attributes], None]
_Said = Callable[[str], None]
_Closed = Callable[[str], None]


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _ignored(_text: str) -> None:
    """Nothing is of interest here."""


def _refused(*_declaration: object) -> None:
    raise expat.ExpatError("a document type declaration")


def _read(book: _Book, found: list[str], limit: int) -> None:
    main = _target(book, "", "officeDocument") or "xl/workbook.xml"
    elements = book.elements(main)
    since_1904 = any(tag == "workbookPr" and v.get("date1904") in ("1", "true") for tag, v in elements)
    shown = [v for tag, v in elements if tag == "sheet" and v.get("state", "visible") == "visible"]
    parts = _relations(book, main)
    strings = _strings(book, _target(book, main, "sharedStrings"))
    formats = _formats(book, _target(book, main, "styles"))
    for sheet in shown[:_SHEETS]:
        if found:
            found.append("")
        kind, part = parts[sheet["id"]]
        if kind == "worksheet":
            page = _Page(found, limit - sum(map(len, found)), strings, formats, since_1904)
            book.parse(part, page.opened, page.said, page.closed)


def _relations(book: _Book, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to: id -> (kind, part)."""
    folder, _, name = part.rpartition("/")
    place = f"{folder}/_rels/{name}.rels".removeprefix("/")
    if not book.has(place):
        return {}
    return {
        values["Id"]: (values["Type"].rpartition("/")[2], _resolved(folder, values["Target"]))
        for tag, values in book.elements(place)
        if tag == "Relationship" and values.get("TargetMode") != "External"
    }


def _resolved(folder: str, target: str) -> str:
    path = target if target.startswith("/") else f"{folder}/{target}"
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def _target(book: _Book, part: str, kind: str) -> str:
    return next((target for found, target in _relations(book, part).values() if found == kind), "")


def _strings(book: _Book, part: str) -> list[str]:
    """The shared strings (§18.4): runs of one are joined, phonetic guides left out."""
    found: list[list[str]] = []
    open_tags = {"t": False, "rPh": False}

    def opened(tag: str, _values: _Attributes) -> None:
        if tag == "si":
            found.append([])
        elif tag in open_tags:
            open_tags[tag] = True

    def said(text: str) -> None:
        if open_tags["t"] and not open_tags["rPh"] and found:
            found[-1].append(text)

    def closed(tag: str) -> None:
        if tag in open_tags:
            open_tags[tag] = False

    if part:
        book.parse(part, opened, said, closed)
    return ["".join(pieces) for pieces in found]


def _formats(book: _Book, part: str) -> list[str]:
    """What each cell style shows (§18.8.30): `date`, the zeros of a code such as `00000`, or nothing of interest."""
    if not part:
        return []
    codes: dict[str, str] = {}
    shown: list[str] = []
    inside = False
    for tag, values in book.elements(part):
        if tag == "numFmt":
            codes[values.get("numFmtId", "")] = _meaning(values.get("formatCode", ""))
        elif tag in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
            inside = tag == "cellXfs"
        elif tag == "xf" and inside:
            number = values.get("numFmtId", "0")
            built_in = number.isdecimal() and int(number) in _DATE_FORMATS
            shown.append("date" if built_in else codes.get(number, ""))
    return shown


def _meaning(code: str) -> str:
    plain = _LITERAL.sub("", code.partition(";")[0])
    if _DATE_CODE.search(plain) and "general" not in plain.lower():
        return "date"
    return plain if re.fullmatch("0{2,20}", plain) else ""


@dataclass(slots=True)
class _Page:
    """One sheet while it is read: rows go to `found`."""

    found: list[str]
    limit: int
    strings: Sequence[str]
    formats: Sequence[str]
    since_1904: bool
    hidden: set[int] = field(default_factory=set)
    _row: dict[int, str] = field(default_factory=dict)
    _skipped: bool = False
    _number: int = 0
    _column: int = 0
    _cell: _Attributes = field(default_factory=dict)
    _pieces: list[str] = field(default_factory=list)
    _reads: bool = False
    _count: int = 0

    def opened(self, tag: str, values: _Attributes) -> None:
        match tag:
            case "col" if values.get("hidden") in ("1", "true"):
                self.hidden |= set(range(int(values["min"]) - 1, min(int(values["max"]), _COLUMNS)))
            case "row":
                number = int(values.get("r", self._number + 1))
                if number > self._number + 1 and self._count:
                    self.found.append("")
                self._number, self._column, self._row = number, -1, {}
                self._skipped = values.get("hidden") in ("1", "true")
            case "c":
                self._cell, self._pieces = values, []
                place = _REFERENCE.fullmatch(values.get("r", ""))
                self._column = _index(place[1]) if place else self._column + 1
            case "v" | "t":
                self._reads = True
            case "rPh":
                self._reads = False

    def said(self, text: str) -> None:
        if self._reads:
            self._pieces.append(text)

    def closed(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._reads = False
        elif tag == "c" and self._column < _COLUMNS and self._column not in self.hidden:
            if text := " ".join(self._text("".join(self._pieces)).split())[:_CELL]:
                self._row[self._column] = text
        elif tag == "row" and not self._skipped:
            self._finish()

    def _finish(self) -> None:
        cells = [self._row.get(column, "") for column in range(max(self._row, default=-1) + 1)]
        self.found.append("\t".join(cells))
        self._count += 1
        self.limit -= len(self.found[-1]) + 1
        if self._count >= _ROWS or self.limit < 0:
            raise _Enough(f"only the first {len(self.found)} rows were read")

    def _text(self, raw: str) -> str:
        """A cell's value as it is shown (§18.18.11 for the types)."""
        match self._cell.get("t", "n"):
            case "s":
                return self.strings[int(raw)] if raw.strip() else ""
            case "b":
                return "TRUE" if raw.strip() == "1" else "FALSE"
            case "e":
                return ""
            case "n":
                style = self._cell.get("s", "0")
                at = int(style) if style.isdecimal() else 0
                return _number(raw, self.formats[at] if at < len(self.formats) else "", self.since_1904)
            case _:
                return raw


def _index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def _number(raw: str, shown: str, since_1904: bool) -> str:
    """40.0 as 40, a date as ISO, 4711 under the format 0000000 as 0004711; what is no number as it stands."""
    try:
        number = float(raw)
    except ValueError:
        return raw
    if shown == "date" and 0 < number < _LAST_DAY:
        moment = _DAY_ZERO[since_1904] + timedelta(seconds=round(number * 86_400))
        return moment.date().isoformat() if number == int(number) else moment.isoformat(" ", "minutes")
    if abs(number) < 1e15 and number == int(number):
        return str(int(number)).zfill(len(shown) if shown != "date" else 0)
    return f"{number:.10g}"
