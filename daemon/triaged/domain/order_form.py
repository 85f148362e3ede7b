"""Reads a purchase order from a mail or a file (rows C1, C2): a `Draft` of what is written, nothing believed yet.

New text counts first, then attached files, then the subject; quoted text only where somebody forwards an order with a
word of his own. Nothing is guessed: two values for one field stand both in the draft (`order.CONTRADICTION`), except
that a surer label wins (a company over a person's name, "e-mail" over a contact), and that the mail's own text wins
over a file for names and postal addresses, which everybody spells differently.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from triaged.domain import order, order_scan, vocabulary
from triaged.domain import order_values as values
from triaged.domain.message import Line, Message, Passage, Place
from triaged.domain.order import Draft, DraftLine, Party, Role
from triaged.domain.order_scan import Claim, Scanned
from triaged.domain.order_table import Table
from triaged.domain.order_words import FIELDS, Mark, OrderWords

_MOST_POSITIONS = 500
_MOST_VALUES = 3  # contradicting values that are told
_ENOUGH = 3  # parts of an order: see `is_order`
_ENOUGH_QUOTED = 4
_FORM_FIELDS = 7  # that only a form has
_ORDERING = "order"  # in `where`: the words by which somebody orders
_REPLY = re.compile(r"\s*(?:re|aw|r[ée]p|sv|antw|antwort)\s?(?:\[\d+\])?\s?:", re.IGNORECASE)
_PREFIX = re.compile(r"\s*([^\W\d_]{1,16})\s?:")
_NAMES = (Mark.COMPANY, Mark.NAME)


def read(message: Message, words: OrderWords) -> Draft:
    """The order that a mail holds, as far as it goes; empty where there is none. It is an order where `is_order`."""
    forwarded = {a.name for a in message.attachments if a.content_type.startswith("message/")}
    files = [passage for passage in message.attached if passage.name not in forwarded]
    draft = _draft(message, files, words)
    if is_order(draft):
        return draft
    older = [passage for passage in message.attached if passage.name in forwarded]
    older += message.quoted if _is_forward(message.subject, words) else ()
    inner = _draft(replace(message, new=tuple(older), subject=""), (), words) if older else Draft()
    complete = inner.customer.email and _parts(inner) >= _ENOUGH_QUOTED
    return draft.over(inner) if complete else draft


def is_order(draft: Draft) -> bool:
    """Whether a mail has the shape of an order: three of PO number, SKU, licences and each party's mail or postal
    address; words such as "we order" or the labels of a whole form count as one. A question about an order has less."""
    return _parts(draft) >= _ENOUGH


def read_rows(lines: Iterable[str], words: OrderWords) -> tuple[Draft, ...]:
    """The orders of a file, one for each PO number in the order of their first rows (`order import`).

    Lines are cells with tabs between them: one row for each position below a row of headings; a row that leaves PO
    number and parties empty belongs to the one above. A file without such headings holds one order, label by label."""
    rows = [values.bare(line) for line in lines]
    groups = _groups(rows, words)
    if not groups:
        numbered = tuple(Line(number, row) for number, row in enumerate(rows, 1))
        found = order_scan.scan(numbered, lambda number: f"row:{number}", words)
        draft = _assembled([_Source([found], [])], "")
        return (draft,) if draft else ()
    return tuple(_assembled([_Source([group.scanned(words)], [])], "") for group in groups)


# --- where to look ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Source:
    """One voice of the mail. `beside` are texts that say the same once more (the plain text beside HTML)."""

    texts: list[Scanned]
    beside: list[Scanned]


def _draft(message: Message, files: Sequence[Passage], words: OrderWords) -> Draft:
    pages = [passage for passage in message.new if passage.place is Place.HTML]
    plain = [passage for passage in message.new if passage.place is not Place.HTML]
    own = _Source(_scanned(pages or plain, words), _scanned(plain if pages else [], words))
    by_name = {passage.name: [p for p in files if p.name == passage.name] for passage in files}
    sources = [own, *(_Source(_scanned(passages, words), []) for passages in by_name.values())]
    spoken = "" if _REPLY.match(message.subject) else values.spoken_po(message.subject, words)
    draft = _assembled(sources, _ordering(message, words) or _is_form(own))
    if spoken and not draft.po_number and draft:
        draft = replace(draft, po_number=spoken, where=(*draft.where, ("po_number", Place.SUBJECT.value)))
    return draft


def _scanned(passages: Iterable[Passage], words: OrderWords) -> list[Scanned]:
    return [order_scan.scan(passage.lines, passage.where, words) for passage in passages]


def _is_forward(subject: str, words: OrderWords) -> bool:
    match = _PREFIX.match(subject)
    return bool(match and vocabulary.key(match[1]) in words.forwarding)


def _ordering(message: Message, words: OrderWords) -> str:
    """Where the mail says that it orders."""
    for passage in (message.subject_passage, *message.new):
        for line in passage.lines[:200]:
            if words.holds(line.text, words.ordering):
                return passage.where(line.number)
    return ""


def _is_form(source: _Source) -> str:
    """Where an order form begins: most of its fields are there, though perhaps empty."""
    asked = {name: place for text in source.texts for name, place in text.asked.items() if name in FIELDS}
    return next(iter(asked.values())) if len(asked) >= _FORM_FIELDS else ""


# --- from what was found to a draft -------------------------------------------------------------------------------


def _assembled(sources: Sequence[_Source], ordering: str) -> Draft:
    own = [_certain([claim for text in source.texts for claim in text.claims]) for source in sources]
    beside = [_certain([claim for text in source.beside for claim in text.claims]) for source in sources]
    where: dict[str, str] = {}
    parties = {role: _party(role, own, beside, where) for role in Role}
    numbers = _chosen("po_number", [[c for c in claims if c.mark is Mark.PO_NUMBER] for claims in own], where, True)
    labelled = bool(numbers) or any(party != Party() for party in parties.values())
    lines = _positions(sources, labelled or bool(ordering), where)
    if not numbers and (labelled or ordering):
        spoken = [[*text.spoken] for source in sources for text in (*source.texts, *source.beside)]
        numbers = _chosen("po_number", spoken, where, True)
    country = _chosen("country", [[c for c in claims if c.mark is Mark.COUNTRY] for claims in own], where)
    date = _chosen("date", [[c for c in claims if c.mark is Mark.DATE] for claims in own], where)
    if ordering:
        where[_ORDERING] = ordering
    draft = Draft(
        po_number=numbers,
        lines=lines,
        customer=parties[Role.CUSTOMER],
        reseller=parties[Role.RESELLER],
        distributor=parties[Role.DISTRIBUTOR],
        country=country,
        date=date,
    )
    return replace(draft, where=tuple(where.items())) if draft else draft


def _certain(claims: list[Claim]) -> list[Claim]:
    """Without what "client" alone names, where the end customer is named too and is somebody else."""
    sure = [claim for claim in claims if claim.sure]
    loose = [claim for claim in claims if not claim.sure]
    for claim in loose:
        others = [c for c in sure if c.party is claim.party and _kind(c) == _kind(claim)]
        if others and not any(_same(c.value, claim.value) for c in others):
            return sure
    return claims


def _kind(claim: Claim) -> Mark:
    return Mark.NAME if claim.mark in _NAMES else claim.mark


def _party(role: Role, own: list[list[Claim]], beside: list[list[Claim]], where: dict[str, str]) -> Party:
    found = {}
    for name, marks in (("name", _NAMES), ("email", (Mark.EMAIL,)), ("address", (Mark.ADDRESS,))):
        field_name = f"{role}_{name}"
        wanted = [[c for c in claims if c.party is role and c.mark in marks] for claims in own]
        found[name] = _chosen(field_name, wanted, where, everywhere=name == "email")
        if not found[name]:
            again = [[c for c in claims if c.party is role and c.mark in marks] for claims in beside]
            found[name] = _chosen(field_name, again, where)
    return Party(**found)


def _chosen(name: str, sources: list[list[Claim]], where: dict[str, str], everywhere: bool = False) -> str:
    """The value of one field: of the first source that has one, or of all of them (`everywhere`). Differing values of
    one rank stand beside each other."""
    kept: list[str] = []
    for claims in sources:
        top = max(((claim.mark is Mark.COMPANY, claim.rank) for claim in claims), default=None)
        best = [claim for claim in claims if (claim.mark is Mark.COMPANY, claim.rank) == top]
        for claim in best:
            where.setdefault(name, claim.where)
            kept = _with(kept, claim.value)
        if kept and not everywhere:
            break
    return order.CONTRADICTION.join(kept)


def _with(kept: list[str], value: str) -> list[str]:
    """The values and one more; of two spellings of one value the longer."""
    for at, known in enumerate(kept):
        if _same(known, value):
            return [*kept[:at], max(known, value, key=len), *kept[at + 1 :]]
    return [*kept, value] if len(kept) < _MOST_VALUES else kept


def _same(one: str, other: str) -> bool:
    """One value spelled twice: equal but for case, accents and punctuation, or all words of one within the other."""
    if "@" in one or "@" in other:
        return one.casefold() == other.casefold()
    first, second = order.folded(one), order.folded(other)
    if first == second or re.search(r"\d", first) is None or re.search(r"\d", second) is None:
        return first == second
    return first.count(" ") > 1 < second.count(" ") and (set(first.split()) <= set(second.split())) | (
        set(second.split()) <= set(first.split())
    )


def _positions(sources: Sequence[_Source], ordered: bool, where: dict[str, str]) -> tuple[DraftLine, ...]:
    """The positions of all texts: what one text has of another's is said twice; else they contradict each other."""
    kept: tuple[DraftLine, ...] = ()
    for source in sources:
        own = [text.positions for text in source.texts]
        again = [text.positions for text in source.beside]
        found = tuple(line for text in own for line in text.lines) or tuple(line for t in again for line in t.lines)
        for text in own:
            for name, place in text.places.items():
                where.setdefault(name, place)
        kept = _agreed(kept, found)
    if not kept and ordered:
        texts = [text.positions for source in sources for text in (*source.texts, *source.beside)]
        spoken = next((text for text in texts if text.spoken), None)
        if spoken:
            kept = tuple(dict.fromkeys(spoken.spoken))
            where.setdefault("sku", spoken.spoken_where)
    if len(kept) > _MOST_POSITIONS:
        return (*kept[:_MOST_POSITIONS], DraftLine(sku=f"+ {len(kept) - _MOST_POSITIONS}"))
    return kept


