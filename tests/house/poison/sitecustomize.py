"""Loaded by every Python that is started with this folder on PYTHONPATH: a reader with faults that real ones had.

A mail whose bytes hold `POISON-segv` or `POISON-regex` makes this process suffer that fault while it is read.
"""

import ctypes
import re

from triaged.adapters import confinement
from triaged.mail import reader

FAULTS = {
    b"segv": lambda: ctypes.string_at(0),
    b"regex": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),  # holds the interpreter's lock all the while
}
_read = reader.read


def read(raw: bytes, *arguments: object, **more: object) -> object:
    found = re.search(rb"POISON-(\w+)", raw)
    if found and found[1] in FAULTS:
        FAULTS[found[1]]()
    return _read(raw, *arguments, **more)  # type: ignore[arg-type]  # handed through


reader.read = read  # type: ignore[assignment]  # the fault
confinement.CPU = confinement.CHILD_CPU = 1.0
