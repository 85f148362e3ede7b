"""The lines of an order as the walk takes them: quote marks off, columns of drawn tables apart, side by side unfolded.

A table cell of several lines comes as lines below each other. Where a row of headings names the parties, such cells are
told apart only if they all have one shape; else they stay nobody's, and `order.check` asks.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from triaged.domain import order_values as values
from triaged.domain.message import Line
from triaged.domain.order_words import Label, Mark, OrderWords

_MOST_LINES = 12_000
_MOST_TEXT = 1_500_000  # characters
_MOST_CELLS = 60  # lines below a row of parties
_LABEL_END = re.compile(r"\s*[:：=]\s*")
_FOREIGN = (Mark.STRANGER, Mark.ELSEWHERE)
BARRIER = "[["  # ends every block

_Read = Callable[[str], Label | None]


class Row(NamedTuple):
    """A line without its marks; `indented` as the value above it, in a drawn form; `following` is the next row with
    text where this one is a table's."""

    number: int
    text: str
    indented: bool = False
    following: str = ""


def rows(lines: Sequence[Line], words: OrderWords, label: _Read) -> Iterator[Row]:
    """Every row, as much of a text as an order could ever fill."""
    kept = [Row(line.number, columns(values.bare(line.text)), line.text.startswith("    ")) for line in _some(lines)]
    at = 0
    while at < len(kept):
        row = kept[at]
        cells = _cells_below(kept, at, words, label) if "\t" in row.text else []
        if cells:
            heads = (cell for cell in row.text.split("\t") if cell.strip())
            for head, cell in zip(heads, cells, strict=True):
                yield Row(row.number, head.strip())
                yield from cell
            yield Row(row.number, BARRIER)
        else:
            yield row._replace(following=_following(kept[at + 1 : at + 3])) if "\t" in row.text else row
        at += 1 + sum(map(len, cells))


def columns(text: str) -> str:
    """Tabs between the columns of a table that was drawn with bars or blanks."""
    if "\t" in text:
        return text
    if text.count("|") > 1 or " | " in text:
        drawn = text.strip().removeprefix("|").removesuffix("|")
        return "\t".join(cell.strip() for cell in drawn.split("|"))
    text = re.sub(r" {2,}(?=[:：])", " ", text)
    return re.sub(r" {2,}", "\t", text) if "   " in text else text


def _some(lines: Sequence[Line]) -> Iterator[Line]:
    left = _MOST_TEXT
    for line in lines[:_MOST_LINES]:
        left -= min(len(line.text), 1_000)
        if left < 0:
            return
        yield line


def _says(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _following(below: Sequence[Row]) -> str:
    """The next row that is more than a ruler."""
    return next((row.text for row in below if _says(row.text)), "")


def _cells_below(kept: Sequence[Row], at: int, words: OrderWords, label: _Read) -> list[Sequence[Row]]:
    """The lines of each party's cell below a row that names parties; empty where they cannot be told apart."""
    heads = [label(cell.strip()) for cell in kept[at].text.split("\t")[:_MOST_CELLS] if cell.strip()]
    if not all(head and (head.field in _FOREIGN or (head.field is None and head.party)) for head in heads):
        return []
    if len({head.party for head in heads if head}) < len(heads) or len(heads) < 2:
        return []
    below = []
    for row in kept[at + 1 : at + 1 + _MOST_CELLS]:
        if "\t" in row.text or not _says(row.text) or words.begins(row.text, words.closing):
            break
        below.append(row)
    return _by_label(below, len(heads), label) or _by_shape(below, len(heads))


def _by_label(below: Sequence[Row], count: int, label: _Read) -> list[Sequence[Row]]:
    """Cells that all begin with one label: "Name : …, E-mail : …"."""
    fields = [found.field if (found := label(_LABEL_END.split(row.text)[0])) else None for row in below]
    begins = [place for place, field in enumerate(fields) if field and field is fields[0]]
    if len(begins) != count:
        return []
    longest = max(end - begin for begin, end in itertools.pairwise(begins))
    return [below[begin:end] for begin, end in zip(begins, [*begins[1:], begins[-1] + longest], strict=True)]


def _by_shape(below: Sequence[Row], count: int) -> list[Sequence[Row]]:
    """Cells of plain lines, each with one mail address and one postcode at the same places; no line stands between
    postcode and address, so that no cell begins in the middle of another."""
    mails = [place for place, row in enumerate(below) if "@" in row.text]
    if len(mails) != count:
        return []
    size = mails[1] - mails[0]
    cells = [below[begin : begin + size] for begin in range(0, count * size, size)]
    shapes = {tuple(("@" in row.text, values.has_postcode(row.text)) for row in cell) for cell in cells}
    found, codes = zip(*next(iter(shapes)), strict=True) if len(shapes) == 1 else ((), ())
    if sum(found) != 1 or sum(codes) != 1 or found.index(True) > codes.index(True) + 1:
        return []
    return cells
