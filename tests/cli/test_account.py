"""`triaged account` and `triaged partner`: what operators and their scripts see."""

import dataclasses
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click.testing
import pytest

from triaged import settings
from triaged.adapters.db import engine, models
from triaged.cli import account, partner
from triaged.domain.errors import PermanentError
from triaged.domain.policy import Policy, Region

ACME = {
    "zoid": "60012345678",
    "region": "eu",
    "name": "Acme SA",
    "zgid": "655906806",
    "super_admin": "it@acme.example",
    "domains": ["acme.example"],
    "users": [{"zuid": "650456410", "email": "user@acme.example"}],
    "partners": ["Integra"],
    "subscriptions": [
        {"service": "Zoho CRM", "licences": 640, "status": "active", "starts": "2026-01-01", "ends": None},
        {"service": "Zoho Desk", "licences": 9, "status": "expired", "starts": None, "ends": None},
    ],
}
BETA = {"zoid": "76006415", "region": "us", "name": "Beta [bold]Inc", "super_admin": "root@beta.example"}
INTEGRA = {
    "name": "Integra",
    "region": "eu",
    "locale": "fr",
    "domains": ["integra.example"],
    "contacts": ["contact@integra.example"],
}


def region(code: str) -> Region:
    return Region(code, code, "UTC", "en", (), key_account=50, large_user=200, retain=timedelta(days=1))


POLICY = Policy(
    version="1",
    default_severity="S3",
    count_licences="sum",
    excluded_services=(),
    public_mail_domains=frozenset({"gmail.com"}),
    service_aliases={},
    severities={},
    regions={"eu": region("eu"), "us": region("us")},
)


@dataclasses.dataclass
class House:
    """What the commands are given: settings, a database, and a way to call them."""

    database: engine.Database
    settings: Any
    folder: Path

    def account(self, *args: str, stdin: bytes = b"") -> click.testing.Result:
        return click.testing.CliRunner().invoke(account.account, args, obj=self, input=stdin)

    def partner(self, *args: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(partner.partner, args, obj=self)

    def file(self, *entries: dict[str, Any]) -> str:
        path = self.folder / "directory.json"
        path.write_text(json.dumps(entries))
        return str(path)

    def names(self) -> list[str]:
        return [entry["name"] for entry in json.loads(self.account("list", "--json").stdout)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = engine.Database(f"sqlite:///{tmp_path}/triaged.db")
    models.Base.metadata.create_all(database.engine)
    yield House(database, SimpleNamespace(policy=POLICY, directory=settings.Directory()), tmp_path)
    database.dispose()


def test_import_tells_what_it_did_and_list_shows_it(house: House) -> None:
    done = house.account("import", house.file(ACME, BETA))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "+ 60012345678/eu",
        "+ 76006415/us",
        "2 added, 0 changed, 0 removed, 0 unchanged",
    ]
    assert "not registered, whose mails wait in review: Integra" in done.stderr
    listed = house.account("list").stdout
    assert "Acme SA" in listed
    assert "large_user" in listed
    assert "Beta [bold]Inc" in listed
    assert house.names() == ["Acme SA", "Beta [bold]Inc"]
    assert [a["name"] for a in json.loads(house.account("list", "--region", "us", "--json").stdout)] == [BETA["name"]]
    assert len(json.loads(house.account("list", "--limit", "1", "--json").stdout)) == 1


def test_import_takes_stdin_and_answers_in_json(house: House) -> None:
    done = house.account("import", "--json", "-", stdin=json.dumps(BETA).encode())
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"added": ["76006415/us"], "changed": [], "removed": [], "unchanged": 0}


def test_a_dry_run_shows_every_field_that_would_change_and_changes_none(house: House) -> None:
    house.account("import", house.file(ACME))
    done = house.account("import", "--dry-run", "--replace", house.file(BETA, ACME | {"name": "Acme"}))
    assert done.stdout.splitlines() == [
        "+ 76006415/us",
        '~ 60012345678/eu: name "Acme SA" → "Acme"',
        "1 added, 1 changed, 0 removed, 0 unchanged (dry run: nothing was done)",
    ]
    assert house.names() == ["Acme SA"]


def test_a_file_with_problems_changes_nothing_and_names_them_all(house: House) -> None:
    bad = house.file(BETA, {"zoid": "x", "region": "eu", "name": "C"}, {"zoid": "1", "region": "mars", "name": "D"})
    done = house.account("import", bad)
    assert done.exit_code == 1
    assert "2 problems; the directory stays as it was" in done.stderr
    assert "entry 2, zoid" in done.stderr
    assert "entry 3, region" in done.stderr
    assert house.names() == []
    told = json.loads(house.account("import", "--json", bad).stdout)
    assert [problem["place"] for problem in told["problems"]] == ["entry 2", "entry 3"]


