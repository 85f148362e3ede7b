"""One mail read whole: which text counts, where each line stands, what was odd about it."""

import base64
from datetime import UTC, datetime

import pytest
from tests.mail import letters
from tests.mail.letters import mail, multipart, part, read, sections

from triaged.domain.message import Message, Nature, Place
from triaged.mail import mime, reader


def said(message: Message) -> list[tuple[str, str]]:
    """Every line that counts, with its place as evidence names it."""
    passages = (*message.new, *message.attached, *message.quoted)
    return [(passage.where(line.number), line.text) for passage in passages for line in passage.lines if line.text]


def test_a_simple_mail() -> None:
    message = read(
        mail(b"Bonjour,\r\n\r\nZOID : 60012345678\r\n", b"Message-ID: <a@b>", b"Date: Wed, 14 Oct 2026 10:12:00 +0200")
    )
    assert said(message) == [("body:1", "Bonjour,"), ("body:3", "ZOID : 60012345678")]
    assert message.sender is not None
    assert (message.sender.address, message.sender.name) == ("jean@integra.example", "Jean")
    assert (message.subject, message.message_id) == ("Aide", "<a@b>")
    assert message.date == datetime(2026, 10, 14, 8, 12, tzinfo=UTC)
    assert [one.address for one in message.to] == ["partner-support@vendor.example"]
    assert (message.repaired, message.dirty, message.unreadable, message.notes) == (False, False, "", ())
    assert message.nature is Nature.PERSON


def test_no_headers_but_raw_utf8() -> None:
    message = read("From: Zoë <z@b.example>\nSubject: Priorité élevée\n\nça ne marche pas".encode())
    assert (message.subject, message.text) == ("Priorité élevée", "ça ne marche pas")


PLAIN = part(b"text/plain; charset=utf-8", "Bonjour, ZOID 60012345678, voir plus bas pour les détails".encode())
RICH = part(
    b"text/html; charset=utf-8", "<p>Bonjour, ZOID 60012345678, voir plus bas pour les <b>détails</b></p>".encode()
)


def test_of_alternatives_that_say_the_same_the_plain_one_is_read() -> None:
    message = read(multipart(b"alternative", PLAIN, RICH))
    assert said(message) == [("body:1", "Bonjour, ZOID 60012345678, voir plus bas pour les détails")]


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\r\n \r\n",
        b"This mail is in HTML format. Please use another client to read it.",
        b"Ce message est au format HTML.",
    ],
)
def test_html_is_read_where_the_plain_text_is_empty_or_a_stub(plain: bytes) -> None:
    message = read(multipart(b"alternative", part(b"text/plain", plain), RICH))
    assert said(message) == [("html", "Bonjour, ZOID 60012345678, voir plus bas pour les détails")]


def test_html_is_read_besides_where_the_plain_text_lacks_an_id() -> None:
    short = part(b"text/plain", b"Bonjour, voir plus bas pour les details")
    assert [place for place, _ in said(read(multipart(b"alternative", short, RICH)))] == ["body:1", "html"]


def test_html_is_read_besides_where_the_plain_text_lost_the_columns_of_a_table() -> None:
    table = b"<table><tr><td>Firma</td><td>ZOID</td></tr><tr><td>Acme</td><td>60012345678</td></tr></table>"
    flat = part(b"text/plain", b"Firma ZOID\r\nAcme 60012345678")
    rich = part(b"text/html", table)
    assert ("html", "Acme\t60012345678") in said(read(multipart(b"alternative", flat, rich)))
    tabbed = part(b"text/plain", b"Firma\tZOID\r\nAcme\t60012345678")
    assert "html" not in {place for place, _ in said(read(multipart(b"alternative", tabbed, rich)))}


def test_what_html_only_quotes_does_not_double_the_new_text() -> None:
    rich = part(b"text/html", b"<p>Bonjour ZOID 60012345678</p><blockquote type=cite>it@acme.example</blockquote>")
    message = read(multipart(b"alternative", part(b"text/plain", b"Bonjour ZOID 60012345678"), rich))
    assert said(message) == [("body:1", "Bonjour ZOID 60012345678"), ("quoted:2", "it@acme.example")]


def test_parts_beside_each_other_are_all_read() -> None:
    message = read(
        multipart(b"mixed", PLAIN, part(b"text/html", b"<p>ZUID 650456410</p>"), part(b"text/plain", b"-- list"))
    )
    assert [place for place, _ in said(message)] == ["body:1", "html", "body:1"]


