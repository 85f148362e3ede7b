"""Walks through the lines of one text of an order and notes what its labels say, and of whom.

A label names its party itself ("E-mail du client final") or stands in the party's block, below its heading. A block
ends early: at a good-bye, at a sentence, at an unknown label. So a signature or the next block never lends an address
to the customer; what is nobody's is dropped, and `order.check` asks for it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from triaged.domain import order_rows
from triaged.domain import order_values as values
from triaged.domain.message import Line
from triaged.domain.order import Role
from triaged.domain.order_lines import Positions
from triaged.domain.order_rows import Row
from triaged.domain.order_table import Table
from triaged.domain.order_words import OF_A_PARTY, Label, Mark, OrderWords, field_name

_POSITIONAL = frozenset({Mark.SKU, Mark.LICENCES, Mark.SERVICE, Mark.YEARS})
# In a block of plain lines these words alone are a line of it ("Service informatique"), not a label.
_SHY = frozenset({Mark.SERVICE, Mark.CONTACT, Mark.OTHER, Mark.YEARS, Mark.DATE, Mark.POSITION})
_COLON = re.compile(r"\s*(?:(?<!\d)[:：]|[:：](?!\d))(?!//)\s*|\s*(?:=>|->|→|=)\s*")
_DASH = re.compile(r"\s+[-–—]\s+|\s?\.{4,}\s?")
_BREAK = re.compile(r"[;,|•/]|[.!?]\s|\s[-–—]\s| {2,}")
_FIRST_BREAK = re.compile(r"[;|•/]|[.!?]\s|\s[-–—]\s")
_NEXT_LINE = re.compile(r"[2-4]\W*$")  # "Adresse 2"
# A labelled line of these kinds stands among the plain lines of a block without ending them.
_BESIDE = frozenset({Mark.CONTACT, Mark.EMAIL, Mark.COUNTRY})
# "Bill to": a block of somebody else's begins; "delivery address" does so where its value stands below.
_OF_STRANGERS = frozenset({Mark.STRANGER, Mark.ELSEWHERE})
_COUNT = re.compile(r"[+x×]?\s?\d[\d .,'’]*(?:\s?[^\W\d_]+)?")
_JOINED = re.compile(r"(.{2,60}?)[\s#°º.]+#?(\S{2,80})")
_RANK_LABEL, _RANK_CONTACT, _RANK_BLOCK = 3, 2, 1
_PO_RANKS = {None: 3, Role.DISTRIBUTOR: 2, Role.RESELLER: 1}


class Claim(NamedTuple):
    """A value of one field. Of several the highest `rank` counts; `sure` is False where only "client" names whose."""

    mark: Mark
    party: Role | None
    value: str
    where: str
    rank: int = _RANK_LABEL
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one text says. `spoken` are PO numbers out of sentences, which count only where somebody orders; `asked` are
    the fields whose labels stand there, with or without a value, by where they were first found."""

    claims: tuple[Claim, ...]
    positions: Positions
    spoken: tuple[Claim, ...]
    asked: Mapping[str, str]


class _Context(NamedTuple):
    """Whose block this is. `headed`: under a heading of its own rather than behind a first labelled value."""

    party: Role
    sure: bool
    headed: bool


@dataclass(slots=True)
class _Block:
    """Plain lines below a party's name: name, address, mail address."""

    context: _Context
    named: bool = False
    lines: list[str] = field(default_factory=list)
    used: bool = False
    blanks: int = 0


def scan(lines: Sequence[Line], where: Callable[[int], str], words: OrderWords) -> Scanned:
    """Every labelled value of the text, in order; time grows with its size."""
    walk = _Walk(words, where)
    for row in order_rows.rows(lines, words, walk.label):
        walk.feed(row)
    walk.leave()
    walk.positions.close()
    return Scanned(tuple(walk.claims), walk.positions, tuple(walk.spoken), walk.asked)