def _agreed(one: tuple[DraftLine, ...], other: tuple[DraftLine, ...]) -> tuple[DraftLine, ...]:
    if not one or not other:
        return one or other
    first, second = sorted(map(_counted, one)), sorted(map(_counted, other))
    if all(item in first for item in second):
        return one
    if all(item in second for item in first):
        return other
    if len(one) == len(other) == 1:
        return (DraftLine(*(_both(a, b) for a, b in zip(_texts(one[0]), _texts(other[0]), strict=True))),)
    both = order.CONTRADICTION.join(
        ", ".join(f"{sku} × {count}" for sku, count in pairs[:5]) for pairs in (first, second)
    )
    return (DraftLine(sku=both),)


def _texts(line: DraftLine) -> tuple[str, str, str, str]:
    return line.sku, line.licences, line.service, line.years


def _both(one: str, other: str) -> str:
    if one and other and order.folded(one) != order.folded(other):
        return one + order.CONTRADICTION + other
    return one or other


def _counted(line: DraftLine) -> tuple[str, str]:
    return line.sku.upper(), re.sub(r"\D", "", line.licences)


def _parts(draft: Draft) -> int:
    said = [
        bool(draft.po_number),
        any(line.sku for line in draft.lines),
        any(line.licences for line in draft.lines),
        any(name == _ORDERING for name, _ in draft.where),
        *(bool(party.email or party.address) for party in map(draft.party, Role)),
    ]
    return sum(said)


