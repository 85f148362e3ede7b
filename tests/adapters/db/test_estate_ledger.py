"""The ledger on SQLite and PostgreSQL: what the contracts desk tells it, what operators do (rows C10–C14)."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.house import estate_house
from tests.house.estate_house import MAY, EstateHouse, number

from triaged.adapters import estate_file
from triaged.adapters.db import engine, estate, estate_views, outbox, rooms
from triaged.adapters.db.contract_models import Contract, Device
from triaged.adapters.db.estate import SparesChange
from triaged.domain.cover import Commitment
from triaged.domain.errors import PermanentError
from triaged.domain.estate import Estate
from triaged.domain.estate_records import Outcome, RoomRecord, Unit
from triaged.workflows import estate as work
from triaged.workflows import estate_import


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[EstateHouse]:
    house = estate_house.opened(tmp_path, database_url)
    yield house
    house.app.database.dispose()


def with_rooms(house: EstateHouse, customer: str, *names: str, **facts: str) -> None:
    records = tuple((line, RoomRecord(customer, name, **facts)) for line, name in enumerate(names, 2))  # type: ignore[arg-type]  # texts
    reading = estate_file.Reading(records, frozenset(estate_file.ROOMS.columns), ())
    assert import_rooms(house, reading).problems == ()


def import_rooms(house: EstateHouse, reading: estate_file.Reading[RoomRecord]) -> Outcome:
    catalogue = house.app.settings.catalogue
    return estate_import.import_rooms(estate_import.Import(house.app.database, catalogue, "alma", MAY), reading)


def told(house: EstateHouse, what: str, contract: int, at: datetime) -> SparesChange:
    with house.app.database.write() as session:
        change: SparesChange = getattr(estate, what)(session, contract, "alma", at, house.app.settings.catalogue)
        return change


def sums(house: EstateHouse) -> Estate:
    with house.app.database.read() as session:
        return estate.load(session)


def row(house: EstateHouse, contract: int) -> Contract:
    with house.app.database.read() as session:
        found = session.get(Contract, contract)
        assert found is not None
        return found


def room_views(house: EstateHouse, at: datetime = MAY) -> dict[str, estate_views.RoomView]:
    with house.app.database.read() as session:
        return {one.name: one for one in estate_views.rooms(session, at, house.app.settings.catalogue)}


def device_views(house: EstateHouse, at: datetime = MAY) -> dict[str, estate_views.DeviceView]:
    with house.app.database.read() as session:
        return {one.serial: one for one in estate_views.devices(session, at, house.app.settings.catalogue)}


# Spares


def test_purchases_across_subsidiaries_cross_the_line_at_the_parent_and_a_cancellation_takes_it_back(
    house: EstateHouse,
) -> None:
    house.customer("Acme Group", csm="csm@vendor.example")
    france, german = (
        house.customer("Acme France", parent="Acme Group"),
        house.customer("Acme GmbH", parent="Acme Group"),
    )
    first = house.contract(france, 40)
    second = house.contract(german, 40, MAY + timedelta(days=180))
    third = house.contract(france, 20, MAY + timedelta(days=270))
    later = MAY + timedelta(days=271)
    again = told(house, "purchased", third, later)
    assert again == SparesChange("Acme Group", 100, 2, 2, "csm@vendor.example")  # said twice, counted once
    assert told(house, "cancelled", second, later) == SparesChange("Acme Group", 60, 2, 1, "csm@vendor.example")
    assert told(house, "cancelled", second, later) == SparesChange("Acme Group", 60, 1, 1, "csm@vendor.example")
    assert told(house, "restored", second, later) == SparesChange("Acme Group", 100, 1, 2, "csm@vendor.example")
    with house.app.database.read() as session:
        (record,) = estate.all_spares(session, later + timedelta(days=800), house.app.settings.catalogue)
    document = record.document()
    assert (document["customer"], document["rooms"], document["granted"]) == ("Acme Group", 0, 2)
    assert first != second


def test_the_change_that_a_purchase_made_is_its_own(house: EstateHouse) -> None:
    acme = house.customer("Acme")
    house.contract(acme, 40)
    with house.app.database.write() as session:
        session.add(order := estate_house.order_row(MAY))
        session.flush()
        new = estate_house.contract_row(acme, 40, MAY + timedelta(seconds=30))  # their clock is ahead of ours
        new.order_id = order.id
        session.add(new)
        session.flush()
        change = estate.purchased(session, new.id, "mail", MAY, house.app.settings.catalogue)
    assert change == SparesChange("Acme", 80, 0, 1, "")


def test_agreed_spares_match_hardware_and_place_and_stay_within_what_is_granted(house: EstateHouse) -> None:
    acme = house.customer("Acme", head_office="1 rue de la Paix, Paris")
    house.contract(acme, 60)
    device = Unit("S1", "Rally Bar", date(2026, 1, 1))
    reading = ((2, RoomRecord("Acme", "Alpha", place="Lyon", devices=(device,))),)
    assert import_rooms(house, estate_file.Reading(reading, frozenset(estate_file.ROOMS.columns), ())).added
    for wanted, why in (
        (("Tap IP", "Lyon", 1), "stands in none"),
        (("Rally Bar", "Nice", 1), "no address"),
        (("Rally Bar", "Lyon", 2), "too many"),
    ):
        with pytest.raises(PermanentError, match=why):
            work.agree_spares(house.bureau(), "ACME", wanted, MAY)
    document = work.agree_spares(house.bureau(), "Acme", ("rally bar", "LYON", 1), MAY).document()
    assert document["agreed"] == [{"product": "Rally Bar", "place": "Lyon", "units": 1}]
    assert (document["open"], document["to_return"]) == (0, 0)
    back = work.withdraw_spares(house.bureau(), "Acme", ("Rally Bar", "Lyon", 1), MAY).document()
    assert (back["agreed"], back["open"]) == ([], 1)


def test_a_unit_that_was_agreed_on_and_is_granted_no_more_is_to_return(house: EstateHouse) -> None:
    acme = house.customer("Acme", head_office="Paris")
    contract = house.contract(acme, 60)
    reading = ((2, RoomRecord("Acme", "Alpha", devices=(Unit("S1X", "Tap IP", date(2026, 1, 1)),))),)
    import_rooms(house, estate_file.Reading(reading, frozenset(estate_file.ROOMS.columns), ()))
    work.agree_spares(house.bureau(), "Acme", ("Tap IP", "Paris", 1), MAY)
    told(house, "cancelled", contract, MAY)
    with house.app.database.read() as session:
        (record,) = estate.all_spares(session, MAY, house.app.settings.catalogue)
    assert (record.document()["open"], record.document()["to_return"]) == (0, 1)


# Licences


def test_cancelling_frees_the_rooms_and_restoring_covers_them_again(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme"), 2)
    with_rooms(house, "Acme", "Alpha", "Beta")
    work.assign(house.bureau(), number(contract), ["Alpha", "beta"], MAY)
    before = sums(house)
    told(house, "cancelled", contract, MAY)
    assert room_views(house)["Alpha"].licences == ()
    with pytest.raises(PermanentError, match="cancelled"):
        work.assign(house.bureau(), number(contract), ["Alpha"], MAY)
    told(house, "restored", contract, MAY + timedelta(hours=23))
    assert sums(house) == before
    assert [one.number for one in room_views(house)["Alpha"].licences] == [number(contract)]


def test_all_rooms_are_assigned_or_none(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme"), 1)
    with_rooms(house, "Acme", "Alpha", "Beta")
    with pytest.raises(PermanentError, match="all 1 licences"):
        work.assign(house.bureau(), number(contract), ["Alpha", "Beta"], MAY)
    assert sums(house).holdings[contract].rooms == frozenset()
    assert row(house, contract).first_assigned_on is None


def test_a_contract_ends_at_midnight_of_the_customers_calendar(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme"), 1, timezone="Pacific/Auckland", starts=date(2026, 5, 4))
    last = datetime(2027, 5, 3, 11, 59, tzinfo=UTC)  # 23:59 in Auckland
    holding = sums(house).holdings[contract]
    assert holding.in_force(last)
    assert not holding.in_force(last + timedelta(minutes=1))


def test_the_first_assignment_begins_the_term_where_the_catalogue_says_so(tmp_path: Path, database_url: str) -> None:
    house = estate_house.opened(tmp_path, database_url, '[term]\nstart = "first_assignment"\nlatest_days = 60\n')
    contract = house.contract(house.customer("Acme"), 1, starts=None)
    with_rooms(house, "Acme", "Alpha", "Beta")
    work.assign(house.bureau(), number(contract), ["Alpha"], datetime(2026, 5, 20, 22, 30, tzinfo=UTC))
    begun = row(house, contract)
    assert (begun.first_assigned_on, begun.starts, begun.ends) == (
        date(2026, 5, 21),  # in Paris
        date(2026, 5, 21),
        date(2027, 5, 20),
    )
    work.move_licence(house.bureau(), number(contract), "Alpha", "Beta", MAY + timedelta(days=40))
    assert row(house, contract).first_assigned_on == date(2026, 5, 21)
    house.app.database.dispose()


def test_where_the_service_differs_customer_and_csm_hear_of_it_once(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme", csm="csm@vendor.example", country="FR"), 5)
    with_rooms(house, "Acme", "Genf 1", "Genf 2", country="CH")
    with_rooms(house, "Acme", "Paris 1")
    owed = work.assign(house.bureau(), number(contract), ["Paris 1"], MAY)
    assert owed == ()
    owed = work.assign(house.bureau(), number(contract), ["Genf 1", "Genf 2"], MAY)
    assert [(one.name.value, one.to, one.locale) for one in owed] == [
        ("country_terms", ("ada@acme.example",), "fr"),
        ("csm_note", ("csm@vendor.example",), "en"),
    ]
    assert [(one.country, one.room) for one in owed[0].facts.countries] == [("CH", "Genf 1"), ("CH", "Genf 2")]
    with house.app.database.read() as session:
        mails = outbox.entries(session)
    assert [(one.notice, one.recipient, one.contract) for one in mails] == [
        ("country_terms", "ada@acme.example", number(contract)),
        ("csm_note", "csm@vendor.example", number(contract)),
    ]


def test_a_room_without_a_country_is_in_its_customers(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Alpen AG", country="CH"), 5)
    with_rooms(house, "Alpen AG", "Bern")
    owed = work.assign(house.bureau(), number(contract), ["Bern"], MAY)
    assert [one.name.value for one in owed] == ["country_terms"]  # no CSM is named


@contextlib.contextmanager
def elsewhere(house: EstateHouse) -> Iterator[work.Bureau]:
    """As another process has it: a database connection of its own."""
    database = engine.Database(house.app.database.url)
    try:
        yield dataclasses.replace(house.bureau(), database=database)
    finally:
        database.dispose()


def test_two_writers_never_give_the_last_licence_twice(house: EstateHouse) -> None:
    contracts = [house.contract(house.customer("Acme"), 5)]
    names = [f"Room {count}" for count in range(16)]
    with_rooms(house, "Acme", *names)
    refusals: list[str] = []
    together = threading.Barrier(len(names))

    def take(name: str) -> None:
        together.wait()
        try:
            with elsewhere(house) as bureau:
                work.assign(bureau, number(contracts[0]), [name], MAY)
        except PermanentError as refusal:
            refusals.append(str(refusal))

    _run([threading.Thread(target=take, args=(name,)) for name in names])
    assert len(sums(house).holdings[contracts[0]].rooms) == 5
    assert len(refusals) == 11
    assert all("all 5 licences" in refusal for refusal in refusals)


def test_two_contracts_at_once_never_cover_one_room(house: EstateHouse) -> None:
    acme = house.customer("Acme")
    racing = [house.contract(acme, 5) for _count in range(6)]
    with_rooms(house, "Acme", "Alpha")
    won: list[int] = []
    together = threading.Barrier(len(racing))

    def take(contract: int) -> None:
        together.wait()
        try:
            with elsewhere(house) as bureau:
                work.assign(bureau, number(contract), ["Alpha"], MAY)
        except PermanentError:
            return
        won.append(contract)

    _run([threading.Thread(target=take, args=(contract,)) for contract in racing])
    assert len(won) == 1
    assert [one.contract for one in sums(house).holdings.values() if one.rooms] == won


def test_purchases_of_two_subsidiaries_at_once_grant_their_spare_once(house: EstateHouse) -> None:
    members = [house.customer(f"Acme {count}", parent="Acme Group") for count in range(5)]
    changes: list[SparesChange] = []
    together = threading.Barrier(len(members))

    def buy(customer: int) -> None:
        together.wait()
        with elsewhere(house) as bureau, bureau.database.write() as session:
            session.add(order := estate_house.order_row(MAY))
            session.flush()
            new = estate_house.contract_row(customer, 10, MAY, order_id=order.id)
            session.add(new)
            session.flush()
            changes.append(estate.purchased(session, new.id, "mail", MAY, house.app.settings.catalogue))

    _run([threading.Thread(target=buy, args=(customer,)) for customer in members])
    assert sorted(change.rooms for change in changes) == [10, 20, 30, 40, 50]
    assert [(change.before, change.now) for change in changes if change.now] == [(0, 1)]


def _run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


# Rooms, devices, extensions


def test_devices_and_licences_move_and_the_history_of_both_rooms_tells_it(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme"), 1)
    unit = Unit("S1X", "rally bar", date(2026, 1, 1))
    lines = ((2, RoomRecord("Acme", "Alpha", devices=(unit,))), (3, RoomRecord("Acme", "Beta")))
    import_rooms(house, estate_file.Reading(lines, frozenset(estate_file.ROOMS.columns), ()))
    work.assign(house.bureau("bea"), number(contract), ["Alpha"], MAY)
    assert device_views(house)["S1X"].covered_until == date(2027, 5, 3)
    work.move_device(house.bureau("bea"), "s1x", "Beta", MAY)
    assert (device_views(house)["S1X"].room, device_views(house)["S1X"].covered_until) == ("Beta", None)
    work.move_licence(house.bureau("bea"), number(contract), "Alpha", "Beta", MAY)
    assert device_views(house)["S1X"].covered_until == date(2027, 5, 3)
    with house.app.database.read() as session:
        alpha = estate_views.room_history(session, rooms.room(session, "Alpha"))
        steps = [(step["kind"], step["room"], step["came_from"]) for step in estate_views.told(session, alpha)]
    assert steps == [
        ("device_placed", "Alpha", None),
        ("assigned", "Alpha", None),
        ("device_moved", "Beta", "Alpha"),
        ("released", "Alpha", None),
        ("assigned", "Beta", "Alpha"),
    ]
    work.move_device(house.bureau(), "S1X", None, MAY)
    assert device_views(house)["S1X"].room is None


def test_sites_have_their_own_rooms_and_licences(house: EstateHouse) -> None:
    acme = house.customer("Acme", sites=["12 quai Y, Lyon"], head_office="1 rue X, Paris")
    whole = house.contract(acme, 5)
    lyon = house.contract(acme, 1, site="12 quai Y, Lyon")
    with_rooms(house, "Acme", "Salle 1")
    with_rooms(house, "Acme", "Salle 1", site="12 Quai Y LYON")
    with_rooms(house, "Acme", "Salle 2", site="1 rue X Paris")  # the head office: the global account
    work.assign(house.bureau(), number(lyon), ["salle 1"], MAY)
    work.assign(house.bureau(), number(whole), ["salle 1", "SALLE 2"], MAY)
    with pytest.raises(PermanentError, match="another account"):
        work.assign(house.bureau(), number(lyon), ["Salle 2"], MAY)
    with house.app.database.read() as session:
        catalogue = house.app.settings.catalogue
        there = estate_views.overview(session, acme, "12 quai Y, Lyon", MAY, catalogue)
        here = estate_views.overview(session, acme, "", MAY, catalogue)
    assert [(one.number, one.assigned, one.free) for one in there.licences] == [(number(lyon), 1, 0)]
    assert [(one.number, one.assigned, one.free) for one in here.licences] == [(number(whole), 2, 3)]
    assert ([room.name for room in there.rooms], len(here.rooms)) == (["Salle 1"], 2)


def test_select_answers_for_a_room_before_its_jumpstart(house: EstateHouse) -> None:
    contract = house.contract(house.customer("Acme"), 1)
    lines = ((2, RoomRecord("Acme", "Alpha", jumpstart=date(2026, 4, 1))),)
    import_rooms(house, estate_file.Reading(lines, frozenset(estate_file.ROOMS.columns), ()))
    jumpstart = room_views(house)["Alpha"].committed
    assert (jumpstart.by, jumpstart.until) == (Commitment.JUMPSTART, date(2026, 6, 30))
    work.assign(house.bureau(), number(contract), ["Alpha"], MAY)
    select = room_views(house)["Alpha"].committed
    assert (select.by, select.until) == (Commitment.SELECT, date(2027, 5, 3))
    assert room_views(house, MAY + timedelta(days=400))["Alpha"].committed.by is Commitment.NONE


def test_extensions_stand_by_name_or_address_and_say_why_they_do_not(house: EstateHouse) -> None:
    acme = house.customer("Acme SA", domains=("acme.example",))
    other = house.customer("Other Ltd")
    with house.app.database.write() as session:
        for customer, serial in ((acme, "S1X"), (other, "S2X")):
            day = date(2025, 1, 1)
            session.add(Device(serial=serial, product="Rally Bar", customer_id=customer, purchased_on=day))
    data = b"""serial;sku;years;purchased_on;customer_name;customer_email;status
