"""Whose address is erased: the whole one, wherever it stands, and no other that has it in it."""

import pytest

from triaged.domain import erasure

KEY = b"k"
ANNA = "anna@integra.example"
GONE = erasure.pseudonym(ANNA, KEY)


@pytest.mark.parametrize(
    "value",
    [
        "susanna@integra.example",
        "jo.anna@integra.example",
        "x-anna@integra.example",
        "x_anna@integra.example",
        "o'anna@integra.example",
        "anna@integra.example.org",
        "anna@integra.example-corp.org",
        "anna+list@integra.example",
        "writes Susanna <susanna@integra.example>, and x+anna@integra.example.",
        ["susanna@integra.example", {"jo.anna@integra.example": ("anna@integra.examples", 1, None)}],
    ],
)
def test_somebody_elses_address_stays_as_it_is(value: object) -> None:
    assert erasure.without(value, ANNA, KEY) == value
    assert not erasure.says(value, ANNA)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "from {}.",
        "Anna <{}>",
        "'{}'",
        '"{}"',
        "mailto:{}?subject=x",
        "*{}* wrote",
        "d'{} à nous",
        "({}), {};",
        "- {}\n-{}",
        "550 to={} is unknown",
        "susanna@integra.example, {}, anna@integra.example.org",
    ],
)
def test_the_address_goes_whatever_stands_around_it(text: str) -> None:
    for written in (ANNA, ANNA.upper()):
        assert erasure.without([text.replace("{}", written)], ANNA, KEY) == [text.replace("{}", GONE)]
    assert erasure.says({"x": [text.replace("{}", ANNA)]}, ANNA)