# --- files with several orders ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Group:
    """The rows of one order, its heading first."""

    heading: str
    rows: list[Line] = field(default_factory=list)

    def scanned(self, words: OrderWords) -> Scanned:
        lines = (Line(0, self.heading), *self.rows)
        return order_scan.scan(lines, lambda number: f"row:{number}", words)


def _groups(rows: Sequence[str], words: OrderWords) -> list[_Group]:
    """The rows below the first headings, by PO number; none where there are no headings with one."""
    for at, row in enumerate(rows[:100]):
        below = next((text for text in rows[at + 1 : at + 10] if text.strip()), "")
        cells = [cell.strip() for cell in row.split("\t")]
        table = Table.of(cells, below.split("\t"), words.label)
        if table and table.has(Mark.PO_NUMBER):
            place = next(n for n, c in enumerate(table.columns) if c and c.field is Mark.PO_NUMBER)
            return list(_by_number(row, place, enumerate(rows[at + 1 :], at + 2), table, words))
    return []


def _by_number(
    heading: str, place: int, rows: Iterable[tuple[int, str]], table: Table, words: OrderWords
) -> Iterator[_Group]:
    groups: dict[str, _Group] = {}
    last = ""
    for number, row in rows:
        cells = [values.clean(cell, words) for cell in row.split("\t")]
        if sum(map(bool, cells)) < 2 or any(words.begins(cell, words.totals) for cell in cells[:3] if cell):
            continue
        said = cells[place] if place < len(cells) else ""
        party = any(cell and c and c.party for c, cell in zip(table.columns, cells, strict=False))
        last = said or (f"row {number}" if party or not last else last)
        group = groups.setdefault(order.folded(last), _Group(heading))
        group.rows.append(Line(number, row))
    yield from groups.values()
