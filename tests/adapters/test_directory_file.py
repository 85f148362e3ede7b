"""Directory files: three forms, one meaning, and every problem named at once with its place and the fix."""

import json
from datetime import date

import pytest

from triaged.adapters import directory_file
from triaged.domain.directory import AccountRecord, PartnerRecord, SubscriptionRecord, UserRecord

RULES = directory_file.Rules(regions=("eu", "us"), public_domains=frozenset({"gmail.com"}))
SOLD = {"service": "Zoho CRM", "licences": 640, "status": "active", "starts": "2026-01-01", "ends": "2026-12-31"}
ENTRY = {
    "zoid": "60012345678",
    "zgid": "655906806",
    "name": "Acme SA",
    "region": "eu",
    "super_admin": "it@acme.example",
    "domains": ["acme.example", "acme2.example"],
    "users": [{"zuid": "650456410", "email": "user@acme.example"}, {"email": "x@acme.example"}],
    "subscriptions": [
        SOLD,
        {"service": "Zoho Desk", "licences": 0, "status": "Trial"},
    ],
    "partners": ["Integra"],
}
ACME = AccountRecord(
    zoid="60012345678",
    region="eu",
    name="Acme SA",
    zgid="655906806",
    super_admin="it@acme.example",
    domains=("acme.example", "acme2.example"),
    users=(UserRecord("650456410", "user@acme.example"), UserRecord(None, "x@acme.example")),
    partners=("Integra",),
    subscriptions=(
        SubscriptionRecord("Zoho CRM", 640, "active", date(2026, 1, 1), date(2026, 12, 31)),
        SubscriptionRecord("Zoho Desk", 0, "trial"),
    ),
)
CSV = (
    "zoid;zgid;name;region;super_admin;domains;users;subscriptions;partners\n"
    '60012345678;655906806;Acme SA;eu;it@acme.example;"acme.example;acme2.example";'
    '"650456410|user@acme.example;|x@acme.example";'
    '"Zoho CRM|640|active|2026-01-01|2026-12-31;Zoho Desk|0|Trial";Integra\n'
)


def problems_of(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [str(problem) for problem in directory_file.read_accounts(data, RULES).problems]


def problems_with(**changed: object) -> list[tuple[str, str]]:
    reading = directory_file.read_accounts(json.dumps([ENTRY | changed]).encode(), RULES)
    return [(problem.key, problem.fix) for problem in reading.problems]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ENTRY]),
        json.dumps([ENTRY], indent=2),
        json.dumps(ENTRY) + "\n\n",
        CSV,
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
    ],
    ids=["array", "indented array", "lines", "csv", "csv of Windows", "csv with a byte order mark"],
)
def test_all_forms_mean_the_same(text: str) -> None:
    reading = directory_file.read_accounts(text.encode(), RULES)
    assert reading.problems == ()
    assert reading.records == (ACME,)


def test_csv_may_be_cut_by_commas_or_tabs_and_hold_long_cells() -> None:
    users = ";".join(f"{n}|u{n}@acme.example" for n in range(10_000))
    for cut in ",\t":
        text = cut.join(("zoid", "name", "region", "users")) + "\n" + cut.join(("1", "Acme", "eu", f'"{users}"'))
        reading = directory_file.read_accounts(text.encode(), RULES)
        assert reading.problems == ()
        assert len(reading.records[0].users) == 10_000


def test_numbers_and_capitals_are_folded() -> None:
    entry = {"zoid": 76006415, "region": "us", "name": " Beta ", "super_admin": "Root@Beta.Example"}
    reading = directory_file.read_accounts(json.dumps(entry).encode(), RULES)
    assert reading.records == (AccountRecord("76006415", "us", "Beta", super_admin="root@beta.example"),)