def test_a_missing_file_is_told_with_its_path(house: House) -> None:
    done = house.account("import", str(house.folder / "none.json"))
    assert isinstance(done.exception, PermanentError)
    assert "none.json: there is no such file" in str(done.exception)


def test_replace_that_would_empty_the_directory_needs_force(house: House) -> None:
    house.account("import", house.file(ACME, BETA, BETA | {"zoid": "3"}))
    refused = house.account("import", "--replace", house.file(ACME))
    assert refused.exit_code == 1
    assert "lacks 2 of the 3 accounts" in refused.stderr
    assert len(house.names()) == 3
    assert house.account("import", "--replace", "--force", house.file(ACME)).exit_code == 0
    assert house.names() == ["Acme SA"]


def test_importing_beside_a_watched_source_is_warned_of(house: House) -> None:
    house.settings.directory = settings.Directory(accounts="https://crm.example/accounts")
    assert "https://crm.example/accounts is watched" in house.account("import", house.file(BETA)).stderr


def test_export_gives_back_what_was_imported(house: House) -> None:
    assert json.loads(house.account("export").stdout) == []
    house.account("import", house.file(ACME, BETA))
    exported = house.account("export").stdout
    assert json.loads(exported)[0] == ACME
    target = house.folder / "out.json"
    assert house.account("export", "-o", str(target)).exit_code == 0
    assert target.read_text() == exported
    again = house.account("import", "--replace", str(target))
    assert again.stdout == "0 added, 0 changed, 0 removed, 2 unchanged\n"


def test_show_says_what_the_licences_come_to(house: House) -> None:
    house.account("import", house.file(ACME))
    document = json.loads(house.account("show", "60012345678", "--json").stdout)
    assert document == ACME | {"licences": 640, "tier": "large_user"}
    shown = house.account("show", "60012345678").stdout
    for word in ("it@acme.example", "650456410", "Zoho CRM", "large_user"):
        assert word in shown


def test_show_of_nobody_and_of_two_regions_says_what_to_do(house: House) -> None:
    house.account("import", house.file(ACME, ACME | {"region": "us"}))
    nobody, two = house.account("show", "1"), house.account("show", "60012345678")
    assert (nobody.exit_code, two.exit_code) == (1, 1)
    assert "account lookup" in nobody.stderr
    assert "eu, us: say which with --region" in two.stderr
    assert house.account("show", "60012345678", "--region", "us").exit_code == 0


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("it@acme.example", "super_admin"),
        ("user@acme.example", "customer_email"),
        ("acme.example", "domain"),
        ("60012345678", "zoid"),
        ("650456410", "zuid"),
        ("655906806", "zgid"),
    ],
)
def test_lookup_says_by_which_column_a_mail_would_find_the_account(house: House, text: str, via: str) -> None:
    house.account("import", house.file(ACME, BETA))
    (found,) = json.loads(house.account("lookup", text, "--json").stdout)
    assert (found["via"], found["zoid"], found["licences"], found["tier"]) == (via, "60012345678", 640, "large_user")
    assert via in house.account("lookup", text).stdout


def test_lookup_of_nobody_is_a_problem_and_says_why(house: House) -> None:
    found = house.account("lookup", "x@gmail.com", "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (1, [])
    assert "gmail.com is a public mail domain" in found.stderr


def test_lookup_of_two_says_that_a_person_would_have_to_choose(house: House) -> None:
    house.account("import", house.file(ACME, ACME | {"region": "us"}))
    found = house.account("lookup", "acme.example")
    assert found.exit_code == 0
    assert "more than one" in found.stderr


def test_partners_are_imported_listed_shown_and_exported(house: House) -> None:
    assert house.partner("import", house.file(INTEGRA)).exit_code == 0
    assert json.loads(house.partner("list", "--json").stdout) == [INTEGRA]
    assert "integra.example" in house.partner("list").stdout
    assert json.loads(house.partner("export", "--json").stdout) == [INTEGRA]
    for name in ("Integra", "contact@integra.example", "anybody@integra.example"):
        assert json.loads(house.partner("show", name, "--json").stdout) == INTEGRA
    nobody = house.partner("show", "Menda")
    assert nobody.exit_code == 1
    assert "there is no partner Menda" in nobody.stderr


def test_unknown_options_are_a_usage_error(house: House) -> None:
    assert house.account("import").exit_code == 2
    assert house.account("list", "--limit", "0").exit_code == 2


def test_what_a_stranger_wrote_cannot_steer_the_terminal(house: House) -> None:
    house.account("import", house.file(BETA | {"name": "a\u202ebc"}))
    assert "\u202e" not in house.account("list").stdout
    assert io.StringIO(house.account("export").stdout).read().count("\u202e") == 1
