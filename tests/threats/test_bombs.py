"""Mails that are small to send and dear to read: limits come before the work, and the next mail is served.

Times are of the processor and generous, machines differ; what is not linear takes minutes, not seconds.
"""

import base64
import functools
import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from tests.mail.test_sheets import MAIN, SHEET, book
from tests.threats.conftest import Judge
from tests.threats.threatened import FRENCH, LARGE, PARTNER, STRANGER, House, letter

SECONDS = 3.0
MEMORY = 100 * 1024 * 1024


def nested(depth: int) -> bytes:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(depth))
    return f"{opened}Content-Type: text/plain\r\n\r\ndeep\r\n".partition("\r\n\r\n")[2].encode()


def with_body(content: bytes, kind: str = 'multipart/mixed; boundary="bbbbbbbbbbbb"') -> bytes:
    raw = letter("BODY", sender=STRANGER)
    head = raw.partition(b"\r\n\r\n")[0].replace(b"text/plain; charset=utf-8", kind.encode())
    return head.replace(b"Content-Transfer-Encoding: 8bit\r\n", b"") + b"\r\n\r\n" + content


def attached(content: bytes, kind: str, name: str) -> bytes:
    part = f'--bbbbbbbbbbbb\r\nContent-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    text = f"--bbbbbbbbbbbb\r\nContent-Type: text/plain\r\n\r\n{LARGE}\r\n"
    return with_body((text + part).encode() + base64.encodebytes(content) + b"\r\n--bbbbbbbbbbbb--\r\n")


