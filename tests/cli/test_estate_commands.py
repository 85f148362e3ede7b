"""`triaged room`, `device`, `spares`: what operators and their scripts see (INTERFACE §3, §4)."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click.testing
import pytest
from tests.house import estate_house
from tests.house.estate_house import EstateHouse, number

from triaged import cli
from triaged.adapters import estate_file

ROOMS = """customer,site,name,country,place,jumpstart,devices
Acme,,Salle Lumière,FR,"1 rue de la Paix, Paris",2026-04-01,s1x|rally bar|2026-01-05;S2X|TAP IP|2026-01-05
Acme,,"Genf, klein",CH,,,
Beta,,One,,,,
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[EstateHouse]:
    house = estate_house.opened(tmp_path, f"sqlite:///{tmp_path}/triaged.db")
    house.customer("Acme", csm="csm@vendor.example", head_office="1 rue de la Paix, Paris")
    house.customer("Beta")
    yield house
    house.app.database.dispose()


def run(house: EstateHouse, *words: str, stdin: str = "") -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli.main, ["-c", str(house.config), *words], input=stdin)


def done(house: EstateHouse, *words: str, stdin: str = "") -> str:
    result = run(house, *words, stdin=stdin)
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.stdout


def read(house: EstateHouse, *words: str) -> Any:
    return json.loads(done(house, *words, "--json"))


def refused(house: EstateHouse, *words: str, stdin: str = "") -> str:
    result = run(house, *words, stdin=stdin)
    assert result.exit_code == 1, result.output + str(result.exception)
    return result.stderr


def test_rooms_come_in_with_their_devices_and_go_out_as_they_came(house: EstateHouse) -> None:
    assert "3 added, 0 changed, 0 unchanged" in done(house, "room", "import", "-", stdin=ROOMS)
    written = done(house, "room", "export")
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [row["name"] for row in rows] == ["Genf, klein", "Salle Lumière", "One"]
    assert rows[1]["devices"] == "S1X|Rally Bar|2026-01-05;S2X|Tap IP|2026-01-05"
    assert "0 added, 0 changed, 3 unchanged" in done(house, "room", "import", "-", stdin=written)
    assert written == done(house, "room", "export")
    devices = done(house, "device", "export")
    assert "0 added, 0 changed, 2 unchanged" in done(house, "device", "import", "-", stdin=devices)
    assert devices == done(house, "device", "export")


def test_what_an_export_writes_a_spreadsheet_takes_for_no_formula_and_we_read_back(house: EstateHouse) -> None:
    done(house, "room", "add", "--customer", "Beta", "--", "-2 étage")
    done(house, "room", "add", "=1+1", "--customer", "Beta", "--place", "'quoted")
    written = done(house, "room", "export")
    assert "'=1+1" in written
    assert "'-2 étage" in written
    assert "2 unchanged" in done(house, "room", "import", "-", stdin=written)


def test_a_dry_run_says_what_would_happen_and_does_nothing(house: EstateHouse) -> None:
    told = done(house, "room", "import", "-", "--dry-run", stdin=ROOMS)
    assert "+ Acme / Salle Lumière" in told
    assert "3 added, 0 changed, 0 unchanged (dry run: nothing was done)" in told
    assert read(house, "room", "list") == []
    assert read(house, "device", "list") == []


def test_a_file_with_one_bad_line_changes_nothing_and_every_error_is_named_by_its_line(house: EstateHouse) -> None:
    file = """customer;site;name;country;jumpstart;devices
Acme;;Alpha;;;S1X|Rally Bar|2026-01-05
Nobody;;Beta;;;
Acme;Lyon;Gamma;;;
Acme;;Delta;;;"S2X|Toaster|2026-01-05;S3X"
Acme;;Epsilon;;;S4X|Rally Bar|2099-01-01
"""
    told = refused(house, "room", "import", "-", stdin=file)
    for words in (
        "5 problems; nothing was changed",
        "line 3, customer: found 'Nobody'",
        "line 4, site: found 'Lyon'",
        "line 5, devices: found 'Toaster': Toaster is not among the supported products (Rally Bar, Tap IP)",
        "line 5, devices: found 'S3X': this device is not known yet",
        "line 6, devices: found '2099-01-01': it is in the future",
    ):
        assert words in told
    assert read(house, "room", "list") == []
    assert read(house, "device", "list") == []


