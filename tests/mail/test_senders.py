"""Fields as border servers write them, genuine, forged and doubled. Own hosts and wording."""

import pytest

from triaged.domain.errors import PermanentError
from triaged.domain.message import Address, Message
from triaged.mail import senders

OURS = "mx.vendor.example"
POSTFIX = senders.Trust((OURS,))
LMTP = senders.Trust((OURS,), received_above=1)
GMAIL = senders.Trust(("mx.google.com",), "gmail")
M365 = senders.Trust(("protection.outlook.com",), "m365")

BORDER = (
    "from mail.integra.example (mail.integra.example [203.0.113.7]) by mx.vendor.example (Postfix) with ESMTPS; Wed"
)
PARTNERS = "from desk.integra.example ([10.1.1.1]) by mail.integra.example with ESMTPSA id 9; Wed"
PASS = f"{OURS}; dmarc=pass (p=reject dis=none) header.from=integra.example"


def mail(*fields: str, sender: str = "contact@integra.example", **more: object) -> Message:
    """`R …` is a Received field, everything else an Authentication-Results field; top to bottom."""
    wire = tuple(("received", f[2:]) if f.startswith("R ") else ("authentication-results", f) for f in fields)
    return Message(sender=Address(sender), fields=(*wire, ("from", sender)), **more)  # type: ignore[arg-type] # test data


def verdict(message: Message, trust: senders.Trust = POSTFIX) -> str:
    return senders.authenticate(message, trust).verdict


GENUINE = {
    "opendmarc": PASS,
    "opendmarc, folded": f"{OURS};\n\tdmarc=pass (p=none dis=none)\n\theader.from=integra.example",
    "rspamd": f"{OURS};\tdkim=pass header.d=integra.example header.s=s1 header.b=aBcD;\tdmarc=pass (policy=quarantine) "
    f"header.from=integra.example;\tspf=pass ({OURS}: domain of contact@integra.example designates 203.0.113.7 as "
    "permitted sender) smtp.mailfrom=contact@integra.example",
    "upper case and a version": "MX.Vendor.Example 1; DMARC=Pass header.from=Integra.Example",
    "a method with a version": f"{OURS}; dmarc/1 = pass header.from=integra.example",
    "a comment before everything": f"(relay) {OURS} (us); dmarc=pass (ok) header.from=integra.example",
    "a reason in quotes": f'{OURS}; dmarc=pass reason="policy; dmarc=fail" header.from=integra.example',
    "no dmarc result, dkim by the domain": f"{OURS}; spf=fail smtp.helo=y; dkim=pass header.d=integra.example",
    "no dmarc result, dkim identity only": f"{OURS}; dkim=pass (2048-bit key) header.i=@integra.example header.b=a/b+",
    "no dmarc, two signatures": f"{OURS}; dkim=fail header.d=integra.example; dkim=pass header.d=integra.example",
}

REFUSED = {
    "dmarc fails": f"{OURS}; dmarc=fail (p=none dis=none) header.from=integra.example",
    "dmarc fails, dkim passes": f"{OURS}; dkim=pass header.d=integra.example; dmarc=fail header.from=integra.example",
    "dmarc none, dkim passes": f"{OURS}; dkim=pass header.d=integra.example; dmarc=none",
    "dmarc temperror": f"{OURS}; dkim=pass header.d=integra.example; dmarc=temperror header.from=integra.example",
    "dmarc bestguesspass": f"{OURS}; dmarc=bestguesspass header.from=integra.example",
    "dmarc passed": f"{OURS}; dmarc=passed header.from=integra.example",
    "dmarc of another domain": f"{OURS}; dmarc=pass header.from=evil.example",
    "dmarc of a domain that ends alike": f"{OURS}; dmarc=pass header.from=evil-integra.example",
    "dmarc of a suffix": f"{OURS}; dmarc=pass header.from=example",
    "dmarc without a domain": f"{OURS}; dmarc=pass",
    "dmarc with two domains": f"{OURS}; dmarc=pass header.from=evil.example header.from=integra.example",
    "two dmarc results": f"{OURS}; dmarc=pass header.from=integra.example; dmarc=fail header.from=integra.example",
    "spf alone": f"{OURS}; spf=pass smtp.mailfrom=contact@integra.example",
    "arc alone": f"{OURS}; arc=pass (i=1 dmarc=pass header.from=integra.example)",
    "none at all": f"{OURS}; none",
    "dmarc in a comment": f"{OURS}; spf=pass (dmarc=pass header.from=integra.example) smtp.mailfrom=a@b.example",
    "dmarc in a comment's comment": f"{OURS}; spf=pass (a (b) ; dmarc=pass header.from=integra.example)",
    "dmarc in quotes": f'{OURS}; spf=pass smtp.mailfrom="x; dmarc=pass header.from=integra.example; "@e.example',
    "dmarc in escaped quotes": f'{OURS}; spf=pass smtp.mailfrom="a\\"; dmarc=pass header.from=integra.example; b"@e',
    "a comment closed by quotes": f'{OURS}; spf=pass (domain of "x); dmarc=pass header.from=integra.example; ('
    '"@evil.example designates 203.0.113.7)',
    "an open comment": f"{OURS}; dmarc=pass header.from=integra.example (",
    "an open quote": f'{OURS}; dmarc=pass header.from=integra.example "',
    "a quoted result": f'{OURS}; dmarc="pass" header.from=integra.example',
    "dkim by another": f"{OURS}; dkim=pass header.d=evil.example",
    "dkim by a name that ends alike": f"{OURS}; dkim=pass header.d=ntegra.example",
    "dkim by a child": f"{OURS}; dkim=pass header.d=news.integra.example",
    "dkim by the top level": f"{OURS}; dkim=pass header.d=example",
    "dkim neutral": f"{OURS}; dkim=neutral header.d=integra.example",
    "dkim by another, identity of the domain": f"{OURS}; dkim=pass header.d=evil.example header.i=@integra.example",
}