@pytest.mark.parametrize("opening", [b"<html><body>", b"\r\n<!DOCTYPE html>\r\n<HTML>"])
def test_a_page_sent_as_plain_text_is_html_all_the_same(opening: bytes) -> None:
    message = read(mail(opening + b"<table><tr><td>ZOID</td><td>60012345678</td></tr></table>"))
    assert said(message) == [("html", "ZOID\t60012345678")]


def test_html_alone() -> None:
    message = read(mail(b"<table><tr><td>ZOID</td><td>60012345678</td></tr></table>", b"Content-Type: text/html"))
    assert said(message) == [("html", "ZOID\t60012345678")]


def test_quoted_text_is_kept_apart_with_its_line_numbers() -> None:
    body = b"Le super admin est it@acme.example\r\n\r\nLe 14 oct. 2026, Support <s@v.example> a ecrit :\r\n> ZOID ?\r\n"
    message = read(mail(body))
    assert said(message)[0] == ("body:1", "Le super admin est it@acme.example")
    assert ("quoted:4", "> ZOID ?") in said(message)
    assert "ZOID" not in message.text


def test_an_answer_below_an_html_quote_is_new() -> None:
    html = b"<div class=gmail_quote><div class=gmail_attr>On Wed X wrote:</div><blockquote>ZOID ?</blockquote></div>1"
    message = read(mail(html, b"Content-Type: text/html"))
    assert message.text == "1"


def test_a_bare_forward_is_new_text() -> None:
    html = (
        b"<div class=gmail_attr>---------- Forwarded message ---------<br>From: x@acme.example</div><p>ZOID 60012345678"
    )
    assert "ZOID 60012345678" in read(mail(html, b"Content-Type: text/html")).text


def test_flowed_lines_are_joined_and_numbered_by_their_first() -> None:
    body = b"Super admin: \r\nit@acme.example\r\nnext\r\n> quoted \r\n> on\r\n-- \r\nJean"
    message = read(mail(body, b"Content-Type: text/plain; format=flowed"))
    assert said(message) == [
        ("body:1", "Super admin: it@acme.example"),
        ("body:3", "next"),
        ("body:6", "--"),
        ("body:7", "Jean"),
        ("quoted:4", "> quoted on"),
    ]


def test_flowed_lines_of_another_quote_depth_are_never_joined() -> None:
    message = read(mail(b"> ZOID \r\n60012345678\r\n", b"Content-Type: text/plain; format=flowed"))
    assert said(message) == [("body:2", "60012345678"), ("quoted:1", "> ZOID")]


def test_flowed_text_with_deleted_spaces_keeps_its_ids_whole() -> None:
    message = read(mail(b"ZOID 60012 \r\n345678", b"Content-Type: text/plain; format=flowed; delsp=yes"))
    assert message.text == "ZOID 60012345678"


def test_invisible_and_unbreakable_characters_are_folded() -> None:
    assert (
        read(mail("ZOID\u00a0:\u200b600\u2060123\ufeff".encode(), b"Content-Type: text/plain; charset=utf-8")).text
        == "ZOID :600123"
    )


ATTACHED = [
    (b"text/csv; name=a.csv", b"zoid;admin\r\n60012345678;it@acme.example", "60012345678\tit@acme.example"),
    (b"application/octet-stream; name=a.csv", b'zoid,admin\r\n1,"x, y"', "1\tx, y"),
    (b"application/json; name=a.json", b'{"zoid": "60012345678", "n": 1}', "zoid: 60012345678"),
    (b"text/html; name=a.html", b"<tr><td>x</td></tr><p>ZOID 1</p>", "ZOID 1"),
    (b"application/octet-stream; name=a.log", b"error\r\nZOID 1", "ZOID 1"),
    (b"text/x-anything; name=a", b"ZOID 1", "ZOID 1"),
    (b"text/plain; name=latin.txt", "ZOID né".encode("cp1252"), "ZOID né"),
]


@pytest.mark.parametrize(("content_type", "content", "line"), ATTACHED)
def test_text_like_attachments_are_read(content_type: bytes, content: bytes, line: str) -> None:
    message = read(multipart(b"mixed", b"\r\nBonjour", part(content_type, content, b"Content-Disposition: attachment")))
    [passage] = message.attached
    assert passage.place is Place.ATTACHMENT
    assert line in [one.text for one in passage.lines]
    assert passage.where(1) == f"attachment:{message.attachments[0].name}"