def test_what_cannot_be_read_is_named_with_line_and_column(house: EstateHouse) -> None:
    file = "customer,name,country,jumpstart,devices\nAcme,,France,1.4.2026,??\nAcme,A,FR,,\nAcme,A,FR,,\nAcme,B\n"
    told = refused(house, "room", "import", "-", stdin=file)
    for words in (
        "line 2, name: it is required",
        "line 2, country: found 'France'",
        "line 2, jumpstart: found '1.4.2026'",
        "line 2, devices: found '??'",
        "line 4: found 'Acme / A': it is in line 3 already",
        "line 5: found '2 cells'",
    ):
        assert words in told
    assert "did you mean customer?" in refused(house, "room", "import", "-", stdin="custommer,name\n")
    assert "the column customer is missing" in refused(house, "room", "import", "-", stdin="name\nA\n")
    assert "is empty" in refused(house, "room", "import", "-", stdin="\n")
    document = json.loads(run(house, "room", "import", "-", "--json", stdin="name\nA\n").stdout)
    assert document["problems"][0]["line"] == 1


def test_a_column_that_a_file_does_not_have_leaves_things_as_they_are(house: EstateHouse) -> None:
    done(house, "room", "import", "-", stdin=ROOMS)
    assert "1 changed" in done(house, "room", "import", "-", stdin="customer,name,place\nAcme,Salle Lumière,Lyon\n")
    (room,) = [one for one in read(house, "room", "list") if one["name"] == "Salle Lumière"]
    assert (room["place"], room["country"], room["jumpstart"]) == ("Lyon", "FR", "2026-04-01")
    assert [device["serial"] for device in room["devices"]] == ["S1X", "S2X"]
    devices = "serial,product,purchased_on,customer\nS1X,Rally Bar,2026-01-06,Acme\n"
    assert "1 changed" in done(house, "device", "import", "-", stdin=devices)
    assert [one["room"] for one in read(house, "device", "list")] == ["Salle Lumière", "Salle Lumière"]


def test_a_licence_covers_a_room_moves_and_is_told_where_the_service_differs(house: EstateHouse) -> None:
    done(house, "room", "import", "-", stdin=ROOMS)
    contract = number(house.contract(1, 1, datetime.now(UTC)))
    assert "covered by" in done(house, "room", "assign", contract, "salle lumière")
    assert "all 1 licences" in refused(house, "room", "assign", contract, "Genf, klein")
    moved = done(house, "room", "move", contract, "RM-000001", "Genf, klein")
    assert "owed: country_terms to ada@acme.example" in moved
    assert "owed: csm_note to csm@vendor.example" in moved
    shown = read(house, "room", "show", "Genf, klein")
    assert (shown["contracts"], shown["commitment"]) == ([contract], "select")
    assert [(step["kind"], step["came_from"]) for step in shown["history"]] == [("assigned", "Salle Lumière")]
    assert "Salle Lumière" in done(house, "room", "show", "Genf, klein")
    done(house, "room", "release", contract, "genf, klein")
    assert read(house, "room", "show", "Genf, klein")["contracts"] == []
    assert "there is no contract SC-000099" in refused(house, "room", "assign", "SC-000099", "One")
    assert "there is no room Nowhere" in refused(house, "room", "assign", contract, "Nowhere")
    assert "another account" in refused(house, "room", "assign", contract, "One")


