"""Whether two postal addresses are the same place (row C9): spelling is forgiven, a word more or less is not.

Forgiven: case, accents, punctuation, the usual short forms of streets, CEDEX, a country at the end of one of the two,
the country's letters before a postcode, and the order of the parts. Words are never moved within a part, so that
`Building 3, 5 Main Street` is not `Building 5, 3 Main Street`.
"""

import itertools
import re
from collections.abc import Callable

from triaged.domain import order

CountryOf = Callable[[str], str]  # the ISO code of the country that a text names or an address ends in, else ""

_MOST_PARTS = 7  # whose orders are tried out: 5,040 at most

# Several words of one short form share it (`st`: street, saint): the rest of the address tells them apart.
_SHORT = {
    "avenue": "av", "ave": "av", "boulevard": "bd", "blvd": "bd", "boul": "bd", "bvd": "bd", "rue": "r",
    "street": "st", "saint": "st", "sankt": "st", "sainte": "ste", "suite": "ste", "road": "rd", "square": "sq",
    "place": "pl", "platz": "pl", "lane": "ln", "drive": "dr", "court": "ct", "parkway": "pkwy", "highway": "hwy",
    "building": "bldg", "batiment": "bat", "immeuble": "imm", "floor": "fl", "etage": "et", "allee": "all",
    "chemin": "ch", "route": "rte", "faubourg": "fg", "fbg": "fg", "impasse": "imp", "cours": "crs",
    "strasse": "str", "gasse": "g", "north": "n", "south": "s", "east": "e", "west": "w",
}  # fmt: skip
_NUMBER_SIGNS = frozenset({"no", "nr", "num", "numero", "nummer", "number"})
_POSTCODE = re.compile(r"\d{4} ?[a-z]{2}(?= |$)|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|[a-z]\d[a-z] ?\d[a-z]\d|\d{4,6}")
_LAND = re.compile(r"\b(?:F|D|A|B|L|I|E|P|S|N|DK|FL|CH|FR|DE|AT|BE|LU|NL|LI|IT|ES|PT|PL|CZ|SE)-(?=\d{4,5}\b)", re.I)


def same(one: str, other: str, country_of: CountryOf) -> bool:
    """Whether both are the same address. An address without country may be one with it; two countries are two."""
    countries = {country_of(address) for address in (one, other)} - {""}
    if len(countries) > 1:
        return False
    here, there = _parts(one, country_of), _parts(other, country_of)
    if sorted(" ".join(here).split()) != sorted(" ".join(there).split()) or not here:
        return False
    return sorted(here) == sorted(there) or _turned(here, " ".join(there)) or _turned(there, " ".join(here))


def _turned(parts: tuple[str, ...], whole: str) -> bool:
    """Whether some order of `parts` reads like `whole`."""
    if len(parts) > _MOST_PARTS:
        return " ".join(parts) == whole
    return any(" ".join(turned) == whole for turned in itertools.permutations(parts))


def _parts(address: str, country_of: CountryOf) -> tuple[str, ...]:
    """The folded parts of an address without its country; a postcode is a part by itself."""
    country = country_of(address)
    written = [part.strip() for part in re.split(r"[,;\n|]|\s[-–]\s", _LAND.sub("", address)) if part.strip()]
    if country and len(written) > 1 and country_of(written[-1]) == country and not _has_digit(written[-1]):
        written.pop()
    if country and written:
        written[-1] = _without(country, written[-1], country_of)
    return tuple(part for text in written for part in _split(order.folded(text)) if part)


def _without(country: str, text: str, country_of: CountryOf) -> str:
    """`75008 Paris France` without the words at its end that alone name the country."""
    words = text.split()
    for count in range(min(4, len(words) - 1), 0, -1):
        end = " ".join(words[-count:])
        if not _has_digit(end) and country_of(end) == country and _has_digit(" ".join(words[:-count])):
            return " ".join(words[:-count])
    return text


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _split(text: str) -> tuple[str, ...]:
    """A folded part cut around its postcodes, in canonical words."""
    text = re.sub(r"\bcedex(?: \d{1,2}\b)?", "", text)
    text = re.sub(r"^(\d{2}) (\d{3})(?= [a-z])", r"\1\2", text)
    text = text.replace("zone industrielle", "zi")
    cuts = re.split(rf"\b({_POSTCODE.pattern})\b", text)
    codes = (cut.replace(" ", "") if place % 2 else _words(cut) for place, cut in enumerate(cuts))
    return tuple(part for part in codes if part)


def _words(text: str) -> str:
    words = re.sub(r"(\d)([a-z])", r"\1 \2", re.sub(r"\bn (?=\d)", "", text)).split()  # n° 12
    return " ".join(_short(word) for word in words if word not in _NUMBER_SIGNS)


def _short(word: str) -> str:
    """`strasse` and `hauptstrasse` as `str` and `hauptstr`; other words by the table."""
    return word.removesuffix("asse") if word.endswith("strasse") else _SHORT.get(word, word)
