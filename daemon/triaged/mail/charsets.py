"""Bytes to text, whatever the mail says about its charset: never raises, and tells what was guessed or lost.

Order (measured on 349 texts): byte order mark, ISO-2022 escapes, strict UTF-8 where the label is weak, the labelled
codec by an own alias table, a guess, cp1252. Labels come from strangers: only known text codecs are ever looked up,
because Python remembers each unknown name for the life of the process.
"""

import codecs
import re
from encodings import aliases as python_aliases

import chardet

_GUESS_BYTES = 16_384
_SURE = 0.15
_WINDOWS = ("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp874", "cp932", "cp949")
# What mail is really written in: without this a French subject comes out as MacCyrillic.
_PLAUSIBLE = (*_WINDOWS, "gb18030", "big5", "euc-jp", "koi8-r", "koi8-u", "iso-8859-2")
_WEAK = frozenset({"", "ascii", "cp1252", "utf_8"})
_NOT_TEXT = frozenset({"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"})
_NOT_HERE = frozenset({"mbcs", "tactis"})  # Python names them and has them on Windows only, or never
_MARKS = (
    (codecs.BOM_UTF8, "utf_8"),
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)
_MENDED = {
    "ascii": "cp1252",
    "usascii": "cp1252",
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "xuserdefined": "cp1252",
    "default": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "isogb2312": "gb18030",
    "xgbk": "gb18030",
    "ksc56011987": "cp949",
    "ksc5601": "cp949",
    "euckr": "cp949",
    "shiftjis": "cp932",
    "xsjis": "cp932",
    "sjis": "cp932",
    "windows31j": "cp932",
    "unicode11utf7": "utf_7",
    "xmaccyrillic": "mac_cyrillic",
    "xmacroman": "mac_roman",
    "windows874": "cp874",
    "tis620": "cp874",
    "iso88598i": "iso8859_8",
    "iso88598e": "iso8859_8",
    "big5": "big5hkscs",
    "iso2022jp": "iso2022_jp_ext",
}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _table() -> dict[str, str]:
    known = {name for name in python_aliases.aliases.values() if name not in _NOT_TEXT | _NOT_HERE}
    known |= {"cp720", "cp737", "cp856", "cp874", "cp1006", "koi8_t", "koi8_u", "utf_8_sig", "cp65001"}
    table = {_key(alias): name for alias, name in python_aliases.aliases.items() if name in known}
    return table | {_key(name): name for name in known} | _MENDED | {"cp65001": "utf_8"}


_CODECS = _table()
_SURROGATES = re.compile("[\ud800-\udfff]")


def codec(label: str) -> str:
    """Python's codec name for a charset label as mails write it; empty for none and for unknown ones."""
    first = re.match(r"[\s\"']*([A-Za-z0-9._:+-]{1,40})", label)
    return _CODECS.get(_key(first[1]), "") if first else ""


def decode(raw: bytes, label: str = "") -> tuple[str, str]:
    """The text of `raw`, and a note for the operator (empty when nothing was guessed or lost)."""
    if not raw:
        return "", ""
    text, note = _decode(raw, label)
    return _SURROGATES.sub("\ufffd", text.replace("\0", "")), note


def _decode(raw: bytes, label: str) -> tuple[str, str]:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) if name == "utf_8" else 0 :].decode(name, "replace"), ""
    name = codec(label)
    if b"\x1b" in raw and raw.isascii() and (text := _escaped(raw)) is not None:
        return text, ""
    if name in _WEAK and raw.count(b"\0") * 5 >= 2 * len(raw):
        return _widened(raw), "read as utf_16"
    if name in _WEAK and (text := _strict(raw, "utf_8")) is not None:
        return text, ""
    if name.startswith(("utf_16", "utf_32")) and b"\0" not in raw and raw.isascii():
        return raw.decode("ascii"), f"charset {name} on plain ASCII"
    if name and name not in {"ascii", "utf_8"} and (text := _strict(raw, name)) is not None:
        return text, ""
    return _nearly(raw, name) or _guess(raw, label)


def _strict(raw: bytes, name: str) -> str | None:
    try:
        return raw.decode(name)
    except (ValueError, LookupError):
        return None


def _escaped(raw: bytes) -> str | None:
    """ISO-2022 is valid ASCII: only its escape sequences show it."""
    if b"\x1b$)C" in raw:
        return _strict(raw, "iso2022_kr")
    if b"\x1b$" in raw or b"\x1b(" in raw:
        return _strict(raw, "iso2022_jp_ext") or _strict(raw, "iso2022_jp_2")
    return None


def _widened(raw: bytes) -> str:
    """UTF-16 without mark or label shows by its NULs: in the odd bytes when it is little-endian."""
    little = raw[1::2].count(b"\0") > raw[::2].count(b"\0")
    return raw.decode("utf_16_le" if little else "utf_16_be", "replace")


def _nearly(raw: bytes, name: str) -> tuple[str, str] | None:
    """The labelled codec, where at most one character in fifty is broken."""
    if not name or name == "ascii":
        return None
    try:
        text = raw.decode(name, "replace")
    except (ValueError, LookupError):
        return None
    lost = text.count("\ufffd")
    if lost * 50 > len(text):
        return None
    return text, f"{lost} characters are not {name}"


def _guess(raw: bytes, label: str) -> tuple[str, str]:
    if (text := _strict(raw, "utf_8")) is not None:
        return text, f"charset {label[:40]!r} does not fit: read as utf_8" if label else ""
    name = _likely(raw[:_GUESS_BYTES])
    text = _strict(raw, name)
    if text is None:
        name, text = "cp1252", raw.decode("cp1252", "replace")
    return (
        text,
        f"charset {label[:40]!r} does not fit: read as {name}" if label else f"no charset given: read as {name}",
    )


def _likely(raw: bytes) -> str:
    found = chardet.detect(raw, include_encodings=_PLAUSIBLE)
    high = len(raw.translate(None, bytes(range(0x80))))
    western = (found["confidence"] or 0) < _SURE and high * 3 < len(raw)
    return "cp1252" if western else codec(found["encoding"] or "") or "cp1252"