def test_devices_are_listed_with_what_scripts_rely_on_and_move_within_their_account(house: EstateHouse) -> None:
    done(house, "room", "import", "-", stdin=ROOMS)
    today = datetime.now(UTC)
    done(house, "room", "assign", number(house.contract(1, 2, today)), "Salle Lumière")
    device = read(house, "device", "list", "--customer", "acme")[0]
    assert (device["serial"], device["product"], device["room"]) == ("S1X", "Rally Bar", "Salle Lumière")
    assert device["covered_until"] is not None
    done(house, "device", "move", "s1x", "Genf, klein")
    assert read(house, "device", "show", "S1X")["history"][-1]["came_from"] == "Salle Lumière"
    assert "another customer" in refused(house, "device", "move", "S1X", "One")
    done(house, "device", "move", "S1X", "--out")
    assert read(house, "device", "show", "S1X")["room"] is None
    assert run(house, "device", "move", "S1X").exit_code == 2
    done(house, "device", "add", "s7x", "tapip", "--customer", "Beta", "--purchased", "2026-01-05", "--room", "One")
    assert "registered for Beta" in refused(
        house, "device", "import", "-", stdin="serial,product,purchased_on,customer\nS7X,Tap IP,2026-01-05,Acme\n"
    )
    bought = ("--customer", "Beta", "--purchased")
    assert "there already" in refused(house, "device", "add", "S7X", "Tap IP", *bought, "2026-01-05")
    assert run(house, "device", "add", "S8X", "Tap IP", *bought, "5.1.2026").exit_code == 2


def test_spares_are_granted_agreed_on_and_withdrawn(house: EstateHouse) -> None:
    done(house, "room", "import", "-", stdin=ROOMS)
    for licences in (40, 40, 20):
        house.contract(1, licences, datetime.now(UTC))
    (acme,) = read(house, "spares")
    assert acme | {"customer": "Acme", "rooms": 100, "granted": 2, "open": 2} == acme
    assert read(house, "spares", "list") == [acme]
    done(house, "spares", "agree", "acme", "rally bar", "1 Rue de la Paix, Paris", "--units", "2")
    shown = read(house, "spares", "show", "Acme")
    assert shown["agreed"] == [{"product": "Rally Bar", "place": "1 rue de la Paix, Paris", "units": 2}]
    assert "too many" in refused(house, "spares", "agree", "Acme", "Rally Bar", "1 rue de la Paix, Paris")
    done(house, "spares", "withdraw", "Acme", "Rally Bar", "1 rue de la Paix, Paris")
    assert read(house, "spares", "show", "Acme")["open"] == 1
    assert "there is no customer Gamma" in refused(house, "spares", "show", "Gamma")


def test_extensions_come_in_and_say_whether_they_stand(house: EstateHouse) -> None:
    done(house, "room", "import", "-", stdin=ROOMS)
    file = (
        "serial,sku,years,purchased_on,customer_name,status\n"
        "S1X,994-1,3,2026-01-05,ACME,\nS9X,994-1,3,2026-01-05,ACME,\nS2X,994-1,3,2026-01-05,ACME,Pending\n"
    )
    assert "3 added" in done(house, "device", "import-extensions", "-", stdin=file)
    found = {one["serial"]: one for one in read(house, "device", "extensions", "--customer", "Acme")}
    assert {serial: one["reason"] for serial, one in found.items()} == {
        "S1X": None,
        "S2X": "order_pending",
        "S9X": "serial_unknown",
    }
    assert found["S1X"]["ends"] == "2029-01-04"
    assert read(house, "device", "extensions", "--customer", "Beta") == []
    written = done(house, "device", "export-extensions")
    assert "3 unchanged" in done(house, "device", "import-extensions", "-", stdin=written)
    assert read(house, "device", "show", "S1X")["covered_until"] == "2029-01-04"


@pytest.mark.parametrize("shape", [estate_file.ROOMS, estate_file.DEVICES, estate_file.EXTENSIONS])
@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b'customer,name\n"open', b"", b"\x00", b",,,\n"])
def test_a_file_that_is_none_is_a_problem_and_not_a_crash(shape: Any, data: bytes) -> None:
    assert estate_file.read(data, shape).problems
