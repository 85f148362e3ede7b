"""Delivery reports: who did not get which of our mails, and whether that is final."""

import pytest
from tests.mail import daemons, letters

from triaged.domain.message import Message, Nature, ReportKind

OURS = b"Message-ID: <eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>\r\n"
DAEMON = b'From: "" (Mail Delivery System)\r\nTo: x@support.example\r\nSubject: Undelivered Mail Returned to Sender\r\n'
PATH = b"bounce+eu-000123.7q3kx2m8.1.0123456789abcdef@support.example"
STATUS = b"Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; jean@integra.example\r\nAction: %s\r\nStatus: %s\r\n"


def report(status: bytes, returned: bytes, kind: bytes = b"delivery-status") -> Message:
    parts = (letters.part(b"text/plain", b"Sorry."), letters.part(b"message/" + kind, status), returned)
    return letters.read(letters.multipart(b"report; report-type=" + kind, *parts, head=DAEMON))


WHOLE = letters.part(b"message/rfc822", OURS + b"Subject: x\r\n\r\nour own text, ZOID 60012345678")
HEADER = letters.part(b"text/rfc822-headers", OURS + b"Subject: x\r\n")


@pytest.mark.parametrize("returned", [WHOLE, HEADER], ids=["whole mail", "header only"])
@pytest.mark.parametrize(
    ("action", "status"), [(b"failed", b"5.1.1"), (b"delayed", b"4.4.1"), (b"delivered", b"2.0.0")]
)
def test_a_delivery_status_is_read_by_its_action(action: bytes, status: bytes, returned: bytes) -> None:
    message = report(STATUS % (action, status), returned)
    assert message.nature is Nature.DELIVERY_REPORT
    assert message.report is not None
    assert message.report.action == action.decode()
    assert message.report.status == status.decode()
    assert message.report.recipient == "jean@integra.example"
    assert message.report.original_message_id == "<eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>"


def test_of_several_recipients_the_failed_one_counts() -> None:
    status = (
        STATUS % (b"delivered", b"2.0.0")
        + b"\r\nFinal-Recipient: rfc822; b@c.example\r\nAction: failed\r\nStatus: 5.0.0\r\n"
    )
    found = report(status, WHOLE).report
    assert found is not None
    assert (found.action, found.recipient) == ("failed", "b@c.example")


def test_what_came_back_is_listed_but_never_read_as_a_customers_words() -> None:
    message = report(STATUS % (b"failed", b"5.1.1"), WHOLE)
    assert message.attached == ()
    assert "60012345678" not in message.text
    assert [one.content_type for one in message.attachments] == ["message/delivery-status", "message/rfc822"]


def test_a_disposition_names_its_mail() -> None:
    status = (
        b"Final-Recipient: rfc822; jean@integra.example\r\nOriginal-Message-ID: <a@support.example>\r\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n"
    )
    found = report(status, HEADER, kind=b"disposition-notification").report
    assert found is not None
    assert (found.action, found.original_message_id) == ("displayed", "<a@support.example>")


FREE_TEXT = (
    b"From: MAILER-DAEMON@mx.integra.example\r\nSubject: failure notice\r\nReturn-Path: <>\r\n\r\n"
    b"Hi. This is the qmail-send program.\r\n<jean@integra.example>:\r\n550 5.1.1 No such user \r\n\r\n"
    b"--- Below this line is a copy of the message.\r\n\r\n" + OURS + b"Subject: x\r\n"
)


def test_a_free_text_report_of_a_daemon_is_read() -> None:
    found = letters.read(FREE_TEXT).report
    assert found is not None
    assert (found.action, found.recipient, found.status) == ("failed", "jean@integra.example", "5.1.1")
    assert found.original_message_id == "<eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>"


def test_a_free_text_warning_is_only_a_delay() -> None:
    raw = FREE_TEXT.replace(b"failure notice", b"Warning: message delayed").replace(b"550 5.1.1", b"450 4.4.1")
    found = letters.read(raw).report
    assert found is not None
    assert (found.action, found.status) == ("delayed", "4.4.1")