s1x;994-1;3;2025-01-01;ACME S.A.;;
S1X;994-2;9;2025-06-01;Acmee;it@acme.example;processed
S1X;994-3;1;2025-06-01;Acme;;pending
S1X;994-4;1;2025-06-01;Unknown Inc;;
S1X;994-5;1;2025-06-01;Other Ltd;it@acme.example;
S9X;994-6;1;2025-06-01;Acme;;
S2X;994-7;1;2025-06-01;Acme;;
"""
    job = estate_import.Import(house.app.database, house.app.settings.catalogue, "alma", MAY)
    reading = estate_file.read(data, estate_file.EXTENSIONS)
    assert len(estate_import.import_extensions(job, reading).added) == 7
    assert estate_import.import_extensions(job, reading).unchanged == 7
    with house.app.database.read() as session:
        found = {one.sku: one for one in estate_views.extensions(session, house.app.settings.catalogue)}
        theirs = [one.sku for one in estate_views.extensions(session, house.app.settings.catalogue, other)]
    assert {sku: one.reason for sku, one in found.items()} == {
        "994-1": "", "994-2": "", "994-3": "order_pending", "994-4": "customer_unknown",
        "994-5": "customer_unknown", "994-6": "serial_unknown", "994-7": "other_customer",
    }  # fmt: skip
    assert (found["994-1"].ends, found["994-2"].ends) == (date(2027, 12, 31), date(2029, 12, 31))  # five years in all
    assert device_views(house)["S1X"].covered_until == date(2029, 12, 31)
    assert device_views(house)["S2X"].covered_until is None
    assert theirs == ["994-7"]
