"""What the vendor sells (rows C1, C8, C12–C14): SKUs, supported products, terms, read from catalogue.toml."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class ServiceType(StrEnum):
    """The kinds of service contract; one kind per purchase order (row C2)."""

    SELECT = "select"
    SYNCPLUS = "syncplus"
    WARRANTY = "warranty"


class TermStart(StrEnum):
    """When a contract's term begins to run."""

    PURCHASE = "purchase"
    FIRST_ASSIGNMENT = "first_assignment"


@dataclass(frozen=True, slots=True)
class Sku:
    """An orderable service: `years` is its term, 1 to 5."""

    code: str
    service: ServiceType
    years: int


@dataclass(frozen=True, slots=True)
class Country:
    """A country where `services` are missing or differ; `note` says how (row C14), `notes` in which languages else."""

    code: str
    services: tuple[ServiceType, ...]
    note: str
    notes: dict[str, str] = field(default_factory=dict)

    def note_in(self, locale: str) -> str:
        return self.notes.get(locale) or self.notes.get(locale.partition("-")[0]) or self.note


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole of catalogue.toml. `term_latest`: with TermStart.FIRST_ASSIGNMENT, how long after the purchase the
    term begins at the latest."""

    skus: dict[str, Sku]
    products: tuple[str, ...]
    countries: dict[str, Country]
    rooms_per_spare: int
    invitation_valid: timedelta
    cancellation: timedelta
    warranty_max_years: int
    term_start: TermStart
    term_latest: timedelta | None
