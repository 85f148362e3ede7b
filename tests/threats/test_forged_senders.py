"""From is a claim: whatever forges our border server's word, or hides who wrote, stays below the rung of a partner."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink
from tests.threats.conftest import Judge
from tests.threats.threatened import LARGE, OURS, PARTNER, STRANGER, House, letter

PASS = f"{OURS}; dmarc=pass header.from=integra.example"
FIELD = f"Authentication-Results: {PASS}\r\n"


def forged(head: str = "", top: str = "", **more: str) -> bytes:
    return letter(LARGE, verdict=None, head=head, top=top, **more)  # type: ignore[arg-type]  # a test's own keywords


# --- 1: a bare CR writes a field of its own


@pytest.mark.parametrize(
    "trick",
    [f"hi\rAuthentication-Results: {PASS}", f"hi\rFrom: {PARTNER}", f"hi\r\rFrom: {PARTNER}"],
    ids=["our word", "another author", "behind two"],
)
def test_a_bare_cr_that_a_server_lets_through_is_quarantine(
    tmp_path: Path, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink, trick: str
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", imap_server, relay.port) as house:
        imap_server.deliver(house.eu, forged(sender=STRANGER, subject=trick))
        house.once()
        (record,) = house.messages()
        assert record.receipt is not None
        assert (record.row["state"], record.receipt["trust"]) == ("quarantined", "dirty")
        assert (house.tickets(), relay.deliveries) == ([], [])


# --- 2: Authentication-Results that are not ours, or do not say what they seem to

FORGED = {
    "below our border's Received": forged(head=FIELD),
    "another authserv-id": forged(top=FIELD.replace(OURS, "mx.other.example")),
    "our name, and more": forged(top=FIELD.replace(OURS, f"{OURS}.evil.net")),
    "our name behind another": forged(top=FIELD.replace(OURS, f"evil-{OURS}")),
    "no authserv-id": forged(top=FIELD.replace(f"{OURS}; ", "")),
    "dmarc=pass in a comment": letter(LARGE, verdict="spf=pass (dmarc=pass header.from=integra.example)"),
    "dmarc=pass in quotes": letter(LARGE, verdict='spf=pass smtp.mailfrom="; dmarc=pass header.from=integra.example;"'),
    "two dmarc results": letter(LARGE, verdict="dmarc=pass header.from=integra.example; dmarc=fail"),
    "dmarc=fail above a forged pass": letter(LARGE, verdict="dmarc=fail", head=FIELD),
    "two fields of ours that contradict": letter(LARGE, verdict="dmarc=fail", top=FIELD),
    "another domain's pass": forged(top=FIELD.replace("integra", "stranger")),
    "spf alone": letter(LARGE, verdict=f"spf=pass smtp.mailfrom={PARTNER}"),
    "arc alone": letter(
        LARGE,
        verdict="arc=pass (i=1 dmarc=pass)",
        head="ARC-Authentication-Results: i=1; mx.vendor.example; dmarc=pass header.from=integra.example\r\n"
        "ARC-Seal: i=1; a=rsa-sha256; cv=pass; d=integra.example; s=x; b=x\r\n",
    ),
    "arc passes and dmarc fails": letter(LARGE, verdict="arc=pass; dmarc=fail"),
    "an open comment": letter(LARGE, verdict="dmarc=pass (").replace(b"header.from=integra.example", b"", 1),
}


@pytest.mark.parametrize("raw", FORGED.values(), ids=FORGED)
def test_a_forged_or_unclear_result_vouches_for_nobody(judge: Judge, raw: bytes) -> None:
    receipt = judge(raw)
    assert (receipt["trust"], receipt["reason"]) == ("unauthenticated", "unauthenticated_sender")
    assert (receipt["severity"], receipt["priority_large_user"]) == ("S3", False)


def test_the_genuine_one_would_have_been_critical(judge: Judge) -> None:
    assert (judge(letter(LARGE))["trust"], judge(letter(LARGE))["severity"]) == ("exact", "S1")


# --- 3: fourteen ways to write two authors

CONFLICTING = {
    "a second From": letter(LARGE, head=f"From: {STRANGER}\r\n"),
    "a second From above": letter(LARGE).replace(b"From: ", f"From: {STRANGER}\r\nFrom: ".encode(), 1),
    "a blank before the colon": letter(LARGE).replace(b"From: ", b"From : ", 1),
    "a blank before the colon of a second one": letter(LARGE, head=f"From : {STRANGER}\r\n"),
    "a From that begins the mail": f"From : {STRANGER}\r\n".encode() + letter(LARGE),
    "a blank before the first line": f" From: {STRANGER}\r\n".encode() + letter(LARGE),
    "two addresses": letter(LARGE, sender=f"{STRANGER}, {PARTNER}"),
    "two in brackets": letter(LARGE, sender=f"<{PARTNER}> <{STRANGER}>"),
    "an address as the name": letter(LARGE, sender=f"{PARTNER} <{STRANGER}>", verdict=None, top=FIELD),
    "a group": letter(LARGE, sender=f"Team: {PARTNER};", verdict=None, top=FIELD),
    "a quoted local part": letter(LARGE, sender=f'"{PARTNER}"@stranger.example'),
    "an encoded address": letter(LARGE, sender="=?utf-8?q?contact=40integra.example?=", verdict=None, top=FIELD),
    "a source route": letter(LARGE, sender=f"<@stranger.example:{PARTNER}>", verdict=None, top=FIELD),
    "a comment inside": letter(LARGE, sender="contact(x)@integra.example", verdict=None, top=FIELD),
    "a NUL inside": letter(LARGE, sender="contact@integra.example\0@stranger.example", verdict=None, top=FIELD),
    "a Sender beside": letter(LARGE, sender=STRANGER, head=f"Sender: {PARTNER}\r\n"),
    "a Resent-From": letter(LARGE, sender=STRANGER, head=f"Resent-From: {PARTNER}\r\n"),
}


@pytest.mark.parametrize("raw", CONFLICTING.values(), ids=CONFLICTING)
def test_two_authors_are_never_a_partner(judge: Judge, raw: bytes) -> None:
    receipt = judge(raw)
    assert receipt["trust"] in ("dirty", "unauthenticated", "unknown")
    assert (receipt["priority_large_user"], receipt["severity"] or "S3") == (False, "S3")


# --- 4: a signature that is somebody's, but not this mail's

SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=integra.example; s=s1; h=from:to:subject:date;{more} bh=x; b=x\r\n"
ARRIVED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def signed(age: timedelta, verdict: str = "dmarc=pass", more: str = "", **rest: str) -> bytes:
    date = f"Date: {ARRIVED - age:%a, %d %b %Y %H:%M:%S} +0000\r\n"
    return letter(LARGE, verdict=verdict, head=SIGNED.format(more=more), date=date, **rest)  # type: ignore[arg-type]  # a test's own keywords


def test_an_old_signed_mail_under_a_new_id_wakes_nobody(judge: Judge) -> None:
    old = judge(signed(timedelta(days=8), message_id="<new@evil.example>"), arrived=ARRIVED)
    assert (old["trust"], old["severity"], old["reason"]) == ("unauthenticated", "S3", "unauthenticated_sender")
    assert any("an old one sent again" in step["finding"] for step in old["steps"])
    assert judge(signed(timedelta(days=-8)), arrived=ARRIVED)["trust"] == "unauthenticated", "nor one of the future"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (signed(timedelta(days=5)), "relays try for five days"),
        (signed(timedelta(days=30), verdict="spf=pass smtp.mailfrom=x@integra.example; dmarc=pass"), "its own servers"),
        (letter(LARGE, date="Date: Mon, 1 Jan 2024 08:00:00 +0000\r\n"), "nothing is signed: nothing is replayed"),
        (signed(timedelta(0)).replace(b"Date: Fri", b"Date: Xyz"), "a date that is none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fresh_unsigned_and_directly_sent_mail_is_believed(judge: Judge, raw: bytes, why: str) -> None:
    assert judge(raw, arrived=ARRIVED)["trust"] == "exact", why


def test_a_second_date_does_not_make_an_old_mail_new(judge: Judge) -> None:
    fresh = f"Date: {ARRIVED:%a, %d %b %Y} 08:00:00 +0000\r\nDate: ".encode()
    raw = signed(timedelta(days=400)).replace(b"Date: ", fresh, 1)
    assert judge(raw, arrived=ARRIVED)["trust"] == "unauthenticated"


def test_text_below_a_signature_that_covers_only_the_beginning_is_nobodys(judge: Judge) -> None:
    assert judge(signed(timedelta(0), more=" l=120;"), arrived=ARRIVED)["trust"] == "unauthenticated"
    assert judge(signed(timedelta(0), more=" x=120;"), arrived=ARRIVED)["trust"] == "exact"


def test_the_ledger_keeps_the_time_that_counts(house: House) -> None:
    """INTERNALDATE, which the sender cannot write."""
    assert house.one(signed(timedelta(days=8)), at=ARRIVED)["trust"] == "unauthenticated"
    assert house.one(signed(timedelta(days=1)), at=ARRIVED)["trust"] == "exact"
