"""The directory's tables: look-ups for the desks, and imports that are there as a whole or not at all."""

import json
from collections.abc import Iterable
from datetime import date

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event

from triaged.adapters import directory_file
from triaged.adapters.db import directory, directory_import, engine, models
from triaged.domain.directory import (
    AccountRecord,
    Diff,
    FieldChange,
    Match,
    PartnerRecord,
    SubscriptionRecord,
    UserRecord,
)
from triaged.domain.references import Reference, ReferenceKind

RULES = directory_file.Rules(regions=("eu", "us"), public_domains=frozenset({"gmail.com"}))
ACME = AccountRecord(
    zoid="60012345678",
    region="eu",
    name="Acme SA",
    zgid="655906806",
    super_admin="it@acme.example",
    domains=("acme.example", "acme-group.example"),
    users=(UserRecord("650456410", "user@acme.example"), UserRecord(None, "boss@gmail.com")),
    partners=("Integra",),
    subscriptions=(SubscriptionRecord("Zoho CRM", 640, "active", date(2026, 1, 1), date(2026, 12, 31)),),
)
BETA = AccountRecord("76006415", "us", "Beta Inc", super_admin="root@beta.example", domains=("beta.example",))
INTEGRA = PartnerRecord("Integra", "eu", "fr", ("integra.example",), ("contact@integra.example",))
MENDA = PartnerRecord("Menda", domains=("menda.example",), contacts=("boss@gmail.com",))


def add_accounts(database: engine.Database, *records: AccountRecord, replace: bool = False) -> Diff:
    with database.write() as session:
        return directory_import.import_accounts(session, records, replace=replace)


def add_partners(database: engine.Database, *records: PartnerRecord, replace: bool = False) -> Diff:
    with database.write() as session:
        return directory_import.import_partners(session, records, replace=replace)


def stored(database: engine.Database) -> list[AccountRecord]:
    with database.read() as session:
        return list(directory.everything(session, directory.ACCOUNTS))


def find(database: engine.Database, kind: ReferenceKind, value: str) -> list[tuple[str, ReferenceKind]]:
    reference = Reference(kind, value, "body:1")
    with database.read() as session:
        return [(match.name, match.kind) for match in directory.accounts_for(session, [reference])[reference]]


# Look-ups


@pytest.mark.parametrize(
    ("kind", "value", "way"),
    [
        (ReferenceKind.SUPER_ADMIN, "it@acme.example", ReferenceKind.SUPER_ADMIN),
        (ReferenceKind.CUSTOMER_EMAIL, "it@acme.example", ReferenceKind.SUPER_ADMIN),
        (ReferenceKind.SUPER_ADMIN, "user@acme.example", ReferenceKind.CUSTOMER_EMAIL),
        (ReferenceKind.CUSTOMER_EMAIL, "boss@gmail.com", ReferenceKind.CUSTOMER_EMAIL),
        (ReferenceKind.CUSTOMER_EMAIL, "new@acme-group.example", ReferenceKind.DOMAIN),
        (ReferenceKind.DOMAIN, "acme.example", ReferenceKind.DOMAIN),
        (ReferenceKind.ZOID, "60012345678", ReferenceKind.ZOID),
        (ReferenceKind.ZGID, "60012345678", ReferenceKind.ZOID),
        (ReferenceKind.ZOID, "655906806", ReferenceKind.ZGID),
        (ReferenceKind.ZOID, "650456410", ReferenceKind.ZUID),
    ],
)
def test_a_reference_finds_its_account_and_says_by_which_column(
    database: engine.Database, kind: ReferenceKind, value: str, way: ReferenceKind
) -> None:
    add_accounts(database, ACME, BETA)
    assert find(database, kind, value) == [("Acme SA", way)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ReferenceKind.SUPER_ADMIN, "it@mail.acme.example"),  # a subdomain is another domain
        (ReferenceKind.DOMAIN, "mail.acme.example"),
        (ReferenceKind.DOMAIN, "it@acme.example"),
        (ReferenceKind.SUPER_ADMIN, "who@gmail.com"),
        (ReferenceKind.ZOID, "6001234567"),
        (ReferenceKind.ZOID, "9" * 40),
        (ReferenceKind.SERVICE, "Zoho CRM"),
    ],
)
def test_what_is_only_like_a_reference_finds_nobody(database: engine.Database, kind: ReferenceKind, value: str) -> None:
    add_accounts(database, ACME, BETA)
    assert find(database, kind, value) == []


