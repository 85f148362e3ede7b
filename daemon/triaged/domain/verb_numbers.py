"""Order and contract numbers in a mail: what stands behind a label, what has our own form, and which known ones occur.

Dates, telephones, SKUs, tickets and counts are none: nothing is taken that is not labelled, except our own forms.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from triaged.domain import order
from triaged.domain.message import Message
from triaged.domain.verb_sentences import Sentence, Token
from triaged.domain.verb_words import Role

_OURS = re.compile(r"(?:SC|ORD)-\d{4,10}|PO[-_/]?(?:[A-Z]{1,6}[-_/])?\d[\w/-]{0,30}", re.IGNORECASE)
_NEVER = re.compile(
    r"\d{3}-\d{6}"  # a SKU
    r"|(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|1[0-2])(?:[./-](?:\d\d|(?:19|20)\d\d))?"
    r"|(?:19|20)\d\d[./-](?:0?[1-9]|1[0-2])[./-](?:0?[1-9]|[12]\d|3[01])"
    r"|\d{1,2}[:h]\d\d"
)
_SHORTEST = 3
_BETWEEN = frozenset({
    "no", "nr", "n", "num", "numero", "number", "nummer", "ref", "reference", "select", "logitech", "syncplus",
})  # fmt: skip
_JOINING = frozenset(["et", "and", "und", "ou", "or", "oder", "sowie", "ainsi", "que"])
_REACH = 4  # tokens between a label and its number
_LINKED = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,200}|https?://\S{1,2000}")
_DATE = re.compile(r"(?<![\w/.-])(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d\d-\d\d)(?![\w/-])")
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_MOST_TEXT = 200_000
_SHORT = 3  # characters: a known number so short is not looked for


def read(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """Order and contract numbers as written, without their labels, each once."""
    found = (number for sentence in sentences for number in of(sentence))
    return tuple({order.folded(number): number for number in found}.values())


def of(sentence: Sentence) -> Iterator[str]:
    """The numbers of one sentence, as written."""
    return (sentence.tokens[at].text for at in sentence.numbers)


def numbered(sentence: Sentence) -> Sentence:
    """The sentence with its `numbers`."""
    labelled = set(_labelled(sentence))
    tokens = enumerate(sentence.tokens)
    found = [at for at, token in tokens if at in labelled or (token.kind == "N" and _OURS.fullmatch(token.text))]
    return replace(sentence, numbers=found)


def _labelled(sentence: Sentence) -> Iterator[int]:
    for item in sentence.items:
        if Role.NUMBER in item:
            at = _behind(sentence, item.end)
            while at is not None:
                yield at
                at = _next(sentence, at)


def _behind(sentence: Sentence, at: int) -> int | None:
    """The number that a label's words lead to."""
    for here in range(at, min(at + _REACH, len(sentence.tokens))):
        token = sentence.tokens[here]
        if token.kind == "N":
            return here if _is_number(sentence, here) else None
        if not (token.word in _BETWEEN or (token.kind == "P" and token.text in ".:(\t")):
            return None
    return None


def _next(sentence: Sentence, at: int) -> int | None:
    """A further number of a list: "4711, 4712 et 4713"."""
    tokens = sentence.tokens
    if at + 2 < len(tokens) and (tokens[at + 1].text == "," or tokens[at + 1].word in _JOINING):
        return at + 2 if tokens[at + 2].kind == "N" and _is_number(sentence, at + 2) else None
    return None


def _is_number(sentence: Sentence, at: int) -> bool:
    token = sentence.tokens[at]
    if _NEVER.fullmatch(token.text) or len(token.text) < _SHORTEST:
        return False
    return not any(item.start == at + 1 and Role.UNIT in item for item in sentence.items) and not _telephone(
        sentence.tokens[at + 1 : at + 3]
    )


def _telephone(tokens: Sequence[Token]) -> bool:
    return len(tokens) > 1 and all(
        token.kind == "N" and token.text.isdigit() and len(token.text) < 4 for token in tokens
    )


def mentions(message: Message, known: Iterable[str]) -> tuple[str, ...]:
    """Which known order and contract numbers stand in the subject or new text as whole words, however punctuated:
    "PO 4711", "po-4711" and "PO4711" are one, "47110" is another. A number of up to three characters is
    never found here, because "12" is also a count: `read` takes it behind a label. Dates and addresses hold none."""
    text = "\n".join((message.subject, message.text))[:_MOST_TEXT]
    pieces = _pieces(_DATE.sub(" . ", _LINKED.sub(" . ", text)))
    places: dict[str, list[int]] = {}
    for at, piece in enumerate(pieces):
        places.setdefault(piece, []).append(at)
    return tuple(number for number in dict.fromkeys(known) if _occurs(number, pieces, places))


def _occurs(number: str, pieces: Sequence[str], places: dict[str, list[int]]) -> bool:
    wanted = _pieces(number)
    if not wanted or len("".join(wanted)) <= _SHORT:
        return False
    return any(list(pieces[at : at + len(wanted)]) == wanted for at in places.get(wanted[0], ()))


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(order.folded(text))
