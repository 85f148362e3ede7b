"""The contracts desk's mails: what each reader is told, and what none of them may be (rows C1–C9, C12, C14)."""

import re
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import mails_gallery as gallery

from triaged.adapters import templates
from triaged.domain.notices import Facts, FindingFacts, NoticeName
from triaged.domain.order import Code, Role
from triaged.domain.request import Refusal, Verb
from triaged.mail import quotes

RENDERER = templates.Renderer([gallery.CHECKOUT / "templates"])
LABELS = tomllib.loads((gallery.CHECKOUT / "config" / "labels.toml").read_text(encoding="utf-8"))["order"]
LOCALES = ("fr", "en", "de")
DESK = [
    NoticeName.ORDER_CONFIRMED,
    NoticeName.INVITATION,
    NoticeName.ORDER_PROBLEMS,
    NoticeName.REQUEST_DONE,
    NoticeName.REQUEST_REFUSED,
    NoticeName.CONTRACT_CANCELLED,
    NoticeName.ADDRESS_CHANGED,
    NoticeName.SIGN_IN_CODE,
    NoticeName.COUNTRY_TERMS,
    NoticeName.CSM_NOTE,
]
# What is asked for, and so the lines of the block, in the situation `problems`.
ASKED = ("sku", "licences", "customer_email", "distributor_address")
VALUES = ("994-000303", "40", "ana.petit@bellerive.example", "1 quai Droit, 69001 Lyon")


def facts_of(situation: str) -> Facts:
    return gallery.situations()[situation][1]


def rendered(locale: str, situation: str, **changes: object) -> templates.Rendered:
    name, facts = gallery.situations(locale)[situation]
    return RENDERER.render(name, locale, replace(facts, **changes))


def told(locale: str, situation: str, **changes: object) -> str:
    """The text on one line, no-break spaces as spaces."""
    return " ".join(rendered(locale, situation, **changes).text.split())


def french(situation: str, **changes: object) -> str:
    return told("fr", situation, **changes)


# --- subjects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "subject"),
    [
        ("select", "Détails du contrat de service Logitech Select"),
        ("syncplus", "Détails du contrat de service Logitech SyncPlus"),
        ("warranty", "Détails du contrat de service Extension de garantie Logitech"),
    ],
)
@pytest.mark.parametrize("party", Role)
def test_the_confirmation_s_subject_is_the_faq_s_for_every_party(service: str, subject: str, party: Role) -> None:
    contracts = (replace(facts_of("order").contracts[0], service=service),)
    assert rendered("fr", "order", contracts=contracts, party=party, ticket="EU-000123").subject == subject


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("fr", "Bienvenue dans Logitech Select"),
        ("en", "Welcome to Logitech Select"),
        ("de", "Willkommen bei Logitech Select"),
    ],
)
def test_the_invitation_has_one_subject_that_people_can_search_for(locale: str, subject: str) -> None:
    assert rendered(locale, "invitation", ticket="EU-000123", subject="Re: perdu").subject == subject
    for situation in ("order", "order_reseller", "resent", "added", "refused_too_often"):
        assert subject in told(locale, situation)


def test_an_answer_keeps_the_sender_s_subject_and_a_mail_of_our_own_has_its_own() -> None:
    assert rendered("fr", "status").subject == "Re: Nos contrats Select"
    assert rendered("fr", "problems", subject="").subject == "Votre commande ne peut pas encore être enregistrée"
    assert rendered("fr", "cancelled").subject == "Contrat annulé – SC-000042"
    assert rendered("fr", "undone").subject == "Annulation levée – SC-000042"


# --- who may read what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", sorted(set(DESK) - {NoticeName.ORDER_PROBLEMS}))
def test_the_customer_never_reads_the_purchase_order_number(locale: str, name: NoticeName) -> None:
    contracts = tuple(replace(c, po_number="PO-SECRET") for c in templates.FULL.contracts)
    for party in (Role.CUSTOMER, "other", ""):
        for verb in Verb:
            facts = replace(templates.FULL, party=party, po_number="PO-SECRET", contracts=contracts, verb=verb)
            assert "PO-SECRET" not in str(RENDERER.render(name, locale, facts))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("situation", ["order_reseller", "order_distributor", "cancelled_for_reseller"])
