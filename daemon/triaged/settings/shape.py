"""What keys may stand where: asks the classes of a file's shape, so that no list of keys is written twice."""

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator
from typing import Any

from triaged.settings.locate import KeyPath
from triaged.settings.secret import Secret


@functools.cache
def keys(table: type) -> dict[str, Any]:
    """The keys of a table and the type of each; a secret may also be named by its file."""
    hints = {name: _bare(hint) for name, hint in typing.get_type_hints(table).items()}
    return hints | {f"{name}_file": str for name in secrets(table)}


@functools.cache
def secrets(table: type) -> tuple[str, ...]:
    """The keys of a table that hold a password or token."""
    return tuple(name for name, hint in typing.get_type_hints(table).items() if _bare(hint) is Secret)


def inside(hint: Any, key: str | int) -> Any | None:
    """The type of what stands under `key`, or None where nothing may stand."""
    if is_table(hint):
        return keys(hint).get(str(key))
    if typing.get_origin(hint) in (tuple, dict):
        arguments = typing.get_args(hint)
        return _bare(arguments[0] if typing.get_origin(hint) is tuple else arguments[1])
    return None


def is_table(hint: Any) -> bool:
    """True for the class of a table."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def at(hint: Any, path: KeyPath) -> Any | None:
    """The type at `path` below `hint`."""
    for key in path:
        hint = inside(hint, key)
    return hint


def tables(tree: Any, hint: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, dict[str, Any], type]]:
    """Every table of a TOML tree that has a class, with its path; outermost first."""
    if isinstance(tree, dict):
        if is_table(hint):
            yield path, tree, hint
        items: Any = list(tree.items())
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return
    for key, value in items:
        below = inside(hint, key)
        if below is not None:
            yield from tables(value, below, (*path, key))


def _bare(hint: Any) -> Any:
    """`X` of `X | None`."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(argument for argument in typing.get_args(hint) if argument is not types.NoneType)
    return hint