@pytest.mark.parametrize("manner", daemons.FAILURES)
def test_a_failure_in_words_is_read_whoever_says_it(manner: str) -> None:
    raw = daemons.FAILURES[manner]("x@support.example", OURS + b"Subject: x\r\n\r\nText", "jean@integra.example")
    message = letters.read(raw)
    assert message.nature is Nature.DELIVERY_REPORT
    assert message.report is not None
    assert message.report.action == "failed"
    assert message.report.status in ("", "5.1.1", "5.1.10", "5.2.2")  # never one out of the mail that came back
    assert message.report.original_message_id == "<eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>"


def test_a_delay_in_words_is_none_of_the_failures() -> None:
    message = letters.read(daemons.EXIM_LATE("x@support.example", OURS + b"\r\n", "jean@integra.example"))
    assert message.report is not None
    assert (message.report.action, message.report.status) == ("delayed", "4.7.1")


def test_a_daemon_whose_words_nobody_understands_reports_nothing() -> None:
    raw = daemons.plain("MAILER-DAEMON@x.example", "Hello", "What a day.\n")("x@support.example", OURS, "j@x.example")
    message = letters.read(raw)
    assert message.nature is Nature.DELIVERY_REPORT
    assert message.report is not None
    assert message.report.action == ""


def test_each_recipient_has_his_own_fate() -> None:
    told = (
        daemons.recipient("team@integra.example", "expanded", "2.0.0"),
        daemons.recipient("b@integra.example", "failed", "5.2.2", original="team@integra.example"),
    )
    found = letters.read(daemons.dsn("x@support.example", OURS + b"\r\n", *told)).report
    assert found is not None
    assert [fate.action for fate in found.fates] == ["expanded", "failed"]
    assert found.fates[1].recipients == ("team@integra.example", "b@integra.example")
    assert (found.action, found.status) == ("failed", "5.2.2")


@pytest.mark.parametrize(
    ("action", "status", "meant"), [("", "5.1.1", "failed"), ("", "4.4.7", "delayed"), ("x", "2.0.0", "delivered")]
)
def test_an_action_that_is_missing_is_read_from_the_class_of_the_status(action: str, status: str, meant: str) -> None:
    told = daemons.recipient("jean@integra.example", action, status)
    found = letters.read(daemons.dsn("x@support.example", OURS + b"\r\n", told)).report
    assert found is not None
    assert found.action == meant


def test_a_complaint_and_a_receipt_are_no_word_on_delivery() -> None:
    complaint = letters.read(daemons.complaint("x@support.example", OURS + b"\r\n", "jean@integra.example")).report
    receipt = letters.read(daemons.disposition("x@support.example", OURS, "jean@integra.example", "failed")).report
    assert complaint is not None
    assert receipt is not None
    assert (complaint.kind, complaint.action, receipt.kind) == (ReportKind.OTHER, "", ReportKind.DISPOSITION)


def test_a_bounce_that_a_partner_forwards_as_an_attachment_is_his_mail() -> None:
    bounce = daemons.dsn("x@support.example", OURS + b"\r\n", daemons.recipient("jean@integra.example"))
    parts = (letters.part(b"text/plain", b"Voyez ci-joint."), letters.part(b"message/rfc822", bounce))
    message = letters.read(letters.multipart(b"mixed", *parts))
    assert (message.nature, message.report) == (Nature.PERSON, None)


def test_a_bounce_by_our_return_path_needs_no_daemon_s_name() -> None:
    raw = letters.mail(
        b"550 no such user\r\n",
        head=DAEMON.replace(b"x@support.example", PATH).replace(
            b'"" (Mail Delivery System)', b"Mail Robot <robot@integra.example>"
        ),
    )
    assert letters.read(raw).nature is Nature.DELIVERY_REPORT
    assert letters.read(raw.replace(PATH, b"x@support.example")).nature is Nature.PERSON


def test_a_person_who_pastes_a_bounce_wrote_no_report() -> None:
    message = letters.read(letters.mail(FREE_TEXT))
    assert (message.nature, message.report) == (Nature.PERSON, None)


@pytest.mark.parametrize(
    "status", [b"", b"Action:\r\n", b"\r\n\r\n\r\n", b"Final-Recipient: nonsense\r\n", b"\xff\xfe\x00"]
)
def test_a_broken_status_is_still_a_report(status: bytes) -> None:
    assert report(status, WHOLE).nature is Nature.DELIVERY_REPORT
