"""What an HTML element says of its text: not to be seen, struck through, or quoted by a mail client.

Hidden text must never name a customer, and a quoted mail must not look new (research/mail-parsing.md §2, §3).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_HIDDEN = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|mso-hide:all|opacity:(?:0|0?\.0\d{0,9})(?:;|!|$)"
    r"|color:transparent|transform:scale\(0\)|clip(?:-path)?:(?:rect\((?:[01](?:px)?,?){4}\)|inset\((?:50|100)%\))"
    r"|text-decoration(?:-line)?:[^;]{0,80}line-through"  # the writer withdrew it
    r"|(?:left|top|right|text-indent|margin-left|margin-top):-\d{3})"  # far off the page
)
_STRUCK = frozenset({"s", "del", "strike"})
_FLAT = re.compile(r"(?:^|;)(?:max-)?(?:height|width):0(?:px|pt|em)?(?:;|!|$)")
_FONT_SIZE = re.compile(r"(?:^|;)font-size:(\d{0,4}(?:\.\d{0,4})?)([a-z%]{0,4})")
_SELECTED = re.compile(r"([.#])(?:x_)?([a-z_][\w-]{0,60})\s*$")
_MEDIA = re.compile(r"@media[^{}]{0,500}\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_SHEET = 65_536
_ATTRIBUTE = 2_000

_QUOTE_CLASSES = frozenset(
    {
        "gmail_attr",
        "moz-cite-prefix",
        "moz-email-headers-table",
        "moz-forward-container",
        "protonmail_quote",
        "tutanota_quote",
        "yahoo_quoted",
        "zmail_extra",
    }
)
_QUOTE_IDS = frozenset({"blockquote_zmail", "reply-intro", "yahoo_quoted", "mac_outlook_quote"})
_REST_IDS = frozenset({"appendonsend", "divrplyfwdmsg", "stopspelling"})
_REST_CLASSES = frozenset({"outlookmessageheader"})
# Outlook's line above "From: … Sent: …", in all its versions
_WORD_RULE = re.compile(r"border:none;border-top:solid(?:#\w{3,6}|[a-z]+)1(?:\.0)?pt;padding:3(?:\.0)?pt")
_INDENT = re.compile(r"border(?:-left)?:(?:none|0)")


class Quoting(StrEnum):
    """How an element quotes: not at all, its inside, its inside if no blockquote is in it, itself and all after it."""

    NONE = "none"
    INSIDE = "inside"
    UNLESS_BLOCKQUOTE = "unless blockquote"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Attributes:
    """An element's tag, class names, id and style in lower case; the `x_` that Outlook's web face puts before
    others' names is taken off."""

    tag: str
    names: frozenset[str]
    identity: str
    style: str
    type: str
    hidden: bool

    @classmethod
    def of(cls, tag: str, values: Mapping[str, str | None]) -> "Attributes":
        def value(name: str) -> str:
            return (values.get(name) or "")[:_ATTRIBUTE].lower()

        names = frozenset(name.removeprefix("x_") for name in value("class").split())
        style = re.sub(r"\s+", "", value("style"))
        return cls(tag, names, value("id").strip().removeprefix("x_"), style, value("type"), "hidden" in values)


def hides(element: Attributes, hiding: frozenset[str]) -> bool:
    """Not shown, or withdrawn by a stroke through it, with all its inside; `hiding` are the classes and ids that the
    mail's own style sheet hides."""
    if element.tag in _STRUCK or element.hidden or element.names & hiding or f"#{element.identity}" in hiding:
        return True
    return element.style != "" and _conceals(element.style)


def _conceals(style: str) -> bool:
    """`style` in lower case and without blanks."""
    flat = "overflow:hidden" in style and _FLAT.search(style) is not None
    return flat or _HIDDEN.search(style) is not None


def vanishing_font(element: Attributes) -> bool | None:
    """True for letters too small to see, False for a size that can be read, None where it says nothing.
    Templates set size 0 on a frame and a real size inside, so this is inherited, unlike `hides`."""
    found = _FONT_SIZE.search(element.style) if "font-size" in element.style else None
    if found is None:
        return None
    try:
        size = float(found[1])
    except ValueError:
        return None
    return size == 0 or (size <= 1 and found[2] in {"px", "pt"})


def hiding_names(sheet: str) -> frozenset[str]:
    """Classes, and ids as `#id`, that a style sheet hides everywhere; rules for some screens only do not count."""
    found = set()
    for rule in _MEDIA.sub(" ", sheet[:_SHEET]).lower().split("}"):
        selectors, _, style = rule.rpartition("{")
        if _conceals("".join(style.split())):
            selected = (_SELECTED.search(selector) for selector in selectors[-_ATTRIBUTE:].split(","))
            found |= {f"{'#' * (name[1] == '#')}{name[2]}" for name in selected if name}
    return frozenset(found)


def quoting(element: Attributes) -> Quoting:
    """Whether the element is a mail client's container of quoted mail: Gmail, Outlook, Apple Mail, Thunderbird, Zoho
    Mail, Yahoo, Proton, Tuta."""
    if element.identity in _REST_IDS or element.names & _REST_CLASSES or _WORD_RULE.search(element.style):
        return Quoting.REST
    if element.names & _QUOTE_CLASSES or element.identity in _QUOTE_IDS:
        return Quoting.INSIDE
    if element.tag == "blockquote":
        cited = element.type == "cite" or "gmail_quote" in element.names
        return Quoting.INSIDE if cited or not _INDENT.search(element.style) else Quoting.NONE
    return Quoting.UNLESS_BLOCKQUOTE if "gmail_quote" in element.names else Quoting.NONE