def test_reseller_and_distributor_read_their_purchase_order_number_first(locale: str, situation: str) -> None:
    mail = rendered(locale, situation)
    assert gallery.PO_NUMBER in mail.text[:200]
    assert gallery.PO_NUMBER in mail.html.partition("<h1")[0].rpartition('class="pill"')[2]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("party", Role)
@pytest.mark.parametrize(
    "name", [NoticeName.ORDER_CONFIRMED, NoticeName.CONTRACT_CANCELLED, NoticeName.COUNTRY_TERMS, NoticeName.CSM_NOTE]
)
def test_nobody_reads_another_party_s_address(locale: str, name: NoticeName, party: Role) -> None:
    site = "" if party is Role.CUSTOMER else "1 rue Secrète, 75001 Paris"
    mail = RENDERER.render(name, locale, replace(templates.FULL, party=party, site=site))
    assert "@" not in mail.subject + mail.text + mail.html.partition("<body")[2]
    assert "Secrète" not in str(mail)


@pytest.mark.parametrize("locale", LOCALES)
def test_who_was_written_to_by_mistake_learns_nothing(locale: str) -> None:
    blind = Facts(desk_name="Support", region_name="Europe")
    all_known = replace(templates.FULL, priority=False)
    assert RENDERER.render(NoticeName.ADDRESS_CHANGED, locale, all_known) == RENDERER.render(
        NoticeName.ADDRESS_CHANGED, locale, blind
    )


@pytest.mark.parametrize("locale", LOCALES)
def test_the_invitation_names_neither_reseller_nor_distributor(locale: str) -> None:
    mail = rendered(locale, "invitation", reseller="Intégrateur Rhône", partner="Grossiste Isère")
    assert not re.search("Rhône|Isère", str(mail))


# --- the confirmation ---------------------------------------------------------------------------------------------


def test_the_confirmation_shows_the_contract_at_a_glance() -> None:
    mail = french("order")
    assert "Votre commande nous est parvenue par Intégrateur Rhône, votre revendeur" in mail
    for row in (
        "Contrat SC-000042",
        "Service Logitech Select",
        "Référence (SKU) 994-000303",
        "Licences 40",
        "Durée 3 ans",
        "Début 25 novembre 2026",
        "Fin (dernier jour) 24 novembre 2029",
    ):
        assert row in mail
    assert "annuler cet achat jusqu’au vendredi 25 décembre 2026 inclus : répondez à ce message" in mail


@pytest.mark.parametrize("timezone", ["America/Los_Angeles", "Pacific/Auckland"])
def test_a_calendar_day_is_the_same_day_in_every_zone(timezone: str) -> None:
    assert "vendredi 25 décembre 2026 inclus" in french("order", timezone=timezone)


def test_the_account_is_the_head_office_s_or_the_site_s() -> None:
    assert "compte global de votre siège" in french("order")
    assert "compte distinct du site 12 quai Gauche, 69002 Lyon" in french("order_at_a_site")
    assert "un compte propre à ce site" in french("order_distributor")


def test_the_invitation_is_announced_to_the_customer_and_explained_to_the_partners() -> None:
    assert "dans les minutes qui suivent et à cette seule adresse" in french("order")
    assert "envoyée au client seul" in french("order_reseller")
    assert "ne peut pas être transférée" in french("order_reseller")
    assert "L’adresse du client est erronée ?" in french("order_reseller")
    assert "L’adresse du client est erronée ?" not in french("order")


def test_a_repeated_order_says_so_before_anything_else() -> None:
    assert french("order_repeated").index("rien n’a été créé ni compté une seconde fois") < 200
    assert "dans les minutes qui suivent" not in french("order_repeated")
    assert "rien n’a été créé" not in french("order")


