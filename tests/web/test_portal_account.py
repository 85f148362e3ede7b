"""Somebody who was here before: signs in by a code, sees the entitlement, lets colleagues in (rows C5, C10, C15)."""

from datetime import date, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.web import portal_house
from tests.web.portal_house import CLAIRE, DISTRIBUTOR, PAUL, RESELLER, Browser, House, accepted

from triaged.adapters.db import contracts, estate
from triaged.adapters.db.contract_models import Device, Extension, Room
from triaged.domain.estate import Entry, Kind
from triaged.domain.invitation import Access
from triaged.workflows import portal


def signed_in(house: House, browser: Browser, address: str = CLAIRE) -> Browser:
    browser.get("/sign-in").submit("/sign-in", address=address)
    return browser.submit("/sign-in/code", code=house.code())


@pytest.fixture
def owner(house: House, browser: Browser) -> Browser:
    return accepted(house, house.order(), browser)


def test_a_known_person_comes_back_by_a_code(house: House, owner: Browser) -> None:
    assert owner.submit("/sign-out").path == "/sign-in"
    assert "Vous êtes déconnecté" in owner.words
    assert owner.get("/contracts").path == "/sign-in"
    assert signed_in(house, owner).path == "/contracts"


def test_a_session_that_was_signed_out_is_over_for_whoever_kept_its_cookie(house: House, owner: Browser) -> None:
    cookie = owner.client.cookies["triaged-session"]
    owner.submit("/sign-out")
    thief = Browser(house.pages())
    thief.client.cookies.set("triaged-session", cookie)
    assert thief.get("/contracts").path == "/sign-in"


def test_a_sign_in_ends_after_twelve_hours_however_much_it_was_used(house: House, owner: Browser) -> None:
    house.now += timedelta(hours=11, minutes=59)
    assert owner.get("/contracts").path == "/contracts"
    house.now += timedelta(minutes=2)
    assert owner.get("/contracts").path == "/sign-in"


def test_strangers_are_answered_as_known_people_and_get_no_mail(house: House, owner: Browser) -> None:
    owner.submit("/sign-out")
    answers = []
    for address in (CLAIRE, "nobody@acme.example"):
        page = Browser(owner.client.app).get("/sign-in").submit("/sign-in", address=address)  # type: ignore[arg-type]  # Starlette
        answers.append((page.status, page.path, page.words.replace(address, "…")))
    assert answers[0] == answers[1]
    assert house.owed() == [CLAIRE, CLAIRE]  # the first when the invitation was accepted


@pytest.mark.parametrize("address", [CLAIRE, "nobody@acme.example"])
def test_the_fourth_code_for_signing_in_is_refused_whoever_asks(house: House, owner: Browser, address: str) -> None:
    other = Browser(house.pages())
    for _ in range(3):
        other.get("/sign-in").submit("/sign-in", address=address)
    refused = other.get("/sign-in").submit("/sign-in", address=address)
    assert refused.status == HTTPStatus.TOO_MANY_REQUESTS
    assert "dans 60 minutes" in refused.words


def test_a_stranger_cannot_even_use_the_code_that_was_never_mailed(house: House, owner: Browser) -> None:
    page = signed_in(house, Browser(house.pages()), "nobody@acme.example")
    assert page.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Aucun code n’attend" in page.words


def test_a_code_for_signing_in_opens_no_invitation(house: House, owner: Browser) -> None:
    row = house.order(customer=PAUL)
    other = Browser(house.pages())
    other.get("/sign-in").submit("/sign-in", address=PAUL)
    done = portal.accept(
        house.app.portal, house.token(row), house.code(), other.client.cookies["triaged-browser"], house.now
    )
    assert done == "none"


def test_the_entitlement_shows_licences_assigned_and_free_start_and_end(house: House, owner: Browser) -> None:
    with house.app.database.write() as session:
        one = contracts.listed(session)[0]
        room = Room(customer_id=one.customer_id, site="", name="Salle Bleue")
        session.add(room)
        session.flush()
        estate.add(session, [Entry(Kind.ASSIGNED, (one.customer_id, ""), one.id, room.id)], "test", house.now)
    page = owner.get("/contracts")
    assert "1 affectée, 39 libres" in page.words
    assert "3 févr. 2026" in page.words
    assert "2 févr. 2029" in page.words
    assert "annulable jusqu’au 5 mars 2026" in page.words
    assert "PO-0001" not in page.text  # the sellers' matter


