"""Files packed into text by uuencode, as old gateways (Lotus Notes) still do."""

import binascii
import re

_BEGIN = re.compile(r"begin [0-7]{3,4} (\S.{0,200})")


def unpacked(raw: bytes) -> bytes:
    """Decode uuencoded lines, with or without their begin and end."""
    out = []
    for line in raw.splitlines():
        if line[:6] != b"begin " and line not in (b"end", b"`", b""):
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:
                continue
    return b"".join(out)


def without(content: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The text with each inline uuencoded file replaced by an empty line, and the names and sizes of these files."""
    if "begin " not in content:
        return content, ()
    kept: list[str] = []
    files: list[tuple[str, int]] = []
    rows = content.split("\n")
    index = 0
    while index < len(rows):
        begin = _BEGIN.fullmatch(rows[index].rstrip())
        end = _end(rows, index + 1) if begin else None
        if begin and end:
            files.append((begin[1], sum((ord(row[0]) - 32) % 64 for row in rows[index + 1 : end] if row)))
            kept.append("")
            index = end + 1
        else:
            kept.append(rows[index])
            index += 1
    return "\n".join(kept), tuple(files)


def _end(rows: list[str], start: int) -> int | None:
    """Index of the `end` line, if everything up to there is uuencoded."""
    for index in range(start, len(rows)):
        row = rows[index].rstrip()
        if row == "end" and index > start:
            return index
        if not row.isascii() or row.startswith("begin "):
            return None
        try:
            binascii.a2b_uu(row)
        except binascii.Error:
            return None
    return None
