"""Outgoing mail: what is built is read again by the standard library, and the gate by attacks."""

import email
import email.policy
import email.utils
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.domain.errors import PermanentError
from triaged.mail import compose

OUTGOING = compose.Outgoing(
    sender_name="Assistance partenaires",
    sender_address="partner-support@vendor.example",
    recipient="contact@integra.example",
    subject="Re: [EU-000123] Panne générale du CRM",
    text="Bonjour,\n\nVotre ticket est classé « S1-Critique ».\n.\n-- \nSupport\n",
    html="<!doctype html><p>Bonjour, été</p>\n",
    message_id="<eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>",
    date=datetime(2026, 11, 25, 9, 42, tzinfo=UTC),
    reply_to="partner-support@eu.vendor.example",
    in_reply_to="<parent@integra.example>",
    references=("<root@integra.example>", "<parent@integra.example>"),
    locale="fr",
    mark="ticket_opened",
)
# On Python 3.11.7 the first one, set as a field of the standard library, becomes a real Bcc.
ATTACKS = (
    "=?utf-8?q?x=0ABcc:_v@victim.example?=",
    "=?utf-8?q?x=0D=0ABcc:_v@victim.example?=",
    "=?utf-8?b?eApCY2M6IHZAdmljdGltLmV4YW1wbGU=?=",
    "x\r\nBcc: v@victim.example",
    "x\nBcc: v@victim.example",
    "x\rBcc: v@victim.example",
    "x\x00\x0b\x0c\x85\u2028Bcc: v@victim.example",
    "x\r\n\r\n<p>body</p>",
    "\ud800\udc00 surrogates",
)


def parsed(finished: bytes) -> email.message.Message:
    return email.message_from_bytes(finished)


def decoded(finished: bytes, name: str) -> str:
    return str(make_header(decode_header(parsed(finished)[name])))


