"""A mail's new text as sentences of known phrases, for verbs.py: subject first, then the body until the farewell.

Sentences end at full stops, question marks and lines that their writer ended; commas, brackets and conjunctions divide
them into clauses. Only so much is read as a person writes, so that time stays linear and short.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from triaged.domain import wording
from triaged.domain.message import Message, Passage
from triaged.domain.verb_words import Node, Role, VerbWords, fold

_MOST_TEXT = 20_000  # characters; who asks for something says so sooner
_MOST_LINES = 2_000
_LONGEST_SENTENCE = 120  # tokens
_REACH = 25  # tokens between the two parts of "fügen … hinzu"
_SIGNATURE_LINES = 12
_WRAPPED = 50  # characters of a line that an editor broke, where the sentence goes on in the next
LIST_WORDS = 8  # of a line that only names somebody: "- Paul Durand (technician), paul@acme.example"
_FAREWELL_WORDS = 4  # of a closing line beside the closing itself

_TOKEN = re.compile(
    r"(?P<U>https?://[^\s<>\"]{1,2000})"
    r"|(?P<A>[\w.+&%=~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<N>(?=[A-Za-z/_.-]{0,16}[0-9])[A-Za-z0-9]+(?:[-/_.][A-Za-z0-9]+)*)"
    r"|(?P<W>[^\W\d_]+)"
    r"|(?P<P>[.!?…,;:()\[\]{}\t–—|<>]|(?<=\s)-(?=\s))"
)
_ENDS = frozenset(".!?…")
_CLAUSE_ENDS = frozenset(",;:()[]{}\t–—|-")
_ABBREVIATED = frozenset({
    "no", "nr", "n", "m", "mr", "mrs", "ms", "dr", "bzw", "ca", "tel", "st", "z", "b", "p", "ex", "inkl", "ggf", "evtl",
    "ref", "num", "po", "o",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: W word, N anything with a digit, A address, U link, P mark. `word` is the folded text; `said`: it stands
    in quotation marks, so that somebody else may have said it."""

    kind: str
    text: str
    word: str = ""
    said: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A known phrase at tokens `start` to `end`, in clause number `clause`."""

    roles: frozenset[Role]
    start: int
    end: int
    clause: int = 0

    def __contains__(self, role: Role) -> bool:
        return role in self.roles


@dataclass(frozen=True, slots=True)
class Sentence:
    """`where` as in evidence; `line` counts the lines of the body, -1 for the subject; `reply`: a subject that begins
    with "Re:", which are somebody else's words."""

    tokens: Sequence[Token]
    items: Sequence[Item]
    clauses: Sequence[int]  # of each token
    question: bool
    where: str
    line: int
    reply: bool = False
    plain: frozenset[int] = frozenset()  # which tokens say nothing of their own
    numbers: Sequence[int] = ()  # which tokens are order or contract numbers

    @property
    def subject(self) -> bool:
        return self.line < 0

    def has(self, *roles: Role) -> bool:
        return any(not item.roles.isdisjoint(roles) for item in self.items)

    def text(self, item: Item) -> str:
        return " ".join(token.text for token in self.tokens[item.start : item.end])


def read(message: Message, words: VerbWords) -> tuple[Sentence, ...]:
    """The sentences of the subject and of what the sender wrote now."""
    subject, again = _own_subject(message.subject)
    found = [replace(one, reply=again) for one in _sentences(subject, words, "subject", -1)]
    for passage in message.new:
        closing = ""
        for line, text in _blocks(_lines(passage, words)):
            said, closing = _said(text, closing)
            spoken = list(_sentences(text, words, passage.where(line), line, said))
            found += [] if any(one.has(Role.DISCLAIMER) for one in spoken) else spoken
    return tuple(found)


_CLOSED_BY = {"«": "»", "“": "”", "„": "“”", '"': '"', "»": "«"}
_QUOTATION = re.compile('[«»“”„"]')


