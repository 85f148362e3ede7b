"""How much of an HTML text may be parsed: up to where its tree would cost more than a mail deserves.

An HTML tree is not linear in its text: 200,000 open `div` take the parser 144 s, 100,000 attributes of one tag 60 s,
and a thousand open `b` come back inside each following paragraph. So the tags are counted first, in one linear pass.
"""

import re
from collections import Counter

_TAG = re.compile(
    r"""<(?P<closes>/?)(?P<name>[a-zA-Z][^\s/>]*+)
        (?P<attributes>(?:[\s/]++
            |[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+)*+)""",
    re.VERBOSE,
)
_SEPARATOR = re.compile(r"[\s/]+")
_PICTURE = re.compile(r"data:[a-z]{1,20}/[\w.+-]{1,40};base64,[A-Za-z0-9+/=]*+")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_REOPENED = frozenset({"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
_FEW_TAGS = 300
_DEPTHS = 60_000_000  # sum of the depths of all tags, about half a second
_COPIES = 200_000  # elements that come back in later blocks
_ATTRIBUTES = 40_000_000  # sum of the squares
_MANY_ATTRIBUTES = 400


def affordable(html: str) -> str:
    """The text up to the tag whose tree would be too dear; nearly always all of it."""
    html = _PICTURE.sub("", html)
    opened: Counter[str] = Counter()
    depth = reopened = depths = copies = attributes = 0
    for number, tag in enumerate(_TAG.finditer(html)):
        length = len(tag["attributes"])
        if length > _MANY_ATTRIBUTES:
            attributes += (len(_SEPARATOR.findall(tag["attributes"])) // 2) ** 2
        name = tag["name"].lower()
        change = _change(name, bool(tag["closes"]), opened)
        depth += change
        reopened += change * (name in _REOPENED)
        depths += depth
        copies += reopened if number > _FEW_TAGS else 0
        if depths > _DEPTHS or copies > _COPIES or attributes > _ATTRIBUTES:
            return html[: tag.start()]
    return html


def _change(name: str, closes: bool, opened: Counter[str]) -> int:
    """How the depth changes with this tag; a tag that closes nothing changes nothing."""
    if name in _VOID:
        return 0
    if closes and not opened[name]:
        return 0
    change = -1 if closes else 1
    opened[name] += change
    return change