def test_after_its_thirty_days_an_order_is_no_longer_shown_as_cancellable(house: House, browser: Browser) -> None:
    row = house.order()
    house.now += timedelta(days=30)
    accepted(house, row, browser)
    assert "annulable" in browser.words
    house.now += timedelta(hours=11)
    assert "annulable" in browser.get("/contracts").words
    house.now += timedelta(hours=6)
    signed_in(house, browser)
    assert "annulable" not in browser.words


def test_a_site_s_account_is_seen_by_its_own_people_alone(house: House, owner: Browser) -> None:
    with house.app.database.write() as session:
        customer = contracts.listed(session)[0].customer_id
        row = session.get_one(portal.Contract, 1)
        assert (row.customer_id, row.site) == (customer, "")
    site = house.order(customer=PAUL, address="5 quai des Chartrons, 33000 Bordeaux, France", licences=7)
    paul = Browser(house.pages())
    accepted(house, site, paul, PAUL)
    assert "SC-000002" in paul.words
    assert "SC-000001" not in paul.words
    assert "SC-000002" not in owner.get("/contracts").words


def test_earlier_warranty_extensions_are_shown_or_the_reason_why_one_is_not_matched(
    house: House, owner: Browser
) -> None:
    with house.app.database.write() as session:
        one = contracts.listed(session)[0]
        session.add(
            Device(serial="SN1", product="Rally Bar", customer_id=one.customer_id, purchased_on=date(2025, 1, 10))
        )
        for serial, status in (("SN1", "processed"), ("SN2", "processed"), ("SN3", "pending")):
            session.add(
                Extension(
                    serial=serial,
                    sku="994-000137",
                    years=1,
                    purchased_on=date(2026, 1, 12),
                    customer_name=one.customer,
                    status=status,
                )
            )
    page = owner.get("/contracts")
    assert "Extensions de garantie antérieures" in page.words
    assert "SN1 achetée le 12 janv. 2026 Rally Bar 1 an 11 janv. 2027" in page.words
    assert "n’est affecté à aucun appareil" in page.words
    assert "encore en cours" in page.words


def test_an_administrator_names_a_reader_who_then_sees_and_changes_nothing(house: House, owner: Browser) -> None:
    owner.get("/people").submit("/people/name", address=f" {PAUL.title()} ", access="reader")
    assert "part dans un instant, à cette personne seulement" in owner.words
    assert house.owed("invitation") == [PAUL]
    house.send()
    paul = Browser(house.pages())
    accepted(house, 2, paul, PAUL)
    assert "SC-000001" in paul.words
    page = paul.get("/people")
    assert "accès en lecture seule" in page.words
    assert "<form" not in page.text.partition("<main")[2]
    refused = portal.name(
        house.app.portal, paul.client.cookies["triaged-session"], 2, "x@acme.example", Access.ADMIN, "fr", house.now
    )
    assert refused is portal.Change.NOT_ALLOWED


def test_a_named_administrator_may_name_others_and_the_mail_says_who_named_him(house: House, owner: Browser) -> None:
    owner.get("/people").submit("/people/name", address=PAUL, access="admin")
    assert house.invitation(2).named_by == CLAIRE
    house.send()
    paul = Browser(house.pages())
    accepted(house, 2, paul, PAUL)
    assert paul.get("/people").submit("/people/name", address="nora@acme.example", access="reader").status == 200
    assert house.owed("invitation") == ["nora@acme.example"]


@pytest.mark.parametrize(
    "address",
    [RESELLER, DISTRIBUTOR, "other@integra.example", "select@vendor.example", "x@support.example", "it@acme.example"],
)
def test_sellers_ourselves_and_group_addresses_cannot_be_named(house: House, owner: Browser, address: str) -> None:
    page = owner.get("/people").submit("/people/name", address=address, access="admin")
    assert page.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "ne peut pas être invitée" in page.words
    assert house.owed("invitation") == []