def test_an_exact_address_keeps_the_owners_of_its_domain_out(database: engine.Database) -> None:
    other = AccountRecord("1001", "eu", "Acme Labs", domains=("acme.example",))
    add_accounts(database, ACME, other)
    assert find(database, ReferenceKind.SUPER_ADMIN, "it@acme.example") == [("Acme SA", ReferenceKind.SUPER_ADMIN)]
    assert find(database, ReferenceKind.SUPER_ADMIN, "x@acme.example") == [
        ("Acme Labs", ReferenceKind.DOMAIN),
        ("Acme SA", ReferenceKind.DOMAIN),
    ]


def test_one_zuid_in_two_organisations_finds_both_and_nobody_is_chosen(database: engine.Database) -> None:
    other = AccountRecord("1001", "us", "Acme Labs", users=(UserRecord("650456410"),))
    add_accounts(database, ACME, other)
    assert sorted(find(database, ReferenceKind.ZUID, "650456410")) == [
        ("Acme Labs", ReferenceKind.ZUID),
        ("Acme SA", ReferenceKind.ZUID),
    ]


def test_the_same_zoid_in_two_regions_finds_both(database: engine.Database) -> None:
    add_accounts(database, ACME, AccountRecord(ACME.zoid, "us", "Acme Inc"))
    assert [name for name, _kind in find(database, ReferenceKind.ZOID, ACME.zoid)] == ["Acme SA", "Acme Inc"]


def test_a_batch_of_references_costs_one_query_per_column(database: engine.Database) -> None:
    add_accounts(database, *(AccountRecord(str(n), "eu", f"C{n}", super_admin=f"a@c{n}.example") for n in range(300)))
    references = [Reference(ReferenceKind.SUPER_ADMIN, f"a@c{n}.example", "body:1") for n in range(300)]
    references += [Reference(ReferenceKind.ZUID, str(n), "body:2") for n in range(300)]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with database.read() as session:
        found = directory.accounts_for(session, references)
    assert [len(found[reference]) for reference in references] == [1] * 600
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 6


def test_more_references_than_an_in_list_takes_are_all_answered(database: engine.Database) -> None:
    add_accounts(database, ACME)
    references = [Reference(ReferenceKind.ZOID, str(60012345678 - n), "body:1") for n in range(70_000)]
    with database.read() as session:
        found = directory.accounts_for(session, references)
    assert len(found) == 70_000
    assert [match.name for matches in found.values() for match in matches] == ["Acme SA"]


@pytest.mark.parametrize(
    ("text", "way"),
    [
        (" IT@Acme.example ", "super_admin"),
        ("<user@acme.example>", "customer_email"),
        ("@acme.example", "domain"),
        ("ACME.example", "domain"),
        ("655906806", "zgid"),
    ],
)
def test_lookup_takes_whatever_a_person_pastes(database: engine.Database, text: str, way: str) -> None:
    add_accounts(database, ACME, BETA)
    with database.read() as session:
        (match,) = directory.lookup(session, text)
        assert match == Match(match.account_id, "60012345678", "eu", "Acme SA", ReferenceKind(way))
        assert directory.account(session, match.account_id) == ACME