def test_a_term_that_has_not_begun_invents_no_day() -> None:
    contracts = tuple(replace(c, starts=None, ends=None) for c in facts_of("order").contracts)
    mail = french("order", contracts=contracts)
    assert "Début à la première attribution" in mail
    assert "La durée commence le jour où une première licence est attribuée" in mail
    assert "Fin (dernier jour)" not in mail
    assert re.findall(r"\d{4}", mail.replace("SC-000042", "").replace("994-000303", "")) == ["2026"]
    assert "La durée commence" not in french("order")


def test_a_group_address_and_a_country_with_other_terms_are_pointed_out() -> None:
    assert "Cette adresse semble lue par plusieurs personnes." in french("order")
    assert "Suisse – Logitech Select, Extension de garantie Logitech : RMA sous deux jours ouvrables" in french("order")
    assert "lue par plusieurs" not in french("order_at_a_site")
    assert "Switzerland" in told("en", "order")
    assert "Schweiz" in told("de", "order")


# --- the invitation and the code ----------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("situation", ["invitation", "invitation_again", "invitation_colleague"])
def test_the_link_stands_whole_on_its_own_line_and_once_in_the_html(locale: str, situation: str) -> None:
    mail = rendered(locale, situation)
    assert mail.text.splitlines().count(gallery.LINK) == 1
    assert mail.html.count(gallery.LINK) == 1
    assert f'href="{gallery.LINK}"' in mail.html
    assert gallery.LINK not in mail.subject


def test_a_long_link_is_never_broken() -> None:
    link = "https://portal.vendor.example/" + "x" * 200 + "?a=1&b=2"
    mail = rendered("fr", "invitation", link=link)
    assert link in mail.text.splitlines()
    assert link.replace("&", "&amp;") in mail.html


def test_the_invitation_says_until_when_in_the_reader_s_zone_and_in_utc() -> None:
    assert "jusqu’au vendredi 25 décembre 2026 à 18 h 42, heure locale (Paris), soit 17:42 UTC" in french("invitation")
    colleague = "jusqu’au samedi 26 décembre 2026 à 2 h 42, heure locale (Tokyo), soit ven. 25 déc. 17:42 UTC"
    assert colleague in french("invitation_colleague")
    assert "vendredi 25 décembre 2026 à 17 h 42 UTC" in french("invitation_again")


def test_the_invitation_says_that_it_is_personal_and_why_it_came() -> None:
    assert "Ne transférez pas ce message" in french("invitation")
    assert "Saisissez le code à usage unique" in french("invitation")
    assert "le lien qu’elle contenait ne fonctionne plus" in french("invitation_again")
    assert "Vous avez demandé une nouvelle invitation" in french("invitation_again")
    assert "ana.petit@bellerive.example vous a donné accès" in french("invitation_colleague")
    assert "en lecture seule" in french("invitation_colleague")
    assert "attribuez-leur les licences" not in french("invitation_colleague")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_code_is_large_and_in_no_line_that_a_locked_screen_shows(locale: str) -> None:
    mail = rendered(locale, "code")
    before, _h1, after = mail.html.partition("<h1")
    assert re.search(r"font-size: 34px[^>]*>048213</div>", after)
    assert "048213" not in before + mail.subject
    assert mail.text.count("048213") == mail.html.count("048213") == 1
    assert " 10 " in told(locale, "code")


# --- problems of an order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
def test_every_problem_stands_with_what_was_found_and_what_is_expected(locale: str) -> None:
    mail = rendered(locale, "problems")
    for value in ("994-000999", "quarante", "ventes@rhone.example"):
        assert value in mail.text
        assert value in mail.html
    assert mail.text.count(f"    {EXPECTED[locale]}") == 4
    for sku, _service, _years in gallery.SKUS:
        assert sku in mail.text


EXPECTED = {"fr": "Attendu\u00a0:", "en": "Expected:", "de": "Erwartet:"}


def test_a_problem_of_every_field_says_what_is_expected_of_it() -> None:
    fields = [*LABELS["fr"]["fill_in"]]
    said = {french("problems", problems=(FindingFacts(f, Code.INVALID, "x"),)).partition("Attendu")[2] for f in fields}
    assert len(said) == len(fields)  # the block's label tells apart what is expected in the same words


