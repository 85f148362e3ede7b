"""Raw bytes to parts: limits, structure, transfer encodings, safe names."""

import base64

import pytest
from tests.mail import letters

from triaged.mail import mime


def nested(depth: int) -> bytes:
    opened = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))
    return letters.HEAD + opened + letters.part(b"text/plain", b"deep")


FORGED = {
    "a bare CR before a field": letters.mail(b"x", b"X-A: hi\rAuthentication-Results: mx.ours; dmarc=pass"),
    "a bare CR at a line's end": b"From: a@b\rSubject: x\r\n\r\nx",
    "a NUL": letters.mail(b"x", b"X-A: a\0b"),
    "a NUL in junk before the header": b"a\0b\r\n\r\n" + letters.mail(),
}


@pytest.mark.parametrize("raw", FORGED.values(), ids=FORGED.keys())
def test_bytes_that_forge_fields_make_a_mail_dirty(raw: bytes) -> None:
    mail = mime.parse(raw)
    assert (mail.dirty, mail.repaired, mail.parts) == (True, True, ())
    assert "message raw" in mail.problem


def test_bare_cr_and_nul_in_the_body_are_only_text() -> None:
    message = letters.read(letters.mail(b"one\rtwo\0\r\nthree"))
    assert (message.text, message.unreadable, message.dirty) == ("one\ntwo\nthree", "", False)


TOO_MUCH = {
    "header field subject": letters.mail(b"x", head=b"From: a@b\r\nSubject: " + b"=?utf-8?q?a?= " * 15_000 + b"\r\n"),
    "header field x-a has": letters.mail(b"x", b"X-A: " + b"a" * 17_000),
    "header has": letters.mail(b"x", *[b"X-%d: " % n + b"a" * 9_000 for n in range(40)]),
    "1001 fields": letters.mail(b"x", *[b"X: y"] * 998),
    "nested more than 20": nested(1_000),
    "nested more than 20 ": nested(3_000),
    "more than 500 parts": letters.multipart(b"mixed", *[b"\r\n"] * 20_000),
    "more than 2000 addresses": letters.mail(
        b"x", *[b"To: " + b"".join(b"%d@x%d," % (n, i) for n in range(900)) for i in range(3)]
    ),
}


@pytest.mark.parametrize(("said", "raw"), TOO_MUCH.items(), ids=TOO_MUCH.keys())
def test_too_much_is_unreadable_with_a_reason_but_not_dirty(said: str, raw: bytes) -> None:
    message = letters.read(raw)
    assert said.strip() in message.unreadable
    assert not message.dirty
    assert message.new == ()


def test_a_mail_over_the_size_limit_names_the_setting() -> None:
    assert "[limits] message" in mime.parse(letters.mail(b"x" * 2_000), mime.Limits(message=1_000)).problem


def test_limits_are_inclusive() -> None:
    assert mime.parse(nested(20)).problem == ""
    assert mime.parse(nested(21)).problem != ""
    assert mime.parse(letters.mail(b"x", b"X-A: " + b"a" * (16 * 1024))).problem == ""


def test_fields_that_may_be_missed_forbid_authentication() -> None:
    assert mime.parse(TOO_MUCH["header has"]).repaired
    assert not mime.parse(nested(1_000)).repaired


def test_line_ends_of_two_kinds_in_the_header_are_mended() -> None:
    assert mime.parse(b"From: a@b\r\nX: y\nTo: c@d\r\n\r\nx").repaired
    assert not mime.parse(b"From: a@b\nTo: c@d\n\nx").repaired


def kinds(raw: bytes) -> list[str]:
    return [part.content_type for part in mime.parse(raw).parts]


def test_an_unclosed_multipart_keeps_its_last_part() -> None:
    whole = letters.multipart(b"mixed", letters.part(b"text/plain", b"one"), letters.part(b"text/html", b"<p>two"))
    assert kinds(whole[: whole.rindex(b"--b=_/1--")]) == ["text/plain", "text/html"]


