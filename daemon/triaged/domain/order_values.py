"""What stands beside a label of an order, made clean: one value, or nothing where the form was left empty.

Nothing is mended: a value that is no address or no number stays as written, so that `order.check` can name it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from triaged.domain import vocabulary
from triaged.domain.order_words import Mark, OrderWords

_LONGEST = 300
_MOST_TOKENS = 12  # of a line that may be a PO number
_MOST_PARTS = 9  # of a postal address
_BLANKS = dict.fromkeys(map(ord, "\u00a0\u1680\u2007\u2009\u202f\u205f\u3000"), " ") | dict.fromkeys(
    [*range(0x09), *range(0x0A, 0x20), 0x7F, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD]
)
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-")
_QUOTED = re.compile(r"^\s{0,3}(?:[>＞]\s{0,3}){1,40}")
_BULLET = re.compile(r"^(?:[-*•·●▪◦‣–—+»]|#{1,6}|\d{1,2}[.)]|[a-hA-H][.)]) {1,8}(?=\S)")
_MARKUP = re.compile(r"\*\*|(?<!_)__(?=[^\W_])|(?<=[^\W_])__(?!_)|(?<!\w)[*_`](?=\w)|(?<=[\w:.])[*_`](?!\w)")
_FRINGE = " \t*`\"'«»“”„‟;,|"
_EMPTY = re.compile(r"[\W_]*|[xX_.…?\W]{2,}|[<\[{(][^@<>\d]{0,80}[>\]})]")
_ADDRESS = re.compile(r"[^\s<>()\[\]{},;:\"'«»“”|/\\@]{1,64}@[^\s<>()\[\]{},;:\"'«»“”|/\\@]{1,253}")
_SKU = re.compile(r"(?<![\w-])(\d{3})-(\d{6})(?![\w-])")
_SKU_TORN = re.compile(r"(\d{3})[ .]?(\d{6})")
_OURS = re.compile(r"(?:ORD|SC)-\d{6}", re.IGNORECASE)
_NUMBER = r"\d{1,3}(?:[ .,'’]\d{3})+|\d{1,7}"
_COUNT = re.compile(
    rf"(?<![\w.,-])(?:(?P<times>[x×*])\s?|(?P<before>[^\W\d_]{{1,30}})\s?[:=]?\s?)?(?<![\d.,-])(?P<number>{_NUMBER})"
    r"(?![\w.,-]{0,9}\d)\s?(?P<unit>[^\W\d_]{1,30}|[×*])?"
)
_DATED = re.compile(r"\s(?:du|vom|dated|dt\.?|of|from|le|am|on)\s\W{0,2}\d{1,4}[./ -].{0,20}$", re.IGNORECASE)
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}")
_DAY = re.compile(r"\d{1,2}[./]\d{1,2}")
_TOKEN = re.compile(r"(?<![\w@./-])(?:[A-Za-z]{1,8}[-_/]){0,3}[A-Za-z]{0,8}[-_/#]?\d[\w/-]*(?:\.\d[\w/-]*)*(?![\w@])")
_POSTCODE = re.compile(r"(?<!\d)(?:\d{4,6}|\d{3} \d{2,3}|\d{2}-\d{3})(?!\d)|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b")
_BOX = re.compile(r"\b(?:b\.? ?p\.?|cs|tsa|postfach|p\.? ?o\.? ?box)\s?\d[\d ]*", re.IGNORECASE)
_STATE_CODE = re.compile(r"\b[A-Z]{2} \d{5}\b")
_SENTENCE = re.compile(r"[^\s.]{3,}[.!?]\s{0,2}$|[!?]|[:：]\s{0,2}$")
_COMPANY_FORM = re.compile(
    r"(?:inc|ltd|llc|llp|plc|gmbh|ag|se|kg|sa|sas|sarl|eurl|sl|srl|spa|bv|nv|oy|ab|as|corp|co)\.?", re.IGNORECASE
)


class Position(NamedTuple):
    """A SKU in a sentence or cell, the number beside it where there is one, and what else is said of it."""

    sku: str
    licences: str = ""
    rest: str = ""


def bare(text: str) -> str:
    """A line without quote marks, bullets and markup; blanks are plain, tabs stay."""
    text = text[:1_000].translate(_BLANKS)
    text = _QUOTED.sub("", text, count=1) if text.lstrip(" ").startswith((">", "＞")) else text
    text = _BULLET.sub("", text.lstrip(" "), count=1)
    return _MARKUP.sub("", text).strip(" ")


def clean(text: str, words: OrderWords) -> str:
    """A value, at most 300 characters; empty where it only fills the gap: `___`, `<…>`, `n/a`, `-`."""
    value = " ".join(text.split()).strip(_FRINGE)[:_LONGEST]
    if _EMPTY.fullmatch(value) or (vocabulary.key(value) in words.placeholders and not re.search(r"[\d@]", value)):
        return ""
    return value


def addresses(text: str) -> tuple[str, ...]:
    """The mail addresses in a text, each once."""
    found = (match.rstrip(".-_") for match in _ADDRESS.findall(text)) if "@" in text else ()
    return tuple({address.casefold(): address for address in found}.values())


def without_addresses(text: str) -> str:
    """The text around them without brackets and labels of links; a comma keeps apart what stood on both sides."""
    bare = re.sub(r"mailto:|[<(\[]\s*(\x00?)\s*[>)\]]", r" \1 ", _ADDRESS.sub("\x00", text), flags=re.IGNORECASE)
    parts = (" ".join(part.split()).strip(",;| ") for part in bare.split("\x00"))
    return ", ".join(part for part in parts if part)


def po_number(value: str) -> str:
    """A PO number without what stands behind it: a date, a remark in brackets; empty for one of our own numbers."""
    number = _DATED.sub("", re.sub(r"\s?[(\[].{0,100}$", "", value)).strip(" #:?!.")
    return "" if _OURS.fullmatch(number) or _DATE.fullmatch(number) else number


def is_number_like(value: str) -> bool:
    """Whether an everyday label ("order: …") has a number beside it: a digit, few words, no SKU."""
    return bool(re.search(r"\d", value)) and len(value) <= 50 and value.count(" ") <= 3 and not skus(value)


def spoken_po(text: str, words: OrderWords) -> str:
    """The PO number that a subject or a sentence names: PO-4711, commande n° 4711."""
    text = text[:1_000].translate(_DASHES)
    for match in islice(_TOKEN.finditer(text), _MOST_TOKENS):
        token = match[0].strip("#/-_")
        prefix = re.match(r"[A-Za-z]*", token)
        if any(shape.fullmatch(token) for shape in (_SKU, _DATE, _DAY, _OURS)):
            continue
        if prefix and words.marks.get(prefix[0].lower()) is Mark.PO_NUMBER:
            return token
        beside = re.match(r"[^\d:;,.(]{0,30}", text[match.end() :])
        if beside and words.begins(beside[0], words.units):
            continue
        if len(re.sub(r"\D", "", token)) >= 3 and _is_po(
            vocabulary.words(text[max(match.start() - 60, 0) : match.start()]), words
        ):
            return token
    return ""


def _is_po(before: Sequence[str], words: OrderWords) -> bool:
    """Whether the last words name a purchase order: "bon de commande n°", "PO number"."""
    for count in range(min(len(before), 6), 0, -1):
        if words.marks.get("".join(before[-count:])) is Mark.PO_NUMBER:
            return True
    return (
        len(before) > 1
        and words.marks.get(before[-1]) is Mark.LOOSE
        and len(before[-1]) < 7
        and _is_po(before[:-1], words)
    )


def skus(text: str) -> tuple[str, ...]:
    return tuple(f"{first}-{second}" for first, second in _SKU.findall(text.translate(_DASHES)))


def sku(value: str) -> str:
    """A value under a SKU label as written; only blanks and strange dashes inside a well-formed one are mended."""
    plain = value.translate(_DASHES)
    torn = _SKU_TORN.fullmatch(plain) or re.fullmatch(r"(\d{3})\s?-\s?(\d{6})", plain)
    return f"{torn[1]}-{torn[2]}" if torn else value


def positions(text: str, words: OrderWords) -> tuple[Position, ...]:
    """The SKUs in a text and the numbers beside them: "2 x 994-000148", "994-000148 : 40 licences"."""
    text = text.translate(_DASHES)
    found = list(_SKU.finditer(text))[:100]
    cuts = [0, *(match.end() for match in found)]
    left = [_left(text[cut : match.start()], words) for cut, match in zip(cuts, found, strict=False)]
    if found and left[0]:
        return tuple(Position(match[0], number) for match, number in zip(found, left, strict=True))
    ends = [*(match.start() for match in found[1:]), len(text)]
    right = [_right(text[match.end() : end], words) for match, end in zip(found, ends, strict=False)]
    return tuple(
        Position(match[0], number, "" if number else text[match.end() : end].strip(" -–—:;,.()|"))
        for match, number, end in zip(found, right, ends, strict=False)
    )


def _left(text: str, words: OrderWords) -> str:
    """The last number before a SKU: `40 licences `, `2 x `."""
    found = [match for match in _COUNT.finditer(text[-120:]) if _counts(match, words, before_sku=True)]
    return found[-1]["number"] if found else ""


def _right(text: str, words: OrderWords) -> str:
    """The first number behind a SKU: ` x 40`, ` : 40 licences`, `, qty: 40`."""
    return next((match["number"] for match in _COUNT.finditer(text[:120]) if _counts(match, words)), "")


def _counts(match: re.Match[str], words: OrderWords, before_sku: bool = False) -> bool:
    """A bare number counts nothing: a unit, a label or a sign of multiplication must stand beside it."""
    unit = match["unit"] or ""
    if before_sku and unit.lower() in ("x", "×", "*"):
        return not match.string[match.end() :].strip()
    labelled = match["before"] and words.marks.get(vocabulary.key(match["before"])) is Mark.LICENCES
    return bool((match["times"] and not before_sku) or labelled or _is_unit(unit, words))


def _is_unit(word: str, words: OrderWords) -> bool:
    return vocabulary.key(word) in words.units


def counted(text: str, words: OrderWords) -> str:
    """The number of a line that says nothing but "40 licences"."""
    match = re.fullmatch(rf"({_NUMBER})\s?([^\W\d_]+)(?:\s[^\W\d_]+){{0,3}}", text)
    return match[1] if match and _is_unit(match[2], words) else ""


def split_party(value: str) -> tuple[str, str]:
    """Name and postal address of "Acme SA, 12 rue de la Paix, 75002 Paris", a text without mail addresses."""
    parts = [part.strip(_FRINGE + "-–—/(") for part in re.split(r"[,;|]|\s[-–—/]\s", value)]
    parts = [part for part in parts if part.strip("()[]<> ")]
    if len(parts) > 1 and _COMPANY_FORM.fullmatch(parts[1]):
        parts[:2] = [f"{parts[0]}, {parts[1]}"]
    if len(parts) < 2 or not any(re.search(r"\d", part) for part in parts[1:]):
        return value.strip(_FRINGE + "-–—/("), ""
    return parts[0], ", ".join(parts[1:]).rstrip(".")


def first_part(text: str) -> str:
    """The name on a line "Acme SA – Marie Durand –"."""
    parts = (part.strip(_FRINGE + "-–—/( )") for part in re.split(r"[,;|]|\s[-–—/](?:\s|$)", text))
    return next((part for part in parts if part), "")


def is_sentence(text: str) -> bool:
    """Prose rather than a name or a line of an address."""
    return len(text) > 100 or (text.count(" ") > 3 and _SENTENCE.search(text) is not None) or text.count(" ") > 11


def goes_on(above: Sequence[str], text: str, words: OrderWords) -> bool:
    """Whether a line is the next one of the postal address above it, which ends with its postcode or country."""
    if "@" in text or len(text) > 90 or len(above) >= _MOST_PARTS or is_sentence(text):
        return False
    if vocabulary.key(text) in words.countries and not re.search(r"\d", text):
        return True
    if not any(map(has_postcode, above)):
        return bool(re.search(r"\d", text)) or text.count(" ") <= 4
    return len(above) == 1 and _STATE_CODE.search(text) is not None


def has_postcode(text: str) -> bool:
    return _POSTCODE.search(_BOX.sub("", text)) is not None


def is_phone(text: str) -> bool:
    return len(re.sub(r"\D", "", text)) >= 7 and len(re.sub(r"[\d\s+().:/-]", "", text)) <= 12


def pieces(text: str) -> Iterator[str]:
    """The values of a list: "40, 20 / 10"; one where it is none."""
    parts = [part.strip() for part in re.split(r"\s?[;/|+&]\s?|,\s", text)]
    yield from (parts if all(parts) else [text])
