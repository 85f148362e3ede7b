"""Countries (rows C8, C14): which one a text names, what it is called, whose calendar and language are its own.

Wraps Babel's CLDR lists, so that no list of ours grows old. A doubtful text names no country: `Wilmington, DE` is not
in Germany, `Atlanta, Georgia` not in the Caucasus.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, languages
from babel.core import get_global

from triaged.domain import order

_OURS = ("fr", "en", "de")
_UNZONED = frozenset({"XK", "BV", "HM"})  # in the lists of countries, without a zone of their own

# Countries of several zones: where most people read the clock.
_LARGEST_CITY = {
    "AR": "America/Argentina/Buenos_Aires", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo",
    "CA": "America/Toronto", "CD": "Africa/Kinshasa", "CL": "America/Santiago", "CN": "Asia/Shanghai",
    "CY": "Asia/Nicosia", "DE": "Europe/Berlin", "EC": "America/Guayaquil", "ES": "Europe/Madrid",
    "FM": "Pacific/Pohnpei", "GL": "America/Nuuk", "ID": "Asia/Jakarta", "KI": "Pacific/Tarawa", "KZ": "Asia/Almaty",
    "MH": "Pacific/Majuro", "MN": "Asia/Ulaanbaatar", "MX": "America/Mexico_City", "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland", "PF": "Pacific/Tahiti", "PG": "Pacific/Port_Moresby", "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow", "UA": "Europe/Kyiv", "US": "America/New_York", "UZ": "Asia/Tashkent",
}  # fmt: skip

# What people write and CLDR does not.
_ALIASES = {
    "u s a": "US", "u s": "US", "united states of america": "US", "etats unis d amerique": "US",
    "vereinigte staaten von amerika": "US", "great britain": "GB", "grande bretagne": "GB", "grossbritannien": "GB",
    "england": "GB", "angleterre": "GB", "scotland": "GB", "ecosse": "GB", "schottland": "GB", "wales": "GB",
    "pays de galles": "GB", "northern ireland": "GB", "irlande du nord": "GB", "nordirland": "GB", "u k": "GB",
    "holland": "NL", "hollande": "NL", "czech republic": "CZ", "republique tcheque": "CZ",
    "tschechische republik": "CZ", "republic of ireland": "IE", "bundesrepublik deutschland": "DE",
    "republique francaise": "FR", "france metropolitaine": "FR", "hong kong": "HK", "hongkong": "HK", "macau": "MO",
    "macao": "MO", "uae": "AE", "eau": "AE", "vae": "AE", "korea": "KR", "coree": "KR", "republic of korea": "KR",
    "turkey": "TR", "ivory coast": "CI", "swaziland": "SZ", "slovak republic": "SK", "russian federation": "RU",
    "federation de russie": "RU", "viet nam": "VN", "vatican": "VA", "macedonia": "MK", "palestine": "PS",
    "congo": "",  # there are two
}  # fmt: skip
_ARTICLES = re.compile(r"(?:the|la|le|les|l|die|der|das) ")

# As the end of an address these are rather a state of the USA, or a province of Canada, Italy or Australia.
_DOUBTFUL_NAMES = frozenset({"georgia"})
_DOUBTFUL_CODES = frozenset((
    "AL", "AR", "AZ", "CA", "CO", "DE", "GA", "ID", "IL", "IN", "LA", "MA", "MD", "ME", "MN", "MO", "MS", "MT", "NC",
    "NE", "PA", "SC", "SD", "TN", "VA", "NL", "PE", "SK", "AG", "AQ", "AT", "BA", "BG", "BI", "BN", "BO", "BR", "BS",
    "BT", "BZ", "CH", "CL", "CN", "CR", "CZ", "FM", "FR", "GE", "GR", "IM", "IS", "LC", "LI", "LT", "LU", "MC", "NA",
    "NO", "PG", "PR", "PT", "RE", "RO", "SA", "SI", "SO", "SR", "SS", "SV", "TO", "TR", "TV", "VC", "VE", "AS", "NT",
))  # fmt: skip

# … unless the postcode before is this country's and not theirs.
_POSTCODES = {
    "AT": r"\d{4}", "BE": r"\d{4}", "CH": r"\d{4}", "LI": r"\d{4}", "LU": r"\d{4}", "DK": r"\d{4}", "NO": r"\d{4}",
    "DE": r"\d{5}", "FR": r"(?!03)\d{5}", "NL": r"\d{4} ?[A-Za-z]{2}", "PT": r"\d{4}-\d{3}", "CZ": r"\d{3} \d{2}",
}  # fmt: skip
_LETTERS = {"F": "FR", "D": "DE", "A": "AT", "B": "BE", "L": "LU", "FL": "LI"}
_BEFORE_POSTCODE = re.compile(r"(?:^|[,;|\n])\s*([A-Z]{1,2})-(\d{4,5})\s+[^\W\d]")
_ANY_POSTCODE = re.compile(r"\b(?:\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d)\b", re.IGNORECASE)
_NOT_BEFORE_A_NAME = frozenset((
    "de", "d", "du", "des", "la", "le", "les", "l", "of", "new", "nouvelle", "nouveau", "von", "zu", "rue", "avenue",
    "place", "boulevard", "street", "road", "square", "hotel", "tour", "platz", "strasse",
))  # fmt: skip


def codes() -> frozenset[str]:
    """Every ISO 3166 code of a country."""
    return frozenset(_zones()) | _UNZONED


@lru_cache(maxsize=4096)
def code_of(text: str) -> str:
    """The ISO code of the country that `text` is the name or the code of, or that it, a postal address, ends in; empty
    where there is none or doubt. Names in French, English, German and the country's own languages."""
    text = text.strip().strip(".")
    if not text or len(text) > 500:
        return ""
    whole = _whole(text) or _pieces(text)
    if whole:
        return whole
    parts = [part.strip() for part in re.split(r"[,;|\n]|\s[-–]\s", text) if part.strip()]
    found = {_end(parts), _before_postcode(text)} - {""}
    return found.pop() if len(found) == 1 else ""


