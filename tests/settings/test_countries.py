"""[[country]] of catalogue.toml (row C14): where a service is missing or differs, in the reader's language."""

from pathlib import Path

import pytest
from tests.settings.configurations import TRIAGED, changed, refused, written

from triaged import settings
from triaged.domain.catalogue import ServiceType

GOOD = (
    '[[country]]\ncode = "CH"\nservices = ["select", "warranty"]\nnote = { fr = "sous deux jours", en = "two days" }\n'
)


def with_catalogue(folder: Path, text: str) -> Path:
    file = written(folder, changed(TRIAGED, "[service]", '[service]\ncatalogue = "catalogue.toml"'))
    (folder / "catalogue.toml").write_text(text)
    return file


def test_a_note_is_told_in_the_readers_language_and_else_in_english(tmp_path: Path) -> None:
    country = settings.load(with_catalogue(tmp_path, GOOD), {}).catalogue.countries["CH"]
    assert country.services == (ServiceType.SELECT, ServiceType.WARRANTY)
    assert [country.note_in(locale) for locale in ("fr", "fr-CH", "en", "de")] == [
        "sous deux jours",
        "sous deux jours",
        "two days",
        "two days",
    ]


def test_one_note_is_for_every_language(tmp_path: Path) -> None:
    text = '[[country]]\ncode = "BR"\nservices = ["select"]\nnote = "nicht verfügbar"\n'
    country = settings.load(with_catalogue(tmp_path, text), {}).catalogue.countries["BR"]
    assert {country.note_in(locale) for locale in ("fr", "en", "de")} == {country.note} == {"nicht verfügbar"}


def test_the_shipped_countries_speak_every_language_of_ours() -> None:
    shipped = settings.load(settings.shipped("config") / "triaged.toml", {}).catalogue
    assert shipped.countries
    assert all(set(country.notes) == {"fr", "en", "de"} for country in shipped.countries.values())


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "fix"),
    [
        ('"CH"', '"ch"', 2, 'country[0].code = "ch": not a country code', 'capitals, like "CH"'),
        ('"CH"', '"UK"', 2, 'country[0].code = "UK": not a country code', "GB, not UK"),
        ('"warranty"', '"warrenty"', 3, 'country[0].services[1] = "warrenty": not one of them', '"warranty"'),
        ('["select", "warranty"]', "[]", 3, "country[0].services = []: no service", 'like ["select"]'),
        ('["select", "warranty"]', '"select"', 3, 'country[0].services = "select": not a list', "brackets"),
        ('"two days"', '""', 4, 'country[0].note.en = "": empty', "write something"),
        ('{ fr = "sous deux jours", en = "two days" }', "5", 4, "country[0].note = 5: no note", "one a language"),
        ("note =", "nota =", 4, "country[0].nota: unknown key", "note"),
        (GOOD, GOOD * 2, 1, "CH more than once", "keep one table for each code"),
    ],
)
def test_a_bad_country_is_refused_with_its_line_and_the_fix(
    tmp_path: Path, old: str, new: str, line: int, what: str, fix: str
) -> None:
    error = str(refused(with_catalogue(tmp_path, changed(GOOD, old, new))))
    assert f"catalogue.toml:{line}: " in error
    assert what in error
    assert fix in error


def test_one_sku_twice_is_refused(tmp_path: Path) -> None:
    sku = '[[sku]]\ncode = "1"\nservice = "select"\nyears = 1\n'
    assert "1 more than once" in str(refused(with_catalogue(tmp_path, sku + sku.replace("years = 1", "years = 2"))))