def text_of(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def is_harmless(finished: bytes) -> bool:
    """No reader, however careless, finds a field that we did not write, or a control character in a decoded one."""
    modern = email.message_from_bytes(finished, policy=email.policy.default)
    mail = parsed(finished)
    words = " ".join(str(make_header(decode_header(value))) for value in mail.values())
    hidden = any(character < " " and character not in "\r\n\t" for character in words)
    return mail["Bcc"] is None and modern["Bcc"] is None and "\nBcc" not in words and not hidden


def test_a_built_mail_reads_back_as_what_was_put_in() -> None:
    mail = parsed(compose.build(OUTGOING))
    assert mail["To"] == "contact@integra.example"
    assert mail["From"] == '"Assistance partenaires" <partner-support@vendor.example>'
    assert mail["Reply-To"] == "partner-support@eu.vendor.example"
    assert mail["Message-ID"] == OUTGOING.message_id
    assert mail["Date"] == "Wed, 25 Nov 2026 09:42:00 +0000"
    assert mail["In-Reply-To"] == "<parent@integra.example>"
    assert mail["References"].split() == list(OUTGOING.references)
    assert mail["Content-Language"] == "fr"
    assert mail["X-Triaged"] == "ticket_opened"
    assert decoded(compose.build(OUTGOING), "Subject") == OUTGOING.subject
    plain, html = mail.get_payload()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (text_of(plain), text_of(html)) == (OUTGOING.text, OUTGOING.html)


def test_a_mail_says_that_a_machine_wrote_it_and_wants_no_automatic_answer() -> None:
    mail = parsed(compose.build(OUTGOING))
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-replied", "All")
    alert = parsed(compose.build(replace(OUTGOING, automatic="auto-generated")))
    assert alert["Auto-Submitted"] == "auto-generated"
    assert mail["Precedence"] is None
    assert mail["List-Unsubscribe"] is None


def test_the_same_values_give_the_same_bytes() -> None:
    assert compose.build(OUTGOING) == compose.build(OUTGOING)
    other = compose.build(replace(OUTGOING, message_id="<other@support.example>"))
    assert parsed(other).get_boundary() != parsed(compose.build(OUTGOING)).get_boundary()


def test_a_mail_without_html_is_plain_text_alone() -> None:
    mail = parsed(compose.build(replace(OUTGOING, html="")))
    assert mail.get_content_type() == "text/plain"
    assert text_of(mail) == OUTGOING.text


def test_optional_fields_stay_away_when_empty() -> None:
    bare = replace(OUTGOING, reply_to="", in_reply_to="", references=(), locale="", sender_name="")
    mail = parsed(compose.build(bare))
    assert mail["From"] == "partner-support@vendor.example"
    assert {"Reply-To", "In-Reply-To", "References", "Content-Language"}.isdisjoint(mail.keys())


@given(text=st.text(max_size=400), html=st.text(max_size=400))
def test_any_text_survives_the_way_to_the_reader_on_seven_bit_lines(text: str, html: str) -> None:
    finished = compose.build(replace(OUTGOING, text=text, html=html and f"<p>{html}"))
    assert finished.isascii()
    assert max(len(line) for line in finished.split(b"\r\n")) <= compose.LINE_LENGTH
    mail = parsed(finished)
    part = mail.get_payload(0) if mail.is_multipart() else mail
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    assert text_of(part).removesuffix("\n") == lines.removesuffix("\n")


@given(subject=st.text(max_size=300), name=st.text(max_size=80))
def test_any_subject_and_name_are_shown_as_they_are_without_what_cannot_be_shown(subject: str, name: str) -> None:
    finished = compose.build(replace(OUTGOING, subject=compose.subject_for(subject, "EU-000123"), sender_name=name))
    assert is_harmless(finished)
    assert decoded(finished, "Subject") == compose.subject_for(subject, "EU-000123")
    shown, address = email.utils.parseaddr(parsed(finished)["From"])
    assert address == OUTGOING.sender_address
    assert str(make_header(decode_header(shown))) == compose.clean(name)
    assert parsed(finished)["To"] == OUTGOING.recipient


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("field", ["subject", "sender_name"])
def test_an_attack_in_a_text_is_shown_as_text(field: str, attack: str) -> None:
    assert is_harmless(compose.build(replace(OUTGOING, **{field: attack})))


def test_a_subject_that_only_looks_encoded_is_shown_as_it_was_written() -> None:
    assert decoded(compose.build(replace(OUTGOING, subject=ATTACKS[0])), "Subject") == ATTACKS[0]


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "<a@b>\r\nBcc: <v@victim.example>", "<=?utf-8?q?x=0ABcc:v?=@b>", "<a b@c>"]
)
def test_an_attack_in_a_stranger_s_message_id_leaves_that_id_out(attack: str) -> None:
    finished = compose.build(replace(OUTGOING, in_reply_to=attack, references=("<root@integra.example>", attack)))
    assert is_harmless(finished)
    assert parsed(finished)["In-Reply-To"] is None
    assert parsed(finished)["References"] == "<root@integra.example>"


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "a@b\r\nBcc: v@victim.example", "a@b, v@victim.example", "<a@b>", "é@b", ""]
)
@pytest.mark.parametrize("field", ["recipient", "sender_address"])
def test_an_address_that_is_not_one_is_refused_by_name(field: str, attack: str) -> None:
    with pytest.raises(PermanentError, match="is not an ASCII mail address"):
        compose.build(replace(OUTGOING, **{field: attack}))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("field", ["reply_to", "message_id", "locale", "mark", "automatic"])
def test_an_attack_in_a_value_of_ours_is_refused(field: str, attack: str) -> None:
    with pytest.raises(PermanentError, match="mail not built"):
        compose.build(replace(OUTGOING, **{field: attack}))


FINISHED = compose.build(OUTGOING)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"Date: ", b"Bcc: v@victim.example\r\nDate: ", "never write"),
        (b"Date: ", b"To: v@victim.example\r\nDate: ", "twice"),
        (b"Date: ", b"date: Wed\r\nDate: ", "never write"),
        (b"Date: ", b" folded first line\r\nDate: ", "never write"),
        (b"To: contact", b"To : contact", "never write"),
        (b"To: contact", b"To:contact", "never write"),
        (b"To: contact@integra.example\r\n", b"", "no field To"),
        (b"To: contact", b"To: contact\nBcc: v", "bare CR or LF"),
        (b"To: contact", b"To: contact\rBcc: v", "bare CR or LF"),
        (b"To: contact", b"To: cont\0act", "NUL"),
        (b"To: contact", b"To: cont\tact", "control character in To"),
        (b"To: contact", b"To: cont\xc3\xa9act", "not ASCII"),
        (b"Bonjour", b"Bonj\xc3\xa9", "not ASCII"),
        (b"Bonjour", b"Bonj" + b"x" * 998, "more than 998"),
        (b"Bonjour", b"Bonj\nour", "bare CR or LF"),
        (b"Re:_", b"Re:=0ABcc:_v", "encoded word in Subject"),
        (b"=?utf-8?q?", b"=?utf-8?b?", "encoded word in Subject"),
    ],
)
def test_the_gate_refuses_finished_bytes_that_we_never_write(old: bytes, new: bytes, why: str) -> None:
    tampered = FINISHED.replace(b"=3A", b":").replace(old, new, 1)
    compose.gate(FINISHED)
    assert tampered != FINISHED
    with pytest.raises(PermanentError, match=why):
        compose.gate(tampered)


