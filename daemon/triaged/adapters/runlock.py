"""Locks on files, which the system drops when a process dies, however it dies: one `run` per SQLite database, and a
sign of life of each daemon for those on the same machine."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from triaged.domain.errors import TransientError

_SIGN = "run-{}.alive"


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


@contextlib.contextmanager
def living(folder: Path, owner: str) -> Iterator[None]:
    """A file that is locked while this daemon lives: others on this machine need not wait until its heartbeat is
    missed. Where the disk takes no file they wait."""
    path, held = folder / _SIGN.format(owner), -1
    try:
        while held < 0:
            held = _locked(path)
    except OSError:
        pass
    try:
        yield
    finally:
        if held >= 0:
            path.unlink(missing_ok=True)
            os.close(held)


def _locked(path: Path) -> int:
    """-1 when whoever looks for the dead removed the file before we had locked it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
        return file
    os.close(file)
    return -1


def dead(folder: Path) -> tuple[str, ...]:
    """Daemons whose files here nobody holds any more: they surely died. Their files are removed."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob(_SIGN.format("*"))):
            if _is_left(path):
                found.append(path.name[len("run-") : -len(".alive")])
    return tuple(found)


def _is_left(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
