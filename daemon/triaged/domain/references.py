"""What a mail says of its customer: labelled addresses, ids, domains and services, and where each stands (rows P2, P7).

New text, subject and attachments are read first; quoted text only when those name no customer (INTERFACE §4).
The labels are data (config/labels.toml, vocabulary.py), a line is taken apart by wording.py, and labels.py decides
which value belongs to which label. Here is what needs more than one line: values below their label, tables, links.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from triaged.domain import identifiers, labels, products, wording
from triaged.domain.message import Message, Passage, Place
from triaged.domain.vocabulary import CJK, Role, Vocabulary, VocabularyError

__all__ = ["Reference", "ReferenceKind", "Vocabulary", "VocabularyError", "find"]

_MOST_LINES = 20_000
_SIGNATURE_LINES = 12  # a "-- " with more text below it is a divider, not a signature
_TABLE_ROWS = 50
_TABLE_COLUMNS = 60
_MOST_TELLING = 300_000  # characters of lines that hold labels: more than any honest mail has, and soon read
_PATIENCE = 2  # empty lines between a label and its value
_EMPTY = re.compile(r"[\s|\[\]]*|[\s=_*~–.|+-]{3,}")  # also the rule below a heading or above a block
_LABELLED = re.compile("K|^[lqa]*k[lqaoc]*s")  # a line with a label of its own is no row of values
_CLOSING = re.compile("[lqn]{0,4}e")
_FAREWELL = re.compile("[lqn]{0,4}e[ejlqn,.]{0,8}")
_SHORT_LINE = 60
_LINKED = re.compile(r"@|://|[\w-]\.\w")
_SENTENCE_WORD = re.compile(rf"(?<![^\W\d_])[^\W\d_A-Z][^\W\d_]+|[{CJK}]")  # a title has none: "Zoho CRM Consultant"
_DELIMITERS = ("\t", "|", ";", ",", "  ")
_COLUMN_GAP = re.compile(" {2,}")


class ReferenceKind(StrEnum):
    """What a reference names (INTERFACE §4 `evidence.kind`), strongest first."""

    SUPER_ADMIN = "super_admin"
    CUSTOMER_EMAIL = "customer_email"
    ZUID = "zuid"
    ZOID = "zoid"
    ZGID = "zgid"
    DOMAIN = "domain"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that a mail says of its customer, and where it says so. `value` is folded: addresses and domains
    lower case, ids digits only, services by their canonical name."""

    kind: ReferenceKind
    value: str
    where: str


def find(message: Message, vocabulary: Vocabulary, services: Mapping[str, Sequence[str]]) -> tuple[Reference, ...]:
    """Every reference of a mail in the order of finding, each once. `services`: canonical name -> aliases, as in the
    policy. A service that no label names may be taken from the subject, when that is unmistakable, or from the new
    text, when that mentions one alone by its full name. Of several services the first named comes first, and that one
    is the ticket's. Never raises."""
    names = tuple((name, tuple(aliases)) for name, aliases in services.items())
    judge = labels.Judge(_catalogue(names, vocabulary.products, vocabulary.ordinary_words), vocabulary.placeholders)
    found = _read((*message.new, message.subject_passage, *message.attached), vocabulary, judge)
    if not any(reference.kind is not ReferenceKind.SERVICE for reference in found):
        served = any(reference.kind is ReferenceKind.SERVICE for reference in found)
        quoted = _read(message.quoted, vocabulary, judge)
        found += [one for one in quoted if not (served and one.kind is ReferenceKind.SERVICE)]
    if not any(reference.kind is ReferenceKind.SERVICE for reference in found):
        found += _unlabelled_service(message, vocabulary, judge)
    return tuple({(one.kind, one.value): one for one in reversed(found)}.values())[::-1]


@functools.lru_cache(maxsize=8)
def _catalogue(
    services: tuple[tuple[str, tuple[str, ...]], ...], others: tuple[str, ...], ordinary: frozenset[str]
) -> products.Catalogue:
    return products.Catalogue.of(dict(services), others, ordinary)