@lru_cache(maxsize=4096)
def name_of(code: str, locale: str) -> str:
    """The country's name in a language, in English where Babel does not know that; the code where it is no country."""
    try:
        names = Locale.parse(locale.replace("-", "_")).territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    return str(names.get(code, code))


@cache
def zone_of(code: str) -> str:
    """The IANA zone of the country's calendar: of several that of its largest city; empty for a country without one."""
    zones = _zones().get(code, ())
    return _LARGEST_CITY.get(code) or (zones[0] if len(zones) == 1 else min(zones, key=_lead, default=""))


@cache
def last_zone_of(code: str) -> str:
    """The zone of the country where a day ends last, so that no customer loses one (row C8); empty without any."""
    return min(_zones().get(code, ()), key=_lead, default="")


@cache
def language_of(code: str) -> str:
    """fr, en or de, where one of them alone is an official language of the country; else empty."""
    spoken = set(languages.get_official_languages(code, de_facto=True)) & set(_OURS) if code in codes() else set()
    return spoken.pop() if len(spoken) == 1 else ""


# --- reading ----------------------------------------------------------------------------------------------------------


def _whole(text: str) -> str:
    """The country that the whole text names."""
    bare = text.strip("() .")
    if re.fullmatch(r"[A-Za-z]{2,3}", bare):
        code = _short_codes().get(bare.upper(), "")
        if code:
            return code
    name = _ARTICLES.sub("", order.folded(bare), count=1) if " " in bare else order.folded(bare)
    return _names().get(name) or _names().get(order.folded(bare)) or _native_names().get(order.folded(bare), "")


def _pieces(text: str) -> str:
    """The country of `FR - France` or `Germany (Deutschland)`: every piece names it."""
    pieces = [piece for piece in re.split(r"\s*[(),/;|]\s*|\s+[-–]\s+", text) if piece.strip(" .")]
    found = {_whole(piece) for piece in pieces[:4]} if 1 < len(pieces) < 4 else set()
    return found.pop() if len(found) == 1 else ""