def _said(text: str, closing: str) -> tuple[list[tuple[int, int]], str]:
    """What stands in quotation marks; `closing`: which marks end a quotation that an earlier line began."""
    spans, begin = [], 0
    for mark in _QUOTATION.finditer(text):
        if closing and mark[0] in closing:
            spans.append((begin, mark.start()))
            closing = ""
        elif not closing and mark[0] in _CLOSED_BY:
            begin, closing = mark.end(), _CLOSED_BY[mark[0]]
    if closing and closing not in '"«':  # inches and stray marks open nothing
        spans.append((begin, len(text)))
        return spans, closing
    return spans, ""


# The head of a mail that was forwarded without a word of its own, in the languages of the mail programs.
_HEAD_FROM = re.compile(r"\W{0,4}(?:from|de|von|expéditeur|absender)\s?:.{0,200}@", re.IGNORECASE)
_HEAD_SUBJECT = re.compile(r"\W{0,4}(?:subject|objet|sujet|betreff)\s?:", re.IGNORECASE)
_HEAD_LINES = 14


def is_forwarded(message: Message) -> bool:
    """Whether the new text is somebody else's mail: its head stands first, and nothing of the sender's before it."""
    lines = [line.text[:300] for passage in message.new[:1] for line in passage.lines[: 2 * _HEAD_LINES]]
    head = [text.strip() for text in lines if text.strip()][:_HEAD_LINES]
    return any(map(_HEAD_FROM.match, head)) and any(map(_HEAD_SUBJECT.match, head))


_PREFIX = re.compile(r"\s*(?:(?:re|aw|wg|fw|fwd|tr|réf|rép|antw)\s?(?:\[\d+\])?\s?:\s*)+", re.IGNORECASE)


def _own_subject(subject: str) -> tuple[str, bool]:
    found = _PREFIX.match(subject[:500])
    return (subject[found.end() : 1000], True) if found else (subject[:1000], False)


def _lines(passage: Passage, words: VerbWords) -> Iterator[tuple[int, str]]:
    """Numbered lines, cleaned, until the signature or the farewell; a paragraph that is one line comes in pieces."""
    budget = _MOST_TEXT
    lines = passage.lines[: _signature(passage)]
    for line in itertools.islice(lines, _MOST_LINES):
        for piece in _pieces(line.text[:budget]):
            text = wording.clean(piece).strip(" >")
            if _is_farewell(text, words):
                return
            yield line.number, text
        budget -= len(line.text)
        if budget <= 0:
            return


def _pieces(text: str) -> Iterator[str]:
    """Pieces that `wording.clean` does not cut, divided at blanks."""
    while len(text) > wording.LONGEST_LINE:
        at = text.rfind(" ", 1, wording.LONGEST_LINE)
        at = at if at > 0 else wording.LONGEST_LINE
        yield text[:at]
        text = text[at:]
    yield text


def _signature(passage: Passage) -> int:
    """Where the "-- " signature begins, else the end; more text below makes it a divider."""
    written = 0
    for index in range(len(passage.lines) - 1, -1, -1):
        text = passage.lines[index].text
        if text.strip(" >\u00a0") in ("--", "---", "__"):
            return index
        written += bool(text.strip())
        if written > _SIGNATURE_LINES:
            break
    return len(passage.lines)


def _is_farewell(text: str, words: VerbWords) -> bool:
    """ "Cordialement", "Merci d'avance, Claire": nothing of the request follows."""
    if not text or len(text) > 60 or "@" in text:
        return False
    spoken = [fold(word) for word in re.findall(r"[^\W\d_]+", text)]
    for size in range(min(5, len(spoken)), 0, -1):
        if tuple(spoken[:size]) in words.closings:
            rest = spoken[size:]
            return len(rest) <= _FAREWELL_WORDS and not any(_says(word, words) for word in rest)
    return False


_TELLING = frozenset(role for role in Role if role.value.partition("_")[0] in ("resend", "add", "cancel", "restore"))


