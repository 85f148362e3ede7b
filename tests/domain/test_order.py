"""What an order must be before it becomes a contract (rows C1, C2, C6): every problem at once, nothing guessed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.domain import order
from triaged.domain.catalogue import Catalogue, Country, ServiceType, Sku, TermStart
from triaged.domain.order import Code, Draft, DraftLine, Finding, Party, Role

SELECT, WARRANTY = ServiceType.SELECT, ServiceType.WARRANTY
SKUS = [
    Sku("994-000148", SELECT, 1), Sku("994-000303", SELECT, 3), Sku("994-000311", ServiceType.SYNCPLUS, 1),
    Sku("994-000323", WARRANTY, 3),
]  # fmt: skip
CATALOGUE = Catalogue(
    skus={sku.code: sku for sku in SKUS},
    products=(),
    countries={"CH": Country("CH", (SELECT,), "two days")},
    rooms_per_spare=50,
    invitation_valid=timedelta(days=30),
    cancellation=timedelta(days=30),
    warranty_max_years=5,
    term_start=TermStart.PURCHASE,
    term_latest=None,
)
AROUND = order.Surroundings(
    catalogue=CATALOGUE,
    valid=lambda text: text.lower() if text.count("@") == 1 and " " not in text else None,
    country_of=lambda text: "CH" if "Suisse" in text else "",
    ours=frozenset({"vendor.example"}),
    partners=frozenset({"integra.example"}),
    public=frozenset({"mail.example"}),
)
GOOD = Draft(
    po_number="PO-4711",
    lines=(DraftLine("994-000148", "40"),),
    customer=Party("Acme SA", "marie.durand@acme.example", "12 rue de la Paix, 75002 Paris"),
    reseller=Party("Integra", "commandes@integra.example", "1 place Bellecour, 69002 Lyon"),
    distributor=Party("Distri", "orders@distri.example", "5 quai Sud, 13002 Marseille"),
)


def problems(draft: Draft) -> set[tuple[str, str]]:
    return {(found.field, found.code.value) for found in order.check(draft, AROUND).problems}


def with_line(**values: str) -> Draft:
    return replace(GOOD, lines=(replace(GOOD.lines[0], **values),))


def test_a_complete_order_has_no_problem() -> None:
    checked = order.check(GOOD, AROUND)
    assert (checked.problems, checked.warnings) == ((), ())
    assert checked.order is not None
    assert [(p.sku, p.years, p.licences) for p in checked.order.positions] == [("994-000148", 1, 40)]


def test_an_empty_order_names_every_field_at_once() -> None:
    parties = {(f"{role}_{part}", "missing") for role in Role for part in ("name", "email", "address")}
    assert problems(Draft()) == {(name, "missing") for name in ("po_number", "sku", "licences")} | parties


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("40", 40),
        ("40 licences", 40),
        ("40 licences (quarante)", 40),
        ("x 40", 40),
        ("40x", 40),
        ("+40", 40),
        ("1 250", 1250),
        ("1.250", 1250),
        ("1,250", 1250),
        ("1\u202f250", 1250),
        ("1\u00a0250 Lizenzen", 1250),
        ("1’250", 1250),
        ("40,00", 40),
        ("40.0", 40),
        ("100000", 100000),
    ],
)
def test_licences_are_read_as_people_write_them(written: str, number: int) -> None:
    checked = order.check(with_line(licences=written), AROUND)
    assert checked.order is not None
    assert checked.order.positions[0].licences == number


@pytest.mark.parametrize(
    "written",
    [
        "0",
        "-40",
        "100001",
        "40,5",
        "quarante",
        "40-50",
        "40 ≠ 20",
        "40,000",
        "1.000",
        "1,2,3",
        "994-000148",
        "4e3",
        "٤٠ x 3",
    ],
)
def test_what_is_no_sure_whole_number_is_invalid(written: str) -> None:
    assert problems(with_line(licences=written)) == {("licences", "invalid")}


@pytest.mark.parametrize(
    "years", ["1", "1 an", "1 year", "12 mois", "12 Monate", "12 months", "1 Jahr (12 Monate)", "", "unbekannt"]
)
def test_a_term_beside_the_sku_may_say_the_same(years: str) -> None:
    assert problems(with_line(years=years)) == set()


@pytest.mark.parametrize("years", ["3", "3 ans", "36 mois", "36 Monate", "5 years"])
def test_a_term_that_is_not_the_skus_is_a_conflict(years: str) -> None:
    assert problems(with_line(years=years)) == {("sku", "conflict")}


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("Logitech Select 1 an", SELECT),
        ("Select", SELECT),
        ("Sync Plus", ServiceType.SYNCPLUS),
        ("SyncPlus", ServiceType.SYNCPLUS),
        ("Sync+ 3 ans", ServiceType.SYNCPLUS),
        ("Extension de garantie Rally Bar", WARRANTY),
        ("Garantieverlängerung", WARRANTY),
        ("Extended warranty", WARRANTY),
        ("Select ou extension de garantie", None),
        ("Rally Bar", None),
        ("Sync Portal", None),
        ("", None),
    ],
)
def test_a_service_is_known_by_its_names_in_three_languages(text: str, service: ServiceType | None) -> None:
    assert order.service_of(text) is service


def test_a_service_other_than_the_skus_is_a_conflict() -> None:
    assert problems(with_line(service="Extension de garantie")) == {("service", "conflict")}


def test_two_services_on_one_order_are_refused() -> None:
    mixed = replace(GOOD, lines=(*GOOD.lines, DraftLine("994-000323", "5")))
    assert problems(mixed) == {("service", "mixed_services")}


def test_an_unknown_sku_is_said_back_as_written() -> None:
    assert Finding("sku", Code.UNKNOWN, "SEL-1") in order.check(with_line(sku="SEL-1"), AROUND).problems


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("jean@integra.example", "not_customer"),
        ("marie@eu.integra.example", "not_customer"),
        ("ORDERS@distri.example", "not_customer"),
        ("select@vendor.example", "not_customer"),
        ("marie", "invalid"),
        ("a@acme.example ≠ b@acme.example", "invalid"),
        ("", "missing"),
    ],
)
def test_the_invitation_never_goes_to_anybody_but_the_customer(email: str, code: str) -> None:
    assert problems(replace(GOOD, customer=replace(GOOD.customer, email=email))) == {("customer_email", code)}


def test_two_values_for_one_field_are_invalid_and_both_shown() -> None:
    both = order.CONTRADICTION.join(["PO-1", "PO-2"])
    assert order.check(replace(GOOD, po_number=both), AROUND).problems == (Finding("po_number", Code.INVALID, both),)
    for name in ("name", "address"):
        party = replace(GOOD.customer, **{name: order.CONTRADICTION.join(["1 rue A", "2 rue B"])})
        assert problems(replace(GOOD, customer=party)) == {(f"customer_{name}", "invalid")}


@pytest.mark.parametrize("local", ["it", "info", "Help.Desk", "it-support", "achats", "einkauf"])
def test_a_group_address_is_taken_with_a_warning(local: str) -> None:
    checked = order.check(replace(GOOD, customer=replace(GOOD.customer, email=f"{local}@acme.example")), AROUND)
    assert [warning.code for warning in checked.warnings] == [Code.GROUP_ADDRESS]
    assert checked.order is not None


def test_a_country_where_the_service_differs_is_a_warning() -> None:
    abroad = replace(GOOD, customer=replace(GOOD.customer, address="Rue du Rhône 1, 1204 Genève, Suisse"))
    assert order.check(abroad, AROUND).warnings == (Finding("customer_address", Code.COUNTRY, "CH"),)


def test_one_order_spelled_twice_has_one_fingerprint() -> None:
    customer = replace(GOOD.customer, name="ACME  SA", email="Marie.Durand@ACME.example")
    again = order.check(replace(GOOD, po_number="po 4711", customer=customer), AROUND).order
    first, other = order.check(GOOD, AROUND).order, order.check(with_line(licences="41"), AROUND).order
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


def test_an_answer_completes_an_order_and_keeps_the_rest() -> None:
    older = replace(GOOD, po_number="", customer=replace(GOOD.customer, email=""), lines=(DraftLine("994-000148"),))
    answer = Draft(
        po_number="PO-4711", lines=(DraftLine(licences="40"),), customer=Party(email="marie.durand@acme.example")
    )
    assert answer.over(older) == GOOD


def test_a_draft_survives_its_row() -> None:
    assert order.draft_of(GOOD.document()) == GOOD


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_the_check_raise(one: str, other: str, third: str) -> None:
    draft = Draft(one, (DraftLine(other, one, third, other),), Party(one, other, third), country=third)
    assert order.check(draft, AROUND).order is None