def _end(parts: list[str]) -> str:
    """The country that an address ends in, given by its parts."""
    last = parts[-1]
    if len(parts) > 1 and order.folded(re.sub(r"[\d\s]+$", "", last)) in _DOUBTFUL_NAMES:
        return ""
    if len(parts) > 1 and not re.fullmatch(r"\(?[A-Z]{2}\)?", last):
        named = _whole(last) or _names().get(order.folded(re.sub(r"\s+\d{4,6}$", "", last)), "")
        if named:
            return named
    return _last_words(last) or _last_code(parts)


def _last_words(part: str) -> str:
    """The country at the end of `75008 Paris France`: after a postcode, and no part of a street's name."""
    words = part.split()
    for count in range(min(5, len(words) - 1), 0, -1):
        before = words[:-count]
        name = order.folded(" ".join(words[-count:]))
        code = "" if name in _DOUBTFUL_NAMES else _names().get(name, "")
        if code and _ANY_POSTCODE.search(" ".join(before)) and order.folded(before[-1]) not in _NOT_BEFORE_A_NAME:
            return code
    return ""


def _last_code(parts: list[str]) -> str:
    """The country of `75008 Paris, FR` or `8001 Zürich CH`: a code that can mean nothing else there."""
    match = re.search(r"(?:^|\s)\(?([A-Z]{2})\)?$", parts[-1])
    code = _short_codes().get(match[1], "") if match else ""
    if not match or not code:
        return ""
    before = parts[-1][: match.start()].strip() or (parts[-2] if len(parts) > 1 else "")
    shape = _POSTCODES.get(code)
    if code in _DOUBTFUL_CODES or parts[-1] == before:
        fits = shape is not None and re.match(rf"(?:[A-Z]{{1,2}}-)?{shape}\s+[^\W\d]", before)
        return code if fits and len(parts) > 1 else ""
    return code if len(parts) > 1 and before else ""


def _before_postcode(text: str) -> str:
    """The country of `F-75008 Paris`."""
    found = set()
    for letters, postcode in _BEFORE_POSTCODE.findall(text):
        code = _LETTERS.get(letters, letters)
        if re.fullmatch(_POSTCODES.get(code, "(?!)"), postcode):
            found.add(code)
    return found.pop() if len(found) == 1 else ""


# --- the lists, built once when first asked for -----------------------------------------------------------------------


@cache
def _zones() -> dict[str, tuple[str, ...]]:
    zones: dict[str, tuple[str, ...]] = {}
    for zone, code in sorted(get_global("zone_territories").items()):
        if re.fullmatch(r"[A-Z]{2}", code) and code != "ZZ":
            zones[code] = (*zones.get(code, ()), zone)
    return zones


def _lead(zone: str) -> float:
    """How far a zone is ahead of UTC, over the year."""
    days = (datetime(2026, month, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)) for month in (1, 7))
    return sum(offset.total_seconds() for day in days if (offset := day.utcoffset()) is not None)


@cache
def _short_codes() -> dict[str, str]:
    """Codes of two letters, and those of three and former ones that mean one country today."""
    aliases = get_global("territory_aliases").items()
    older = {alias: now[0] for alias, now in aliases if len(now) == 1 and alias.isalpha() and now[0] in codes()}
    return older | {code: code for code in codes()}


@cache
def _names() -> dict[str, str]:
    """Folded names in our languages; a name of two countries is none."""
    return _unambiguous((code, locale) for locale in _OURS for code in sorted(codes())) | _ALIASES


@cache
def _native_names() -> dict[str, str]:
    """Folded names in each country's own languages: asked last, for that opens a hundred lists."""
    pairs = ((code, own) for code in sorted(codes()) for own in languages.get_official_languages(code, de_facto=True))
    return {name: code for name, code in _unambiguous(pairs).items() if name not in _names()}


def _unambiguous(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for code, locale in pairs:
        name = order.folded(name_of(code, locale))
        found.setdefault(name, set()).add(code)
    return {
        name: next(iter(named))
        for name, named in found.items()
        if len(named) == 1 and (len(name) > 2 or not name.isascii())
    }
