"""Customers in the database: found or made by orders, one parent entity, imports that are there as a whole or not."""

import json
import threading
from concurrent import futures
from datetime import UTC, date, datetime

import pytest
import sqlalchemy
from tests.adapters.db.test_directory import RULES

from triaged.adapters import directory_file, territories
from triaged.adapters.db import customers, directory, directory_import, engine
from triaged.adapters.db.contract_models import Contract, Customer, PurchaseOrder
from triaged.adapters.db.customers import Placed
from triaged.domain.catalogue import ServiceType
from triaged.domain.customer import CustomerRecord, Family
from triaged.domain.directory import Diff
from triaged.domain.errors import PermanentError
from triaged.domain.order import Order, Party, Position

PARIS, LYON = "12 rue X, 75008 Paris", "4 rue Y, 69000 Lyon"
PUBLIC = frozenset({"gmail.com"})
RESELLER = Party("Integra", "contact@integra.example", "1 rue R, 31000 Toulouse")
ACME = CustomerRecord("Acme SA", "Acme Holding", "FR", PARIS, (LYON,), ("acme.example",), "csm@vendor.example", "fr")
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)


def order(name: str, email: str, address: str = PARIS) -> Order:
    positions = (Position("994-000148", ServiceType.SELECT, 1, 40),)
    return Order("PO-1", positions, Party(name, email, address), RESELLER, RESELLER, "FR")


def place(database: engine.Database, name: str, email: str, address: str = PARIS) -> Placed:
    """An order with its contract."""
    with database.write() as session:
        placed = customers.place(session, order(name, email, address), PUBLIC, territories.code_of)
        contract(session, placed.customer_id, placed.site, email)
    return placed


def contract(session: engine.Session, customer_id: int, site: str, email: str) -> Contract:
    bought = PurchaseOrder(
        placed_by=str(datetime.now(UTC)), sender="r@integra.example", state="accepted", reason="order_complete"
    )
    bought.draft, bought.locale, bought.mailbox, bought.received_at = {}, "fr", "select", NOW
    session.add(bought)
    session.flush()
    sold = Contract(order_id=bought.id, position=1, service="select", sku="994-000148", years=1, licences=40)
    sold.customer_id, sold.site, sold.customer_email = customer_id, site, email
    for name in ("po_number", "placed_by", "customer_contact", "customer_address", "timezone", "mailbox"):
        setattr(sold, name, "x")
    for party in ("reseller", "distributor"):
        for part in ("name", "email", "address"):
            setattr(sold, f"{party}_{part}", "x")
    sold.locale = sold.order_locale = "fr"
    sold.purchased_at = sold.created_at = NOW
    sold.cancellable_until = date(2026, 6, 3)
    session.add(sold)
    session.flush()
    return sold


def bring(database: engine.Database, *records: CustomerRecord, **options: bool) -> Diff:
    with database.write() as session:
        return directory_import.import_customers(session, records, country_of=territories.code_of, **options)


def stored(database: engine.Database) -> list[CustomerRecord]:
    with database.read() as session:
        return list(directory.everything(session, directory.CUSTOMERS))


def names(database: engine.Database) -> list[str]:
    return [record.name for record in stored(database)]


# Orders


def test_an_order_makes_its_customer_and_the_next_one_finds_it(database: engine.Database) -> None:
    first = place(database, "Acme SA", "bob@acme.example")
    assert (first.made, first.site, first.name, first.country, first.note) == (True, "", "Acme SA", "FR", "")
    again = place(database, "ACME", "eve@acme.example", "12, r. X, 75008 PARIS, France")
    assert (again.customer_id, again.made, again.site) == (first.customer_id, False, "")
    assert stored(database) == [CustomerRecord("Acme SA", None, "FR", PARIS, (), ("acme.example",))]


def test_a_site_gets_its_own_account_once_and_for_all_its_spellings(database: engine.Database) -> None:
    head = place(database, "Acme SA", "bob@acme.example")
    site = place(database, "Acme SA", "bob@acme.example", LYON)
    again = place(database, "Acme SA", "bob@acme.example", "4, RUE Y 69000 LYON")
    assert (site.customer_id, site.site, again.site) == (head.customer_id, LYON, LYON)
    assert "a new site" in site.note
    assert again.note == ""


def test_a_stranger_with_the_same_name_gets_an_account_apart_and_finds_it_again(database: engine.Database) -> None:
    acme = place(database, "Acme SA", "bob@acme.example")
    stranger = place(database, "Acme SA", "bob@stranger.example")
    assert stranger.customer_id != acme.customer_id
    assert (stranger.name, stranger.made) == ("Acme SA", True)
    assert names(database) == ["Acme SA", "Acme SA (stranger.example)"]
    assert place(database, "Acme", "eve@stranger.example").customer_id == stranger.customer_id


