"""The shape of catalogue.toml, and what the house makes of it: a `domain.catalogue.Catalogue` (INTERFACE §1)."""

from dataclasses import field
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictInt
from pydantic.dataclasses import dataclass

from triaged.domain import catalogue
from triaged.settings import fields
from triaged.settings.model import STRICT

ServiceName = Literal["select", "syncplus", "warranty"]
Years = Annotated[StrictInt, Field(ge=1, le=5)]


@dataclass(frozen=True, slots=True, config=STRICT)
class SkuEntry:
    code: fields.Text
    service: ServiceName
    years: Years


@dataclass(frozen=True, slots=True, config=STRICT)
class ProductEntry:
    name: fields.Text


@dataclass(frozen=True, slots=True, config=STRICT)
class CountryEntry:
    code: fields.Text
    services: tuple[ServiceName, ...]
    note: fields.Text


@dataclass(frozen=True, slots=True, config=STRICT)
class Spares:
    rooms_per_unit: fields.Count = 50


@dataclass(frozen=True, slots=True, config=STRICT)
class Invitation:
    valid_days: fields.Count = 30


@dataclass(frozen=True, slots=True, config=STRICT)
class Cancellation:
    days: fields.Count = 30


@dataclass(frozen=True, slots=True, config=STRICT)
class Warranty:
    max_years: fields.Count = 5


@dataclass(frozen=True, slots=True, config=STRICT)
class Term:
    start: Literal["purchase", "first_assignment"] = "purchase"
    latest_days: fields.Count | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class CatalogueFile:
    """The whole of catalogue.toml, key by key."""

    sku: tuple[SkuEntry, ...] = ()
    product: tuple[ProductEntry, ...] = ()
    country: tuple[CountryEntry, ...] = ()
    spares: Spares = field(default_factory=Spares)
    invitation: Invitation = field(default_factory=Invitation)
    cancellation: Cancellation = field(default_factory=Cancellation)
    warranty: Warranty = field(default_factory=Warranty)
    term: Term = field(default_factory=Term)


def built(file: CatalogueFile) -> catalogue.Catalogue:
    latest = file.term.latest_days
    return catalogue.Catalogue(
        skus={sku.code: catalogue.Sku(sku.code, catalogue.ServiceType(sku.service), sku.years) for sku in file.sku},
        products=tuple(product.name for product in file.product),
        countries={entry.code: _country(entry) for entry in file.country},
        rooms_per_spare=file.spares.rooms_per_unit,
        invitation_valid=timedelta(days=file.invitation.valid_days),
        cancellation=timedelta(days=file.cancellation.days),
        warranty_max_years=file.warranty.max_years,
        term_start=catalogue.TermStart(file.term.start),
        term_latest=None if latest is None else timedelta(days=latest),
    )


def _country(entry: CountryEntry) -> catalogue.Country:
    return catalogue.Country(entry.code, tuple(map(catalogue.ServiceType, entry.services)), entry.note)
