"""Which country a text names, and nothing where it is doubtful."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from triaged.adapters import territories


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("France", "FR"),
        ("FRANCE", "FR"),
        ("fr", "FR"),
        ("FRA", "FR"),
        ("FR - France", "FR"),
        ("France (FR)", "FR"),
        ("Royaume-Uni", "GB"),
        ("Vereinigtes Königreich", "GB"),
        ("UK", "GB"),
        ("U.S.A.", "US"),
        ("les Pays-Bas", "NL"),
        ("Côte d’Ivoire", "CI"),
        ("Allemagne", "DE"),
        ("Deutschland", "DE"),
        ("Österreich", "AT"),
        ("Svizzera", "CH"),
        ("España", "ES"),
        ("Polska", "PL"),
        ("日本", "JP"),
        ("Georgia", "GE"),
    ],
)
def test_a_name_in_our_languages_or_its_own_and_a_code_are_a_country(text: str, code: str) -> None:
    assert territories.code_of(text) == code


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("12 rue X, 75008 Paris, France", "FR"),
        ("12 rue X\n75008 Paris\nFRANCE", "FR"),
        ("12 rue X - 75008 Paris - France", "FR"),
        ("12 rue X 75008 Paris France", "FR"),
        ("12 rue X, F-75008 Paris", "FR"),
        ("12 rue X, 75008 Paris, FR", "FR"),
        ("Bahnhofstr. 1, CH-8001 Zürich", "CH"),
        ("Bahnhofstr. 1, 8001 Zürich, CH", "CH"),
        ("Invalidenstr. 5, 10115 Berlin DE", "DE"),
        ("1 High St, London SW1A 1AA, United Kingdom", "GB"),
        ("1 High St London SW1A 1AA United Kingdom", "GB"),
        ("1 St, Belfast BT1 1AA, Northern Ireland", "GB"),
        ("1 Raffles Place, Singapore 048616", "SG"),
        ("5 rue Y, L-1234 Luxembourg", "LU"),
        ("1 Rd, Los Angeles, CA 90001, USA", "US"),
        ("Box 1, 111 22 Stockholm, Sverige", "SE"),
        ("C/ Z 1, 28001 Madrid - España", "ES"),
    ],
)
def test_an_address_ends_in_its_country(address: str, code: str) -> None:
    assert territories.code_of(address) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12 rue X, 75008 Paris",
        "12 rue de France",
        "06000 Nice 12 rue de France",
        "1 Main St, Wilmington, DE",
        "1 Main St, Wilmington, DE 19801",
        "1 Rd, Los Angeles, CA",
        "1 Peach St, Atlanta, Georgia",
        "1 Peach St, Atlanta, Georgia 30301",
        "1 Rd, Newark, New Jersey",
        "Via Roma 1, 66100 Chieti, CH",
        "Via Roma 1, 16121 Genova, GE",
        "F-75008 Paris, Allemagne",
        "Acme Germany",
        "Congo",
        "x" * 501,
    ],
)
def test_a_doubtful_text_names_no_country(text: str) -> None:
    assert territories.code_of(text) == ""


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_every_country_is_read_back_from_its_name(locale: str) -> None:
    names = {code: territories.name_of(code, locale) for code in territories.codes()}
    assert {code: territories.code_of(name) for code, name in names.items()} == {code: code for code in names}


def test_a_country_is_called_by_its_name_in_the_readers_language() -> None:
    assert [territories.name_of("CH", locale) for locale in ("fr", "de", "en", "pt-BR")] == [
        "Suisse",
        "Schweiz",
        "Switzerland",
        "Suíça",
    ]
    assert (territories.name_of("CH", "xx"), territories.name_of("QQ", "fr")) == ("Switzerland", "QQ")


def test_the_calendar_is_that_of_the_countrys_largest_city_and_a_day_ends_with_its_last_zone() -> None:
    zones = {code: territories.zone_of(code) for code in ("FR", "DE", "GB", "US", "PT", "XK", "ZZ", "")}
    assert zones == {
        "FR": "Europe/Paris",
        "DE": "Europe/Berlin",
        "GB": "Europe/London",
        "US": "America/New_York",
        "PT": "Europe/Lisbon",
        "XK": "",
        "ZZ": "",
        "": "",
    }
    last = {code: territories.last_zone_of(code) for code in ("FR", "US", "PT", "ZZ")}
    assert last == {"FR": "Europe/Paris", "US": "Pacific/Honolulu", "PT": "Atlantic/Azores", "ZZ": ""}
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert all(
        noon.astimezone(ZoneInfo(territories.zone_of(code))) for code in territories.codes() - {"XK", "BV", "HM"}
    )


def test_a_language_is_the_countrys_only_where_it_is_clear() -> None:
    spoken = {"FR": "fr", "MC": "fr", "DE": "de", "AT": "de", "GB": "en", "US": "en", "IE": "en"}
    several = dict.fromkeys(("CH", "BE", "LU", "CA", "IT", "JP", "ZZ", ""), "")
    assert {code: territories.language_of(code) for code in spoken | several} == spoken | several
