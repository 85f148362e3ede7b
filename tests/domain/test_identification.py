"""Evidence agrees on one account, or nobody is chosen (rows N4, P4, P7)."""

from hypothesis import given
from hypothesis import strategies as st

from triaged.domain import identification
from triaged.domain.directory import Match
from triaged.domain.identification import Barred, Outcome
from triaged.domain.references import Reference, ReferenceKind

NOBODY = Barred(frozenset(), frozenset(), frozenset())
K = ReferenceKind


def reference(kind: K, value: str) -> Reference:
    return Reference(kind, value, "body:1")


def match(account: int, kind: K) -> Match:
    return Match(account, f"600{account}", "eu", f"Account {account}", kind)


ADMIN_A = reference(K.SUPER_ADMIN, "it@a.example")
ZOID_A = reference(K.ZOID, "6001")
ZOID_B = reference(K.ZOID, "6002")
ZUID_AB = reference(K.ZUID, "77")
DOMAIN_A = reference(K.DOMAIN, "a.example")
UNKNOWN = reference(K.ZGID, "999999")
SERVICE = reference(K.SERVICE, "Zoho CRM")
MATCHES = {
    ADMIN_A: (match(1, K.SUPER_ADMIN),),
    ZOID_A: (match(1, K.ZOID),),
    ZOID_B: (match(2, K.ZOID),),
    ZUID_AB: (match(1, K.ZUID), match(2, K.ZUID)),
    DOMAIN_A: (match(1, K.DOMAIN),),
    UNKNOWN: (),
}


def outcome(*references: Reference, barred: Barred = NOBODY) -> tuple[Outcome, int | None, str]:
    found = identification.identify(references, MATCHES, barred)
    return found.outcome, found.account_id, found.via


def test_a_super_admin_names_its_account() -> None:
    assert outcome(ADMIN_A) == (Outcome.IDENTIFIED, 1, "super_admin")


def test_the_strongest_kind_that_agreed_is_told() -> None:
    assert outcome(DOMAIN_A, ZOID_A) == (Outcome.IDENTIFIED, 1, "zoid")


def test_a_mail_without_references_names_nobody() -> None:
    assert outcome() == (Outcome.NOTHING, None, "")
    assert outcome(SERVICE) == (Outcome.NOTHING, None, "")


def test_references_that_nobody_has_are_an_unknown_customer() -> None:
    assert outcome(UNKNOWN) == (Outcome.UNKNOWN, None, "")


def test_an_unknown_reference_beside_a_known_one_does_not_contradict() -> None:
    assert outcome(UNKNOWN, ADMIN_A) == (Outcome.IDENTIFIED, 1, "super_admin")


def test_two_references_to_two_accounts_contradict() -> None:
    assert outcome(ADMIN_A, ZOID_B)[0] is Outcome.CONFLICTING


def test_an_id_of_two_organisations_alone_is_not_a_guess() -> None:
    assert outcome(ZUID_AB)[0] is Outcome.CONFLICTING


def test_an_ambiguous_id_is_settled_by_another_reference() -> None:
    assert outcome(ZUID_AB, DOMAIN_A) == (Outcome.IDENTIFIED, 1, "zuid")


def test_public_domains_never_identify_by_the_domain() -> None:
    barred = Barred(frozenset({"a.example"}), frozenset(), frozenset())
    assert outcome(DOMAIN_A, barred=barred)[0] is Outcome.NOTHING
    assert outcome(ADMIN_A, barred=barred) == (Outcome.IDENTIFIED, 1, "super_admin")


def test_the_partners_own_address_is_no_customer_even_if_he_is_a_user_there() -> None:
    own = reference(K.CUSTOMER_EMAIL, "contact@integra.example")
    barred = Barred(frozenset(), frozenset(), frozenset({"integra.example"}))
    found = identification.identify([own], {own: (match(1, K.CUSTOMER_EMAIL),)}, barred)
    assert found.outcome is Outcome.UNKNOWN
    assert found.findings[0].note == "integra.example is the partner's own domain"


def test_a_super_admin_label_counts_as_super_admin_before_anything_else() -> None:
    found = identification.identify([ADMIN_A], {ADMIN_A: (match(2, K.CUSTOMER_EMAIL), match(1, K.SUPER_ADMIN))}, NOBODY)
    assert (found.outcome, found.account_id) == (Outcome.IDENTIFIED, 1)


ALL = st.lists(st.sampled_from([ADMIN_A, ZOID_A, ZOID_B, ZUID_AB, DOMAIN_A, UNKNOWN, SERVICE]), max_size=7)


@given(ALL, st.randoms())
def test_the_order_of_evidence_does_not_matter(references: list[Reference], random: object) -> None:
    shuffled = list(references)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert outcome(*shuffled) == outcome(*references)


@given(ALL)
def test_agreeing_evidence_never_takes_the_account_away(references: list[Reference]) -> None:
    before = outcome(*references)
    if before[1] == 1:
        assert outcome(*references, ZOID_A)[1] == 1


@given(ALL)
def test_contradicting_evidence_never_yields_another_account(references: list[Reference]) -> None:
    before = outcome(*references)
    if before[1] is not None:
        other = ZOID_B if before[1] == 1 else ADMIN_A
        assert outcome(*references, other)[1] in (before[1], None)
