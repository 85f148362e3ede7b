"""One `run` per SQLite database: a lock on a file beside it, which the system drops when the process dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from triaged.domain.errors import TransientError


class RunLock:
    """Held for as long as the `with` lasts. Raises TransientError when another process holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> "RunLock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise TransientError(
                f"another `triaged run` works on this database (lock {self._path}). Stop it first, or use PostgreSQL "
                "to share the work; `triaged status` shows who runs"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
