"""Lists for spreadsheets: what a read prints, as CSV. A cell that a spreadsheet would take for a formula is quoted."""

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(output: IO[str], columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """One line per row, the first names the columns."""
    writer = csv.writer(output)
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(column)) for column in columns] for row in rows])


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