def test_a_person_is_removed_and_neither_his_session_nor_his_link_lets_him_in_again(
    house: House, owner: Browser
) -> None:
    owner.get("/people").submit("/people/name", address=PAUL, access="admin")
    house.send()
    paul = Browser(house.pages())
    accepted(house, 2, paul, PAUL)
    owner.get("/people")
    group = owner.text.split('name="group" value="')[1].partition('"')[0]
    token = owner.text.partition("/people/remove")[2].split('name="form" value="')[1].partition('"')[0]
    assert owner.post("/people/remove", form=token, group=group, address=PAUL).status == HTTPStatus.OK
    assert "n’a plus accès" in owner.words
    assert PAUL not in owner.words
    assert paul.get("/contracts").path == "/sign-in"
    assert paul.get(house.link(2)).status == HTTPStatus.GONE
    asked = len(house.owed())
    paul.get("/sign-in").submit("/sign-in", address=PAUL)
    assert len(house.owed()) == asked


def test_a_person_is_named_comes_and_is_removed_on_either_database(database_url: str, tmp_path: Path) -> None:
    house = portal_house.install(tmp_path, database_url)
    owner = accepted(house, house.order(), Browser(house.pages()))
    owner.get("/people").submit("/people/name", address=PAUL, access="admin")
    house.send()
    paul = accepted(house, 2, Browser(house.pages()), PAUL)
    paul.submit("/sign-out")
    assert signed_in(house, paul, PAUL).path == "/contracts"
    done = portal.remove(house.app.portal, owner.client.cookies["triaged-session"], 1, PAUL, house.now)
    assert done is portal.Change.REMOVED
    assert paul.get("/contracts").path == "/sign-in"
    house.app.database.dispose()


def test_an_invitation_that_was_not_opened_yet_can_be_taken_back(house: House, owner: Browser) -> None:
    owner.get("/people").submit("/people/name", address=PAUL, access="reader")
    house.send()
    assert "invitation en attente" in owner.get("/people").words
    done = portal.remove(house.app.portal, owner.client.cookies["triaged-session"], 1, PAUL, house.now)
    assert done is portal.Change.REMOVED
    assert Browser(house.pages()).get(house.link(2)).status == HTTPStatus.GONE


def test_the_last_administrator_cannot_be_removed_or_become_a_reader(house: House, owner: Browser) -> None:
    page = owner.get("/people").submit("/people/remove")
    assert page.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "est le dernier administrateur" in page.words
    page = owner.get("/people").submit("/people/name", address=CLAIRE, access="reader")
    assert "est le dernier administrateur" in page.words


def test_a_reader_becomes_an_administrator_without_another_invitation(house: House, owner: Browser) -> None:
    owner.get("/people").submit("/people/name", address=PAUL, access="reader")
    house.send()
    paul = accepted(house, 2, Browser(house.pages()), PAUL)
    owner.get("/people").submit("/people/name", address=PAUL, access="admin")
    assert "Le rôle est modifié" in owner.words
    assert house.owed("invitation") == []
    assert "/people/name" in paul.get("/people").text


def test_the_same_person_is_invited_again_at_most_three_times_a_day(house: House, owner: Browser) -> None:
    for _ in range(4):
        owner.get("/people").submit("/people/name", address=PAUL, access="reader")
        house.send()
        assert owner.status == HTTPStatus.OK
    page = owner.get("/people").submit("/people/name", address=PAUL, access="reader")
    assert "Trop d’invitations en 24 heures" in page.words
    house.now += timedelta(days=1, minutes=1)
    signed_in(house, owner)
    assert owner.get("/people").submit("/people/name", address=PAUL, access="reader").status == HTTPStatus.OK


def test_another_customer_s_group_cannot_be_touched_by_its_number(house: House, owner: Browser) -> None:
    row = house.order(customer="bob@globex.example", name="Bob, Globex Ltd", address="1 High Street, London, England")
    accepted(house, row, Browser(house.pages()), "bob@globex.example")
    cookie = owner.client.cookies["triaged-session"]
    for change in (
        portal.name(house.app.portal, cookie, 2, "x@acme.example", Access.ADMIN, "fr", house.now),
        portal.remove(house.app.portal, cookie, 2, "bob@globex.example", house.now),
    ):
        assert change is portal.Change.NOT_ALLOWED
    assert "globex" not in owner.get("/contracts").text.lower()


def test_what_was_done_to_people_is_not_done_again_when_the_page_is_loaded_again(house: House, owner: Browser) -> None:
    owner.get("/people").submit("/people/name", address=PAUL, access="reader")
    assert owner.path == "/people"
    owner.get("/people?then=invited")
    assert house.owed("invitation") == [PAUL]