class _Walk:
    """Where the walk is: what holds for the line that comes next."""

    def __init__(self, words: OrderWords, where: Callable[[int], str]) -> None:
        self.words = words
        self.claims: list[Claim] = []
        self.spoken: list[Claim] = []
        self.asked: dict[str, str] = {}
        self.positions = Positions(words)
        self.indented = False
        self._where = where
        self._at = ""
        self._context: _Context | None = None
        self._pending: Label | None = None
        self._waited = False
        self._address = -1  # index of the claim that the next line may continue
        self._block: _Block | None = None
        self._table: Table | None = None
        self._labels: dict[str, Label | None] = {}

    # --- lines

    def feed(self, row: Row) -> None:
        self.indented = row.indented
        self._at = self.positions.where = self._where(row.number)
        text = row.text.removesuffix("]]").rstrip(" ")
        if text.startswith(order_rows.BARRIER):
            self.leave()
        elif not any(character.isalnum() for character in text):
            self._blank()
        elif "\t" in text:
            self._row([cell.strip() for cell in text.split("\t")[:60]], row.following)
        else:
            self._line(text)

    def _blank(self) -> None:
        if self._pending and (self._waited or self._pending.field is Mark.EMAIL):
            self._pending = None
        self._waited = True
        self._address = -1
        if self._block is None:
            return
        self._block.blanks += 1
        if self._block.used:
            self.leave()
        elif self._block.blanks > 1:
            self._block = None

    def _line(self, text: str) -> None:
        if pairs := self._labelled(text):
            self._table = None
            for pair in pairs:
                self._said(*pair)
            self._part_from([label for label, _ in pairs])
        elif (label := self.label(text)) and not (self._block and not label.party and label.field in _SHY):
            self._table = None
            self._said(label, "")
        elif joined := self._joined(text):
            self._said(*joined)
        elif values.skus(text):
            self._spoken(text)
            if self.positions.sentence(text):
                self.leave()
        else:
            self._free(text)

    def label(self, text: str) -> Label | None:
        """What a text names as a label; looked up once."""
        if text not in self._labels:
            if len(self._labels) > 5_000:
                self._labels.clear()
            self._labels[text] = self.words.label(text)
        return self._labels[text]

    def _labelled(self, text: str) -> list[tuple[Label, str]]:
        """The pairs of label and value on a line, most often one: `SKU : 994-000148 ; Licences : 40`."""
        found: list[tuple[Label, str]] = []
        begin = 0
        for colon in list(_COLON.finditer(text))[:12]:
            head = text[begin : colon.start()]
            cut, label = self._head(head, first=not found)
            if label is None:
                continue
            if found:
                found[-1] = (found[-1][0], head[:cut])
            found.append((_of_next_line(label, head), text[colon.end() :]))
            begin = colon.end()
        dash = None if found else _DASH.search(text)
        before = self.label(text[: dash.start()]) if dash else None
        return [(before, text[dash.end() :])] if dash and before else found

    def _head(self, head: str, first: bool) -> tuple[int, Label | None]:
        """The label that ends a text: all of it for the first on a line, else what stands behind the last break."""
        if first and (label := self.label(head)):
            return 0, label
        breaks = list((_FIRST_BREAK if first else _BREAK).finditer(head))
        if not breaks:
            return 0, None
        return breaks[-1].start(), self.label(head[breaks[-1].end() :])

    def _joined(self, text: str) -> tuple[Label, str] | None:
        """`PO 4711`, `SKU 994-000148`: a label and one telling word without anything between."""
        match = _JOINED.fullmatch(text)
        label = self.label(match[1]) if match else None
        if match is None or label is None:
            return None
        fits = {
            Mark.PO_NUMBER: re.search(r"\d{3}", match[2]) is not None and values.is_number_like(match[2]),
            Mark.SKU: bool(values.skus(match[2])),
            Mark.LICENCES: match[2].isdecimal(),
            Mark.EMAIL: len(values.addresses(match[2])) == 1,
        }
        return (label, match[2]) if label.field and fits.get(label.field) else None

    def _free(self, text: str) -> None:
        """A line without a label: the value of the label above, the next line of an address or block, or prose."""
        if self.words.begins(text, self.words.closing) and text.count(" ") < 12:
            self._table = None
            self.leave()
        elif self._pending:
            self._answered(self._pending, text)
        elif self._address >= 0 and values.goes_on(self.claims[self._address].value.split(", "), text, self.words):
            self._grow(self._address, text)
        elif not (self._block and self._plain(self._block, text)):
            if number := values.counted(text, self.words):
                self.positions.put(Mark.LICENCES, number)
            self._spoken(text)
            self.leave()

    def _answered(self, label: Label, text: str) -> None:
        if label.field is Mark.LICENCES and not _COUNT.fullmatch(text):
            return  # a table that lost its columns: the number comes further down, or is asked for
        self._pending = None
        alone = " " not in text or len(values.addresses(text)) == 1
        if label.field is Mark.OTHER:
            return
        if values.is_sentence(text) or (label.field is Mark.EMAIL and not alone):
            self.leave()
        else:
            self._said(label, text)

    def _plain(self, block: _Block, text: str) -> bool:
        """One plain line of a party's block; False where it is none: below a party's value only its address follows."""
        found = values.addresses(text)
        if values.is_phone(text):
            return True
        placed = block.context.headed or block.lines or found or self.indented or re.search(r"\d", text)
        if _COLON.search(text) or not placed or values.is_sentence(text) or len(found) > 1:
            return False
        if found:
            self._claim(Mark.EMAIL, block.context, found[0], _RANK_BLOCK)
            if name := "" if block.named else values.first_part(values.without_addresses(text)):
                self._claim(Mark.NAME, block.context, name, _RANK_BLOCK)
                block.named = True
        elif not block.named:
            self._claim(Mark.NAME, block.context, values.clean(text, self.words), _RANK_BLOCK)
            block.named = True
        elif (block.lines and not values.goes_on(block.lines, text, self.words)) or len(block.lines) > 6:
            return False
        else:
            block.lines.append(values.clean(text, self.words))
        block.used = True
        return True

    def _spoken(self, text: str) -> None:
        if number := values.spoken_po(text, self.words):
            self.spoken.append(Claim(Mark.PO_NUMBER, None, number, self._at, 0))

    # --- tables

    def _row(self, cells: list[str], following: str) -> None:
        filled = [cell for cell in cells if cell]
        if len(filled) == 1:
            if not self._table or self.label(filled[0]) or self._labelled(filled[0]):
                self._line(filled[0])
            return
        headings = Table.of(cells, following.split("\t"), self.label)
        if self._table and not headings and self._table.takes(cells):
            self._table_row(self._table, cells)
            return
        self._table = headings
        if self._table is None:
            self._label_row(cells)
        elif self._context:
            self._table.party = Label(None, self._context.party, self._context.sure)
        if self._table:
            self.leave()

    def _table_row(self, table: Table, cells: list[str]) -> None:
        if any(self.words.begins(cell, self.words.totals) for cell in cells[:3] if cell and not values.skus(cell)):
            return
        line: dict[Mark, list[str]] = {}
        for label, cell in table.read(cells):
            value = values.clean(cell, self.words)
            if not value or label.field is None:
                continue
            if label.field in _POSITIONAL:
                line.setdefault(label.field, []).append(value)
            elif label.field in OF_A_PARTY and label.party:
                self._of(label, _Context(label.party, label.sure, True), value)
            elif label.field in (Mark.PO_NUMBER, Mark.DATE, Mark.COUNTRY):
                self._said(label, value)
        self._address = -1
        self.positions.row(line, cells, table.has(Mark.SKU))

    def _label_row(self, cells: list[str]) -> None:
        """Labels and their values beside each other, one pair or several; or a row that no heading explains."""
        at, told, found = 0, False, list[Label]()
        while at < len(cells):
            label = self.label(cells[at]) if cells[at] else None
            if label is None:
                pairs = self._pairs_of(cells[at]) if cells[at] else []
                for pair in pairs:
                    self._said(*pair)
                found += [pair[0] for pair in pairs]
                told |= bool(pairs)
                at += 1
                continue
            end = at + 1
            while end < len(cells) and self._is_value(cells[end], beside=end == at + 1 and len(cells) == 2):
                end += 1
            self._said_cells(_of_next_line(label, cells[at]), [cell for cell in cells[at + 1 : end] if cell])
            found.append(label)
            at, told = end, True
        self._part_from(found)
        if not told and not self.positions.loose_row(cells):
            self._spoken(" ".join(cells))
            self.leave()

    def _pairs_of(self, cell: str) -> list[tuple[Label, str]]:
        pairs = self._labelled(cell)
        joined = None if pairs else self._joined(cell)
        return [joined] if joined else pairs

    def _part_from(self, labels: Sequence[Label]) -> None:
        """A line that names several parties heads nobody's block: whose the next line is cannot be told."""
        if len({label.party for label in labels if label.party and label.field is None}) > 1:
            self.leave()

    def _is_value(self, cell: str, beside: bool) -> bool:
        label = self.label(cell) if cell else None
        if label is None:
            return not (cell and self._pairs_of(cell))
        return beside and label.field is not None

    def _said_cells(self, label: Label, cells: list[str]) -> None:
        if label.field in _POSITIONAL and len(cells) > 1:
            self.leave()
            self.positions.several(label.field, cells)
        elif label.field is Mark.EMAIL and len(cells) > 1:
            for cell in cells:
                self._said(label, cell)
        elif label.field in (None, Mark.ADDRESS):
            self._said(label, ", ".join(cells))
        else:
            self._said(label, cells[0] if cells else "")

    # --- what labels say

    def _said(self, label: Label, written: str) -> None:
        value = values.clean(written, self.words)
        self._pending, self._waited, self._address = None, False, -1
        whose = self._context.party if self._context else None
        if name := field_name(Label(label.field, label.party or whose)):
            self.asked.setdefault(name, self._at)
        if label.field in _OF_STRANGERS:
            if label.field is Mark.STRANGER or not written.strip():
                self.leave()
        elif label.field is None:
            self._party(label, value, written)
        elif label.field in OF_A_PARTY:
            self._of_party(label, value, written)
        elif label.field is Mark.DATE:
            self._claim(Mark.DATE, None, value)
        elif label.field is not Mark.OTHER:
            self.leave()
            self._of_order(label, value)
        if not written.strip() and label.field not in (None, Mark.POSITION, *_OF_STRANGERS, *OF_A_PARTY):
            self._pending = label

    def _of_order(self, label: Label, value: str) -> None:
        if label.field is Mark.PO_NUMBER:
            self._po_number(label, value)
        elif label.field is Mark.POSITION:
            self.positions.close()
            if value and not self._labelled(value):
                self.positions.labelled(value)
        elif label.field in _POSITIONAL and value:
            self.positions.say(label.field, value)

    def _po_number(self, label: Label, value: str) -> None:
        if values.skus(value):
            self.positions.labelled(value)
        rank = _PO_RANKS.get(label.party)
        beside = self.label(re.split(r"\d", value, maxsplit=1)[0])
        if rank is None or not values.is_number_like(value) or (beside and beside.field is not Mark.PO_NUMBER):
            return  # nothing, or the next label of this line: "BON DE COMMANDE   Page 1/1"
        for part in re.split(r"\s?[,;&]\s?", value):
            if (number := values.po_number(part)) and values.is_number_like(number):
                self.claims.append(Claim(Mark.PO_NUMBER, None, number, self._at, rank))

    def _party(self, label: Label, value: str, written: str) -> None:
        """A party alone: a heading, or with name, mail and postal address behind it."""
        before = self._context
        self.leave()
        if label.party is None:
            return
        context = _Context(label.party, label.sure, headed=not written.strip())
        rest = values.clean(values.without_addresses(value), self.words)
        named = bool(rest) and not values.is_sentence(rest.rstrip(".") if re.search(r"\d", rest) else rest)
        for address in values.addresses(value):
            self._claim(Mark.EMAIL, context, address, _RANK_BLOCK)
        if named:
            name, postal = values.split_party(rest)
            self._claim(Mark.NAME, context, name, _RANK_LABEL)
            self._claim(Mark.ADDRESS, context, postal, _RANK_BLOCK)
        if value and before and before.headed and before.party is not label.party and label.party is Role.CUSTOMER:
            return  # a line "Client : Acme" in the reseller's block opens no block of the customer
        self._context = context
        self._block = _Block(context, named=bool(value))

    def _of_party(self, label: Label, value: str, written: str) -> None:
        context = self._owner(label)
        if label.party or label.field not in _BESIDE or not (self._block and self._block.context.headed):
            self._close_block()
        if not written.strip():
            of_whom = (context.party, context.sure) if context else (None, True)
            self._pending = Label(label.field, *of_whom) if context else Label(Mark.OTHER)
        elif context and value:
            self._of(label, context, value)
        elif label.field is Mark.COUNTRY and value:
            self.claims.append(Claim(Mark.COUNTRY, Role.CUSTOMER, value, self._at, _RANK_BLOCK))

    def _owner(self, label: Label) -> _Context | None:
        """Whose value a label names, and whose block goes on: another party's mail address opens no block."""
        if label.party is None:
            return self._context
        own = _Context(label.party, label.sure, headed=False)
        before = self._context
        if before is None or before.party is not label.party:
            self.leave()
            under_heading = before is not None and before.headed and label.party is Role.CUSTOMER
            if label.field in (Mark.NAME, Mark.COMPANY) and not under_heading:
                self._context = own
        return own

    def _of(self, label: Label, context: _Context, value: str) -> None:
        """One value of a party's, whoever it is."""
        found = values.addresses(value)
        match label.field:
            case Mark.EMAIL:
                for address in found or (value,):
                    self._claim(Mark.EMAIL, context, address)
            case Mark.COUNTRY if context.party is Role.CUSTOMER:
                self._claim(Mark.COUNTRY, context, value)
            case Mark.COUNTRY | Mark.CITY:
                self._part(context, value)
            case _:
                for address in found:
                    self._claim(Mark.EMAIL, context, address, _RANK_CONTACT)
                rest = values.clean(values.without_addresses(value), self.words) if found else value
                if label.field is Mark.ADDRESS and rest:
                    self._address = len(self.claims)
                if label.field in (Mark.ADDRESS, Mark.COMPANY):
                    self._claim(label.field, context, rest)
                elif label.field is Mark.NAME:
                    self._claim(Mark.NAME, context, rest, _RANK_CONTACT if label.party else _RANK_BLOCK)

    def _part(self, context: _Context, value: str) -> None:
        """A further part of a postal address: postcode, town, country."""
        for at in range(len(self.claims) - 1, max(len(self.claims) - 6, -1), -1):
            if self.claims[at].mark is Mark.ADDRESS and self.claims[at].party is context.party:
                return self._grow(at, value)
        return self._claim(Mark.ADDRESS, context, value)

    def _grow(self, at: int, part: str) -> None:
        claim = self.claims[at]
        glue = " " if re.search(r"(?:^|, )\d{4,6}$", claim.value) else ", "
        if value := values.clean(part, self.words):
            self.claims[at] = claim._replace(value=f"{claim.value.rstrip(',')}{glue}{value}"[:400])

    def _claim(self, mark: Mark, context: _Context | None, value: str, rank: int = _RANK_LABEL) -> None:
        party, sure = (context.party, context.sure) if context else (None, True)
        if value:
            self.claims.append(Claim(mark, party, value, self._at, rank, sure))

    def leave(self) -> None:
        """Whatever block this was, it ends here."""
        self._close_block()
        self._context, self._pending, self._address = None, None, -1

    def _close_block(self) -> None:
        """The plain lines of a block are its address, from the first with a number on: above it stand people."""
        if self._block:
            lines = self._block.lines
            first = next((at for at, line in enumerate(lines) if re.search(r"\d", line)), len(lines))
            self._claim(Mark.ADDRESS, self._block.context, ", ".join(lines[first:]), _RANK_BLOCK)
        self._block = None


def _of_next_line(label: Label, text: str) -> Label:
    """`Adresse 2` is a part of the address above."""
    if label.field is Mark.ADDRESS and _NEXT_LINE.search(text):
        return Label(Mark.CITY, label.party, label.sure)
    return label