def test_two_people_at_a_public_domain_are_two_customers(database: engine.Database) -> None:
    bob, eve = place(database, "Acme", "bob@gmail.com"), place(database, "Acme", "eve@gmail.com")
    assert bob.customer_id != eve.customer_id
    assert place(database, "Acme", "bob@gmail.com").customer_id == bob.customer_id
    assert all(record.domains == () for record in stored(database))


def test_matching_for_explain_writes_nothing(database: engine.Database) -> None:
    with database.read() as session:
        found = customers.match(session, order("Acme SA", "bob@acme.example"), PUBLIC, territories.code_of)
    assert (found.customer_id, found.name, found.site) == (None, "Acme SA", "")
    assert stored(database) == []


def test_two_orders_at_once_make_one_customer(database: engine.Database) -> None:
    begun = threading.Barrier(2, timeout=20)

    def ordered(email: str) -> int:
        begun.wait()
        return place(database, "Acme SA", email).customer_id

    with futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(ordered, ["bob@acme.example", "eve@acme.example"]))
    assert made[0] == made[1]
    assert names(database) == ["Acme SA"]


def test_a_mended_address_takes_back_the_domain_that_the_mistake_taught(database: engine.Database) -> None:
    made = place(database, "Acme SA", "bob@typo.example")
    with database.write() as session:
        session.execute(sqlalchemy.update(Contract).values(customer_email="bob@acme.example"))
        customers.readdressed(session, made.customer_id, "bob@typo.example", "bob@acme.example", PUBLIC)
    assert stored(database)[0].domains == ("acme.example",)
    assert place(database, "Acme SA", "owner@typo.example").customer_id != made.customer_id
    assert place(database, "Acme SA", "eve@acme.example").customer_id == made.customer_id


def test_a_domain_that_another_contract_has_or_that_was_imported_stays(database: engine.Database) -> None:
    made = place(database, "Acme SA", "bob@acme.example")
    place(database, "Acme SA", "eve@acme.example")
    bring(database, CustomerRecord("Boreal", domains=("boreal.example",)))
    boreal = place(database, "Boreal", "x@boreal.example")
    with database.write() as session:
        mended = sqlalchemy.update(Contract).where(
            Contract.customer_email.in_(["bob@acme.example", "x@boreal.example"])
        )
        session.execute(mended.values(customer_email="bob@else.example"))
        customers.readdressed(session, made.customer_id, "bob@acme.example", "bob@else.example", PUBLIC)
        customers.readdressed(session, boreal.customer_id, "x@boreal.example", "bob@else.example", PUBLIC)
    assert [record.domains for record in stored(database)] == [("acme.example",), ("boreal.example",)]


# Parent entities (row C12)


def test_a_family_is_everybody_below_one_parent_whether_that_is_a_customer_or_not(database: engine.Database) -> None:
    bring(
        database,
        CustomerRecord("Acme France", "acme holding"),
        CustomerRecord("Acme Paris", "Acme France", csm="paris@vendor.example"),
        CustomerRecord("Acme UK", "ACME HOLDING"),
        CustomerRecord("Alone", csm="alone@vendor.example"),
    )
    families = {name: family(database, name) for name in names(database)}
    assert {f.root for name, f in families.items() if name != "Alone"} == {"acme holding"}
    assert {len(f.members) for name, f in families.items() if name != "Alone"} == {3}
    assert {f.csm for name, f in families.items() if name != "Alone"} == {"paris@vendor.example"}
    assert (families["Alone"].root, families["Alone"].csm) == ("Alone", "alone@vendor.example")
    bring(database, CustomerRecord("Acme Holding", csm="top@vendor.example"))
    with_top = family(database, "Acme Paris")
    assert (with_top.root, len(with_top.members), with_top.csm) == ("Acme Holding", 4, "top@vendor.example")


def test_a_circle_of_parents_is_one_family(database: engine.Database) -> None:
    bring(database, CustomerRecord("A", "B"), CustomerRecord("B", "A"), CustomerRecord("C", "B"))
    assert len({(f.root, f.members) for f in (family(database, name) for name in "ABC")}) == 1


def family(database: engine.Database, name: str) -> Family:
    with database.read() as session:
        found = customers.record(session, name)
        assert found is not None
        return customers.family(session, found[0])


# Imports


def test_an_import_adds_changes_and_leaves_alone(database: engine.Database) -> None:
    assert bring(database, ACME) == Diff(added=("Acme SA",))
    assert bring(database, ACME) == Diff(unchanged=1)
    moved = CustomerRecord("Acme SA", "Acme Holding", "FR", LYON, (), ("acme.example", "acme.fr"))
    diff = bring(database, moved)
    assert {change.field for change in diff.changed[0].fields} == {"head_office", "sites", "domains", "csm", "locale"}
    assert stored(database) == [moved]


