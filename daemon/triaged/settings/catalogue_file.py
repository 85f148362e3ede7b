"""The shape of catalogue.toml, and what the house makes of it: a `domain.catalogue.Catalogue` (INTERFACE §1)."""

from collections.abc import Sequence
from dataclasses import field
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt
from pydantic.dataclasses import dataclass

from triaged.domain import catalogue
from triaged.settings import fields
from triaged.settings.model import STRICT

ServiceName = Literal["select", "syncplus", "warranty"]
Years = Annotated[StrictInt, Field(ge=1, le=5)]


def _by_locale(value: object) -> object:
    """One text is the note of every language, under no locale."""
    if isinstance(value, dict) and value:
        return value
    if isinstance(value, str) and value.strip():
        return {"": value}
    raise fields.refusal("no note", 'write one text, or one a language: note = { fr = "…", en = "…" }')


def _some(value: tuple[ServiceName, ...]) -> tuple[ServiceName, ...]:
    if not value:
        raise fields.refusal("no service", 'name the services that are missing or differ there, like ["select"]')
    return value


def _one_each(entries: Sequence["SkuEntry | CountryEntry"]) -> Sequence["SkuEntry | CountryEntry"]:
    """Of two entries with one code the first would be lost in silence."""
    codes = [entry.code for entry in entries]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise fields.refusal(f"{', '.join(twice)} more than once", "keep one table for each code")
    return entries


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
    """`note` in one language, or in several by locale."""

    code: fields.CountryCode
    services: Annotated[tuple[ServiceName, ...], AfterValidator(_some)]
    note: Annotated[dict[str, fields.Text], BeforeValidator(_by_locale)]


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

    sku: Annotated[tuple[SkuEntry, ...], AfterValidator(_one_each)] = ()
    product: tuple[ProductEntry, ...] = ()
    country: Annotated[tuple[CountryEntry, ...], AfterValidator(_one_each)] = ()
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
    note = entry.note.get("") or entry.note.get("en") or next(iter(entry.note.values()))
    notes = {locale: text for locale, text in entry.note.items() if locale}
    return catalogue.Country(entry.code, tuple(map(catalogue.ServiceType, entry.services)), note, notes)