def test_the_gate_refuses_bytes_without_an_end_of_the_header() -> None:
    with pytest.raises(PermanentError, match="no end of the header"):
        compose.gate(b"To: a@b.example")


def test_a_long_thread_keeps_its_first_id_and_its_last_ones() -> None:
    ids = tuple(f"<{number:03d}.{'x' * 30}@integra.example>" for number in range(60))
    kept = parsed(compose.build(replace(OUTGOING, references=ids)))["References"]
    assert len(kept) < compose.REFERENCES_LENGTH
    assert kept.split()[0] == ids[0]
    assert kept.split()[1:] == list(ids[-len(kept.split()) + 1 :])


def test_one_overlong_id_is_left_out() -> None:
    finished = compose.build(replace(OUTGOING, references=("<root@a.example>", f"<{'x' * 2000}@a.example>")))
    assert parsed(finished)["References"] == "<root@a.example>"


@pytest.mark.parametrize(
    ("subject", "ours"),
    [
        ("Panne du CRM", "Re: [EU-000123] Panne du CRM"),
        ("Re: Panne du CRM", "Re: [EU-000123] Panne du CRM"),
        ("RE : TR : Re: AW: Fwd: Panne", "Re: [EU-000123] Panne"),
        ("Re[2]: WG: Panne", "Re: [EU-000123] Panne"),
        ("Re: [EU-000123] Panne", "Re: [EU-000123] Panne"),
        ("Re: [eu-000123] Re: Panne [EU-000123]", "Re: [EU-000123] Panne"),
        ("[EU-000077] Panne", "Re: [EU-000123] Panne"),
        ("[INC-42] Panne", "Re: [EU-000123] [INC-42] Panne"),
        ("Rechnung: offen", "Re: [EU-000123] Rechnung: offen"),
        ("Problème urgent: CRM", "Re: [EU-000123] Problème urgent: CRM"),
        ("", "Re: [EU-000123]"),
        ("a\r\nb\tc\u202ed\u200be\x00", "Re: [EU-000123] a b cde"),
        ("  many   spaces ", "Re: [EU-000123] many spaces"),
    ],
)
def test_the_subject_keeps_the_partner_s_words_with_one_re_and_the_number_once(subject: str, ours: str) -> None:
    assert compose.subject_for(subject, "EU-000123") == ours
    assert compose.subject_for(ours, "EU-000123") == ours


def test_without_a_number_the_subject_has_no_tag() -> None:
    assert compose.subject_for("TR: Panne", "") == "Re: Panne"
    assert compose.titled("Votre demande", "") == "Votre demande"


def test_a_title_of_ours_has_the_number_and_no_re() -> None:
    assert compose.titled("Votre demande", "EU-000123") == "[EU-000123] Votre demande"


@given(st.text(max_size=400))
def test_a_subject_is_one_short_line(subject: str) -> None:
    ours = compose.subject_for(subject, "EU-000123")
    assert len(ours) <= compose.SUBJECT_LENGTH
    assert ours.count("[EU-000123]") == 1
    assert ours == compose.clean(ours)
    assert not any(ord(character) < 0x20 for character in ours)


def test_a_hostile_subject_takes_no_time() -> None:
    for hostile in ("Re: " * 5000, "Re:" + " " * 20000, "[EU-" * 5000, "re" * 10000, "(" * 20000):
        started = datetime.now(UTC)
        compose.subject_for(hostile, "EU-000123")
        assert (datetime.now(UTC) - started).total_seconds() < 0.5


def test_joiners_of_emoji_and_scripts_stay() -> None:
    assert compose.clean("👩‍💻 می‌خواهم") == "👩‍💻 می‌خواهم"


def test_only_plain_addresses_are_sendable() -> None:
    assert compose.sendable("o'brien+x@xn--bcher-kva.example")
    assert not compose.sendable("a@b\nc")
    assert not compose.sendable("=?utf-8?q?a?=@b.example")
    assert not compose.sendable(f"{'x' * 250}@b.example")