def _says(word: str, words: VerbWords) -> bool:
    """A word that could be what is asked for."""
    nodes = [words.root.after[symbol] for symbol in words.symbols(word) if symbol in words.root.after]
    return any(node.roles & (_TELLING | {Role.INVITATION, Role.ASK}) or node.gaps for node in nodes)


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines, joined where an editor broke a sentence."""
    number, block = 0, ""
    for at, text in lines:
        goes_on = block and text and _goes_on(block, text)
        if block and not goes_on:
            yield number, block
            block = ""
        block, number = (f"{block} {text}", number) if goes_on else (text, at)
    if block:
        yield number, block


_BULLET = re.compile(r"[-*•·–]\s|\d{1,2}[.)]\s")


def _goes_on(block: str, text: str) -> bool:
    if block[-1] in ".!?:…\t" or _BULLET.match(text) or len(block) > 20 * wording.LONGEST_LINE:
        return False
    if "\t" in text or "\t" in block:
        return False
    return len(block) >= _WRAPPED or (text[0].islower() and "@" not in text.split(" ")[0])


def _sentences(
    text: str, words: VerbWords, where: str, line: int, said: Sequence[tuple[int, int]] = ()
) -> Iterator[Sentence]:
    tokens: list[Token] = []
    bullet = _BULLET.match(text)
    for found in _TOKEN.finditer(text, bullet.end() if bullet else 0):
        kind = found.lastgroup or "P"
        theirs = any(begin <= found.start() < end for begin, end in said)
        token = Token(kind, found[0], fold(found[0]) if kind in "WN" else found[0], theirs)
        tokens.append(token)
        if len(tokens) >= _LONGEST_SENTENCE or (kind == "P" and _is_end(tokens, text[found.end() :][:1])):
            yield _sentence(tokens, words, where, line)
            tokens = []
    if tokens:
        yield _sentence(tokens, words, where, line)


def _is_end(tokens: Sequence[Token], after: str) -> bool:
    mark = tokens[-1].text
    if mark not in _ENDS:
        return False
    if mark != ".":
        return True
    before = tokens[-2] if len(tokens) > 1 else None
    return not (before and before.kind == "W" and before.word in _ABBREVIATED) and after in ("", " ", ")", '"', "»")


def _sentence(tokens: Sequence[Token], words: VerbWords, where: str, line: int) -> Sentence:
    found = list(_phrases(tokens, words))
    breaks = {item.start for item in found if Role.BREAKER in item}
    clauses, clause = [], 0
    for at, token in enumerate(tokens):
        clause += at in breaks or (token.kind == "P" and token.text in _CLAUSE_ENDS)
        clauses.append(clause)
    items = tuple(replace(item, clause=clauses[item.start]) for item in found if item.roles != {Role.PLAIN})
    plain = frozenset(at for item in found if Role.PLAIN in item for at in range(item.start, item.end))
    return Sentence(tuple(tokens), items, tuple(clauses), tokens[-1].text == "?", where, line, plain=plain)


def _phrases(tokens: Sequence[Token], words: VerbWords) -> Iterator[Item]:
    """Known phrases from left to right, the longest each; one in two parts stands where its first part does."""
    symbols = [words.symbols(token.word) if token.kind in "WN" else () for token in tokens]
    at = 0
    while at < len(tokens):
        end, node = _longest(tokens, symbols, at, words.root, at)
        if node is None:
            at += 1
            continue
        gapped = frozenset(role for part, role in node.gaps if _follows(symbols, end, part))
        if gapped or node.roles:
            yield Item(gapped or node.roles, at, end)
        at = end


def _longest(
    tokens: Sequence[Token], symbols: Sequence[Sequence[str]], at: int, node: Node, begun: int
) -> tuple[int, Node | None]:
    """The longest phrase that begins at a token: where it ends, and its node."""
    best: tuple[int, Node | None] = (at, node if at > begun and _ends(node, symbols, at) else None)
    if at > begun and at < len(tokens) and tokens[at].text == ",":
        at += 1  # "es wäre nett, wenn"
    if at < len(symbols):
        for symbol in symbols[at]:
            if symbol in node.after:
                found = _longest(tokens, symbols, at + 1, node.after[symbol], begun)
                best = max(best, found, key=lambda one: one[0] if one[1] else -1)
    return best


def _ends(node: Node, symbols: Sequence[Sequence[str]], at: int) -> bool:
    return bool(node.roles) or any(_follows(symbols, at, part) for part, _ in node.gaps)


def _follows(symbols: Sequence[Sequence[str]], at: int, part: Sequence[str]) -> bool:
    last = min(len(symbols) - len(part) + 1, at + _REACH)
    return any(all(word in symbols[here + step] for step, word in enumerate(part)) for here in range(at, last))
