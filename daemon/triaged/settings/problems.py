"""What is wrong with the configuration: collected all at once, told with file, line, key, value and fix."""

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from triaged.domain.errors import PermanentError
from triaged.settings import locate
from triaged.settings.locate import KeyPath
from triaged.settings.secret import Secret

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_URL_PASSWORD = re.compile(r"(://[^/@:]*:).*(?=@)|((?:password|token|secret|key)=)[^&]*")
_SECRET_KEY = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)
NO_VALUE = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `place` is `FILE:LINE`, `environment NAME` or `credential NAME`; `fix` says what to do."""

    place: str
    key: str
    what: str
    fix: str
    order: tuple[int, int] = (0, 0)  # which file, which line

    def __str__(self) -> str:
        where = f"{self.place}: {self.key}" if self.key else self.place
        return f"{where}{'' if self.what.startswith(' =') else ':'}{self.what}\n    fix: {self.fix}"


class ConfigurationError(PermanentError):
    """The configuration cannot be used. `problems` are all that were found; the text is ready to be printed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.order))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{count} in the configuration; nothing was started", *map(str, self.problems)]))


@dataclass
class Document:
    """One TOML file: its text and tree, and the keys that came from elsewhere (`environment NAME`). `rank` orders files
    in the report."""

    path: Path
    text: str
    tree: dict[str, Any]
    rank: int
    origins: dict[KeyPath, str] = field(default_factory=dict)

    @functools.cached_property
    def lines(self) -> dict[KeyPath, int]:
        """The line of each key; looked for only when there is something to tell."""
        return locate.lines(self.text)

    def place(self, path: KeyPath) -> tuple[str, tuple[int, int]]:
        """Where `path`, or the nearest table around it, was said; and the order in which to tell of it."""
        for length in range(len(path), -1, -1):
            if origin := self.origins.get(path[:length]):
                return origin, (-1, 0)
            if line := self.lines.get(path[:length]):
                return f"{self.path}:{line}", (self.rank, line)
        if not path:
            return str(self.path), (self.rank, 0)
        last = self.text.count("\n") + 1  # what is missing altogether goes to the end
        return f"{self.path}:{last}", (self.rank, last)


class Report:
    """All problems and warnings found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def problem(self, document: Document, path: KeyPath, what: str, fix: str, value: object = NO_VALUE) -> None:
        """One more problem with the key at `path`; `value` is shown unless it may be a secret."""
        place, order = document.place(path)
        found = "" if value is NO_VALUE else f" = {shown(path, value)}:"
        self.problems.append(Problem(place, dotted(path), f"{found} {what}", fix, order))

    def warning(self, document: Document, path: KeyPath, what: str) -> None:
        place, _ = document.place(path)
        self.warnings.append(f"{place}: {dotted(path)}: {what}")

    def elsewhere(self, place: str, what: str, fix: str) -> None:
        """A problem that stands in no file: an environment variable, a credential, a missing file."""
        self.problems.append(Problem(place, "", f" {what}", fix, (-1, 0)))


def dotted(path: KeyPath) -> str:
    """The path as an operator writes it: `mailbox[0].poll`, `services."Zoho CRM".aliases[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else '"' + _one_line(part) + '"'
            text += f".{name}" if text else name
    return text


def shown(path: KeyPath, value: object) -> str:
    """The value as it stands in the file, at most 60 characters; never a secret, never a URL's password."""
    if isinstance(value, Secret) or any(_SECRET_KEY.search(str(part)) for part in path if not is_file_key(part)):
        return "***"
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = '"' + _URL_PASSWORD.sub(r"\1\2***", value).replace('"', '\\"') + '"'
        case timedelta():
            text = f'"{value.total_seconds():g}s"'
        case dict():
            text = "{…}"
        case list() | tuple():
            text = "[" + ", ".join(shown(path, item) for item in value) + "]"
        case _:
            text = str(value)
    text = _one_line(text)
    return text if len(text) <= 60 else text[:57] + "…"


def is_file_key(part: object) -> bool:
    """`password_file`, `secret_file`: they name a file and are no secret themselves."""
    return str(part).endswith("_file")


def suggestion(word: object, known: Iterable[str]) -> str:
    """`; did you mean "x"?` where a known word is near, else empty."""
    folded = {name.casefold(): name for name in known}
    cutoff = 0.6 if len(str(word)) > 3 else 0.5  # "ue" for "eu" is half alike
    near = difflib.get_close_matches(str(word).casefold(), list(folded), cutoff=cutoff)
    near.sort(key=lambda name: sorted(name) != sorted(str(word).casefold()))  # swapped letters first
    return f'; did you mean "{folded[near[0]]}"?' if near else ""


def one_of(words: Sequence[str]) -> str:
    """`"a", "b" or "c"`."""
    marked = [f'"{word}"' for word in words]
    return " or ".join([", ".join(marked[:-1]), marked[-1]] if len(marked) > 1 else marked)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
