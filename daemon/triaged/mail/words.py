"""Encoded words (RFC 2047), parameters (RFC 2231) and clean one-line text: what header values are made of.

Adjacent words of one charset are joined as bytes before decoding, because clients split characters over words;
the standard library's modern policy needs memory with the square of their number, so it is not asked.
"""

import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from triaged.mail import charsets

_WORD_HEAD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)')
_SPACES = dict.fromkeys([0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000], " ")
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)])
_UNSEEN = dict.fromkeys(
    [0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
)
_FOLD: Mapping[int, str | None] = {**_CONTROLS, **_UNSEEN, **_SPACES}
_BREAKS = dict.fromkeys(range(0x09, 0x0E), " ")
_MIN_QUANTUM = 2


def fold(line: str) -> str:
    """One line of text without control, zero-width and direction characters; every blank is a space, tabs stay."""
    return line.translate(_FOLD)


def clean(text: str) -> str:
    """Text for one line anywhere (header, log, terminal): folded, no line ends, runs of blanks are one space."""
    line = " ".join(text.translate(_BREAKS).translate(_FOLD).split())
    return line if line.isprintable() else "".join(character for character in line if character.isprintable())


def decode(raw: bytes | str, label: str = "") -> str:
    """A header value as people read it; raw 8-bit bytes by `label` (the mail's charset) or a guess. Not cleaned."""
    text = raw if isinstance(raw, str) else charsets.decode(raw, label)[0]
    if "=?" not in text:
        return text
    out: list[str] = []
    run: list[tuple[str, bytes]] = []
    position = 0
    for start, end, charset, content in _words(text):
        between = text[position:start]
        if between.strip() or not run:
            out += [_joined(run), between]
            run = []
        run.append((charset, content))
        position = end
    return "".join([*out, _joined(run), text[position:]])


def _words(text: str) -> list[tuple[int, int, str, bytes]]:
    words = []
    position = 0
    while head := _WORD_HEAD.search(text, position):
        end = text.find("?=", head.end())
        if end < 0:
            break
        charset = head[1].partition("*")[0]
        words.append((head.start(), end + 2, charset, _content(head[2], text[head.end() : end])))
        position = end + 2
    return words


def _content(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(raw.replace(b"_", b" "), header=True)
    return base64(raw)


def _joined(run: list[tuple[str, bytes]]) -> str:
    text = []
    pending = b""
    for index, (charset, content) in enumerate(run):
        pending += content
        if index + 1 == len(run) or run[index + 1][0].lower() != charset.lower():
            text.append(charsets.decode(pending, charset)[0])
            pending = b""
    return "".join(text)


def base64(raw: bytes | memoryview) -> bytes:
    """Decode base64 as far as it goes: strange characters, missing and early padding are forgiven."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", bytes(raw))
        whole = kept[: len(kept) - (len(kept) % 4 == 1)]
        return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A structured value such as Content-Type: its first word in lower case, and its parameters by lower-case name,
    RFC 2231 pieces joined in order, encoded words decoded (against the RFC, as all clients do)."""
    head = value.partition(";")[0].strip().lower()
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for match in _PARAMETER.finditer(value):
        name, text = match[1].lower(), _unquoted(match[2])
        if "*" not in name:
            plain.setdefault(name, clean(decode(text)))
            continue
        base, _, rest = name.partition("*")
        number = rest.rstrip("*")
        index = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        pieces.setdefault(base, {}).setdefault(index, (rest.endswith("*") or not rest, text))
    return head, plain | {name: _assembled(parts) for name, parts in pieces.items()}


def _unquoted(text: str) -> str:
    text = text.strip()
    if not text.startswith('"'):
        return text
    return re.sub(r'\\(["\\])', r"\1", text[1:-1] if text.endswith('"') and len(text) > 1 else text[1:])


def _assembled(parts: dict[int, tuple[bool, str]]) -> str:
    charset = ""
    raw = b""
    for position, (_, (extended, text)) in enumerate(sorted(parts.items())):
        if extended and position == 0 and text.count("'") >= _MIN_QUANTUM:
            charset, _, text = text.split("'", 2)
        data = text.encode("utf-8", "replace")
        raw += unquote_to_bytes(data) if extended else data
    return clean(decode(charsets.decode(raw, charset)[0]))
