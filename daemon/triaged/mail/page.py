"""The page that an HTML text draws, as lines: text runs in, block ends and table cells as they come, lines out.

A row whose cells are short is one line, `label<TAB>value`, because a value belongs to the label beside it; a row of
prose is a layout, and its cells follow each other. Columns that are empty in all rows of a table are spacers.
"""

import re
from dataclasses import dataclass, field

from triaged.mail import words

_BLANKS = re.compile(r"[ \t\r\n\f]+")
_RUNS = re.compile(r" {2,}")
_DEEPEST = 40  # tables nested deeper are plain blocks
_CELL = 300  # characters: more is prose in a layout, not a value
_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class HtmlLine:
    """One line as shown; `quoted` when it stands in a mail client's container of quoted mail."""

    text: str
    quoted: bool


Cell = list[HtmlLine]


@dataclass(slots=True)
class Page:
    """Lines so far. `quoted` and `literal` (inside `pre`) hold for the text that comes next."""

    quoted: bool = False
    literal: bool = False
    bullet: str = ""
    _targets: list[Cell] = field(default_factory=lambda: [[]])
    _tables: list[list[list[Cell]]] = field(default_factory=list)
    _runs: list[str] = field(default_factory=list)
    _run_quoted: bool | None = None
    _term: int = 0

    @property
    def shown(self) -> str:
        """The unfinished line."""
        return "".join(self._runs)

    def say(self, text: str) -> None:
        """Add a run of text to the line."""
        if not self.literal:
            return self._append(_BLANKS.sub(" ", text))
        *whole, last = text.replace("\r", "").split("\n")
        for line in whole:
            self._append(line)
            self.end_line()
        return self._append(last)

    def _append(self, text: str) -> None:
        if self._run_quoted is None and words.fold(text).strip():
            self._run_quoted = self.quoted
        self._runs.append(text)

    def end_line(self, blank: bool = False) -> None:
        """Close the line; an empty one counts only where the mail draws it (`blank`), and once."""
        text = _RUNS.sub(" ", words.fold(self.shown)).strip(" ")
        quoted = self.quoted if self._run_quoted is None else self._run_quoted
        lines = self._targets[-1]
        self._runs, self._run_quoted = [], None
        if text.strip():
            lines.append(HtmlLine(self.bullet + text, quoted))
            self.bullet = ""
        elif blank and lines and lines[-1].text:
            lines.append(HtmlLine("", quoted))

    def end_term(self) -> None:
        """A definition's term was closed: its value may follow on the same line."""
        self.end_line()
        self._term = len(self._targets[-1])

    def open_value(self) -> None:
        """A definition's value begins: beside its term, if that came right before."""
        self.end_line()
        lines = self._targets[-1]
        if lines and self._term == len(lines):
            term = lines.pop()
            self._runs, self._run_quoted = [term.text + "\t"], term.quoted
        self._term = 0

    def open_table(self) -> bool:
        """False where tables are nested too deep: then neither its rows nor its cells are."""
        self.end_line()
        if len(self._tables) >= _DEEPEST:
            return False
        self._tables.append([])
        return True

    def open_row(self) -> None:
        self.end_line()
        self._tables[-1].append([])

    def open_cell(self) -> bool:
        """False outside of a row."""
        self.end_line()
        if not self._tables[-1]:
            return False
        self._targets.append([])
        self._tables[-1][-1].append(self._targets[-1])
        return True

    def close_cell(self) -> None:
        self.end_line()
        self._targets.pop()

    def close_table(self) -> None:
        self.end_line()
        rows = self._tables.pop()
        used = {column for row in rows for column, cell in enumerate(row[:_COLUMNS]) if _text(cell)}
        for row in rows:
            self._targets[-1] += _row([cell for column, cell in enumerate(row[:_COLUMNS]) if column in used])

    def finished(self) -> tuple[HtmlLine, ...]:
        self.end_line()
        return tuple(self._targets[0])


def _text(cell: Cell) -> str:
    return " ".join(line.text for line in cell if line.text)


def _joined(cell: Cell) -> str:
    """The lines of a cell as one text: a comma keeps apart what the mail draws below each other."""
    lines = [line.text for line in cell if line.text]
    return " ".join(line if line is lines[-1] or line[-1] in ",;:.-–" else f"{line}," for line in lines)


def _row(cells: list[Cell]) -> list[HtmlLine]:
    filled = [cell for cell in cells if _text(cell)]
    if not filled or any(_is_layout(cell, first=cell is filled[0]) for cell in filled):
        return [line for cell in cells for line in cell]
    return [HtmlLine("\t".join(_joined(cell) for cell in cells).rstrip("\t"), filled[0][0].quoted)]


def _is_layout(cell: Cell, first: bool) -> bool:
    """Prose, a table of its own, several lines where a label should be, or lines that are labelled themselves."""
    lines = [line.text for line in cell if line.text]
    return (
        sum(map(len, lines)) > _CELL
        or any("\t" in line for line in lines)
        or (first and len(lines) > 1)
        or sum(":" in line for line in lines) > 1
    )
