"""The same place or not (row C9): spelling is forgiven, a word more or less never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.domain import postal

COUNTRIES = {"france": "FR", "fr": "FR", "suisse": "CH", "united kingdom": "GB", "luxembourg": "LU"}


def country_of(text: str) -> str:
    """A small gazetteer: the last part, or the words after a postcode."""
    end = text.rpartition(",")[2].strip().casefold()
    words = end.split()
    tails = [end, *(" ".join(words[place:]) for place in range(1, len(words)) if any(map(str.isdigit, words[0])))]
    return next((COUNTRIES[tail] for tail in tails if tail in COUNTRIES), "")


def same(one: str, other: str) -> bool:
    assert postal.same(one, other, country_of) == postal.same(other, one, country_of)
    return postal.same(one, other, country_of)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12, rue de la Paix, 75002 Paris", "12 Rue de la Paix 75002 PARIS, France"),
        ("12 r. de la Paix, F-75002 Paris", "75002 Paris, 12 rue de la paix"),
        ("1 av. Foch, 92000 Nanterre Cedex 3", "1 avenue Foch, 92000 NANTERRE"),
        ("3 bd St-Michel, 75005 Paris", "3 boulevard Saint Michel, 75005 Paris"),
        ("12bis rue X, Paris 75008", "12 bis, rue X, 75008 Paris"),
        ("n° 12 rue X, 75 008 Paris", "12 rue X, 75008 Paris"),
        ("Zone industrielle Nord, 5 rue X, 69000 Lyon", "ZI Nord, 5 rue X, 69000 Lyon"),
        ("Hauptstr. 5, 80331 München", "Hauptstraße 5, D-80331 Munchen"),
        ("1 High St, London SW1A 1AA", "1 High Street, SW1A1AA London, United Kingdom"),
        ("Herengracht 1, 1015 BA Amsterdam", "1015BA Amsterdam, Herengracht 1"),
        ("12 rue X, 75008 Paris France", "12 rue X - 75008 Paris - FR"),
        ("1 rue Y, L-1234 Luxembourg", "1 rue Y, 1234 Luxembourg, Luxembourg"),
    ],
)
def test_one_place_in_two_spellings_is_one(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 rue X, 75008 Paris", "14 rue X, 75008 Paris"),
        ("12 rue X, 75008 Paris", "12 rue X, 75009 Paris"),
        ("12 rue X, 75008 Paris", "12 avenue X, 75008 Paris"),
        ("Building 3, 5 Main Street", "Building 5, 3 Main Street"),
        ("5 Main Street, 1000 Springfield", "5 Main Street, 1000 Springfield, Building B"),
        ("1 rue X, 1000 Ville, France", "1 rue X, 1000 Ville, Suisse"),
        ("12 rue de France", "12 rue de Suisse"),
        ("", ""),
    ],
)
def test_what_may_be_another_place_is_another(one: str, other: str) -> None:
    assert not same(one, other)


WORDS = st.lists(
    st.sampled_from(["rue", "Foch", "12", "Bât", "B", "75008", "Paris", "St", "é"]), min_size=1, max_size=4
)


@given(parts=st.lists(WORDS.map(" ".join), min_size=1, max_size=5), data=st.data())
def test_the_order_of_the_parts_never_matters(parts: list[str], data: st.DataObject) -> None:
    turned = data.draw(st.permutations(parts))
    assert same(", ".join(parts), ", ".join(turned).upper())


@given(parts=st.lists(WORDS.map(" ".join), min_size=1, max_size=4), word=st.sampled_from(["Tour", "14", "75009"]))
def test_a_word_more_is_another_place(parts: list[str], word: str) -> None:
    assert not same(", ".join(parts), ", ".join([*parts, word]))
