"""Rooms, devices and earlier extensions as their files say them: what `import` takes and `export` gives."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Unit:
    """A device as a line about its room names it."""

    serial: str
    product: str = ""
    purchased_on: date | None = None


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A room; key: customer, site and name. `jumpstart`: the day on which its JumpStart was bought."""

    customer: str
    name: str
    site: str = ""
    country: str = ""
    place: str = ""
    jumpstart: date | None = None
    devices: tuple[Unit, ...] = ()

    @property
    def key(self) -> str:
        return " / ".join(part for part in (self.customer, self.site, self.name) if part)


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device; key: serial number. An empty room: it stands in none."""

    serial: str
    product: str
    purchased_on: date
    customer: str
    site: str = ""
    room: str = ""

    @property
    def key(self) -> str:
        return self.serial


@dataclass(frozen=True, slots=True)
class ExtensionRecord:
    """An earlier warranty extension as its order wrote it; key: serial number, SKU and day. `status`: processed, or
    pending while its order is."""

    serial: str
    sku: str
    years: int
    purchased_on: date
    customer_name: str
    customer_email: str = ""
    status: str = "processed"

    @property
    def key(self) -> str:
        return f"{self.serial} / {self.sku} / {self.purchased_on}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend in a file: where, in which column, what was found, what to write instead."""

    line: int
    column: str
    found: str
    fix: str

    def __str__(self) -> str:
        where = f"line {self.line}, {self.column}" if self.column else f"line {self.line}"
        return f"{where}: found {self.found!r}: {self.fix}" if self.found else f"{where}: {self.fix}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did or, with --dry-run, would do: entries by key; with problems nothing was done."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: int = 0
    problems: tuple[Problem, ...] = ()

    def document(self) -> dict[str, Any]:
        return {"added": list(self.added), "changed": list(self.changed), "unchanged": self.unchanged}
