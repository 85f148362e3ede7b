"""`triaged customer`: the directory of service contracts as operators and their scripts see it."""

import json
from typing import Any

import click.testing
import pytest
from tests.adapters.db.test_customers import place
from tests.cli.test_account import House, house

from triaged.cli import customer
from triaged.domain.errors import PermanentError

__all__ = ["house"]  # the fixture

ACME: dict[str, Any] = {
    "name": "Acme SA",
    "parent": "Acme Holding",
    "country": "FR",
    "head_office": "12 rue X, 75008 Paris",
    "sites": ["4 rue Y, 69000 Lyon"],
    "domains": ["acme.example"],
    "csm": "csm@vendor.example",
    "locale": "fr",
}
BOREAL: dict[str, Any] = {"name": "Boreal GmbH", "parent": "acme holding", "country": "DE"}


def run(house: House, *args: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(customer.customer, args, obj=house)


def test_customers_are_imported_listed_and_exported(house: House) -> None:
    done = run(house, "import", house.file(ACME, BOREAL))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["+ Acme SA", "+ Boreal GmbH", "2 added, 0 changed, 0 removed, 0 unchanged"]
    assert json.loads(run(house, "list", "--json").stdout)[0] == ACME
    assert "Acme SA" in run(house, "list").stdout
    exported = run(house, "export").stdout
    assert json.loads(exported)[0] == ACME
    path = house.folder / "out.json"
    path.write_text(exported)
    assert run(house, "import", "--replace", str(path)).stdout == "0 added, 0 changed, 0 removed, 2 unchanged\n"


def test_show_tells_the_parent_entity_and_the_accounts(house: House) -> None:
    run(house, "import", house.file(ACME, BOREAL))
    for address in (ACME["head_office"], ACME["sites"][0], ACME["sites"][0]):
        place(house.database, "Acme", "bob@acme.example", address)
    shown = json.loads(run(house, "show", "acme s.a.", "--json").stdout)
    assert shown["parent_entity"] == {"name": "Acme Holding", "customers": 2, "csm": "csm@vendor.example"}
    assert shown["accounts"] == [{"site": "", "contracts": 1}, {"site": ACME["sites"][0], "contracts": 2}]
    text = run(house, "show", "Acme SA").stdout
    assert "global (head office)" in text
    assert "Acme Holding (2 customers)" in text


def test_show_of_nobody_says_what_to_do(house: House) -> None:
    nobody = run(house, "show", "Menda")
    assert nobody.exit_code == 1
    assert "there is no customer Menda: `triaged customer list` shows them" in nobody.stderr


def test_a_dry_run_shows_every_field_that_would_change(house: House) -> None:
    run(house, "import", house.file(ACME))
    done = run(house, "import", "--dry-run", house.file(ACME | {"country": "CH"}))
    assert done.stdout.splitlines() == [
        '~ Acme SA: country "FR" → "CH"',
        "0 added, 1 changed, 0 removed, 0 unchanged (dry run: nothing was done)",
    ]
    assert json.loads(run(house, "list", "--json").stdout) == [ACME]


def test_a_file_with_problems_changes_nothing_and_names_them_all(house: House) -> None:
    done = run(house, "import", house.file(ACME, BOREAL | {"country": "XY"}, {"parent": "x"}))
    assert done.exit_code == 1
    assert "2 problems; the directory stays as it was" in done.stderr
    assert "entry 2, country" in done.stderr
    assert "entry 3, name" in done.stderr
    assert json.loads(run(house, "list", "--json").stdout) == []


@pytest.mark.parametrize("option", ["--force", "--dry-run"])
def test_replace_never_removes_a_customer_with_contracts(house: House, option: str) -> None:
    run(house, "import", house.file(ACME, BOREAL))
    place(house.database, "Acme SA", "bob@acme.example")
    refused = run(house, "import", "--replace", option, house.file(BOREAL))
    assert isinstance(refused.exception, PermanentError)
    assert "would remove Acme SA, with contracts" in str(refused.exception)
    assert len(json.loads(run(house, "list", "--json").stdout)) == 2
    assert run(house, "import", "--replace", house.file(ACME)).exit_code == 0
    assert json.loads(run(house, "list", "--json").stdout) == [ACME]


def test_the_shipped_sample_is_good_as_it_is(house: House) -> None:
    from triaged import settings

    sample = settings.shipped("config") / "samples" / "customers.json"
    done = run(house, "import", str(sample))
    assert done.exit_code == 0
    assert json.loads(run(house, "list", "--json").stdout)[0]["parent"] == "Acme Holding"
