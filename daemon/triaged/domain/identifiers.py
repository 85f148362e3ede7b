"""The shapes of what a label can point at: addresses, host names, organisation and user ids, links of the maker.

Nothing is searched for here: each function looks at one short piece of text and says what it is, or None. An id has no
check digit (vendor facts §2), so these shapes alone never make a reference: the label does, or the maker's own link.
"""

import re
import urllib.parse
from collections.abc import Sequence

SHORTEST_ID, LONGEST_ID = 6, 12  # 13 digits and more are record ids, card numbers, SIRET, tracking numbers

_LOCAL = r"[\w.!#$%&'*+/=?^`{}~-]{1,64}"
_HOST = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_](?:[\w-]{0,61}[^\W_])"
_ADDRESS = re.compile(rf"({_LOCAL})@({_HOST})(?![\w@-])")
_HOST_ALONE = re.compile(rf"@?({_HOST})(?![\w@-])")
_EDGES = ".,!?*/&'’`´_-~"
_SCHEME = re.compile(r"https?://", re.IGNORECASE)

_MAKER = re.compile(r"(?:[a-z0-9-]+\.)*(?:zoho\.(?:com|eu|in|com\.au|jp|ca|sa|uk|com\.cn|ae)|zohocloud\.ca)")
_WRAPPERS = re.compile(r"(?:[a-z0-9-]+\.)*(?:safelinks\.protection\.outlook\.com|urldefense\.(?:com|proofpoint\.com))")
_ORG_SEGMENT = re.compile(r"org(\d+)")
_FINANCE = re.compile(r"(?:books|invoice|inventory|billing|subscriptions|expense|checkout|commerce)\.")
_PARAMETERS = {"zoid": "zoid", "zgid": "zgid", "zuid": "zuid", "orgid": "zoid", "organizationid": "zoid"}

_DATES = (
    re.compile(r"(?:0?[1-9]|[12]\d|3[01])[ .-](?:0?[1-9]|1[0-2])[ .-](?:19|20)\d\d"),
    re.compile(r"(?:19|20)\d\d[ .-](?:0?[1-9]|1[0-2])[ .-](?:0?[1-9]|[12]\d|3[01])"),
)
_IPV4 = re.compile(r"(?:(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\.){3}(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])")
_PAIRS = re.compile(r"\d{1,2}(?:[ .-]\d\d){3,5}")  # how telephones are written: 6 12 34 56 78
_GROUPS = re.compile(r"\d{1,5}(?:[ .'’-]\d{2,5})+")


def address(piece: str) -> str | None:
    """The mail address that `piece` is, folded (lower case, an IDN domain as punycode), or None."""
    found = _ADDRESS.match(piece.strip(_EDGES))
    if not found:
        return None
    local, host = found[1].lower(), _ascii(found[2])
    if host is None or local[0] == "." or local[-1] == "." or ".." in local:
        return None
    return f"{local}@{host}"


def host(piece: str) -> str | None:
    """The domain that `piece` is or that it links or writes to, without "www.", or None."""
    bare = _SCHEME.sub("", piece.strip(_EDGES), count=1)
    if written := address(bare):
        return written.rpartition("@")[2]
    found = _HOST_ALONE.match(bare)
    return _ascii(found[1].removeprefix("www.").removeprefix("WWW.")) if found else None


def _ascii(name: str) -> str | None:
    """IDNA without mapping (DESIGN §5): look-alikes stay different. Two labels at least, 253 characters at most."""
    labels = [_ascii_label(label) for label in name.lower().split(".")]
    joined = ".".join(labels)
    return joined if "." in joined and len(joined) <= 253 and all(labels) else None


def _ascii_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def number(groups: Sequence[str], last: bool) -> tuple[str | None, int]:
    """The id that a run of digit groups begins with, and how many of the groups it takes.

    `groups` were divided by spaces; each may hold dots, dashes or apostrophes between its digits. A group of six
    digits stands alone, unless the rest of a short run that ends the text (`last`) completes it. Numbers shaped like
    dates, telephones or IP addresses, or starting with 0, are no ids.
    """
    first = _plain(groups[0])
    whole = " ".join(groups)
    if len(groups) > 1 and (len(first) < SHORTEST_ID or (last and len(_plain(whole)) <= LONGEST_ID)):
        return _judged(whole), len(groups)
    return _judged(groups[0]), 1


def _plain(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _judged(text: str) -> str | None:
    digits = _plain(text)
    if not SHORTEST_ID <= len(digits) <= LONGEST_ID or digits[0] == "0" or len(set(digits)) == 1:
        return None
    if digits == text:
        return digits
    if any(shape.fullmatch(text) for shape in (*_DATES, _IPV4, _PAIRS)):
        return None
    return digits if _GROUPS.fullmatch(text) or " " in text else None


def in_link(link: str) -> tuple[tuple[str, str], ...]:
    """(kind, id) pairs that a link of the maker's own hosts carries: `crm.zoho.eu/crm/org655906806/…` is a ZGID
    (vendor facts §2). Links rewritten by mail filters are looked through once."""
    scheme_less = _SCHEME.sub("", link.strip(_EDGES), count=1)
    name, _, rest = scheme_less.partition("/")
    bare = name.lower().partition(":")[0]
    if _WRAPPERS.fullmatch(bare):
        inner = _SCHEME.search(urllib.parse.unquote(rest))
        return in_link(urllib.parse.unquote(rest)[inner.start() :]) if inner and inner.start() < len(rest) else ()
    return tuple(_ids(bare, rest)) if _MAKER.fullmatch(bare) else ()


def _ids(name: str, rest: str) -> list[tuple[str, str]]:
    path, *parameters = re.split(r"[?&#;]", rest)
    segments = path.split("/")
    found = [("zgid", org[1]) for segment in segments if (org := _ORG_SEGMENT.fullmatch(segment))]
    if _FINANCE.match(name) and segments[0] == "app" and len(segments) > 1:
        found.append(("zoid", segments[1]))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if kind := _PARAMETERS.get(key.lower().replace("_", "")):
            found.append((kind, value))
    return [(kind, value) for kind, value in found if value.isdecimal() and value.isascii() and _judged(value)]
