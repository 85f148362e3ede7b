"""Bytes become the text that was meant, whatever the label says."""

import pytest

from triaged.mail import charsets

MEANT = [
    ("Priorité élevée", "utf-8", ""),
    ("Priorité élevée", "utf-8", "us-ascii"),
    ("Priorité élevée", "utf-8", "iso-8859-1"),
    ("Priorité élevée", "cp1252", ""),
    ("Priorité élevée", "cp1252", "iso-8859-1"),
    ("Größe geändert", "cp1252", "x-unknown"),
    ("Größe geändert", "cp1252", "utf-8"),
    ("“€”", "cp1252", "iso-8859-1"),
    ("优先级别很高", "gb18030", "iso-gb2312"),
    ("優先度の件", "iso2022_jp", ""),
    ("優先度の件", "iso2022_jp", "utf-8"),
    ("お客様の管理者アドレスは下記の通りです", "cp932", "iso-2022-jp"),
    ("안녕하세요 고객입니다", "cp949", "ks_c_5601-1987"),
    ("Здравствуйте", "mac_cyrillic", "x-mac-cyrillic"),
    ("Здравствуйте, не работает почта", "koi8-r", ""),
    ("สวัสดีครับ", "cp874", "windows-874"),
    ("שלום", "iso8859_8", "iso-8859-8-i"),
    ("abc é 日本", "utf-16", ""),
    ("abc abc é", "utf-16-le", ""),
    ("plain", "ascii", "utf-16le"),
    ("Grüße", "utf-7", "unicode-1-1-utf-7"),
    ("Priorité", "utf-8", "utf-8\n content-transfer-encoding: 7bit"),
    ("Priorité", "utf-8", 'charset="utf-8; format=flowed'),
]


@pytest.mark.parametrize(("text", "codec", "label"), MEANT)
def test_the_meant_text_comes_out(text: str, codec: str, label: str) -> None:
    assert charsets.decode(text.encode(codec), label)[0] == text


@pytest.mark.parametrize(
    "label", ["hex", "base64", "rot13", "idna", "punycode", "unicode_escape", "x-nope", "\0", "zlib"]
)
def test_only_text_codecs_are_ever_asked(label: str) -> None:
    assert charsets.codec(label) == ""
    assert charsets.decode(b"\\u0041 =41 caf\xe9", label)[0] == "\\u0041 =41 caf\u00e9"


def test_a_guess_is_told_and_a_clean_text_is_not() -> None:
    assert charsets.decode("é".encode("cp1252"), "x-nope")[1] == "charset 'x-nope' does not fit: read as cp1252"
    assert charsets.decode("é".encode(), "utf-8")[1] == ""


def test_no_nul_and_no_lone_surrogate_gets_through() -> None:
    assert charsets.decode(b"a\0b")[0] == "ab"
    assert charsets.decode("a\ud800b".encode("utf-7", "surrogatepass"), "utf-7")[0] == "a\ufffdb"


def test_one_broken_character_does_not_change_the_charset() -> None:
    text, note = charsets.decode("très bien ".encode() * 20 + b"\xff", "utf-8")
    assert text == "très bien " * 20 + "\ufffd"
    assert "1 characters" in note