def _read(passages: Iterable[Passage], vocabulary: Vocabulary, judge: labels.Judge) -> list[Reference]:
    found: list[Reference] = []
    lines, telling = _MOST_LINES, _MOST_TELLING
    for passage in passages:
        scan = _Scan(vocabulary, judge, telling)
        for number, text in itertools.islice(_lines(passage), lines):
            where = passage.where(number)
            found += [Reference(ReferenceKind(claim.role), claim.value, where) for claim in scan.take(text)]
        lines, telling = max(0, lines - len(passage.lines)), scan.budget
    return found


def _unlabelled_service(message: Message, vocabulary: Vocabulary, judge: labels.Judge) -> list[Reference]:
    """The service that the subject names beyond doubt, else the only one that subject and new text mention."""
    subject = message.subject[: wording.LONGEST_LINE]
    if named := judge.catalogue.unmistakable(subject):
        return [Reference(ReferenceKind.SERVICE, named, message.subject_passage.where(1))]
    found: dict[str, str] = {}
    for passage in message.new:
        for number, text in _prose(passage, vocabulary):
            for name in judge.catalogue.mentioned(text):
                found.setdefault(name, passage.where(number))
    others = {*judge.catalogue.mentioned(subject)} - {*found}
    return [Reference(ReferenceKind.SERVICE, *one) for one in found.items()] if len(found) == 1 and not others else []


def _prose(passage: Passage, vocabulary: Vocabulary) -> Iterator[tuple[int, str]]:
    """Numbered lines until the farewell that are sentences: no link, address or title, no form left empty, and none
    that begins with a label of something else ("Sent from …")."""
    budget, spoken = _MOST_TELLING, 0
    for number, raw in itertools.islice(_lines(passage), _MOST_LINES):
        text = wording.without_bullet(wording.clean(raw))
        budget -= len(text)
        if budget < 0:
            return
        if len(text) <= _SHORT_LINE and vocabulary.may_label(text):
            line = wording.read(text, vocabulary)
            if spoken > _SHORT_LINE and _FAREWELL.fullmatch(line.shape):
                return
            if (term := line.items[0].term) and term.role in (Role.OTHER, Role.SERVICE):
                continue
        spoken += len(text)
        said = " ".join(piece for piece in text.split() if not _LINKED.search(piece))
        if len(_SENTENCE_WORD.findall(said)) > 1:
            yield number, said


def _lines(passage: Passage) -> Iterator[tuple[int, str]]:
    """Numbered lines of a passage without its "-- " signature."""
    end = len(passage.lines)
    if passage.place is not Place.ATTACHMENT:
        written = 0
        for index in range(len(passage.lines) - 1, -1, -1):
            text = passage.lines[index].text
            if text.strip(" >\u00a0") == "--":
                end = index
            written += bool(text.strip())
            if written > _SIGNATURE_LINES:
                break
    for line in passage.lines[:end]:
        yield line.number, line.text


_WRAPPED = range(40, 200)  # characters of a line that ends within a label, where an editor broke it


