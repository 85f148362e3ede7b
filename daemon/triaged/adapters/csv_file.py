"""Lists for spreadsheets: what a read prints, as CSV. A cell that a spreadsheet would take for a formula is quoted."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from triaged.domain.errors import PermanentError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """One line per row, the first names the columns. Raises PermanentError where the file cannot be written."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([[_cell(row.get(column)) for column in columns] for row in rows])
    except OSError as error:
        raise PermanentError(f"{path}: {error.strerror}") from error


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
