"""HTML to lines, as a reader would see them: hidden text out, table cells beside their labels, quotes marked.

Libraries break ids over inline tags (`76006</span><span>415`), lose deep text or let hidden text through, so the tree
of selectolax is walked here by an explicit stack. `page` makes the lines, `styles` judges the elements.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from triaged.mail import bounds, page, styles

HtmlLine = page.HtmlLine

_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu nav ol p pre section summary table tbody td tfoot
    th thead tr ul""".split()  # noqa: SIM905 - forty names read better as a paragraph
)
_SKIPPED = frozenset(
    "script title template svg math noscript object iframe select textarea audio video canvas".split()  # noqa: SIM905 - as above
)
_BLOCKQUOTE_CHECKS = 20
_ZOHO_LINK = re.compile(r"[a-z0-9.-]{0,80}\bzoho[a-z]{0,20}\.[a-z.]{2,8}/[^\s\"'<>]{0,300}", re.IGNORECASE)
_ID = re.compile(r"(?<!\d)\d{6,12}(?!\d)")
_MAILTO = re.compile(r"mailto:([^\s?\"'<>]{3,254})", re.IGNORECASE)

_Undo = Callable[[], None]


def from_html(html: str) -> tuple[HtmlLine, ...]:
    """The visible lines of an HTML text, in order; never two empty ones running. Never raises."""
    walk = _Walk()
    root = LexborHTMLParser(bounds.affordable(html)).root
    if root is not None:
        walk.over(root)
    return walk.drawn.finished()


@dataclass(slots=True)
class _Walk:
    """Where the walk is: what holds for the text that comes next."""

    drawn: page.Page = field(default_factory=page.Page)
    quotes: int = 0
    unseen: list[bool] = field(default_factory=lambda: [False])
    hiding: frozenset[str] = frozenset()
    tables: list[bool] = field(default_factory=list)
    checks: int = 0

    def over(self, root: LexborNode) -> None:
        stack: list[LexborNode | _Undo] = [root]
        while stack:
            node = stack.pop()
            if not isinstance(node, LexborNode):
                node()
                continue
            if node.next is not None:
                stack.append(node.next)
            if node.is_text_node:
                self.say(node.text_content or "")
            elif node.is_element_node and (undo := self.enter(node)) is not None:
                stack += undo
                if node.child is not None:
                    stack.append(node.child)

    def say(self, text: str) -> None:
        if text and not self.unseen[-1]:
            self.drawn.say(text)

    def enter(self, node: LexborNode) -> list[_Undo] | None:
        """Open an element: what undoes it when it closes (last first), or None where its inside is not shown."""
        tag = node.tag or ""
        values = node.attributes
        element = styles.Attributes.of(tag, values)
        if tag == "style":
            self.hiding |= styles.hiding_names((node.child and node.child.text_content) or "")
            return None
        if tag in _SKIPPED or styles.hides(element, self.hiding):
            return None
        undo = self._open_block(tag)
        if (unseen := styles.vanishing_font(element)) is not None:
            self.unseen.append(unseen)
            undo.append(self._drop_font)
        if self._quotes(node, element):
            self._quote(1)
            undo.insert(0, self._unquote)
        if tag == "a" and values.get("href"):
            undo.append(self._link(values["href"] or "", len(self.drawn.shown)))
        return undo

    def _open_block(self, tag: str) -> list[_Undo]:
        drawn = self.drawn
        match tag:
            case "br":
                drawn.end_line(blank=True)
                return []
            case "dd":
                drawn.open_value()
                return [drawn.end_line]
            case "dt":
                drawn.end_line()
                return [drawn.end_term]
            case "table":
                self.tables.append(drawn.open_table())
                return [self._close_table]
            case "tr" if self.tables and self.tables[-1]:
                drawn.open_row()
                return [drawn.end_line]
            case "td" | "th" if self.tables and self.tables[-1] and drawn.open_cell():
                return [drawn.close_cell]
            case "pre":
                drawn.end_line()
                drawn.literal = True
                return [self._close_literal]
            case "li":
                drawn.end_line()
                drawn.bullet = "- "
                return [drawn.end_line]
        if tag not in _BLOCKS:
            return []
        drawn.end_line()
        return [drawn.end_line]

    def _close_table(self) -> None:
        if self.tables.pop():
            self.drawn.close_table()
        self.drawn.end_line()

    def _close_literal(self) -> None:
        self.drawn.end_line()
        self.drawn.literal = False

    def _drop_font(self) -> None:
        self.unseen.pop()

    def _quotes(self, node: LexborNode, element: styles.Attributes) -> bool:
        if self.quotes:
            return element.tag == "blockquote"
        match styles.quoting(element):
            case styles.Quoting.INSIDE:
                return True
            case styles.Quoting.UNLESS_BLOCKQUOTE:
                self.checks += 1
                return self.checks > _BLOCKQUOTE_CHECKS or node.css_first("blockquote") is None
            case styles.Quoting.REST:
                self._quote(1)
        return False

    def _quote(self, change: int) -> None:
        self.drawn.end_line()
        self.quotes += change
        self.drawn.quoted = self.quotes > 0

    def _unquote(self) -> None:
        self._quote(-1)

    def _link(self, target: str, before: int) -> _Undo:
        """When the link closes: add the address or the organisation's id that only its target holds."""

        def surface() -> None:
            shown = self.drawn.shown[before:]
            if found := _MAILTO.match(target.strip()):
                if "@" not in shown:
                    self.say(f" <{unquote(found[1])}>")
            elif (found := _ZOHO_LINK.search(unquote(unquote(target[:2_000])))) and _ID.search(found[0]):
                link = found[0].partition("&data=")[0]
                if any(number not in shown for number in _ID.findall(link)):
                    self.say(f" ({link})")

        return surface
