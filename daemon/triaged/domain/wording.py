"""One line of a mail as items, each with a one-letter sort, so that a line's shape is a short text.

`Super admin (e-mail) : it@acme.example` has the shape `KolcsA`: label, open, loose, close, separator, address.
The grammar that decides which value belongs to which label (references.py) is a handful of patterns over shapes.

K label · k everyday word that labels at a line's start · A address · N digits · U link · D host name
l loose · i linking · j joining · b blocking · t aside · e closing · n unknown word with a capital · w another
s separator (`:` `=` tab `|` arrow) · d dash between blanks · o open · c close · a `<` · p `/` · , · ;
. end of sentence · q marks without meaning here · x what spoils a number beside it (`+33`, `FR76`, `€`)
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from triaged.domain import identifiers
from triaged.domain.vocabulary import CJK, Role, Term, Vocabulary, fold, humps, key

LONGEST_LINE = 1_000  # characters; what stands further right in a line is not read
_LONGEST_PIECE = 320  # an address has at most 64 + 1 + 253

_DELETED = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_FOLDED = {
    **dict.fromkeys([*range(0x20), 0x7F, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F], " "),
    0x3000: " ",
    0x09: "\t",
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    **{0xFF00 + ord(mark) - 0x20: mark for mark in "!#&()*+,-./:;<=>?[]_{|}"},  # not letters or @: DESIGN §5
    **dict.fromkeys([0x2010, 0x2011], "-"),
    **dict.fromkeys([0x2012, 0x2014, 0x2015, 0x2212, 0x2500], "–"),
}
_INVISIBLE = re.compile(f"[{_DELETED}]")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&quot;": '"', "&amp;": "&"}
_LEADERS = re.compile(r"\.{4,}|…{2,}|(?:\. ){3,}")  # "ZOID ........ 60012345678"
_ENTITY = re.compile("|".join(_ENTITIES))

_DELIMITERS = '<>()\\[\\]{}"“”„«»‹›,;:=|…→⇒、。「」『』【】・｡'
_PIECE = re.compile(
    rf"https?://[^\s<>\"\[\]{{}}|（）、。{CJK}]+|[{CJK}]|[^\s{_DELIMITERS}{CJK}]+|[{_DELIMITERS}\t]", re.IGNORECASE
)
_SMALL = re.compile(r"[0-9]+(?:[.\-'’][0-9]+)*|[^\W\d_]+|.")
_CJK = re.compile(f"[{CJK}]")
_BULLET = re.compile(
    r"\s*(?:[>|]\s*)*(?:(?:[-–*+•·‣▪●○◦➢✓✔o]|[\u2460-\u2473]|\(?[0-9]{1,2}[.)]|[a-zA-Z][.)](?!\s+\w{1,2}\.))\s+)?"
)
_HEADING = re.compile(r"^【([^【】]{1,40})】(?!\s*(?:[:：]|$))")  # "【組織ID】80012345602": brackets for a colon

_SORTS = {
    **dict.fromkeys(":=|\t→⇒", "s"),
    **dict.fromkeys("([{【", "o"),
    **dict.fromkeys(")]}】", "c"),
    **dict.fromkeys("+€$£¥%", "x"),
    **dict.fromkeys(",、", ","),
    **dict.fromkeys(".。!?…｡", "."),
    ";": ";",
    "<": "a",
    "/": "p",
    "&": "j",
}
_ROLES = {Role.LOOSE: "l", Role.LINKING: "i", Role.JOINING: "j", Role.BLOCKING: "b", Role.CLOSING: "e", Role.ASIDE: "t"}
_SHORTENED = re.compile(r"\w{1,4}|.*[ .]\w{1,2}")  # "bijv.", "p. ex."
_INSIDE_PHRASE = frozenset("-_'’´`./")


class Item(NamedTuple):
    """A word, phrase, value or mark with its sort and its place in the cleaned line."""

    sort: str
    text: str
    start: int
    end: int
    term: Term | None = None


class Line(NamedTuple):
    """A line taken apart; `shape[i]` is the sort of `items[i]`."""

    text: str
    items: Sequence[Item]
    shape: str


def clean(text: str) -> str:
    """A line without invisible characters, with one kind of blank, dash and digit, and cut to LONGEST_LINE."""
    text = text[:LONGEST_LINE]
    if not (text.isascii() and text.isprintable()):
        text = _INVISIBLE.sub("", text).translate(_FOLDED)
    if ". ." in text or ".." in text or "…" in text:
        text = _LEADERS.sub(" ", text)
    return _ENTITY.sub(lambda found: _ENTITIES[found[0]], text) if "&" in text else text


def without_bullet(text: str) -> str:
    """The line from its first word on: quote marks, bullets and list numbers are off."""
    found = _BULLET.match(text)
    bare = text[found.end() :] if found else text
    return _HEADING.sub(r"\1: ", bare, count=1) if bare.startswith("【") else bare


def read(text: str, vocabulary: Vocabulary) -> Line:
    """Take a cleaned line apart."""
    items = list(_judge_numbers(list(_phrases(list(_small_items(text, vocabulary)), vocabulary)), text))
    return Line(text, items, "".join(item.sort for item in items))


def _small_items(text: str, vocabulary: Vocabulary) -> Iterator[Item]:
    for found in _PIECE.finditer(text):
        piece, start = found[0], found.start()
        if "://" in piece[:9]:
            yield Item("U", piece, start, found.end())
        elif len(piece) > _LONGEST_PIECE:
            yield Item("x", piece, start, found.end())
        elif "@" in piece:
            yield Item(_sort_at(piece), piece, start, found.end())
        elif "/" in piece and "zoho" in piece.lower():
            yield Item("U", piece, start, found.end())
        elif "." in piece and _is_host(piece, vocabulary):
            yield Item("D", piece, start, found.end())
        else:
            yield from _words(text, start, found.end())


def _sort_at(piece: str) -> str:
    if identifiers.address(piece):
        return "A"
    return "D" if piece[0] == "@" and identifiers.host(piece) else "x"


def _is_host(piece: str, vocabulary: Vocabulary) -> bool:
    """`acme.example`, but not "e.mail" or "org.id", which are words."""
    return bool(identifiers.host(piece)) and key(piece) not in vocabulary.terms


def _words(text: str, start: int, end: int) -> Iterator[Item]:
    for found in _SMALL.finditer(text, start, end):
        small, place = found[0], found.start()
        if small[0].isalpha():
            for part in humps(small):
                yield Item("n" if part[0].isupper() else "w", part, place, place + len(part))
                place += len(part)
        elif small[0] in "0123456789":
            yield Item("N", small, place, found.end())
        elif small in "-–~" and _stands_free(text, place):
            yield Item("d", small, place, found.end())
        else:
            yield Item(_sort(small, text[found.end() : found.end() + 1]), small, place, found.end())


def _sort(mark: str, after: str) -> str:
    """A comma without a blank behind it divides fields; a plus without a digit behind it joins."""
    if mark == "," and after.strip():
        return ";"
    if mark == "+" and not after.isdigit():
        return "j"
    return _SORTS.get(mark, "q")


def _stands_free(text: str, start: int) -> bool:
    return text[start - 1 : start] in ("", " ", "\t") or text[start + 1 : start + 2] in ("", " ", "\t")


def _phrases(items: list[Item], vocabulary: Vocabulary) -> Iterator[Item]:
    """Join the words of known phrases, longest first."""
    index = 0
    while index < len(items):
        if items[index].sort not in "wn":
            yield items[index]
            index += 1
            continue
        after, term = _longest(items, index, vocabulary)
        if term is None:
            yield items[index]
            index += 1
            continue
        first, last = items[index], items[after - 1]
        sort = _ROLES.get(term.role) or ("k" if term.line_start else "K")
        if sort == "b" and any(item.text == "." for item in items[index:after]):
            sort = "t"  # "e.g."
        yield Item(sort, first.text, first.start, last.end, term)
        index = after


def _longest(items: list[Item], index: int, vocabulary: Vocabulary) -> tuple[int, Term | None]:
    joined, found, after = "", None, index
    while index < len(items):
        item = items[index]
        if item.sort in "wn":
            if item.text == "s" and joined and items[index - 1].end != item.start:
                break  # "du client s'appelle" is not "clients"
            joined += fold(item.text)
            if term := vocabulary.term(joined):
                found, after = term, index + 1
            if joined not in vocabulary.beginnings:
                break
        elif not _inside_phrase(items, index):
            break
        index += 1
    return after, found


def _inside_phrase(items: list[Item], index: int) -> bool:
    """A hyphen, apostrophe, underscore or dot that stands between the words of one phrase without blanks; the dot
    of an abbreviation ("org. id") may be followed by one."""
    item, before = items[index], items[index - 1]
    if item.text not in _INSIDE_PHRASE or index + 1 == len(items) or before.end != item.start:
        return False
    return items[index + 1].start == item.end or (item.text == "." and _short(before))


def _judge_numbers(items: list[Item], text: str) -> Iterator[Item]:
    """Numbers that grow together with unknown words (`FR76…`, `INV-2024`, `12kg`) are spoiled; a dot after an
    abbreviation ("no.", "M.") ends nothing."""
    for index, item in enumerate(items):
        before = items[index - 1] if index else None
        if item.sort == "N" and _spoiled(items, index):
            yield item._replace(sort="x")
        elif item.sort == "." and before and before.end == item.start and _abbreviated(before, text):
            yield item._replace(sort="q")
        else:
            yield item


def _short(item: Item) -> bool:
    return item.end - item.start <= 3


def _abbreviated(item: Item, text: str) -> bool:
    if item.sort == "t":
        return bool(_SHORTENED.fullmatch(text, item.start, item.end))
    return item.sort in "ln" and _short(item)


def _spoiled(items: list[Item], index: int) -> bool:
    for step in (-1, 1):
        here = index
        while 0 <= here + step < len(items) and _glued(items[here], items[here + step], step):
            here += step
            sort = items[here].sort
            if sort in "wnx" and not _CJK.match(items[here].text):
                return True
            if sort == "p" and 0 <= here + step < len(items) and _fraction(items[here + step]):
                return True
            if sort not in "qp" or items[here].text not in "-_/#°º'’*":
                break
    return False


def _fraction(item: Item) -> bool:
    return item.sort in "Nx" and not identifiers.SHORTEST_ID <= len(item.text) <= identifiers.LONGEST_ID


def _glued(item: Item, other: Item, step: int) -> bool:
    return item.end == other.start if step > 0 else other.end == item.start