def test_a_dry_run_changes_nothing(database: engine.Database) -> None:
    assert bring(database, ACME, dry_run=True) == Diff(added=("Acme SA",))
    assert stored(database) == []


def test_a_customer_keeps_its_row_however_the_file_spells_its_name(database: engine.Database) -> None:
    made = place(database, "ACME SA", "bob@acme.example")
    diff = bring(database, ACME)
    assert (diff.added, len(diff.changed)) == ((), 1)
    assert stored(database) == [ACME]
    assert place(database, "Acme", "eve@acme.example").customer_id == made.customer_id


def test_a_site_with_contracts_stays_as_they_spell_it(database: engine.Database) -> None:
    place(database, "Acme SA", "bob@acme.example")
    site = place(database, "Acme SA", "bob@acme.example", LYON)
    respelled = "4 RUE Y, 69000 LYON, France"
    bring(database, CustomerRecord("Acme SA", "Acme Holding", "FR", PARIS, (respelled,), ("acme.example",)))
    assert stored(database)[0].sites == (LYON,)
    bring(database, CustomerRecord("Acme SA", "Acme Holding", "FR", PARIS, (), ("acme.example",)))
    assert stored(database)[0].sites == (LYON,)
    assert place(database, "Acme SA", "bob@acme.example", respelled).site == site.site


def test_replace_removes_the_others_but_never_one_with_contracts(database: engine.Database) -> None:
    bring(database, ACME, CustomerRecord("Boreal"), CustomerRecord("Cascade"))
    place(database, "Acme SA", "bob@acme.example")
    with pytest.raises(PermanentError, match="would remove Acme SA, with contracts"):
        bring(database, CustomerRecord("Boreal"), replace=True)
    assert names(database) == ["Acme SA", "Boreal", "Cascade"]
    assert bring(database, ACME, CustomerRecord("BOREAL"), replace=True).removed == ("Cascade",)
    assert names(database) == ["Acme SA", "BOREAL"]


def test_an_imported_customer_is_an_operators_word(database: engine.Database) -> None:
    made = place(database, "Acme SA", "bob@acme.example")
    bring(database, *stored(database))
    with database.read() as session:
        row = session.get(Customer, made.customer_id)
        assert row is not None
        assert not row.made_by_order


# Files

ENTRY = ACME.document()
CSV = (
    "name,parent,country,head_office,sites,domains,csm,locale\n"
    f'Acme SA,Acme Holding,fr,"{PARIS}","{LYON}",acme.example,CSM@vendor.example,fr\n'
)


@pytest.mark.parametrize("text", [json.dumps([ENTRY]), json.dumps(ENTRY), CSV])
def test_the_three_forms_of_a_file_say_the_same(text: str) -> None:
    reading = directory_file.read_customers(text.encode(), RULES)
    assert (reading.records, reading.problems) == ((ACME,), ())


def test_an_address_of_several_lines_is_one_line() -> None:
    entry = {"name": "A", "head_office": "12 rue X,\n 75008 Paris\r\nFrance"}
    (record,) = directory_file.read_customers(json.dumps([entry]).encode(), RULES).records
    assert record.head_office == "12 rue X, 75008 Paris, France"


@pytest.mark.parametrize(
    ("changed", "key", "fix"),
    [
        ({"name": ""}, "name", "it is required"),
        ({"country": "UK"}, "country", "GB, not UK"),
        ({"country": "France"}, "country", "ISO 3166"),
        ({"parent": "ACME S.A."}, "parent", "nobody is their own parent"),
        ({"csm": "Jane"}, "csm", "write a mail address"),
        ({"domains": ["bob@acme.example"]}, "domains[1]", "without @"),
        ({"sites": PARIS}, "sites", "write a list"),
        ({"region": "eu"}, "region", "unknown key"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(changed: dict[str, object], key: str, fix: str) -> None:
    rules = directory_file.Rules(("eu",), frozenset(), territories.codes())
    problems = directory_file.read_customers(json.dumps([ENTRY | changed]).encode(), rules).problems
    assert [problem.key for problem in problems] == [key]
    assert fix in problems[0].fix


def test_one_customer_in_two_spellings_is_there_twice() -> None:
    text = json.dumps([{"name": "Acme SA"}, {"name": "Boreal"}, {"name": "ACME  S.A."}])
    (problem,) = directory_file.read_customers(text.encode(), RULES).problems
    assert (problem.place, problem.found) == ("entry 3", '"ACME  S.A."')
    assert "already in entry 1" in problem.fix
