"""A look at bytes that no parser may see: little, plain, and never an exception."""

import random

import pytest

from triaged.mail import preview


def test_head_and_text_are_cut_apart_where_the_first_blank_line_is() -> None:
    raw = b"Subject: a\r\nFrom: x\r\n\r\nHello,\r\n\tworld\r\n"
    assert preview.head(raw) == "Subject: a\nFrom: x"
    assert preview.text(raw) == "Hello,\n    world"
    assert (preview.head(b"no end"), preview.text(b"no end")) == ("no end", "")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(b"quoted-printable", b"Gr=C3=BC=C3=9Fe"), (b"BASE64", b"R3LDvMOfZQ=="), (b"8bit", "Grüße".encode())],
)
def test_the_text_is_undone_from_its_encoding(encoding: bytes, body: bytes) -> None:
    assert preview.text(b"Content-Transfer-Encoding: " + encoding + b"\n\n" + body) == "Grüße"


def test_markup_is_left_out() -> None:
    assert preview.text(b"A: b\n\n<p>Hello <b>you</b><img src=x onerror=y>") == "Hello you"


def test_however_much_there_is_little_is_shown() -> None:
    raw = b"X: " + b"y" * 10_000_000 + b"\n\n" + b"z\n" * 10_000_000
    assert len(preview.head(raw)) < 300
    assert preview.text(raw).splitlines()[-1].endswith("lines more")
    assert len(preview.text(raw)) < 300


def test_no_bytes_make_it_raise() -> None:
    dice = random.Random(5)
    for _ in range(2_000):
        raw = dice.randbytes(dice.randrange(200)) + b"\n\nContent-Transfer-Encoding: base64\n\n" + dice.randbytes(50)
        preview.head(raw)
        preview.text(b"Content-Transfer-Encoding: base64\n\n" + raw)


def test_a_field_forged_by_a_bare_cr_does_not_look_like_a_field() -> None:
    raw = b"Subject: hi\rAuthentication-Results: mx.vendor.example; dmarc=pass\r\nFrom: a@b.example\r\n\r\nx\ry\r\n"
    assert preview.head(raw).split("\n") == [
        "Subject: hi␍Authentication-Results: mx.vendor.example; dmarc=pass",
        "From: a@b.example",
    ]
    assert preview.text(raw) == "x␍y"
