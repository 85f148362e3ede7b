"""Whose an order is (rows C9, C12): names that compare, sites that group, and strangers that never get in."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.domain import customer
from triaged.domain.catalogue import ServiceType
from triaged.domain.customer import CustomerRecord, Family, Known, Matched
from triaged.domain.directory import FieldChange
from triaged.domain.order import Order, Party, Position

PARIS, LYON, MADRID = "12 rue X, 75008 Paris", "4 rue Y, 69000 Lyon", "1 calle Z, 28001 Madrid"
PUBLIC = frozenset({"gmail.com"})
RESELLER = Party("Integra", "contact@integra.example", "1 rue R, 31000 Toulouse")
ACME = CustomerRecord("Acme SA", "Acme Holding", "FR", PARIS, (LYON,), ("acme.example",), "csm@vendor.example", "fr")


def nowhere(_text: str) -> str:
    return ""


def order(name: str, email: str, address: str = PARIS, country: str = "FR") -> Order:
    positions = (Position("994-000148", ServiceType.SELECT, 1, 40),)
    return Order("PO-1", positions, Party(name, email, address), RESELLER, RESELLER, country)


def known(row_id: int, record: CustomerRecord, *emails: str, root: str = "") -> Known:
    family = Family(root or record.parent or record.name, (row_id,), record.csm or "")
    return Known(row_id, record, family, frozenset(emails))


def settle(placed: Order, *have: Known, parents: Collection[str] = ()) -> Matched:
    written = [one.record.parent for one in have if one.record.parent]
    return customer.settle(placed, have, [*parents, *written], PUBLIC, nowhere)


# Records and names


def test_a_record_says_what_its_file_said_whatever_the_order_of_its_lists() -> None:
    assert CustomerRecord("A", sites=("b", "a", "b")) == CustomerRecord("A", sites=("a", "b"))
    assert ACME.document() == {
        "name": "Acme SA",
        "parent": "Acme Holding",
        "country": "FR",
        "head_office": PARIS,
        "sites": [LYON],
        "domains": ["acme.example"],
        "csm": "csm@vendor.example",
        "locale": "fr",
    }


def test_a_change_names_the_fields_that_differ() -> None:
    change = CustomerRecord("A", country="FR").change_to(CustomerRecord("A", country="CH"))
    assert (change.key, change.fields) == ("A", (FieldChange("country", "FR", "CH"),))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme S.A.", "ACME SAS"),
        ("Acme", "Acme (stranger.example)"),
        ("Acme", "Acme (bob@gmail.com, 2)"),
        ("SARL Dupont", "Dupont & Cie"),
        ("S.A.R.L. Dupont", "Dupont"),
        ("Müller GmbH & Co. KG", "muller"),
        ("Société Générale", "SOCIETE GENERALE SA"),
        ("J. P. Morgan Inc", "JP Morgan Ltd"),
        ("Boréal, B.V.", "boreal"),
    ],
)
def test_the_legal_form_does_not_tell_companies_apart(one: str, other: str) -> None:
    assert customer.name_key(one) == customer.name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Acme", "Acme Industries"), ("Acme", "Acme France"), ("SA", "AG"), ("!!!", "???"), ("Acme (Paris)", "Acme")],
)
def test_everything_else_does(one: str, other: str) -> None:
    assert customer.name_key(one) != customer.name_key(other)


@given(st.text(min_size=1))
def test_a_key_is_its_own_key_and_never_nothing(name: str) -> None:
    key = customer.name_key(name)
    assert customer.name_key(key) == key or len(key.split()) > 1  # `sa sa x`: a form uncovers another
    assert bool(key) == bool(name.strip())


# Families


def test_the_root_is_the_highest_parent_even_where_it_is_no_customer() -> None:
    parents = {"acme paris": "ACME France", "acme france": "Acme Holding"}
    assert customer.root("Acme Paris", parents) == "acme holding"
    assert customer.root("Lone", parents) == "lone"


@pytest.mark.parametrize("name", ["A", "B", "C", "Below"])
def test_a_circle_of_parents_has_one_root_for_all(name: str) -> None:
    assert customer.root(name, {"a": "B", "b": "C", "c": "A", "below": "B"}) == "a"


# Sites (row C9)


def test_the_head_office_is_the_global_account_and_a_site_its_own() -> None:
    assert customer.site_of("12, r. X, 75008 PARIS", ACME, nowhere).site == ""
    assert customer.site_of("69000 Lyon, 4 RUE Y", ACME, nowhere).site == LYON  # as the contracts spell it


def test_an_unknown_address_is_a_new_site_that_is_known_from_then_on() -> None:
    grouping = customer.site_of(MADRID, ACME, nowhere)
    assert (grouping.site, set(grouping.record.sites)) == (MADRID, {LYON, MADRID})
    assert customer.site_of(MADRID.upper(), grouping.record, nowhere) == grouping


def test_a_customer_without_head_office_has_it_where_the_first_order_is_for() -> None:
    grouping = customer.site_of(MADRID, CustomerRecord("A", sites=(LYON,)), nowhere)
    assert (grouping.site, grouping.record.head_office) == ("", MADRID)


# Whose an order is


def test_nobody_known_is_a_new_customer_with_the_domain_and_the_address_of_its_order() -> None:
    found = settle(order("Acme SA", "bob@acme.example"))
    assert found == Matched(None, CustomerRecord("Acme SA", None, "FR", PARIS, domains=("acme.example",)), "")


def test_a_public_domain_is_never_learnt() -> None:
    assert settle(order("Acme SA", "bob@gmail.com")).record.domains == ()


def test_name_and_domain_together_are_the_customer() -> None:
    found = settle(order("ACME SAS", "new@acme.example", "4 rue Y, 69000 LYON"), known(7, ACME, "bob@acme.example"))
    assert (found.customer_id, found.site, found.csm, found.note) == (7, LYON, "csm@vendor.example", "")
    assert (found.name, found.locale, found.country) == ("Acme SA", "fr", "FR")
    assert found.record == found.old == ACME


def test_an_earlier_contract_for_the_exact_address_is_as_good_as_the_domain() -> None:
    have = known(7, CustomerRecord("Acme SA", head_office=PARIS), "bob@gmail.com")
    assert settle(order("Acme", "bob@gmail.com"), have).customer_id == 7
    assert settle(order("Acme", "eve@gmail.com"), have).customer_id is None


def test_the_same_name_with_foreign_mail_is_a_customer_apart_and_says_so_to_operators_only() -> None:
    found = settle(order("Acme", "bob@stranger.example"), known(7, ACME, "bob@acme.example"))
    assert (found.customer_id, found.record.name, found.record.parent) == (None, "Acme (stranger.example)", None)
    assert found.name == "Acme"  # in mails: nobody learns that there is another
    assert "Acme SA" in found.note
    again = known(8, found.record, "bob@stranger.example")
    assert settle(order("Acme", "eve@stranger.example"), known(7, ACME), again).customer_id == 8


def test_a_customer_without_any_mail_yet_takes_the_first_and_learns_its_domain() -> None:
    bare = CustomerRecord("Acme SA", head_office=PARIS)
    found = settle(order("Acme", "bob@acme.example"), known(7, bare))
    assert (found.customer_id, found.record.domains) == (7, ("acme.example",))
    assert "no mail of its own yet" in found.note
    public = settle(order("Acme", "bob@gmail.com"), known(7, bare))
    assert (public.customer_id, public.record.domains) == (7, ())


def test_another_name_at_a_known_domain_is_that_customer_only_at_its_own_address() -> None:
    at_home = settle(order("Accounting Department", "x@acme.example", LYON), known(7, ACME))
    assert (at_home.customer_id, at_home.site) == (7, LYON)
    assert "Accounting Department" in at_home.note
    elsewhere = settle(order("Acme Iberia", "x@acme.example", MADRID, "ES"), known(7, ACME))
    assert (elsewhere.customer_id, elsewhere.record.parent, elsewhere.csm) == (None, "Acme Holding", ACME.csm)
    assert elsewhere.record.country == "ES"


def test_the_parent_entity_itself_gets_no_parent() -> None:
    assert settle(order("Acme Holding", "x@acme.example", MADRID), known(7, ACME)).record == CustomerRecord(
        "Acme Holding", None, "FR", MADRID, domains=("acme.example",)
    )


def test_a_stranger_with_the_name_of_a_parent_entity_does_not_become_it() -> None:
    found = settle(order("ACME Holding", "x@stranger.example", MADRID), known(7, ACME))
    assert (found.record.name, found.record.parent) == ("ACME Holding (stranger.example)", None)


def test_a_domain_of_two_groups_of_companies_says_neither() -> None:
    other = CustomerRecord("Other", head_office=LYON, domains=("acme.example",))
    found = settle(order("Third", "x@acme.example", MADRID), known(7, ACME), known(8, other))
    assert (found.customer_id, found.record.parent) == (None, None)


def test_of_two_with_one_name_and_domain_the_spelling_then_the_address_decides_and_else_nobody() -> None:
    french, german = ACME, CustomerRecord("Acme GmbH", head_office=MADRID, domains=("acme.example",))
    both = (known(7, french), known(8, german))
    assert settle(order("ACME GMBH", "x@acme.example", "elsewhere 5"), *both).customer_id == 8
    assert settle(order("Acme", "x@acme.example", LYON), *both).customer_id == 7
    doubtful = settle(order("Acme", "x@acme.example", "9 rue N, 44000 Nantes"), *both)
    assert (doubtful.customer_id, doubtful.record.name) == (None, "Acme (acme.example)")


def test_a_new_name_is_never_one_that_is_taken() -> None:
    taken = CustomerRecord("Acme (stranger.example)", domains=("elsewhere.example",))
    found = settle(order("Acme", "x@stranger.example"), known(7, ACME), known(8, taken))
    assert found.record.name == "Acme (stranger.example, 2)"


NAMES = st.sampled_from(["Acme", "Acme SA", "ACME GmbH", "Acme Holding", "Boreal", "Acme (stranger.example)", "Bo Ltd"])
DOMAINS = st.sampled_from(["acme.example", "stranger.example", "boreal.example", "gmail.com"])
ADDRESSES = st.sampled_from([PARIS, LYON, MADRID, ""])
RECORDS = st.builds(
    CustomerRecord,
    name=NAMES,
    parent=st.none() | NAMES,
    head_office=ADDRESSES,
    sites=st.lists(ADDRESSES.filter(bool), max_size=2).map(tuple),
    domains=st.lists(DOMAINS, max_size=2).map(tuple),
)
EMAILS = st.builds("{}@{}".format, st.sampled_from(["bob", "eve"]), DOMAINS)


@given(
    records=st.lists(RECORDS, max_size=4, unique_by=lambda record: record.name),
    emails=st.lists(st.frozensets(EMAILS, max_size=2), min_size=4, max_size=4),
    name=NAMES,
    email=EMAILS,
    address=ADDRESSES.filter(bool),
)
def test_a_stranger_never_joins_a_customer_nor_its_parent_entity(
    records: list[CustomerRecord], emails: list[frozenset[str]], name: str, email: str, address: str
) -> None:
    parents = {customer.spelling(r.name): r.parent for r in records if r.parent}
    have = [
        Known(number, record, Family(customer.root(record.name, parents), (), ""), emails[number])
        for number, record in enumerate(records)
    ]
    found = settle(order(name, email, address), *have)
    domain = email.rpartition("@")[2]

    def own(one: Known) -> bool:
        return email in one.emails or (domain not in PUBLIC and domain in one.record.domains)

    def untouched(one: Known) -> bool:
        return not one.emails and not set(one.record.domains) - PUBLIC

    if found.customer_id is not None:
        joined = have[found.customer_id]
        assert own(joined) or (untouched(joined) and customer.name_key(joined.record.name) == customer.name_key(name))
        return
    assert found.record.name not in [record.name for record in records]
    root = customer.root(found.record.name, parents | {customer.spelling(found.record.name): found.record.parent or ""})
    relatives = [one for one in have if one.family.root == root]
    assert not relatives or any(own(one) for one in relatives)