def test_an_international_domain_is_kept_in_ascii_and_never_mapped() -> None:
    assert problems_with(domains=["münchen.example"]) == []
    data = json.dumps([ENTRY | {"domains": ["MÜNCHEN.example"]}]).encode()
    assert directory_file.read_accounts(data, RULES).records[0].domains == ("xn--mnchen-3ya.example",)
    for lookalike in ("ａcme.example", "acme。example", "straße.example", "acme.exampl\u00adé"):
        assert problems_with(domains=[lookalike]) == [("domains[1]", "write the domain in its ASCII form (xn--…)")]


@pytest.mark.parametrize(
    ("changed", "key", "fix"),
    [
        ({"zoid": None}, "zoid", "it is required"),
        ({"zoid": 6.0e10}, "zoid", "format the column as text"),
        ({"zoid": "7d4b5694a647"}, "zoid", "digits"),
        ({"zoid": True}, "zoid", "digits"),
        ({"zoid": "٣٤"}, "zoid", "digits"),
        ({"zgid": "1" * 21}, "zgid", "at most 20"),
        ({"region": "EU"}, "region", "did you mean eu?"),
        ({"region": "mars"}, "region", "known are eu, us"),
        ({"name": ""}, "name", "it is required"),
        ({"name": "a\nb"}, "name", "control characters"),
        ({"name": "a\ud800b"}, "name", "control characters"),
        ({"super_admin": "un424230589280310r8id"}, "super_admin", "a login name is not one"),
        ({"super_admin": "Paul <p@acme.example>"}, "super_admin", "alone"),
        ({"super_admin": "a b@acme.example"}, "super_admin", "alone"),
        ({"super_admin": "a@b@acme.example"}, "super_admin", "alone"),
        ({"super_admin": "é@acme.example"}, "super_admin", "ASCII"),
        ({"domains": "acme.example"}, "domains", "write a list"),
        ({"domains": ["@acme.example"]}, "domains[1]", "without @"),
        ({"domains": ["acme.example", "localhost"]}, "domains[2]", "such as acme.example"),
        ({"domains": ["acme.example."]}, "domains[1]", "such as acme.example"),
        ({"domains": ["10.0.0.1"]}, "domains[1]", "such as acme.example"),
        ({"users": [{}]}, "users[1]", "a zuid, an email or both"),
        ({"users": [{"mail": "x@acme.example", "zuid": 1}]}, "users[1].mail", "did you mean email?"),
        ({"users": ["x@acme.example"]}, "users[1]", "keys zuid, email"),
        ({"subscriptions": [{"service": "CRM", "licences": 1}]}, "subscriptions[1].status", "it is required"),
        ({"nmae": "x"}, "nmae", "did you mean name?"),
    ],
)
def test_one_wrong_value_is_named_with_its_key_and_the_fix(changed: dict[str, object], key: str, fix: str) -> None:
    ((found_key, found_fix),) = problems_with(**changed)
    assert found_key == key
    assert fix in found_fix


@pytest.mark.parametrize(
    ("changed", "key", "fix"),
    [
        ({"licences": -1}, "licences", "whole number"),
        ({"licences": 640.0}, "licences", "whole number"),
        ({"licences": 2**31}, "licences", "whole number"),
        ({"licences": False}, "licences", "whole number"),
        ({"starts": "01/01/2026"}, "starts", "2026-12-31"),
        ({"starts": "20260101"}, "starts", "2026-12-31"),
        ({"ends": "2026-02-30"}, "ends", "no such day"),
        ({"ends": "2025-12-31"}, "ends", "before it starts"),
    ],
)
def test_a_wrong_subscription_is_named(changed: dict[str, object], key: str, fix: str) -> None:
    ((found_key, found_fix),) = problems_with(subscriptions=[SOLD | changed])
    assert found_key == f"subscriptions[1].{key}"
    assert fix in found_fix


