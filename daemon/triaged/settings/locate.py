"""Where does each key stand? tomllib forgets line numbers, and an operator with a wrong key needs one.

Reads only text that tomllib has accepted, so nothing is validated here: keys are followed, values are skipped.
"""

import bisect
import re
import tomllib

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_STRING = re.compile(r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every table, key and list item in `text`, by its path: `("mailbox", 0, "poll")`."""
    return _Scan(text).run()


class _Scan:
    """One pass over the text; `found` grows, `at` moves."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.at = 0
        self.found: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}  # arrays of tables: index of the one that is open

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._blank() < len(self.text):
            if self._takes("[["):
                table = self._array_of_tables(self._key())
                self._takes("]]")
            elif self._takes("["):
                table = self._note(self._in_arrays(self._key()))
                self._takes("]")
            else:
                self._pair(table)
        return self.found

    def _pair(self, table: KeyPath) -> None:
        start, keys = self.at, self._key()
        path = table
        for key in keys:
            path = self._note((*path, key), start)
        self._blank()
        self._takes("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._blank()
        if self._takes("["):
            index = 0
            while not self._closes("]"):
                self._value(self._note((*path, index)))
                index += 1
        elif self._takes("{"):
            while not self._closes("}"):
                self._pair(path)
        else:
            self._skip(_STRING) or self._skip(_SCALAR)

    def _closes(self, bracket: str) -> bool:
        """Step over blanks and commas; True when the bracket, or a text that we misread, ends here."""
        self._blank()
        while self._takes(","):
            self._blank()
        return self._takes(bracket) or self.at >= len(self.text)

    def _array_of_tables(self, keys: KeyPath) -> KeyPath:
        path = (*self._in_arrays(keys[:-1]), keys[-1])
        self.arrays[path] = self.arrays.get(path, -1) + 1
        self.found.setdefault(path, self._line(self.at))
        return self._note((*path, self.arrays[path]))

    def _in_arrays(self, keys: KeyPath) -> KeyPath:
        """The header's keys with the index of each open array of tables: `mailbox.oauth2` → mailbox, 1, oauth2."""
        path: KeyPath = ()
        for key in keys:
            path = self._note((*path, key))
            if path in self.arrays:
                path = (*path, self.arrays[path])
        return path

    def _key(self) -> KeyPath:
        keys: list[str | int] = []
        while not keys or self._skip(_DOT):
            self._blank()
            start = self.at
            if not self._skip(_KEY):
                self.at = len(self.text)  # never for valid TOML; ends the scan instead of looping
                return (*keys, "")
            keys.append(_unquoted(self.text[start : self.at]))
        return tuple(keys)

    def _note(self, path: KeyPath, at: int | None = None) -> KeyPath:
        self._blank() if at is None else None
        self.found.setdefault(path, self._line(self.at if at is None else at))
        return path

    def _line(self, at: int) -> int:
        return bisect.bisect_left(self.ends, at) + 1

    def _blank(self) -> int:
        self._skip(_BLANK)
        return self.at

    def _takes(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        return True


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
