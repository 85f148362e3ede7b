"""Names that only look like a partner's or a customer's are other names: bytes are compared, nothing is folded."""

import json

import pytest
from tests.threats.conftest import Judge
from tests.threats.threatened import LARGE, OURS, House, letter

from triaged.adapters import directory_file
from triaged.adapters.db import directory_import
from triaged.mail import senders

# What a domain may be written as so that a reader, or a library that maps (UTS-46), takes it for integra.example.
SENDERS = {
    "fullwidth": "contact@\uff49ntegra.example",
    "an ideographic full stop": "contact@integra\u3002example",
    "a zero width space": "contact@inte\u200bgra.example",
    "a zero width joiner": "contact@integra\u200d.example",
    "a soft hyphen": "contact@in\u00adtegra.example",
    "a Cyrillic a": "contact@integr\u0430.example",
    "a dotless i": "contact@\u0131ntegra.example",
    "punycode of the Cyrillic a": "contact@xn--integr-1of.example",
    "a prefix": "contact@evil-integra.example",
    "a suffix": "contact@integra.example.evil.net",
    "a subdomain": "contact@x.integra.example",
    "the top level": "contact@example",
    "an underscore": "contact@integra_.example",
}
KELVIN = "\u212a"  # folds onto k


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
def test_a_sender_who_looks_like_a_partner_is_none(judge: Judge, sender: str) -> None:
    receipt = judge(letter(LARGE, sender=sender))
    assert (receipt["sender"] or {"partner": None})["partner"] is None
    assert receipt["trust"] in ("unauthenticated", "unknown")
    assert (receipt["severity"], receipt["priority_large_user"]) == ("S3", False)


def test_upper_case_and_a_trailing_dot_are_the_same_name(judge: Judge) -> None:
    assert judge(letter(LARGE, sender="Contact@INTEGRA.Example"))["trust"] == "exact"


@pytest.mark.parametrize("written", [f"mx.vendor.example{KELVIN}", "mx.\uff56endor.example", "mx.vendor\u3002example"])
def test_a_server_whose_name_only_folds_to_ours_is_another(judge: Judge, written: str) -> None:
    top = f"Authentication-Results: {written}; dmarc=pass header.from=integra.example\r\n"
    assert judge(letter(LARGE, verdict=None, top=top))["trust"] == "unauthenticated"


def test_a_result_for_a_domain_that_only_folds_to_the_sender_s_is_none_for_it(judge: Judge) -> None:
    top = f"Authentication-Results: {OURS}; dmarc=pass header.from=\uff49ntegra.example\r\n"
    assert judge(letter(LARGE, verdict=None, top=top))["trust"] == "unauthenticated"


# --- customers

CUSTOMERS = {
    "fullwidth": "it@\uff41cme.example",
    "Cyrillic a": "it@\u0430cme.example",
    "prefix": "jean@evil-acme.example",
    "suffix": "jean@acme.example.evil.net",
    "subdomain": "jean@x.acme.example",
}


@pytest.mark.parametrize("address", CUSTOMERS.values(), ids=CUSTOMERS)
def test_an_address_that_looks_like_a_customers_identifies_nobody(judge: Judge, address: str) -> None:
    receipt = judge(letter(f"Service : Zoho CRM\nSuper administrateur : {address}\n"))
    assert (receipt["account"], receipt["priority_large_user"]) == (None, False)


def test_a_domain_of_many_identifies_nobody_even_where_a_directory_gives_it_to_one(house: House) -> None:
    domains = ["gmail.com", "outlook.com", "co.uk", "onmicrosoft.com", "com"]
    entry = {"zoid": "60099999999", "region": "eu", "name": "Trap", "super_admin": "b@trap.example", "domains": domains}
    reading = directory_file.read_accounts(json.dumps([entry]).encode(), house.app.rules)
    with house.app.database.write() as session:
        directory_import.import_accounts(session, reading.records)
    named = [f"jean@{domain}" for domain in domains]
    receipts = house.receive(*(letter(f"Service : Zoho CRM\nE-mail du client : {address}\n") for address in named))
    assert [receipt["account"] for receipt in receipts] == [None] * len(domains)
    assert house.one(letter("Service : Zoho CRM\nE-mail du client : b@trap.example\n"))["account"] is not None


def test_a_partner_at_a_free_mail_provider_is_only_his_own_address(house: House) -> None:
    refused = directory_file.read_partners(b'[{"name": "Solo", "domains": ["gmail.com"]}]', house.app.rules)
    assert "list its people under contacts" in str(refused.problems[0])
    solo = directory_file.read_partners(b'[{"name": "Solo", "contacts": ["jo.solo@gmail.com"]}]', house.app.rules)
    with house.app.database.write() as session:
        directory_import.import_partners(session, solo.records)
    senders_ = ("jo.solo@gmail.com", "josolo@gmail.com", "jo.solo+x@gmail.com", "eve@gmail.com")
    found = [house.one(letter(LARGE, sender=sender))["trust"] for sender in senders_]
    assert found == ["exact", "unknown", "unknown", "unknown"]


def test_nobody_speaks_for_a_suffix() -> None:
    assert [name for name in ("com", "co.uk", "onmicrosoft.com") if not senders.is_suffix(name)] == []