def test_a_boundary_that_never_comes_leaves_text() -> None:
    assert letters.read(letters.mail(b"Bonjour", b"Content-Type: multipart/mixed; boundary=x")).text == "Bonjour"
    assert letters.read(letters.mail(b"Bonjour", b"Content-Type: multipart/mixed")).text == "Bonjour"


def test_a_wrong_boundary_is_replaced_by_the_one_that_is_meant() -> None:
    body = letters.sections(letters.part(b"text/plain", b"Bonjour"), boundary=b"real")
    assert letters.read(letters.mail(body, b"Content-Type: multipart/mixed; boundary=other")).text == "Bonjour"


def test_a_boundary_that_begins_another_is_not_mistaken_for_it() -> None:
    inner = letters.part(b'multipart/alternative; boundary="b=_/1x"', letters.sections(b"\r\nin", boundary=b"b=_/1x"))
    parts = mime.parse(letters.multipart(b"mixed", inner, b"\r\nout")).parts
    assert [part.content() for part in parts] == [b"in", b"out"]


def test_types_nobody_knows_are_text_where_they_look_like_it() -> None:
    assert kinds(letters.mail(b"x", b"Content-Type: text/plain>")) == ["text/plain"]
    assert kinds(letters.mail(b"x", b"Content-Type: text")) == ["text/plain"]
    assert kinds(letters.multipart(b"digest", b"\r\nSubject: inner\r\n\r\nx"))[0] == "message/rfc822"


ENCODINGS = [
    (b"7-bit", b"Bonjour"),
    (b"8bits", b"Bonjour"),
    (b"text/html", b"Bonjour"),
    (b"", b"Bonjour"),
    (b"quoted printable", b"Bon=\r\njou=72"),
    (b"Quoted-Printable;", b"Bon=6Aour"),
    (b"BASE64 (really)", b"Qm9uam91cg"),
    (b"base64", b"Qm9u!am91\r\ncg=="),
    (b"base64", b"Qm9uam91cg== \r\n"),
    (b"x-uuencode", b"begin 644 x\r\n'0F]N:F]U<@  \r\n`\r\nend\r\n"),
]


@pytest.mark.parametrize(("encoding", "content"), ENCODINGS)
def test_transfer_encodings_are_read_by_their_nearest_meaning(encoding: bytes, content: bytes) -> None:
    if encoding.startswith(b"BASE64"):
        encoding = b"BASE64"
    message = letters.read(letters.mail(content, b"Content-Transfer-Encoding: " + encoding))
    assert message.text == "Bonjour"


@pytest.mark.parametrize("content", [b"Bonjour Zoho", b"\r\nZOID: 1", b"<p>Bonjour", "é".encode()])
def test_text_that_only_claims_to_be_base64_is_read_as_it_stands(content: bytes) -> None:
    (only,) = mime.parse(letters.mail(content, b"Content-Transfer-Encoding: base64")).parts
    assert only.content() == content


NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\Temp\\x.doc": "x.doc",
    "a\r\nb\0.txt": "a b.txt",
    "\u202egpj.exe": "gpj.exe",
    "x" * 300 + ".pdf": "x" * 96 + ".pdf",
    "..": "",
    'a<b>|"c".txt': "a_b_c_.txt",
}


@pytest.mark.parametrize(("given", "safe"), NAMES.items())
def test_names_are_safe(given: str, safe: str) -> None:
    assert mime.safe_name(given) == safe


def test_sizes_are_those_of_the_decoded_file() -> None:
    content = base64.encodebytes(b"x" * 10_000).replace(b"\n", b"\r\n")
    raw = letters.multipart(
        b"mixed",
        b"\r\nBonjour",
        letters.part(b"application/pdf; name=a.pdf", content, b"Content-Transfer-Encoding: base64"),
    )
    [listed] = letters.read(raw).attachments
    assert listed.name == "a.pdf"
    assert abs(listed.size - 10_000) < 5