NOT_OURS = {
    "no field": (),
    "another server's": ("mx.other.example; dmarc=pass header.from=integra.example",),
    "a longer name": (f"{OURS}.evil.example; dmarc=pass header.from=integra.example",),
    "a name with more in front": (f"evil-{OURS}; dmarc=pass header.from=integra.example",),
    "our name only in a comment": (f"evil.example ({OURS}); dmarc=pass header.from=integra.example",),
    "no authserv-id": ("dmarc=pass header.from=integra.example",),
    "ours below our border's Received": (f"R {BORDER}", PASS),
    "ours below all": (f"R {BORDER}", f"R {PARTNERS}", PASS),
}


@pytest.mark.parametrize("name", GENUINE)
def test_what_our_border_server_vouches_for_passes(name: str) -> None:
    assert verdict(mail(GENUINE[name], f"R {BORDER}", f"R {PARTNERS}")) == "pass"


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_vouch_for_fails(name: str) -> None:
    assert verdict(mail(REFUSED[name], f"R {BORDER}")) == "fail"


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_field_that_is_not_ours_or_not_in_our_place_says_nothing(name: str) -> None:
    assert verdict(mail(*NOT_OURS[name])) == "none"


def test_the_genuine_field_wins_over_a_forged_one_below_it() -> None:
    denied = f"{OURS}; dmarc=fail header.from=integra.example"
    assert verdict(mail(denied, f"R {BORDER}", PASS)) == "fail"
    assert verdict(mail(PASS, f"R {BORDER}", denied)) == "pass"


def test_two_fields_of_ours_are_read_from_the_top_and_must_not_contradict() -> None:
    denied = f"{OURS}; dmarc=fail header.from=integra.example"
    signed = f"{OURS}; dkim=pass header.d=integra.example"
    assert verdict(mail(PASS, signed, f"R {BORDER}")) == "pass"
    assert verdict(mail(f"{OURS}; spf=pass smtp.mailfrom=x@integra.example", PASS, f"R {BORDER}")) == "fail"
    assert verdict(mail(signed, denied, f"R {BORDER}")) == "fail"
    assert verdict(mail(PASS, denied, f"R {BORDER}")) == "fail"


def test_delivery_may_add_as_many_received_fields_as_configured() -> None:
    delivered = mail("R from mx.vendor.example by imap.vendor.example with LMTP", PASS, f"R {BORDER}")
    assert (verdict(delivered, LMTP), verdict(delivered)) == ("pass", "none")
    assert verdict(mail("R by imap.vendor.example with LMTP", f"R {BORDER}", PASS), LMTP) == "none"


def test_a_field_in_the_wrong_place_is_named_to_the_operator() -> None:
    reason = senders.authenticate(mail(f"R {BORDER}", PASS), POSTFIX).reason
    assert "below 1 Received" in reason
    assert "received_above = 0" in reason


def test_a_letter_that_only_folds_to_one_of_our_name_is_another_letter() -> None:
    field = "m\u212a.vendor.example; dmarc=pass header.from=integra.example"
    assert verdict(mail(field), senders.Trust(("mk.vendor.example",))) == "none"


def test_arc_fields_and_other_header_fields_never_count() -> None:
    fields = (("arc-authentication-results", f"i=1; {PASS}"), ("x-authentication-results", PASS), ("from", "x"))
    assert verdict(Message(sender=Address("contact@integra.example"), fields=fields)) == "none"


