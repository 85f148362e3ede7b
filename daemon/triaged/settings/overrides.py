"""Keys from outside the files: `TRIAGED_SMTP__PASSWORD` in the environment, `smtp__password` among the credentials.

Parts are joined by two underscores. An item of a list goes by its number (`TRIAGED_MAILBOX__0__HOST`) or its name
(`TRIAGED_MAILBOX__PARTNERS_EU__HOST`); the other two files by `POLICY__…` and `CATALOGUE__…`. A name that fits
nothing is an error: an override with a typing error must not be ignored in silence.
"""

import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triaged.settings import secret, shape
from triaged.settings.locate import KeyPath
from triaged.settings.problems import Document, Report, suggestion
from triaged.settings.secret import Secret

PREFIX = "TRIAGED_"
_OTHERS = re.compile(r"TRIAGED_TEST_.*|(?:(?!__).)*")  # for tests, or no key: every key lies in a table, so has "__"
_NUMBER = re.compile(r"-?\d{1,12}")
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def environment(document: Document, section: str, hint: type, variables: Mapping[str, str], report: Report) -> None:
    """Put every `TRIAGED_…` that names a key of this file into its tree."""
    for name in sorted(variables):
        if name.startswith(PREFIX) and not _OTHERS.fullmatch(name) and _section(name.removeprefix(PREFIX)) == section:
            _put(
                document,
                hint,
                f"environment {name}",
                _parts(name.removeprefix(PREFIX), section),
                variables[name],
                report,
            )


def credentials(document: Document, section: str, hint: type, folder: Path | None, report: Report) -> None:
    """Put every credential whose name has two underscores into the tree, as if it stood there."""
    for file in sorted(folder.glob("*__*")) if folder else ():
        if _section(file.name) == section:
            place = f"credential {file.name}"
            try:
                value = secret.read(file).reveal()
            except (OSError, ValueError) as error:
                report.elsewhere(place, f"cannot be used: {error}", "put one line of text into it")
            else:
                _put(document, hint, place, _parts(file.name, section), value, report)


def _section(name: str) -> str:
    first, _, rest = name.lower().partition("__")
    return first if first in ("policy", "catalogue") and rest else ""


def _parts(name: str, section: str) -> list[str]:
    parts = name.lower().split("__")
    return parts[1:] if section else parts


def _put(document: Document, hint: type, place: str, parts: Sequence[str], value: str, report: Report) -> None:
    node: Any = document.tree
    path: KeyPath = ()
    below: Any = hint
    for position, part in enumerate(parts):
        key = _key(node, below, part)
        table, kind, below = node, below, None if key is None else shape.inside(below, key)
        if key is None or below is None:
            _unknown(place, parts, position, kind, report)
            return
        path = (*path, key)
        if position < len(parts) - 1:
            node = _child(node, key, below)
    _set(table, path[-1], _converted(value, below))
    _forget_sibling(table, kind, str(path[-1]))
    document.origins[path] = place


def _key(node: Any, hint: Any, part: str) -> str | int | None:
    """The key that `part` means in this table or list: by number, by an item's name or code, or by its own name."""
    if isinstance(node, list):
        if part.isdigit():
            return int(part) if int(part) <= len(node) else None
        named = (item.get("name", item.get("code")) if isinstance(item, dict) else None for item in node)
        return next((index for index, name in enumerate(named) if _spelt(name) == part), None)
    if not isinstance(node, dict):
        return None
    if typing.get_origin(hint) is dict:
        return next((key for key in node if _spelt(key) == part), part)
    return part


def _spelt(name: object) -> str:
    """A name as it can stand in an environment variable."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower())


def _child(node: Any, key: Any, hint: Any) -> Any:
    """What stands under `key`, made where it is missing."""
    fresh: Any = [] if typing.get_origin(hint) is tuple else {}
    if isinstance(node, list):
        if key == len(node):
            node.append(fresh)
        return node[key]
    return node.setdefault(key, fresh)


def _set(table: Any, key: Any, value: object) -> None:
    if isinstance(table, list) and key == len(table):
        table.append(value)
    else:
        table[key] = value


def _forget_sibling(table: Any, hint: Any, key: str) -> None:
    """A password from outside replaces the file's password_file, and the other way round."""
    if not isinstance(table, dict):
        return
    for name in shape.secrets(hint) if shape.is_table(hint) else ():
        if key in (name, f"{name}_file"):
            table.pop(name if key != name else f"{name}_file", None)


def _converted(text: str, hint: Any) -> object:
    """The text as the value that the file would hold; what does not fit stays text and is refused by its field."""
    if hint is Secret:
        return Secret(text)
    if hint is bool:
        return _FLAGS.get(text.strip().lower(), text)
    if hint is int:
        return int(text) if _NUMBER.fullmatch(text.strip()) else text
    if typing.get_origin(hint) is tuple and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if typing.get_origin(hint) in (tuple, dict) or shape.is_table(hint):
        return _literal(text)
    return text


def _literal(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _unknown(place: str, parts: Sequence[str], position: int, hint: Any, report: Report) -> None:
    known = list(shape.keys(hint)) if shape.is_table(hint) else []
    near = suggestion(parts[position], known)
    report.elsewhere(
        place,
        f"names no key: there is no {'.'.join(parts[: position + 1])}{near}",
        "unset it, or name a key of the file with __ between its parts, like TRIAGED_SMTP__HOST",
    )
