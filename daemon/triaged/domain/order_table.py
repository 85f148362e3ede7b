"""A table with a row of headings: which heading stands above which cell, and whose row or column it is.

Three shapes: one row for each position or order; parties side by side ("Client final | Revendeur" above "Nom, E-mail");
parties below each other (a first cell "Client final" beside Nom, E-mail, Adresse).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from triaged.domain import order_values as values
from triaged.domain.order_words import OF_A_PARTY, Label, Mark

_Read = Callable[[str], Label | None]
# A cell of these columns may read like a label: "Service Logitech Select".
_WORDY = frozenset({Mark.SERVICE, Mark.SKU, Mark.POSITION, Mark.OTHER, Mark.CONTACT, Mark.COMPANY, Mark.NAME})


@dataclass(slots=True)
class Table:
    """`columns` by place. `parties_across`: the headings are parties. `party`: under whose heading the table stands."""

    columns: list[Label | None]
    label: _Read
    parties_across: bool = False
    party: Label | None = None

    @classmethod
    def of(cls, cells: Sequence[str], following: Sequence[str], label: _Read) -> "Table | None":
        """The table whose headings these cells are, judged with the row below; None where they are none."""
        if len(following) < 2 or any("@" in cell or re.search(r"\d{3}", cell) for cell in cells):
            return None
        columns = [label(cell) if cell else None for cell in cells]
        known = [column for column in columns if column]
        below = next((cell for cell in following if cell.strip()), "").strip()
        if len(set(known)) < 2 or 2 * len(known) < sum(map(bool, cells)):
            return None
        parties = [column for column in known if column.field is None and column.party]
        across = bool(parties) and all(c in parties or c.field in (Mark.STRANGER, Mark.ELSEWHERE) for c in known)
        beside = label(below)
        if across:
            return cls(columns, label, True) if beside and beside.field else None
        first = next(column for column, cell in zip(columns, cells, strict=True) if cell)
        if beside and beside.field and not _is_wordy(first, beside):
            return None
        return cls(columns, label)

    def has(self, mark: Mark) -> bool:
        return any(column and column.field is mark for column in self.columns)

    def takes(self, cells: Sequence[str]) -> bool:
        """Whether these cells are a row of this table, and not a pair of label and value or other headings below it."""
        at = next(place for place, cell in enumerate(cells) if cell)
        beside = self.label(cells[at])
        if self.parties_across:
            return bool(beside and beside.field)
        if beside is None:
            return True
        if beside.field is None:
            return any(c and c.field in OF_A_PARTY and not c.party for c in self.columns)
        above = self.columns[at] if at < len(self.columns) else None
        return _is_wordy(above, beside) and not self._headings(cells)

    def _headings(self, cells: Sequence[str]) -> bool:
        return len({label for cell in cells if cell and (label := self.label(cell))}) > 1

    def read(self, cells: Sequence[str]) -> Iterator[tuple[Label, str]]:
        """Every cell below a heading, with the label that heading, row and table make together."""
        first = next((cell for cell in cells if cell), "")
        beside = self.label(first)
        for at, (column, cell) in enumerate(zip(self.columns, cells, strict=False)):
            if column is None or not cell:
                continue
            if self.parties_across:
                own = self.label(cell)  # pairs below each party: "Endkunde |  | Händler" above "Name | Acme | Name | …"
                said, cell = (own, self._behind(cells, at)) if own and own.field else (beside, cell)
                if said and column.party and cell:
                    yield Label(said.field, column.party, column.sure), cell
            elif column.field in OF_A_PARTY and column.party is None:
                whose = beside if beside and beside.field is None and beside.party else self.party
                yield Label(column.field, *((whose.party, whose.sure) if whose else ())), cell
            elif not (cell is first and beside and beside.field is None and beside.party):
                # a heading that is a party alone stands above its name
                yield Label(Mark.COMPANY, column.party, column.sure) if column.field is None else column, cell

    def _behind(self, cells: Sequence[str], at: int) -> str:
        """The cell beside a label, where the next party's column does not begin there."""
        free = at + 1 < len(cells) and (at + 1 >= len(self.columns) or self.columns[at + 1] is None)
        return cells[at + 1] if free else ""


def _is_wordy(heading: Label | None, cell: Label) -> bool:
    """Whether a cell below this heading may read like a label; one of a party's fields never does."""
    return bool(heading and heading.field in _WORDY and cell.field in _WORDY and not cell.party)


def loose_position(cells: Sequence[str]) -> tuple[str, str] | None:
    """SKU and number of a row without headings: its one whole number, beside a line number before the SKU."""
    places = [place for place, cell in enumerate(cells) if values.skus(cell)]
    if len(places) != 1:
        return None
    counts = [cell for cell in cells[places[0] + 1 :] if re.fullmatch(r"\d{1,6}", cell)]
    if not counts:
        counts = [cell for cell in cells[: places[0]] if re.fullmatch(r"\d{1,6}", cell)]
    return values.skus(cells[places[0]])[0], counts[0] if len(counts) == 1 else ""