INNER = b"From: c@acme.example\r\nSubject: =?utf-8?q?ZOID_60012345678?=\r\n\r\nBonjour\r\n> ZUID 650456410\r\n"
FORWARDED = [
    part(b"message/rfc822", INNER),
    part(b"message/rfc822; name=mail.eml", base64.encodebytes(INNER), b"Content-Transfer-Encoding: base64"),
    part(b"application/octet-stream; name=mail.eml", INNER, b"Content-Disposition: attachment"),
]


@pytest.mark.parametrize("forwarded", FORWARDED)
def test_a_forwarded_mail_is_read_with_its_subject_and_its_quotes_apart(forwarded: bytes) -> None:
    message = read(multipart(b"mixed", b"\r\nVoir ci-joint", forwarded))
    name = message.attachments[0].name
    assert name in {"mail.eml", "forwarded-1.eml"}
    assert said(message) == [
        ("body:1", "Voir ci-joint"),
        (f"attachment:{name}", "ZOID 60012345678"),
        (f"attachment:{name}", "Bonjour"),
        ("quoted:2", "> ZUID 650456410"),
    ]


def test_the_only_text_counts_even_when_it_is_marked_attachment() -> None:
    only = part(
        b"text/plain; charset=utf-8", b"ZOID 1", b"Content-Disposition: attachment; filename*=utf-8''%E6%97%A5.txt"
    )
    assert read(multipart(b"mixed", only)).text == "ZOID 1"


def test_a_calendar_is_marked_and_its_words_are_read() -> None:
    ics = b"BEGIN:VCALENDAR\r\nSUMMARY:ZOID\r\n  60012345678\r\nDESCRIPTION;LANGUAGE=fr:a\\, b\\nc\r\nUID:123456789\r\n"
    message = read(multipart(b"alternative", part(b"text/plain", b""), part(b"text/calendar; method=REQUEST", ics)))
    assert message.calendar
    assert [line.text for line in message.attached[0].lines] == ["ZOID 60012345678", "a, b", "c"]


NOTED = [
    (b"application/ms-tnef", "winmail.dat"),
    (b"application/octet-stream; name=WINMAIL.DAT", "winmail.dat"),
    (b"application/pkcs7-mime; name=smime.p7m", "S/MIME"),
    (b"message/partial; number=1", "several"),
]


@pytest.mark.parametrize(("content_type", "word"), NOTED)
def test_what_we_cannot_read_says_so(content_type: bytes, word: str) -> None:
    message = read(multipart(b"mixed", b"\r\nBonjour", part(content_type, b"x")))
    assert word in message.attachments[0].note


def test_a_uuencoded_file_is_taken_out_of_the_text() -> None:
    message = read(mail(b"before\r\nbegin 644 notes.doc\r\n#86)C\r\n`\r\nend\r\nafter\r\nbegin 644 of a sentence\r\n"))
    assert message.text.split() == ["before", "after", "begin", "644", "of", "a", "sentence"]
    assert [(one.name, one.size) for one in message.attachments] == [("notes.doc", 3)]


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 14 Oct 2026 29:10:00 +0200",
        "yesterday",
        "",
        "Wed, 99 Oct 2026 10:00:00 +0000",
        "Wed, 14 Oct 2026 10:00:00 +9999",
        "<b>",
    ],
)
def test_a_date_that_is_none_is_none(value: str) -> None:
    assert read(mail(b"x", b"Date: " + value.encode())).date is None


IDS = {
    b"<a@b>": "<a@b>",
    b"": "",
    b"<>": "",
    b"a@b": "",
    b"<xxx>": "<xxx>",
    b"<[a]@b>": "<[a]@b>",
    b" <a@b> (comment)": "<a@b>",
}


@pytest.mark.parametrize(("value", "message_id"), IDS.items())
def test_odd_message_ids_are_accepted(value: bytes, message_id: str) -> None:
    assert read(mail(b"x", b"Message-ID: " + value)).message_id == message_id


def test_two_message_ids_are_none() -> None:
    assert read(mail(b"x", b"Message-ID: <a@b>", b"Message-ID: <c@d>")).message_id == ""


def test_references_of_several_fields_and_over_a_line_end() -> None:
    message = read(
        mail(b"x", b"References: <a@b> <c\r\n d@e>", b"References: nonsense <a@b><f@g>", b"In-Reply-To: x@y")
    )
    assert message.references == ("<a@b>", "<cd@e>", "<f@g>")
    assert message.in_reply_to == ()