@pytest.mark.parametrize("locale", LOCALES)
def test_the_block_asks_by_the_labels_that_are_read_back(locale: str) -> None:
    labels = LABELS[locale]["fill_in"]
    colon = "\u00a0:" if locale == "fr" else ":"
    assert block(rendered(locale, "problems").text) == [f"{labels[field]}{colon}" for field in ASKED]
    every = tuple(FindingFacts(field, Code.MISSING) for field in labels)
    assert block(rendered(locale, "problems", problems=every).text) == [f"{label}{colon}" for label in labels.values()]
    html = re.sub(r"</div>\s*<div[^>]*>", "\n", rendered(locale, "problems").html.partition("<body")[2])
    assert block(unescape(re.sub(r"<[^>]+>", "", html))) == [f"{labels[field]}{colon}" for field in ASKED]


@given(st.sampled_from(["> ", ">", "> > ", ""]), st.sampled_from(LOCALES), st.integers(0, len(ASKED) - 1))
def test_a_filled_line_is_found_under_any_quoting(quote: str, locale: str, line: int) -> None:
    label = block(rendered(locale, "problems").text)[line]
    filled = rendered(locale, "problems").text.replace(f"\n{label}\n", f"\n{label} {VALUES[line]}\n")
    quoted = [f"{quote}{row}" for row in filled.splitlines()]
    new = [row for row, flag in zip(quoted, quotes.filled(quoted), strict=True) if flag]
    assert new == [f"{quote}{label} {VALUES[line]}"]


def test_a_line_is_asked_for_once_and_several_positions_together() -> None:
    twice = (FindingFacts("sku", Code.UNKNOWN, "994-000999"), FindingFacts("sku", Code.UNKNOWN, "994-000998"))
    assert block(rendered("en", "problems", problems=twice).text) == ["SKU:"]
    pair = ["SKU:", "Number of licences:"]
    assert block(rendered("en", "problems", problems=twice, positions=3).text) == pair * 3
    assert "also those that were right" in told("en", "problems", problems=twice, positions=3)
    assert block(rendered("en", "problems", problems=twice, positions=4000).text) == pair * 10
    reseller = (FindingFacts("reseller_name", Code.MISSING),)
    assert block(rendered("en", "problems", problems=reseller, positions=3).text) == ["Reseller name:"]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("situation", ["problems_mixed", "problems_conflict"])
def test_what_no_block_can_mend_has_none_and_says_what_to_do(locale: str, situation: str) -> None:
    assert "[[" not in str(rendered(locale, situation))


def test_mixed_services_and_a_conflict_are_explained() -> None:
    assert "Envoyez un bon de commande par type de service" in french("problems_mixed")
    assert "déjà enregistré avec un autre contenu : rien n’a été modifié" in french("problems_conflict")
    assert "Aucun contrat n’a été créé" not in french("problems_conflict")
    assert "Aucun contrat n’a été créé et aucune invitation n’est partie." in french("problems")
    assert "Une seule réponse suffit" in french("problems")
    for situation, listed in (("problems", True), ("problems_conflict", False), ("problems_no_number", False)):
        assert ("994-000311" in french(situation)) is listed


def test_two_values_for_one_field_are_both_told() -> None:
    both = (FindingFacts("licences", Code.INVALID, "40 ≠ 50"),)
    assert "Reçu : 40 ≠ 50 Attendu : une seule valeur" in french("problems", problems=both)


def block(text: str) -> list[str]:
    rows = [row.strip() for row in text.splitlines()]
    start = next(at for at, row in enumerate(rows) if row.startswith("[["))
    return rows[start + 1 : rows.index("]]")]


# --- requests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
def test_every_refusal_has_its_own_reason_and_its_own_next_step(locale: str) -> None:
    facts = facts_of("refused_too_late")
    mails = [
        RENDERER.render(NoticeName.REQUEST_REFUSED, locale, replace(facts, refusal=refusal, contracts=(), subject=""))
        for refusal in ("", *Refusal)
    ]
    first = [mail.text.split("\n\n")[1:3] for mail in mails]
    assert len({lines[0] for lines in first}) == len(mails)
    assert len({" ".join(lines) for lines in first}) == len(mails)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_verb_has_its_own_answer(locale: str) -> None:
    facts = facts_of("status")
    mails = {RENDERER.render(NoticeName.REQUEST_DONE, locale, replace(facts, verb=verb)).text for verb in Verb}
    assert len(mails) == len(Verb)