@pytest.mark.parametrize(
    "spoiled",
    [{"repaired": True}, {"dirty": True, "unreadable": "a bare CR in the header"}],
    ids=["repaired", "dirty"],
)
def test_a_mail_that_was_mended_or_failed_preflight_is_never_authenticated(spoiled: dict[str, object]) -> None:
    assert verdict(mail(PASS)) == "pass"
    assert verdict(mail(PASS, **spoiled)) == "none"


def test_without_one_from_or_without_configured_servers_nobody_is_authenticated() -> None:
    two = Message(
        sender=Address("contact@integra.example"),
        fields=(("authentication-results", PASS), ("from", "a"), ("from", "b")),
    )
    assert verdict(two) == "none"
    assert verdict(Message(fields=(("authentication-results", PASS),))) == "none"
    assert verdict(mail(PASS), senders.Trust(())) == "none"


@pytest.mark.parametrize(
    ("sender", "field", "expected"),
    [
        ("a@eu.integra.example", "dmarc=pass header.from=eu.integra.example", "pass"),
        ("a@eu.integra.example", "dmarc=pass header.from=integra.example", "pass"),  # rspamd: the record's domain
        ("a@x.eu.integra.example", "dmarc=pass header.from=eu.integra.example", "fail"),
        ("a@integra.example", "dmarc=pass header.from=eu.integra.example", "fail"),
        ("a@eu.integra.example", "dkim=pass header.d=integra.example", "pass"),
        ("a@shop.co.uk", "dkim=pass header.d=shop.co.uk", "pass"),
        ("a@shop.co.uk", "dkim=pass header.d=co.uk", "fail"),
        ("a@me.github.io", "dkim=pass header.d=github.io", "fail"),
        ("a@github.io", "dkim=pass header.d=github.io", "fail"),
        ("a@firm.onmicrosoft.com", "dkim=pass header.d=onmicrosoft.com", "fail"),
        ("a@firm.onmicrosoft.com", "dmarc=pass header.from=onmicrosoft.com", "fail"),
        ("a@firm.onmicrosoft.com", "dkim=pass header.d=firm.onmicrosoft.com", "pass"),
        ("a@shop.co.uk", "dmarc=pass header.from=co.uk", "fail"),
    ],
)
def test_a_parent_speaks_for_its_organisation_and_a_suffix_for_nobody(sender: str, field: str, expected: str) -> None:
    assert verdict(mail(f"{OURS}; {field}", sender=sender)) == expected


# --- Gmail ------------------------------------------------------------------------------------------------------------

G_INNER = "R by 2002:a05:6a10:1:b0:1:2:3 with SMTP id d7csp1; Wed, 14 Oct 2026 01:12:00 -0700 (PDT)"
G_OLD_INNER = "R by 10.2.1.1 with SMTP id c60cs1; Wed, 14 Oct 2026 01:12:00 -0700 (PDT)"
G_BORDER = "R from mail.integra.example (mail.integra.example. [203.0.113.7]) by mx.google.com with ESMTPS id a1; Wed"
G_PASS = (
    "mx.google.com; dkim=pass header.i=@integra.example header.s=s1 header.b=Ab; spf=pass (google.com: domain of "
    "contact@integra.example designates 203.0.113.7 as permitted sender) smtp.mailfrom=contact@integra.example; "
    "dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=integra.example"
)
G_FAIL = "mx.google.com; dmarc=fail (p=NONE sp=NONE dis=NONE) header.from=integra.example"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((G_INNER, G_BORDER, G_PASS, f"R {PARTNERS}"), "pass"),
        ((G_OLD_INNER, G_OLD_INNER, G_BORDER, G_PASS, f"R {PARTNERS}"), "pass"),
        ((G_INNER, G_BORDER, G_PASS), "pass"),
        ((G_INNER, G_BORDER, G_FAIL, G_PASS), "fail"),  # a forged copy on top of what the sender wrote
        ((G_INNER, G_BORDER, f"R {PARTNERS}", G_PASS), "none"),
        ((G_INNER, G_BORDER, G_BORDER, G_PASS), "none"),  # a forged border with its field below
        ((G_INNER, G_BORDER, G_INNER, G_PASS), "none"),  # a forged inner hop below the border
        ((G_PASS, f"R {PARTNERS}"), "none"),  # Gmail never writes above its own Received
        ((f"R {BORDER}", G_PASS), "none"),
        (("R from x.example by mx.google.com.evil.example with ESMTPS; Wed", G_PASS), "none"),
        ((G_INNER, G_BORDER, G_PASS.replace("mx.google.com;", "mx.google.com.evil.example;")), "none"),
    ],
)
def test_gmail_writes_below_its_own_received_fields_and_above_the_next(fields: tuple[str, ...], expected: str) -> None:
    assert verdict(mail(*fields), GMAIL) == expected