def test_whole_accounts_come_by_id_and_unknown_ids_are_left_out(database: engine.Database) -> None:
    add_accounts(database, ACME, BETA)
    with database.read() as session:
        ids = {m.name: m.account_id for text in ("60012345678", "76006415") for m in directory.lookup(session, text)}
        assert directory.accounts(session, [*ids.values(), 999]) == {ids["Acme SA"]: ACME, ids["Beta Inc"]: BETA}
        assert directory.account(session, 999) is None
        assert directory.accounts_by_zoid(session, "76006415") == (BETA,)
        assert directory.accounts_by_zoid(session, "76006415", "eu") == ()


# Partners


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("contact@integra.example", "Integra"),
        ("anybody@integra.example", "Integra"),
        ("boss@gmail.com", "Menda"),
        ("other@gmail.com", None),
        ("x@mail.integra.example", None),
        ("x@notintegra.example", None),
    ],
)
def test_a_partner_is_known_by_contact_or_exact_domain(
    database: engine.Database, address: str, name: str | None
) -> None:
    add_partners(database, INTEGRA, MENDA)
    with database.read() as session:
        partner = directory.partner_of(session, address, RULES.public_domains)
    assert (partner and partner.name) == name


def test_a_public_domain_names_no_partner_even_if_one_holds_it(database: engine.Database) -> None:
    add_partners(database, PartnerRecord("Old", domains=("gmail.com",)))
    with database.read() as session:
        assert directory.partner_of(session, "x@gmail.com", frozenset({"gmail.com"})) is None
        assert directory.partner_of(session, "x@gmail.com") == PartnerRecord("Old", domains=("gmail.com",))


def test_of_two_partners_with_one_domain_the_contact_decides_else_nobody(database: engine.Database) -> None:
    add_partners(database, INTEGRA, PartnerRecord("Integra UK", domains=("integra.example",)))
    with database.read() as session:
        assert directory.partner_of(session, "contact@integra.example") == INTEGRA
        assert directory.partner_of(session, "anybody@integra.example") is None
        claims = directory.claims(session, "anybody@integra.example")
    assert [partner.name for partner in claims] == ["Integra", "Integra UK"]


def test_partners_that_accounts_name_and_nobody_registered_are_told(database: engine.Database) -> None:
    add_accounts(database, ACME, AccountRecord("1", "eu", "C", partners=("Integar", "Integra")))
    add_partners(database, INTEGRA)
    with database.read() as session:
        assert directory.unregistered_partners(session) == ("Integar",)
        assert directory.partner(session, "Integra") == INTEGRA
        assert directory.partner(session, "Integar") is None


# Imports


def test_an_import_says_field_by_field_what_it_changes(database: engine.Database) -> None:
    assert add_accounts(database, ACME, BETA) == Diff(added=("60012345678/eu", "76006415/us"))
    larger = AccountRecord("76006415", "us", "Beta Ltd", super_admin="root@beta.example", domains=("b.example",))
    diff = add_accounts(database, ACME, larger)
    assert (diff.added, diff.removed, diff.unchanged) == ((), (), 1)
    assert diff.changed[0].key == "76006415/us"
    assert diff.changed[0].fields == (
        FieldChange("name", "Beta Inc", "Beta Ltd"),
        FieldChange("domains", ["beta.example"], ["b.example"]),
    )
    assert stored(database) == [ACME, larger]


def test_the_same_content_in_another_order_changes_nothing(database: engine.Database) -> None:
    add_accounts(database, ACME)
    turned = AccountRecord(
        **{name: getattr(ACME, name) for name in AccountRecord.__slots__}
        | {"domains": ACME.domains[::-1], "users": ACME.users[::-1]}
    )
    assert add_accounts(database, turned) == Diff(unchanged=1)


def test_without_replace_nothing_is_removed_and_with_it_all_that_is_missing(database: engine.Database) -> None:
    add_accounts(database, ACME, BETA)
    assert add_accounts(database, BETA) == Diff(unchanged=1)
    assert stored(database) == [ACME, BETA]
    assert add_accounts(database, BETA, replace=True) == Diff(removed=("60012345678/eu",), unchanged=1)
    assert stored(database) == [BETA]
    with database.read() as session:
        for table in (models.AccountUser, models.AccountPartner, models.Subscription):
            assert session.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) == 0