class _Scan:
    """Reads the lines of one passage in order and remembers what the next line may answer to."""

    def __init__(self, vocabulary: Vocabulary, judge: labels.Judge, budget: int) -> None:
        self.budget = budget  # characters of telling lines that may still be read
        self._vocabulary = vocabulary
        self._judge = judge
        self._pending: labels.Pending | None = None
        self._run: labels.Pending | None = None  # the label whose values stand one below the other
        self._empty = 0  # empty lines since the label
        self._table: _Table | None = None
        self._aside = ""  # the beginning of a sentence about another matter, which may go on in the next line
        self._broken = ""  # a line that ends within a label, and may go on in the next
        self._closed = False  # "Best regards" was read: a title in a signature waits for no value

    def take(self, raw: str) -> Sequence[labels.Claim]:
        """The claims of the next line."""
        text = wording.clean(raw)
        bare = wording.without_bullet(text)
        if _EMPTY.fullmatch(bare):
            self._empty += 1
            return ()
        telling = self._vocabulary.may_label(bare)
        linked = "zoho" in bare.lower() and "/" in bare
        if self.budget < 0 or not (telling or linked or self._pending or self._table or self._run):
            return ()
        self.budget -= len(bare)
        if self._table and (row := self._table.row(text, self._vocabulary, self._judge)):
            return row
        self._table = (telling and _heading(text, self._vocabulary)) or self._table
        return self._single(self._whole(bare), bulleted=len(bare) < len(text.lstrip(" \t>|")))

    def _whole(self, text: str) -> wording.Line:
        """The line; with the one before when an editor broke a label between them, as in "… of the account of the /
        customer: it@…"."""
        line = wording.read(text, self._vocabulary)
        if self._broken and not self._empty and text[:1].islower() and _LABELLED.search(line.shape):
            return wording.read(f"{self._broken} {text}", self._vocabulary)
        if self._aside and not self._empty and not labels.is_field(line):
            return wording.read(f"{self._aside} {text}", self._vocabulary)
        return line

    def _single(self, line: wording.Line, bulleted: bool) -> Sequence[labels.Claim]:
        reading = labels.read(line, self._judge)
        ends_in_label = reading.pending and reading.pending.bare and len(line.text) in _WRAPPED
        self._broken = line.text if ends_in_label else ""
        self._aside = labels.unfinished_aside(line) if len(line.text) in _WRAPPED else ""
        claims = [*reading.claims, *_links(line)]
        self._closed = self._closed or bool(_CLOSING.match(line.shape))
        awaited, empty = self._pending, self._empty
        self._pending, self._empty = reading.pending, 0
        if self._pending and self._pending.bare and self._closed:
            self._pending = None
        if not awaited and empty <= 1 and labels.is_value(line):
            awaited = self._run
        self._run = reading.run
        if awaited and not claims and empty <= _PATIENCE:
            claims = list(labels.next_line(line, awaited, not empty, self._judge))
            more = bulleted or line.shape[-1:] in (",", ";") if claims else labels.goes_on(line) and not empty
            if more and not self._pending:
                self._pending = awaited
            elif claims and labels.is_value(line):
                self._run = awaited
        return sorted(claims, key=lambda claim: claim.at)


def _links(line: wording.Line) -> Iterator[labels.Claim]:
    for at, item in enumerate(line.items):
        if item.sort == "U":
            for kind, value in identifiers.in_link(item.text):
                yield labels.Claim(at, Role(kind), value)


@dataclass(slots=True)
class _Table:
    """A heading of labels above columns of values. `columns`: cell index -> its labels."""

    delimiter: str
    columns: Mapping[int, labels.Group]
    width: int
    rows: int = 0

    def row(self, text: str, vocabulary: Vocabulary, judge: labels.Judge) -> Sequence[labels.Claim]:
        """The claims of a row of values; none of a line that is no row, or that has labels of its own."""
        cells = _cells(text, self.delimiter)
        self.rows += 1
        aligned = self.delimiter != "  " or len(cells) == self.width  # between blanks an empty cell cannot be seen
        if len(cells) < 2 or not aligned or self.rows > _TABLE_ROWS:
            return ()
        if _LABELLED.search(wording.read(text, vocabulary).shape):
            return ()
        return [
            claim._replace(at=column)
            for column, group in self.columns.items()
            if column < len(cells)
            for claim in labels.cell(wording.read(cells[column], vocabulary), group, judge)
        ]


def _heading(text: str, vocabulary: Vocabulary) -> _Table | None:
    """A line of cells that are labels, without any value. Commas, semicolons and blanks need two labels,
    because prose has them too."""
    if re.search(r"[0-9@]", text):
        return None
    for delimiter in _DELIMITERS:
        cells = _cells(text, delimiter)
        if len([cell for cell in cells if cell.strip()]) < 2:
            continue
        cells = cells[:_TABLE_COLUMNS]
        groups = {
            at: group for at, cell in enumerate(cells) if (group := labels.heading(wording.read(cell, vocabulary)))
        }
        if len(groups) >= (1 if delimiter in "\t|" else 2):
            return _Table(delimiter, groups, len(cells))
    return None


def _cells(text: str, delimiter: str) -> list[str]:
    stripped = text.strip(" >")
    if delimiter == "  ":
        return _COLUMN_GAP.split(stripped)
    if delimiter == "|":
        stripped = stripped.strip("|")
    return [cell.strip().strip("\"'") for cell in stripped.split(delimiter)]
