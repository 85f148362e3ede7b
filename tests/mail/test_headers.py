"""The header block: cut, mended, and what was mended is told."""

import pytest

from triaged.mail import headers, words

GOOD = b"From: a@b\r\nSubject: one\r\n two\r\n\r\nbody"


def cut(raw: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    block = headers.split(raw)
    return [tuple(field) for field in block.fields], raw[block.body :]


def test_fields_are_unfolded_and_the_body_follows_the_empty_line() -> None:
    assert cut(GOOD) == ([("from", b"a@b"), ("subject", b"one two")], b"body")
    assert headers.split(GOOD).mended == ()


def test_a_server_with_bare_line_feeds_is_read_alike() -> None:
    assert cut(GOOD.replace(b"\r\n", b"\n")) == cut(GOOD)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xef\xbb\xbf",
        b"\r\n\r\n",
        b"From nobody Mon Sep 17 00:00:00 2001\n",
        b">From - \r\n",
        b"---- Original email message ----\r\n",
        b"word\r\n\r\n",
        b"---- Original email message ----\r\n\r\n",
        b" leading continuation\r\n",
    ],
)
def test_junk_before_the_header_is_left_out_and_told(junk: bytes) -> None:
    assert cut(junk + GOOD) == cut(GOOD)
    assert headers.split(junk + GOOD).mended


def test_junk_inside_the_header_does_not_end_it() -> None:
    raw = b"Received: from x\r\nby y with z\r\nQUJDREVGRw==\r\n" + GOOD
    assert cut(raw)[0] == [("received", b"from x"), ("from", b"a@b"), ("subject", b"one two")]
    assert headers.split(raw).mended == ("lines in the header that are no field were left out",)


def test_text_without_an_empty_line_before_it_is_the_body() -> None:
    raw = b"From: a@b\r\nBonjour,\r\nnous avons un souci\r\n\r\nmerci"
    assert cut(raw) == ([("from", b"a@b")], b"Bonjour,\r\nnous avons un souci\r\n\r\nmerci")
    assert headers.split(raw).mended


def test_a_blank_before_the_colon_is_still_a_field_but_told() -> None:
    block = headers.split(b"From : evil@x\r\nFrom: a@b\r\n\r\n")
    assert [field.name for field in block.fields] == ["from", "from"]
    assert block.mended == ("a blank before the colon of a header field",)


WORDS = {
    "=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=": "café",
    "=?utf-8?b?w6k=?=\r\n =?iso-8859-1?q?=E9?=": "éé",
    "=?NONE?B?VEVTVA=?=": "TEST",
    "=?utf-8?Q?=20x_y?= z": " x y z",
    "a =?utf-8?q?b?= c": "a b c",
    "=?utf-8?q??= leer": " leer",
    "=?utf-8?q?never closed": "=?utf-8?q?never closed",
    "=?gb2312?B?" + "xOO6ww==" + "?=": "你好",
    "=?utf-8*fr?q?=C3=A9t=C3=A9?=": "été",
    "=?utf-8?q?are_you_sure??=": "are you sure?",
}


@pytest.mark.parametrize(("value", "text"), WORDS.items())
def test_encoded_words(value: str, text: str) -> None:
    assert words.decode(value) == text


def test_raw_bytes_in_a_header_are_read_by_guess_or_by_the_mails_charset() -> None:
    assert words.decode("Priorité".encode("cp1252")) == "Priorité"
    assert words.decode("優先".encode("cp932"), "shift_jis") == "優先"


def test_clean_text_has_no_line_end_control_or_direction_character() -> None:
    assert words.clean("a\r\nBcc: x\x00\x1b[2J\u202eb\u200bc\u00a0 d\u2028e") == "a Bcc: x[2Jbc d e"


PARAMETERS = {
    'text/plain; charset="utf-8"; format=flowed': ("text/plain", {"charset": "utf-8", "format": "flowed"}),
    "Multipart/Mixed; boundary*0*=a%20; boundary*1*=b": ("multipart/mixed", {"boundary": "a b"}),
    "attachment; filename*2*=c; filename*1=b; filename*0*=utf-8''%C3%A9": ("attachment", {"filename": "ébc"}),
    "attachment; filename*=utf-8''%e2%82%ac.csv": ("attachment", {"filename": "€.csv"}),
    'attachment; filename="=?utf-8?q?=C3=A9=0A.csv?="': ("attachment", {"filename": "é .csv"}),
    'text/plain; charset="utf-8': ("text/plain", {"charset": "utf-8"}),
    'a/b; name="C:\\TEMP\\x.txt"': ("a/b", {"name": "C:\\TEMP\\x.txt"}),
    ";;;=": ("", {}),
}


@pytest.mark.parametrize(("value", "meant"), PARAMETERS.items())
def test_parameters(value: str, meant: tuple[str, dict[str, str]]) -> None:
    assert words.parameters(value) == meant
