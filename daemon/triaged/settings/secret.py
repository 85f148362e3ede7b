"""Secrets: where they may come from, and a value that never prints itself."""

import stat
from pathlib import Path

_LONGEST = 64 * 1024


class Secret:
    """A password or token. It shows as `***` everywhere; only `reveal()` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never written anywhere")


def read(path: Path) -> Secret:
    """The secret in a file, without the newline that editors add. Raises OSError when the file cannot be read and
    ValueError, whose text says what is wrong, when it holds nothing usable."""
    with path.open("rb") as file:
        raw = file.read(_LONGEST + 1)
    if len(raw) > _LONGEST:
        raise ValueError("is far too long for a secret")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is empty")
    if not all(character.isprintable() for character in text):
        raise ValueError("holds more than one line or a control character")
    return Secret(text)


def open_to_others(path: Path) -> bool:
    """True when any user of the machine can read the file: its own mode and every folder above it let them."""
    try:
        whole = path.resolve()
        folders = all(folder.stat().st_mode & stat.S_IXOTH for folder in whole.parents)
        return folders and bool(whole.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