@functools.cache
def zipped(unpacked: int = 100_000_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.txt", "0" * unpacked)
    return buffer.getvalue()


@functools.cache
def swollen(unpacked: int = 100_000_000) -> bytes:
    return book(more={"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}"><si><t>{"a" * unpacked}</t></si></sst>'})


def laughing() -> bytes:
    entities = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    strings = f'<!DOCTYPE x [<!ENTITY a "lol">{entities}]><sst xmlns="{MAIN}"><si><t>&k;</t></si></sst>'
    return book(more={"xl/sharedStrings.xml": strings})


FAR_OUT = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row>'


REFUSED = {
    "an encoded Subject of 256 KiB": letter(subject="=?utf-8?q?a?= " * 18_000),
    "a header of 546 KiB": letter(head="X-Filler: y\r\n" * 42_000),
    "a thousand fields and one": letter(head="X: y\r\n" * 1_001),
    "a field of 17 KiB": letter(head="X: " + "y" * 17_000 + "\r\n"),
    "50,000 recipients in one field": letter(to=",\r\n ".join(f"v{n}@evil.example" for n in range(50_000))),
    "8,000 recipients in many": letter(
        head="".join(f"Cc: {', '.join(f'v{n}-{m}@e.example' for n in range(400))}\r\n" for m in range(20))
    ),
    "3,000 nested multiparts": with_body(nested(3_000), 'multipart/mixed; boundary="b0"'),
    "22 nested multiparts": with_body(nested(22), 'multipart/mixed; boundary="b0"'),
    "100,000 parts": with_body(b"--bbbbbbbbbbbb\r\n\r\n" * 100_000),
    "3,000 forwarded mails": with_body(b"Content-Type: message/rfc822\r\n\r\n" * 3_000, "message/rfc822"),
}  # fmt: skip


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_over_a_limit_is_quarantine_at_once(judge: Judge, raw: bytes) -> None:
    begun = time.process_time()
    receipt = judge(raw)
    assert time.process_time() - begun < SECONDS
    assert (receipt["decision"], receipt["reason"]) == ("quarantine", "unreadable")
    assert receipt["steps"][0]["finding"]


READ = {
    "1,000 comments": letter(sender=f"{'(' * 1000}x{')' * 1000} {PARTNER}"),
    "encoded words to the limit": letter(subject="=?utf-8?b?w6k=?= " * 900),
    "a word in a word in a word": letter(subject="=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= " * 400),
    "2,000 recipients": letter(head=("Cc: " + ", ".join(f"v{n}@e.example" for n in range(400)) + "\r\n") * 4),
    "499 parts": with_body(b"--bbbbbbbbbbbb\r\n\r\nx\r\n" * 499),
    "references without end": letter(head="References: " + "<a@b> " * 2_600 + "\r\n"),
}
PACKED: dict[str, Callable[[], bytes]] = {
    "a zip bomb": lambda: attached(zipped(), "application/zip", "offer.zip"),
    "a zip bomb that says it is text": lambda: attached(zipped(), "text/plain", "offer.txt"),
    "a zip bomb as a workbook": lambda: attached(zipped(), SHEET, "order.xlsx"),
    "a workbook that is a zip bomb": lambda: attached(swollen(), SHEET, "order.xlsx"),
    "a workbook of a billion laughs": lambda: attached(laughing(), SHEET, "order.xlsx"),
    "a workbook with one cell far out": lambda: attached(book(FAR_OUT), SHEET, "order.xlsx"),
}


@pytest.mark.parametrize("mailbox", ["partners-eu", "select"])
@pytest.mark.parametrize("raw", READ.values(), ids=READ)
def test_what_is_within_the_limits_is_read_in_bounded_time(judge: Judge, raw: bytes, mailbox: str) -> None:
    begun = time.process_time()
    receipt = judge(raw, mailbox)
    assert time.process_time() - begun < SECONDS
    assert receipt["decision"] == "ticket"


@pytest.mark.parametrize("make", PACKED.values(), ids=PACKED)
def test_an_archive_is_never_unpacked_beyond_what_an_order_needs(judge: Judge, make: Callable[[], bytes]) -> None:
    raw = make()
    begun = time.process_time()
    judge(raw, "partners-eu")
    assert time.process_time() - begun < SECONDS
    tracemalloc.start()
    assert judge(raw, "select")["decision"] == "ticket"
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < MEMORY, f"{most >> 20} MiB for {len(raw) >> 10} KiB"


SIZE = 64 * 1024
WORST = {
    "a": "a", "greater than": ">", "greater than and blanks": "> ", "equals": "=", "blanks": " ", "tabs": "\t",
    "no-break spaces": "\u00a0", "digits": "1", "at signs": "@", "dots": ".", "a@": "a@", "a.": "a.", "a@b.": "a@b.",
    "hyphens": "-", "colons": ":", "brackets": "[(<", "closed brackets": "()<>[]", "quotes": "\"'", "slashes": "/\\",
    "tags": "<a href=", "entities": "&amp;", "lines": "a\n", "empty lines": "\n", "quoted lines": "> > a\n",
    "labels": "Service : ", "label lines": "Service :\n", "ids": "ZOID 6001234567", "verbs": "annuler ",
    "PO numbers": "PO-", "dates": "01/02/", "wrote": "On a wrote:\n", "original": "-----Original Message-----\n",
    "from": "From: ", "words": "=?utf-8?q?", "tables": "|", "semicolons": ";", "combining": "e\u0301", "html": "<p><b>",
}  # fmt: skip


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST)
def test_64_kib_of_anything_is_read_in_linear_time(judge: Judge, unit: str) -> None:
    """Through the whole reception: reading, splitting, evidence, orders, verbs, directory."""
    one_line, lines = unit * (SIZE // len(unit)), (unit * 200 + "\n") * (SIZE // (200 * len(unit)) + 1)
    for body, mailbox in ((one_line, "partners-eu"), (lines, "select")):
        raw = letter(body, subject=(unit.strip() or "x")[:8].replace("\n", " ") * 100)
        begun = time.process_time()
        judge(raw, mailbox)
        taken = time.process_time() - begun
        assert taken < 2.0, f"{taken:.2f} s for {len(raw) >> 10} KiB of {unit!r}"


def test_the_next_mail_is_served_after_every_bomb(house: House) -> None:
    bombs = [*REFUSED.values(), *READ.values(), *(make() for make in PACKED.values())]
    receipts = house.receive(*bombs, letter(FRENCH))
    assert len(receipts) == len(bombs) + 1
    assert (receipts[-1]["decision"], receipts[-1]["trust"]) == ("ticket", "exact")
