"""`triaged order`, `contract`, `invite`: what operators and their scripts see (INTERFACE §3, §4)."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest
from tests.house import estate_house
from tests.house.estate_house import EstateHouse

from triaged import cli
from triaged.adapters.db import directory_import
from triaged.domain.directory import PartnerRecord

HEAD = (
    "PO number;SKU;Licences;Order date;Customer name;Customer email;Customer address;Reseller name;Reseller email;"
    "Reseller address;Distributor name;Distributor email;Distributor address\n"
)
PARTIES = (
    "Acme SA;it.lead@acme.example;12 rue de la Paix, 75002 Paris, France;Integra;contact@integra.example;"
    "3 place Bellecour, 69002 Lyon, France;Distri;sales@distri.example;4 quai du Commerce, 44000 Nantes, France\n"
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[EstateHouse]:
    house = estate_house.opened(tmp_path, f"sqlite:///{tmp_path}/triaged.db")
    with house.app.database.write() as session:
        partner = PartnerRecord("Integra", "eu", "fr", ("integra.example",), ("contact@integra.example",))
        directory_import.import_partners(session, [partner])
    yield house
    house.app.database.dispose()


def run(house: EstateHouse, *words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli.main, ["-c", str(house.config), *words])


def read(house: EstateHouse, *words: str) -> Any:
    result = run(house, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def file(folder: Path, *rows: str) -> str:
    path = folder / "orders.csv"
    lines = (f"{row};{PARTIES}" if row[0] != ";" else f"{row}{';' * 9}\n" for row in rows)
    path.write_text(HEAD + "".join(lines), encoding="utf-8")
    return str(path)


def test_a_file_of_orders_becomes_contracts_with_the_days_it_names(house: EstateHouse, tmp_path: Path) -> None:
    orders = file(tmp_path, "PO-1;994-000148;40;2026-05-04", "PO-2;994-000148;40;2026-11-04", ";994-000148;20;")
    dry = run(house, "order", "import", orders, "--placed-by", "Integra", "--dry-run")
    assert (dry.exit_code, read(house, "order", "list")) == (0, [])
    assert run(house, "order", "import", orders, "--placed-by", "Integra").exit_code == 0
    assert [(o["number"], o["po_number"], o["state"], o["problems"]) for o in read(house, "order", "list")] == [
        ("ORD-000001", "PO-1", "accepted", []),
        ("ORD-000002", "PO-2", "accepted", []),
    ]
    found = [(c["number"], c["licences"], c["starts"], c["ends"]) for c in read(house, "contract", "list")]
    assert found == [
        ("SC-000001", 40, "2026-05-04", "2027-05-03"),
        ("SC-000002", 40, "2026-11-04", "2027-11-03"),
        ("SC-000003", 20, "2026-11-04", "2027-11-03"),
    ]
    assert read(house, "spares") == [read(house, "spares")[0] | {"customer": "Acme SA", "rooms": 100, "granted": 2}]


def test_a_file_with_one_bad_order_places_none_and_names_field_and_value(house: EstateHouse, tmp_path: Path) -> None:
    orders = file(tmp_path, "PO-1;994-000148;40;", "PO-2;994-000999;4O;")
    result = run(house, "order", "import", orders, "--placed-by", "contact@integra.example")
    assert result.exit_code == 1
    assert (
        "order (PO PO-2): incomplete\n  problem: sku unknown: 994-000999\n  problem: licences invalid: 4O"
        in result.stdout
    )
    assert "1 of 2 orders have problems: nothing was done" in result.stdout
    assert (read(house, "order", "list"), read(house, "queue", "list")) == ([], [])


def test_who_is_no_partner_places_nothing(house: EstateHouse, tmp_path: Path) -> None:
    result = run(house, "order", "import", file(tmp_path, "PO-1;994-000148;40;"), "--placed-by", "x@stranger.example")
    assert result.exit_code == 1
    assert "no registered partner" in result.stderr


def test_a_revoked_invitation_is_not_sent_again_and_a_failed_mail_shows(house: EstateHouse, tmp_path: Path) -> None:
    run(house, "order", "import", file(tmp_path, "PO-1;994-000148;40;"), "--placed-by", "Integra")
    [invitation] = read(house, "invite", "list")
    assert (invitation["state"], invitation["mail"], invitation["recipient"]) == (
        "owed",
        "queued",
        "it.lead@acme.example",
    )
    assert run(house, "invite", "revoke", "1", "--why", "left the company").exit_code == 0
    assert read(house, "invite", "list")[0]["mail"] == "withdrawn"
    again = run(house, "invite", "resend", "1")
    assert (again.exit_code, "left the company" in again.stderr) == (1, True)


def test_contracts_are_exported_for_a_spreadsheet(house: EstateHouse, tmp_path: Path) -> None:
    run(house, "order", "import", file(tmp_path, "PO-1;994-000148;40;"), "--placed-by", "Integra")
    [row] = csv.DictReader(io.StringIO(run(house, "contract", "export").stdout))
    assert (row["number"], row["licences"], row["customer"]) == ("SC-000001", "40", "Acme SA")
    assert row["purchased_at"].endswith("Z")


def test_cancelling_and_restoring_by_hand(house: EstateHouse, tmp_path: Path) -> None:
    run(house, "order", "import", file(tmp_path, "PO-1;994-000148;60;2026-01-05"), "--placed-by", "Integra")
    late = run(house, "contract", "cancel", "SC-000001")
    assert (late.exit_code, "--late" in late.stderr) == (1, True)
    assert run(house, "contract", "cancel", "SC-000001", "--late").exit_code == 0
    assert read(house, "contract", "show", "SC-000001")["state"] == "cancelled"
    assert run(house, "contract", "restore", "sc-1").exit_code == 0
    assert read(house, "spares")[0]["granted"] == 1