# --- Microsoft 365 ----------------------------------------------------------------------------------------------------

M_INNER = (
    "R from DB3P189.EURP189.PROD.OUTLOOK.COM (2603:10a6:10:434::18) by HE1P189.EURP189.PROD.OUTLOOK.COM with HTTPS; Wed"
)
M_FRONT = (
    "R from MWH0EPF.namprd02.prod.outlook.com (10.167.243.72) by BYAPR03.outlook.office365.com (2603:10b6:a02:a8::32) "
    "with Microsoft SMTP Server id 15.20 via Frontend Transport; Wed"
)
M_BORDER = "R from mail.integra.example (203.0.113.7) by MWH0EPF.mail.protection.outlook.com (10.1.1.2) with SMTP; Wed"
M_PASS = (
    "spf=pass (sender IP is 203.0.113.7) smtp.mailfrom=integra.example; dkim=pass (signature was verified) "
    "header.d=integra.example;dmarc=pass action=none header.from=integra.example;compauth=pass reason=100"
)
M_OLD = (
    "spf=none (sender IP is ) smtp.mailfrom=integra.example; vendor.example; dkim=pass (signature was verified) "
    "header.d=integra.example;vendor.example; dmarc=pass action=none header.from=integra.example;"
)
M_FAIL = (
    "spf=softfail (sender IP is 198.51.100.9) smtp.mailfrom=evil.example; dkim=none (message not signed) header.d=none;"
    "dmarc=fail action=oreject header.from=integra.example;compauth=pass reason=703"
)
M_LYING_HELO = (
    "R from x.prod.outlook.com (8.8.8.8) by MWH0EPF.mail.protection.outlook.com (10.167.243.72) with SMTP; Wed"
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((M_INNER, M_FRONT, M_PASS, M_BORDER, f"R {PARTNERS}"), "pass"),
        ((M_INNER, M_FRONT, M_OLD, M_BORDER), "pass"),
        ((M_PASS, M_BORDER), "pass"),
        ((M_INNER, M_FRONT, M_FAIL, M_BORDER, M_PASS), "fail"),
        ((M_INNER, M_FRONT, M_FAIL, M_PASS, M_BORDER), "fail"),
        ((M_INNER, M_FRONT, M_BORDER, M_PASS), "none"),
        ((M_INNER, M_FRONT, M_LYING_HELO, M_PASS, f"R {PARTNERS}"), "none"),
        ((f"R {BORDER}", M_PASS), "none"),
        ((M_INNER, "R from x.outlook.com (10.0.0.1) by mail.evil.example with SMTP; Wed", M_PASS), "none"),
        ((M_INNER, f"mx.other.example; {M_PASS}", M_BORDER), "none"),
        ((M_INNER, f"protection.outlook.com; {M_PASS}", M_BORDER), "pass"),
        ((M_INNER, M_PASS.replace("dmarc=pass", "dmarc=bestguesspass"), M_BORDER), "fail"),
        ((M_INNER, M_PASS.replace("header.from=integra", "header.from=evil"), M_BORDER), "fail"),
    ],
)
def test_microsoft_writes_above_the_received_of_the_foreign_host(fields: tuple[str, ...], expected: str) -> None:
    assert verdict(mail(*fields), M365) == expected


def test_the_reason_tells_the_operator_which_server_said_what() -> None:
    assert senders.authenticate(mail(PASS), POSTFIX).reason == f"{OURS} says dmarc=pass for integra.example"
    assert "evil.example" in senders.authenticate(mail(REFUSED["dmarc of another domain"]), POSTFIX).reason
    assert "authserv_ids is empty" in senders.authenticate(mail(PASS), senders.Trust(())).reason


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(PermanentError, match="postfix, gmail, m365"):
        senders.Trust((OURS,), "exim")


def test_hostile_field_values_are_read_in_linear_time_without_an_exception() -> None:
    for piece in ("(", '"', "\\", "a=b ", " a.b=c", ";", "=", "dmarc=pass;", "\udc80", '("', "-/1"):
        for size in (1, 16_000):
            assert verdict(mail(f"{OURS}; " + piece * (size // len(piece) + 1))) == "fail"


@pytest.mark.parametrize(("domain", "nobody"), [("co.uk", True), ("onmicrosoft.com", True), ("acme.co.uk", False)])
def test_a_name_under_which_strangers_register_names_nobody(domain: str, nobody: bool) -> None:
    assert senders.is_suffix(domain) is nobody
