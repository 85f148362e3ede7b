"""Broken mails of every kind: nothing raises, hangs or gives text that a database refuses.

TRIAGED_FUZZ sets the number of mails (CI: 20,000), TRIAGED_CORPUS a folder of real mails to read and break as well.
"""

import os
import random
import time
from pathlib import Path

import pytest
from tests.mail import letters

from triaged.domain.message import Message

COUNT = int(os.environ.get("TRIAGED_FUZZ", "3000"))
CORPUS = os.environ.get("TRIAGED_CORPUS", "")
SECONDS = 2.0

SEEDS = [
    letters.mail(
        "Bonjour, ZOID : 60012345678\r\n> cité\r\n".encode(), b"Content-Type: text/plain; charset=utf-8; format=flowed"
    ),
    letters.multipart(
        b"alternative",
        letters.part(b"text/plain; charset=iso-2022-jp", "優先度".encode("iso2022_jp")),
        letters.part(b"text/html", b"<table><tr><td hidden>ZOID<td style='font-size:0'>1</table><blockquote>x"),
    ),
    letters.multipart(
        b"mixed",
        letters.part(b"text/plain; charset=utf-16", "né".encode("utf-16"), b"Content-Transfer-Encoding: 8bit"),
        letters.part(b"text/csv; name*0*=utf-8''%C3; name*1*=%A9.csv", b"zoid;admin\n1;a@b"),
        letters.part(b"message/rfc822", letters.mail(b"begin 644 x\r\n#86)C\r\nend", b"Content-Type: text/calendar")),
    ),
    letters.multipart(
        b"report; report-type=delivery-status",
        letters.part(b"text/plain", b"Sorry"),
        letters.part(b"message/delivery-status", b"X: y\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\n"),
        letters.part(b"text/rfc822-headers", b"Message-ID: <a@b>\r\n"),
    ),
    letters.mail(
        b"=C3=A9=\r\n",
        b"Subject: =?utf-8?q?=C3?= =?utf-8?b?qQ==?=",
        b"Date: Wed, 14 Oct 2026 10:12:00 +0200",
        b"References: <a@b>\r\n <c@d>",
        b'Cc: "A": "x" <a@b>; (c (d)) e@f',
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Type: text/plain; charset=x-unknown",
    ),
]
SPICES = [
    *(b"\0", b"\r", b"\n", b"\r\n\r\n", b"--b=_/1\r\n", b"--b=_/1--\r\n", b"=?utf-8?q?", b"?="),
    *(b'"', b"<", b"(", b"\xff", b"\x1b$B", b";", b":"),
]


def broken(raw: bytes, dice: random.Random) -> bytes:
    """One mail damaged in one of five ways, once or a few times."""
    data = bytearray(raw)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if data:
                data[place % len(data)] ^= 1 << dice.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = dice.choice(SPICES) * dice.choice([1, 1, 2, 50])
            case 3:
                del data[place : place + dice.randint(1, 40)]
            case _:
                head, blank, body = bytes(data).partition(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                dice.shuffle(lines)
                data = bytearray(b"\r\n".join(lines) + blank + body)
    return bytes(data)


def sound(message: Message) -> bool:
    """What every reader of a Message relies on."""
    shown = [message.subject, message.sender.name if message.sender else "", *(one.name for one in message.attachments)]
    passages = (*message.new, *message.quoted, *message.attached)
    lines = [line.text for passage in passages for line in passage.lines]
    return (
        all(text.isprintable() for text in shown)
        and not any("\0" in text or "\n" in text or "\r" in text for text in lines)
        and "\n".join([*shown, *lines]).encode("utf-8") is not None
        and (not message.dirty or bool(message.unreadable))
        and (not message.unreadable or not passages)
        and (message.sender is None or message.sender.address.isascii())
    )


def read(raw: bytes) -> Message:
    start = time.perf_counter()
    message = letters.read(raw)
    assert time.perf_counter() - start < SECONDS
    return message


def test_no_damage_makes_the_reader_raise_or_unsound() -> None:
    dice = random.Random(20261014)
    for number in range(COUNT):
        raw = broken(dice.choice(SEEDS), dice)
        message = read(raw)
        assert sound(message), raw
        assert "reading failed" not in message.unreadable, (number, raw)


def test_every_truncation_is_read() -> None:
    for seed in SEEDS:
        for end in range(0, len(seed), 7):
            assert sound(letters.read(seed[:end])), seed[:end]


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\r", b"\0", b"\xff" * 100, b":", b"From:", b" ", b"--", b"\xef\xbb\xbf", b"a"]
)
def test_almost_nothing_is_read(raw: bytes) -> None:
    assert sound(letters.read(raw))


MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HOSTILE = {
    "nested multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000)
    ),
    "nested mails": b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
    "parts": MIXED + b"--b\r\n\r\n" * 200_000,
    "lines that are nearly boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    + b"--bx\r\n" * 1_000_000,
    "references": b"References: " + b"<a@b> " * 100_000 + b"\r\n\r\nx",
    "fields": b"X: y\r\n" * 1_000_000,
    "continuations": b"X: y\r\n" + b" z\r\n" * 1_000_000,
    "empty lines": b"\r\n" * 5_000_000,
    "lines": b"\r\n" + b"On a wrote:\r\n" * 500_000,
    "one line": b"\r\n" + b"x" * 10_000_000,
    "text parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + (b"--b\r\n\r\n" + b"On a wrote:\r\n" * 2_000) * 400,
    "html": b"Content-Type: text/html\r\n\r\n" + b"<p>a <b>b</b>" * 500_000,
    "csv": b"Content-Type: text/csv; name=a.csv\r\n\r\n" + b'";' * 2_000_000,
    "parameters": b"Content-Type: text/plain" + b";a*0*=x" * 2_000 + b"\r\n\r\nx",
    "uuencode": b"\r\n" + b"begin 644 x\r\n" * 20_000,
    "flowed": b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \r\n" * 500_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_mail_takes_less_than_two_seconds(raw: bytes) -> None:
    assert sound(read(letters.HEAD + raw))


@pytest.mark.skipif(not CORPUS, reason="TRIAGED_CORPUS names no folder of real mails")
def test_real_mails_and_their_damaged_forms_are_read() -> None:
    dice = random.Random(1)
    for path in sorted(Path(CORPUS).rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        for form in (raw, *(broken(raw, dice) for _ in range(5))):
            message = read(form)
            assert sound(message), path
            assert "reading failed" not in message.unreadable, path