def test_all_problems_come_at_once_with_their_entry() -> None:
    bad = {"zoid": "x", "region": "eu", "name": "B", "domains": ["gmail.com"]}
    assert problems_of(json.dumps([ENTRY, bad, 7, ENTRY])) == [
        'entry 2, zoid: found "x": write the digits of the id alone, at most 20 (a spreadsheet that shows 6.0E+10 has '
        "lost some: format the column as text)",
        "entry 3: found 7: write an entry with the keys zoid, zgid, name, region, super_admin, domains, users, "
        "subscriptions, partners",
        'entry 4: found "60012345678/eu": it is already in entry 1: keep one of the two',
    ]


def test_json_lines_name_the_line() -> None:
    text = json.dumps(ENTRY) + '\n\n{"zoid": 1,\n' + json.dumps(ENTRY)
    assert [problem.split(":")[0] for problem in problems_of(text)] == ["line 3", "line 4"]


def test_csv_names_the_line_where_a_row_starts() -> None:
    text = 'zoid,name,region\n1,"Ac\nme",eu\n2,B\n3,C,mars\n4,"D"x,eu\n'
    assert [problem.split(":")[0] for problem in problems_of(text)] == [
        "line 2, name",
        "line 4",
        "line 5, region",
        "line 6",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "an empty directory is written as []"),
        ("[", "not JSON at line 1 column 2"),
        ("[" * 100_000, "nested too deep"),
        ("[" + "1" * 5_000 + "]", "number too long"),
        ('[{"zoid": 1, "zoid": 2}]', "the key is there twice"),
        ("<html>\n<p>Sign in</p>", "unknown column"),
        ("zoid,nmae,region\n1,A,eu", "did you mean name?"),
        ("zoid,zoid,region\n1,A,eu", "there twice"),
        (b"[\n\xe9]", "line 2 is not UTF-8"),
    ],
)
def test_what_is_no_directory_is_refused_with_the_place(text: str | bytes, told: str) -> None:
    assert told in problems_of(text)[0]


def test_partners_are_read_by_their_own_rules() -> None:
    good = {
        "name": "Integra",
        "region": "eu",
        "locale": "fr",
        "domains": ["integra.example"],
        "contacts": ["a@b.example"],
    }
    bad = {"name": "Menda", "locale": "french!", "domains": ["gmail.com"], "zoid": "1"}
    reading = directory_file.read_partners(json.dumps([good, {"name": "Small"}, bad, good]).encode(), RULES)
    assert reading.records[:2] == (
        PartnerRecord("Integra", "eu", "fr", ("integra.example",), ("a@b.example",)),
        PartnerRecord("Small"),
    )
    assert [(problem.place, problem.key) for problem in reading.problems] == [
        ("entry 3", "zoid"),
        ("entry 3", "locale"),
        ("entry 3", "domains[1]"),
        ("entry 4", ""),
    ]


def test_many_problems_are_told_briefly() -> None:
    problems = [directory_file.Problem(f"entry {n}", "zoid", "1", "it is wrong") for n in range(60)]
    lines = directory_file.told("accounts.json", problems).splitlines()
    assert lines[0] == "accounts.json: 60 problems; the directory stays as it was"
    assert lines[1] == "  entry 0, zoid: found 1: it is wrong"
    assert lines[-1] == "  … and 10 more"
    assert len(directory_file.told("x", problems[:1]).splitlines()) == 2


def test_a_public_mail_domain_of_a_customer_is_kept_and_identifies_nobody() -> None:
    rules = directory_file.Rules({"eu"}, {"gmail.com"})
    entry = {"zoid": "60012345678", "region": "eu", "name": "Acme", "domains": ["gmail.com"]}
    reading = directory_file.read_accounts(json.dumps([entry]).encode(), rules)
    assert (reading.problems, reading.records[0].domains) == ((), ("gmail.com",))


def test_a_public_mail_domain_of_a_partner_is_refused() -> None:
    rules = directory_file.Rules({"eu"}, {"gmail.com"})
    (problem,) = directory_file.read_partners(b'[{"name": "Solo", "domains": ["gmail.com"]}]', rules).problems
    assert "list its people under contacts" in str(problem)