DOUBTFUL = {
    "two From": letters.HEAD + b"From: c@d.example\r\n\r\nx",
    "no From": b"Reply-To: a@b\r\nSubject: x\r\n\r\nx",
    "empty From": b"From: \r\nSubject: x\r\n\r\nx",
    "junk in the header": letters.HEAD + b"junk\r\nX-A: y\r\nDate: x\r\n\r\nx",
    "mbox line": b"From x Mon Sep 17\r\n" + mail(),
    "blank before the colon": letters.HEAD.replace(b"From:", b"From :") + b"\r\nx",
}


@pytest.mark.parametrize("raw", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_a_mended_mail_is_readable_and_marked(raw: bytes) -> None:
    message = read(raw)
    assert (message.repaired, message.dirty, message.unreadable) == (True, False, "")
    assert message.text
    assert message.notes


def test_nothing_of_a_dirty_mail_can_be_believed() -> None:
    message = read(mail(b"x", b"Subject: hi\rAuthentication-Results: mx.ours; dmarc=pass"))
    assert message.dirty
    assert message.fields == ()
    assert message.new == ()


def test_a_header_only_mail_has_fields_and_no_text() -> None:
    message = reader.read(mail(b"the body"), letters.HOUSE, truncated=True)
    assert message.sender is not None
    assert (message.subject, message.new, message.unreadable) == ("Aide", (), "")


def test_text_without_a_readable_character_is_still_a_mail() -> None:
    message = read(mail(b"\r\n \r\n"))
    assert (message.new, message.unreadable) == ((), "")


def test_an_encrypted_mail_says_so() -> None:
    raw = multipart(
        b"encrypted; protocol=x",
        part(b"application/pgp-encrypted", b"Version: 1"),
        part(b"application/octet-stream", b"x"),
    )
    assert any("encrypted" in note for note in read(raw).notes)


def test_a_long_text_is_cut_and_the_cut_is_told() -> None:
    message = reader.read(mail(b"word\r\n" * 1_000), letters.HOUSE, mime.Limits(text=1_000))
    assert 900 < len(message.text) <= 1_000
    assert "only the first 1000 characters" in message.notes[0]


def test_a_signed_mail_is_read() -> None:
    inner = part(b"multipart/alternative; boundary=i", sections(part(b"text/plain", b"Bonjour"), boundary=b"i"))
    raw = mail(
        sections(inner, part(b"application/pgp-signature; name=s.asc", b"x"), boundary=b"ab"),
        b"Content-Type: multipart/signed; boundary*0*=a; boundary*1*=b",
    )
    message = read(raw)
    assert message.text == "Bonjour"
    assert [one.name for one in message.attachments] == ["s.asc"]


def test_the_first_of_two_content_types_counts() -> None:
    raw = mail(
        sections(part(b"text/plain", b"Bonjour")),
        b'Content-Type: multipart/mixed; boundary="b=_/1"',
        b"Content-Type: text/plain",
    )
    assert read(raw).text == "Bonjour"


def test_a_mail_that_is_nothing_but_a_forwarded_one_is_read() -> None:
    message = read(mail(INNER, b"Content-Type: message/rfc822"))
    assert ("attachment:forwarded-1.eml", "Bonjour") in said(message)


def test_a_forwarded_mail_in_utf16_with_file_name_pieces_out_of_order() -> None:
    inner = b"Subject: x\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    pieces = b'message/rfc822; name*1=eu; name*0="ti"; name*2*=%2Eeml'
    message = read(multipart(b"mixed", b"\r\nsee", part(pieces, inner + base64.b64encode("ZOID né".encode("utf-16")))))
    assert said(message)[1:] == [("attachment:tieu.eml", "x"), ("attachment:tieu.eml", "ZOID né")]


def test_a_missing_quote_that_swallows_the_next_field_still_gives_the_text() -> None:
    raw = mail(
        "né".encode("cp1252"), b'Content-Type: text/plain; charset="iso-8859-1\r\n Content-Transfer-Encoding: 7bit'
    )
    assert read(raw).text == "né"


def test_mails_forwarded_inside_forwarded_mails_are_all_read() -> None:
    inner = part(b"message/rfc822", INNER)
    outer = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" + sections(
        b"\r\nouter", inner, boundary=b"o"
    )
    texts = [text for _, text in said(read(multipart(b"mixed", b"\r\ntop", part(b"message/rfc822", outer))))]
    assert texts == ["top", "outer", "outer", "ZOID 60012345678", "Bonjour", "> ZUID 650456410"]
