"""The positions of an order as they come: SKU, number of licences, service and term, each line of them one contract."""

from collections.abc import Mapping, Sequence

from triaged.domain import order_table, vocabulary
from triaged.domain import order_values as values
from triaged.domain.order import CONTRADICTION, DraftLine
from triaged.domain.order_words import Mark, OrderWords

_NAMES = {Mark.SKU: "sku", Mark.LICENCES: "licences", Mark.SERVICE: "service", Mark.YEARS: "years"}
_MOST_WAITING = 100
_STRANGE_WORDS = 2  # unknown words that a line of an order may hold; more is a sentence


class Positions:
    """Grows with each labelled value. `spoken` are those of sentences, which count only where somebody orders;
    `places` says where a field was first found."""

    def __init__(self, words: OrderWords) -> None:
        self.words = words
        self.where = ""
        self.places: dict[str, str] = {}
        self.spoken: list[DraftLine] = []
        self.spoken_where = ""
        self._lines: list[dict[str, str]] = []
        self._open: dict[str, str] = {}

    @property
    def lines(self) -> tuple[DraftLine, ...]:
        """Those that name a SKU or a number; two numbers for the only SKU contradict each other."""
        named = [line for line in self._lines if "sku" in line]
        loose = [line["licences"] for line in self._lines if "sku" not in line and "licences" in line]
        if len(named) != 1 or not loose:
            return tuple(DraftLine(**line) for line in self._lines if "sku" in line or "licences" in line)
        counts = dict.fromkeys(filter(None, [named[0].get("licences", ""), *loose]))
        return (DraftLine(**{**named[0], "licences": CONTRADICTION.join(counts)}),)

    def say(self, mark: Mark, value: str) -> None:
        """A labelled value, which may hold more than its label says: `SKU : 994-000148 x 40`."""
        if values.skus(value) and (mark is not Mark.SERVICE or "sku" not in self._open):
            self.labelled(value)
        elif mark is Mark.LICENCES:
            waiting = self._waiting()
            parts = list(values.pieces(value))
            for part in parts if len(parts) == len(waiting) else [value]:
                self._count(part)
        else:
            self.put(mark, values.sku(value) if mark is Mark.SKU else value)

    def several(self, mark: Mark, cells: Sequence[str]) -> None:
        """The values beside one label: positions side by side."""
        if mark in (Mark.SERVICE, Mark.YEARS):
            return self.say(mark, cells[0])
        limit = max(len(self._waiting()), 1) if mark is Mark.LICENCES else len(cells)
        for cell in cells[:limit]:
            if value := values.clean(cell, self.words):
                self.say(mark, value)
        return None

    def put(self, mark: Mark, value: str) -> None:
        """One value; a field that the line has already begins the next line."""
        name = _NAMES[mark]
        if self._open.get(name) == value and mark in (Mark.SERVICE, Mark.YEARS):
            return
        if name in self._open:
            self.close()
        self._open[name] = value
        self.places.setdefault(name, self.where)

    def labelled(self, text: str) -> None:
        """Positions that stand where only positions stand."""
        for position in values.positions(text, self.words):
            self.put(Mark.SKU, position.sku)
            if position.licences:
                self.put(Mark.LICENCES, position.licences)
            elif position.rest and "service" not in self._open:
                self.put(Mark.SERVICE, position.rest)

    def sentence(self, text: str) -> bool:
        """A line with a SKU: a position by itself, or one that a sentence speaks of (then True)."""
        found = values.positions(text, self.words)
        spoken = vocabulary.words(text)
        known = sum(word in self.words.marks or word in self.words.units for word in spoken)
        if len(spoken) - known <= _STRANGE_WORDS * len(found) and not values.spoken_po(text, self.words):
            self.labelled(text)
            return False
        self.spoken += [DraftLine(position.sku, position.licences) for position in found]
        self.spoken_where = self.spoken_where or self.where
        return True

    def row(self, line: Mapping[Mark, Sequence[str]], cells: Sequence[str], has_sku: bool) -> None:
        """One row of a table with headings."""
        named = list(line.get(Mark.SKU, ()))
        named.sort(key=lambda value: (not values.skus(value), not any(c.isdigit() for c in value)))
        if not named and not has_sku:
            named = [sku for cell in cells for sku in values.skus(cell)][:1]
        count = next(iter(line.get(Mark.LICENCES, ())), "")
        if not named and not count:
            return
        self.close()
        if named:
            inside = values.skus(named[0])
            self.put(Mark.SKU, inside[0] if len(inside) == 1 else values.sku(named[0]))
        if count:
            self.put(Mark.LICENCES, count)
        for mark, texts in (
            (Mark.SERVICE, [*line.get(Mark.SERVICE, ()), *named[1:]]),
            (Mark.YEARS, line.get(Mark.YEARS, ())),
        ):
            if texts:
                self.put(mark, " ".join(texts))
        self.close()

    def loose_row(self, cells: Sequence[str]) -> bool:
        """A row that no heading explains but its SKU does."""
        found = order_table.loose_position(cells)
        if found is None:
            return False
        self.close()
        self.put(Mark.SKU, found[0])
        if found[1]:
            self.put(Mark.LICENCES, found[1])
        return True

    def close(self) -> None:
        """The line is complete."""
        if self._open:
            self._lines.append(self._open)
        self._open = {}

    def _waiting(self) -> list[dict[str, str]]:
        """The lines at the end that name a SKU and no number yet."""
        waiting = []
        for line in [self._open, *reversed(self._lines[-_MOST_WAITING:])]:
            if "sku" not in line or "licences" in line:
                break
            waiting.append(line)
        return waiting[::-1]

    def _count(self, value: str) -> None:
        waiting = self._waiting()
        if len(waiting) < 2:
            return self.put(Mark.LICENCES, value)
        waiting[0]["licences"] = value
        return None