def test_a_status_tells_term_state_deadline_and_invitation_of_every_contract() -> None:
    mail = french("status_of_many")
    for said in (
        "SC-000042 Logitech Select, 3 ans 994-000303 Licences 40 Début et fin 25 novembre 2026 – 24 novembre 2029",
        "En vigueur Délai d’annulation 25 décembre 2026 Invitation acceptée",
        "SC-000043 Logitech Select, 3 ans 994-000303 Licences 1 250 Début et fin à la première attribution",
        "SC-000007 Logitech Select, 1 an",
        "Terminé Invitation acceptée",
    ):
        assert said in mail
    assert gallery.PO_NUMBER in french("status_for_reseller")
    assert "Hôtels Bellerive SA" in french("status_for_reseller")
    assert "Aucun contrat n’est enregistré pour votre adresse." in french("status_of_none")


def test_an_invitation_s_address_is_shown_only_where_it_is_given() -> None:
    assert "ana.petit@bellerive.example" in french("added")
    assert "l’accès suivant : lecture seule" in french("added")
    assert "@" not in french("resent_for_reseller")
    assert "le client seul la reçoit" in french("resent_for_reseller")


def test_a_partner_is_not_sent_to_a_portal_that_is_not_his() -> None:
    assert gallery.PORTAL in french("refused_already_accepted")
    told_reseller = french("refused_already_accepted", party="reseller")
    assert gallery.PORTAL not in told_reseller
    assert "Le client se connecte quand il le souhaite" in told_reseller
    assert gallery.PORTAL not in french("status_for_reseller")


def test_a_refusal_that_is_too_late_names_the_last_day() -> None:
    assert "jusqu’au mercredi 4 novembre 2026 inclus" in french("refused_too_late")
    last = date(2026, 3, 1)
    assert "jusqu’au dimanche 1 mars 2026 inclus" in french("refused_too_late", cancellable_until=last).replace(
        "1er", "1"
    )


def test_a_cancellation_says_what_is_reversed_and_until_when_it_can_be_undone() -> None:
    mail = french("cancelled")
    assert "C’est fait, comme vous l’avez demandé." in mail
    assert "pièces de rechange sur site" in mail
    assert "peut être levée jusqu’au jeudi 26 novembre 2026 à 18 h 42, heure locale (Paris), soit 17:42 UTC" in mail
    assert "comme vous l’avez demandé" not in french("cancelled_for_reseller")
    assert "de nouveau en vigueur" in french("undone")
    later = facts_of("cancelled").undo_until
    assert later is not None
    assert "Revenir" not in french("undone", undo_until=later + timedelta(days=1))


# --- the customer success manager ---------------------------------------------------------------------------------


def test_the_csm_reads_what_changed_and_what_must_be_agreed() -> None:
    mail = french("csm")
    assert "1 unité de plus à convenir avec Hôtels Bellerive SA" in mail
    assert "Entité mère Groupe Bellerive Licences en vigueur 120 Unités jusqu’ici 1 Unités désormais 2" in mail
    assert "doivent correspondre à ce que le client a acheté et déployé" in mail
    assert "ne pas transférer" in mail
    assert "1 unité de moins" in french("csm_less")
    assert "À CONVENIR" not in french("csm_countries")
    assert "Brésil" in french("csm_countries")


def test_other_terms_name_the_room_that_they_are_about() -> None:
    assert "Suisse, salle Zürich 3.12 – Logitech Select" in french("terms")


# --- one skeleton, many languages ---------------------------------------------------------------------------------


def test_the_skeletons_hold_no_words() -> None:
    for path in (gallery.CHECKOUT / "templates" / "_layout" / "contracts").iterdir():
        bare = re.sub(r"\{[{%#].*?[#%}]\}|<[^>]+>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"[^\W\d_]{2,}", bare), path.name