def test_a_dry_run_says_the_same_and_does_nothing(database: engine.Database) -> None:
    add_accounts(database, ACME)
    with database.write() as session:
        dry = directory_import.import_accounts(session, [BETA], replace=True, dry_run=True)
    assert stored(database) == [ACME]
    assert add_accounts(database, BETA, replace=True) == dry


def test_an_import_that_fails_half_way_leaves_the_old_directory(database: engine.Database) -> None:
    add_accounts(database, ACME)
    fresh = [AccountRecord(str(n), "eu", f"C{n}") for n in range(1_500)]  # the double lies in the second slice
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        add_accounts(database, *fresh, fresh[-1], replace=True)
    assert stored(database) == [ACME]


def test_partners_are_replaced_by_name(database: engine.Database) -> None:
    add_partners(database, INTEGRA, MENDA)
    moved = PartnerRecord("Integra", "us", "en", ("integra.example",), ())
    diff = add_partners(database, moved, replace=True)
    assert diff.removed == ("Menda",)
    assert [change.field for change in diff.changed[0].fields] == ["region", "locale", "contacts"]
    with database.read() as session:
        assert list(directory.everything(session, directory.PARTNERS)) == [moved]


def test_ten_thousand_accounts_are_written_and_compared_in_bulk(database: engine.Database) -> None:
    records = [
        AccountRecord(str(n), "eu", f"C{n}", domains=(f"c{n}.example",), users=(UserRecord(str(n), f"u@c{n}.example"),))
        for n in range(10_000)
    ]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(add_accounts(database, *records).added) == 10_000
    assert add_accounts(database, *records, replace=True) == Diff(unchanged=10_000)
    assert len(statements) < 400


# The whole way round

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=20)
LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
DOMAINS = st.builds("{}.{}.example".format, LABELS, LABELS)
ADDRESSES = st.builds("{}@{}".format, LABELS, DOMAINS)
IDS = st.integers(0, 10**19).map(str)
USERS = st.builds(UserRecord, IDS, st.none() | ADDRESSES) | st.builds(UserRecord, st.none(), ADDRESSES)
DATES = st.none() | st.dates()
SUBSCRIPTIONS = st.builds(
    lambda service, licences, status, days: SubscriptionRecord(service, licences, status, *sorted_days(days)),
    NAMES,
    st.integers(0, 2**31 - 1),
    st.sampled_from(["active", "trial", "cancelled by the customer"]),
    st.tuples(DATES, DATES),
)
ACCOUNT_LISTS = st.lists(
    st.builds(
        AccountRecord,
        IDS,
        st.sampled_from(["eu", "us"]),
        NAMES,
        st.none() | IDS,
        st.none() | ADDRESSES,
        st.lists(DOMAINS, max_size=3).map(tuple),
        st.lists(USERS, max_size=3).map(tuple),
        st.lists(NAMES, max_size=2).map(tuple),
        st.lists(SUBSCRIPTIONS, max_size=3).map(tuple),
    ),
    max_size=8,
    unique_by=lambda account: account.key,
)


def sorted_days(days: Iterable[date | None]) -> tuple[date | None, date | None]:
    starts, ends = days
    return (ends, starts) if starts and ends and ends < starts else (starts, ends)


@given(ACCOUNT_LISTS)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_is_exported_is_what_was_imported(database: engine.Database, accounts: list[AccountRecord]) -> None:
    exported = json.dumps([account.document() for account in accounts])
    reading = directory_file.read_accounts(exported.encode(), RULES)
    assert reading.problems == ()
    assert list(reading.records) == accounts
    add_accounts(database, *reading.records, replace=True)
    assert sorted(stored(database), key=lambda account: account.key) == sorted(
        accounts, key=lambda account: account.key
    )
    assert add_accounts(database, *reading.records, replace=True) == Diff(unchanged=len(accounts))
