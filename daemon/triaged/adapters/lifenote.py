"""A note beside the database of how far it had come: a database that has come less far is an old backup."""

import json
import os
from pathlib import Path

from triaged.domain.errors import TransientError

FILE = "lives.json"


def read(folder: Path, database: str) -> int:
    """The sign of life last seen of this database; 0 where there is no note, or one about another database."""
    try:
        noted = json.loads((folder / FILE).read_text())
        return int(noted["lives"]) if noted["database"] == database else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write(folder: Path, database: str, lives: int) -> None:
    """Whole or not at all. Raises TransientError where the disk does not take it."""
    path, fresh = folder / FILE, folder / f"{FILE}.{os.getpid()}.new"  # `run` and `run --once` may write at once
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"database": database, "lives": lives}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise TransientError(f"{path}: {error.strerror}. See to the disk of [service] state_dir") from error
