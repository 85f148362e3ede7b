"""What a mail says is text: it starts no header field, no log line, no template, no query, no page, no command."""

import io
import json
import re
from email.header import Header

import pytest
import sqlalchemy
from click.testing import CliRunner
from tests.house import desk
from tests.house.test_contracts import RESELLER, order
from tests.mail import letters
from tests.threats.threatened import FRENCH, LARGE, PARTNER, STRANGER, House, letter, words_of

from triaged import cli
from triaged.domain.message import House as Ours
from triaged.mail import reader

# --- header fields of our own mails

ENCODED = {
    "LF": "=?utf-8?q?x=0ABcc:_victim=40evil.example?=",
    "CR LF": "=?utf-8?q?x=0D=0ABcc:_victim=40evil.example=0D=0A=0D=0Aspam?=",
    "CR": "=?utf-8?q?x=0DBcc:_victim=40evil.example?=",
    "base64": "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXZpbC5leGFtcGxl?=",
    "in two words": "=?utf-8?q?x=0D?= =?utf-8?q?=0ABcc:_victim=40evil.example?=",
    "UTF-16": "=?utf-16?b?AHgADQAKAEIAYwBjADoAIAB2?=",
    "line separators": "=?utf-8?q?x=E2=80=A8Bcc:_victim=40evil.example=C2=85y?=",
    "a vertical tab": "=?utf-8?q?x=0BBcc:_victim=40evil.example=0Cy?=",
}


def test_a_line_end_that_was_encoded_starts_no_field_of_ours(house: House) -> None:
    house.receive(*(letter(LARGE + name, subject=a, sender=f"{a} <{PARTNER}>") for name, a in ENCODED.items()))
    assert len(house.queue()) == 2 * len(ENCODED)
    for entry in house.queue():
        raw, mail = house.bytes_of(entry), house.mail_of(entry)
        assert entry.recipient in (PARTNER, "support-eu@vendor.example")
        assert (mail["Bcc"], mail["Cc"], len(mail.get_all("To", []))) == (None, None, 1)
        head = raw.partition(b"\r\n\r\n")[0]
        assert not re.search(rb"(?im)^(bcc|cc):", head)
        assert not re.search(rb"[^\r]\n|\r[^\n]", raw)


def test_no_address_in_a_mail_but_its_from_is_written_to(house: House) -> None:
    head = "Reply-To: v1@evil.example\r\nSender: v2@evil.example\r\nReturn-Path: <v3@evil.example>\r\n"
    head += "Disposition-Notification-To: v4@evil.example\r\nReturn-Receipt-To: v5@evil.example\r\n"
    house.one(letter(LARGE + "Cc: v6@evil.example\n", head=head + "Cc: v7@evil.example\r\n"))
    assert {entry.recipient for entry in house.queue()} == {PARTNER, "support-eu@vendor.example"}
    assert all(b"evil.example" not in house.bytes_of(entry).partition(b"\r\n\r\n")[0] for entry in house.queue())


# --- the log, and what people see in a terminal

EVIL = (
    "hi\r\n7Q3KX2M8: decision=ticket reason=large_account ticket=EU-000666 severity=S1\x1b[2J\x1b]0;owned\x07"
    "\u202egnp.exe\u200b\x9b31m\x08\x00\u2028x"
)
WORD = Header(EVIL, "utf-8", maxlinelen=10_000).encode()


def evil_mail(**changes: str) -> bytes:
    body = f"{LARGE}{EVIL}\nService : {EVIL}\n".replace("\r\n", "\n")
    raw = letter(body, subject=WORD, sender=f"{WORD} <{changes.pop('sender', PARTNER)}>", **changes)  # type: ignore[arg-type]  # a test's own keywords
    name = Header(f"{EVIL}.xlsx", "utf-8", maxlinelen=10_000).encode()
    kind = f'Content-Type: multipart/mixed; boundary="bbbbbbbbbbbb"; name="{name}"'
    head, _, text = raw.partition(b"\r\n\r\n")
    head = head.replace(b"Content-Type: text/plain; charset=utf-8", kind.encode())
    part = b"--bbbbbbbbbbbb\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
    file = f'--bbbbbbbbbbbb\r\nContent-Type: application/pdf; name="{name}"\r\n\r\nx\r\n--bbbbbbbbbbbb--\r\n'.encode()
    return head + b"\r\n\r\n" + part + b"\r\n" + file


def harmless(text: str) -> None:
    """Nothing that a terminal acts on, hides, or takes for another line's beginning."""
    rest = text.replace("\n", "")
    bad = {f"U+{ord(c):04X}" for c in rest if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b\u2028"}
    assert bad == set()
    assert [line for line in text.split("\n") if line.startswith("7Q3KX2M8")] == []


@pytest.mark.parametrize("sender", [PARTNER, STRANGER])
def test_a_mail_is_two_lines_of_the_log_whatever_it_says(house: House, logged: io.StringIO, sender: str) -> None:
    house.one(evil_mail(sender=sender))
    lines = logged.getvalue().splitlines()
    assert [line.split(": ", 1)[1].split(" ")[0].split("=")[0] for line in lines] == ["received", "decision"]
    harmless(logged.getvalue())


SHOWN = [
    ["message", "show", "1"],
    ["message", "list"],
    ["message", "replay", "1"],
    ["ticket", "show", "EU-000001"],
    ["ticket", "list"],
    ["queue", "list"],
    ["queue", "show", "1"],
    ["quarantine", "list"],
    ["quarantine", "show", "2"],
    ["status"],
]


def test_no_command_shows_what_a_terminal_would_obey(house: House) -> None:
    house.one(evil_mail())
    house.one(evil_mail().replace(b"Subject: ", b"Subject: \r\x1b[2J\x1b]0;owned\x07\xe2\x80\xae", 1))
    file = house.installation.config.parent / "evil.eml"
    file.write_bytes(evil_mail())
    for command in (*SHOWN, ["explain", str(file)], ["explain", "--mails", str(file)]):
        for more in ([], ["--json"]) if command in (SHOWN[0], SHOWN[3], SHOWN[8]) else ([],):
            done = CliRunner().invoke(cli.main, ["-c", str(house.installation.config), *command, *more])
            assert done.exit_code in (0, 1), (command, done.output)
            assert done.stdout.strip(), command
            harmless(done.stdout)
            if more:
                json.loads(done.stdout)


# --- templates, pages, queries

SMUGGLED = {
    "Jinja": "{{7*7}}{{ ''.__class__ }}{% raw %}",
    "a picture": "<img src=x onerror=alert(1)>",
    "a script": "<script>alert(1)</script>",
    "a link": '<a href="javascript:alert(1)">x</a>',
    "SQL": "'); DROP TABLE ticket;--",
    "a format": "%s%n{0}{settings.database.url}",
    "a shell": "$(touch /tmp/owned)`id`|id",
    "an expression": '=HYPERLINK("http://evil.example")',
}


def test_code_of_any_language_is_shown_as_it_was_written(house: House) -> None:
    house.receive(*(letter(f"{LARGE}{text}\n", subject=text) for text in SMUGGLED.values()))
    answers = [entry for entry in house.queue() if entry.recipient == PARTNER]
    for text, answer, ticket in zip(SMUGGLED.values(), answers, house.installation.tickets(), strict=True):
        assert ticket.subject == text
        assert text in answer.subject
        assert "49" not in answer.subject
        html = house.mail_of(answer).get_body(("html",))
        assert html is not None
        assert not re.search(r"<img|<script|<[^>]*javascript:|<[^>]*onerror", str(html.get_content()))
    still_there(house)


def test_code_in_an_order_is_a_name_like_any_other(house: House) -> None:
    """Customer, addresses and PO number come back in mails to three parties, and on pages."""
    text = "<img src=x onerror=alert(1)> {{7*7}} '); DROP TABLE contract;--"
    raw = order().replace("Nom : Acme SA", f"Nom : {text}").replace("12 rue de la Paix", f"12 rue {text}")
    receipt = house.one(letter(raw, sender=RESELLER, to=desk.SELECT), "select")
    assert receipt["reason"] == "order_complete"
    for entry in house.queue():
        said = words_of(house.mail_of(entry)) if house.bytes_of(entry) else ""
        assert "<img src=x" not in said.partition("<html")[2]
        assert "49 '" not in said
    still_there(house)


def still_there(house: House) -> None:
    with house.app.database.read() as session:
        tables = sqlalchemy.inspect(session.get_bind()).get_table_names()
    assert {"ticket", "message", "outbox", "contract"} <= set(tables)


# --- names of files

NAMES = {
    "../../etc/cron.d/x": "x",
    "C:\\x\\evil.txt": "evil.txt",
    "..\\..\\boot.ini": "boot.ini",
    "/etc/passwd": "passwd",
    "a\0b.txt": "ab.txt",
    "exe.\u202efdp.txt": "exe.fdp.txt",
    "x" * 300 + ".pdf": "x" * 96 + ".pdf",
    "..": "attachment-1",
    "con|<>*?.txt": "con_.txt",
    "-rf.txt": "-rf.txt",
}


@pytest.mark.parametrize(("given", "kept"), NAMES.items(), ids=lambda value: ascii(value)[:20])
def test_a_files_name_is_metadata_and_leads_nowhere(given: str, kept: str) -> None:
    name = Header(given, "utf-8", maxlinelen=10_000).encode() if not given.isascii() or "\0" in given else given
    quoted = name.replace("\\", "\\\\")
    raw = letters.HEAD + b'Content-Type: multipart/mixed; boundary="bbbbbbbbbbbb"\r\n\r\n'
    raw += f'--bbbbbbbbbbbb\r\nContent-Disposition: attachment; filename="{quoted}"\r\n'.encode()
    raw += b"Content-Type: application/pdf\r\n\r\nx\r\n--bbbbbbbbbbbb--\r\n"
    message = reader.read(raw, Ours("support.example", frozenset()))
    assert [attachment.name for attachment in message.attachments] == [kept]


# --- a body that looks like the end of itself


def test_a_received_body_that_looks_like_two_mails_is_one(house: House) -> None:
    second = f"MAIL FROM:<a@b>\r\nRCPT TO:<{PARTNER}>\r\nDATA\r\nFrom: {PARTNER}\r\nSubject: second\r\n\r\n{LARGE}"
    ends = ("\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r")
    raws = [letter("XYZ", sender=STRANGER).replace(b"XYZ", f"eins{end}{second}".encode()) for end in ends]
    receipts = house.receive(*raws)
    assert [(one["trust"], one["severity"]) for one in receipts] == [("unknown", "S3")] * len(ends)
    assert {entry.recipient for entry in house.queue()} == {STRANGER}


def test_what_we_send_has_no_line_that_ends_a_mail(house: House) -> None:
    """And on the wire its dots are doubled: tests/adapters/test_smtp.py."""
    ends = ("\n.\n", "\r.\r", "\n.\r\n")
    subjects = [Header(f"x{end}MAIL FROM:<a@b>", "utf-8", maxlinelen=10_000).encode() for end in ends]
    house.receive(*(letter(f"{FRENCH}{n}\n", subject=subject) for n, subject in enumerate(subjects)))
    assert len(house.queue()) == len(ends)
    assert [e for e in house.queue() if re.search(rb"(^|[\r\n])\.[\r\n]", house.bytes_of(e))] == []
