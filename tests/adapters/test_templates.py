"""The mails as their readers see them: every notice in every language and situation."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import mails_gallery as gallery

from triaged.adapters import templates
from triaged.domain.errors import PermanentError
from triaged.domain.notices import Due, Facts, NoticeName, Written

SHIPPED = gallery.CHECKOUT / "templates"
RENDERER = templates.Renderer([SHIPPED])
EVERY = [
    pytest.param(locale, situation, id=f"{locale}-{situation}")
    for locale in ("fr", "en", "de")
    for situation in gallery.situations()
]
LABELS = {
    "fr": ["Adresse e-mail du super administrateur :", "ZOID :", "ZUID :", "Service :"],
    "en": ["Super admin email address:", "ZOID:", "ZUID:", "Service:"],
    "de": ["E-Mail-Adresse des Super-Administrators:", "ZOID:", "ZUID:", "Dienst:"],
}

INSTEAD_OF_A_BUTTON = {
    "fr": f"Pour commencer, ouvrez ce lien {gallery.LINK}",
    "en": f"To get started, open this link: {gallery.LINK}",
    "de": f"Öffnen Sie zum Beginnen diesen Link: {gallery.LINK}",
}


def rendered(locale: str, situation: str) -> templates.Rendered:
    name, facts = gallery.situations(locale)[situation]
    return RENDERER.render(name, locale, facts)


def french(situation: str) -> str:
    """The French text on one line, no-break spaces as spaces."""
    return " ".join(rendered("fr", situation).text.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "templates"))


# --- every mail ---------------------------------------------------------------------------------------------------


def test_what_we_ship_has_no_problems() -> None:
    assert RENDERER.locales() == ("de", "en", "fr")
    assert RENDERER.problems() == []


@pytest.mark.parametrize(("locale", "situation"), EVERY)
def test_the_text_part_is_a_letter_of_76_columns(locale: str, situation: str) -> None:
    text = rendered(locale, situation).text.replace(gallery.LINK, "link")  # an address is never broken
    assert max(len(line) for line in text.splitlines()) <= templates.WIDTH
    assert "\n\n\n" not in text
    assert "\n-- \n" in text
    assert not re.search(r"[<>{}%]|None|&\w+;", text)


@pytest.mark.parametrize(("locale", "situation"), EVERY)
def test_the_html_part_is_one_column_that_fetches_nothing(locale: str, situation: str) -> None:
    html = rendered(locale, situation).html
    assert f'<html lang="{locale}" dir="ltr"' in html
    assert html.index('<meta charset="utf-8">') < 300
    assert len(html.encode()) < 30_000
    assert html.count("<h1") == 1
    assert not re.search(
        r"<img|<link|<script|<form|<input|@import|@font-face|url\(|https?://| src=", without_links(html)
    )
    assert "prefers-color-scheme: dark" in html
    assert 'width="600"' in html
    assert "max-width: 600px" in html
    assert "{" not in html.partition("<body")[2]
    for table in re.findall(r"<table[^>]*>", html):
        assert 'role="presentation"' in table or 'class="facts"' in table or 'class="times"' in table


def without_links(html: str) -> str:
    """Without what a reader is asked to open: it is fetched by nobody but him."""
    for address in (gallery.LINK, gallery.PORTAL):
        html = html.replace(f'href="{address}"', "").replace(f">{address}<", "><")
    return html


@pytest.mark.parametrize(("locale", "situation"), EVERY)
def test_text_and_html_say_the_same_words(locale: str, situation: str) -> None:
    mail = rendered(locale, situation)
    shown = re.sub(r"<[^>]+>", " ", mail.html.partition("<body")[2].partition(">")[2].replace("&nbsp;", " "))
    words = set(re.findall(r"\w{4,}", shown.casefold()))
    spoken = set(re.findall(r"\w{4,}", mail.text.casefold().partition("\n-- \n")[0]))
    greetings = {"bonjour", "hello", "guten"}
    assert spoken - words <= greetings | set(re.findall(r"\w{4,}", INSTEAD_OF_A_BUTTON[locale].casefold()))


@pytest.mark.parametrize(("locale", "situation"), EVERY)
def test_the_subject_has_the_number_once(locale: str, situation: str) -> None:
    _, facts = gallery.situations(locale)[situation]
    subject = rendered(locale, situation).subject
    assert re.findall(r"\[.*?\]", subject) == ([f"[{facts.ticket}]"] if facts.ticket else [])
    assert subject == subject.strip()
    assert len(subject) <= 200


def test_colours_can_be_read_in_light_and_dark() -> None:
    layout = (SHIPPED / "_layout" / "mail.html").read_text()
    light, dark = layout.partition("prefers-color-scheme: dark")[::2]
    for css, backgrounds in ((light, ("#ffffff", "#f4f1ea")), (dark, ("#1b2224", "#111618"))):
        rules = [rule for rule in re.findall(r"([^{}]+)\{([^{}]+)\}", css) if "preheader" not in rule[0]]
        for selector, body in rules:
            own = re.findall(r"background-color: (#\w{6})", body)
            for colour in re.findall(r"(?<![\w-])color: (#\w{6})", body):
                for background in own or backgrounds:
                    assert contrast(colour, background) >= 4.5, (selector, colour, background)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- what they say ------------------------------------------------------------------------------------------------


def test_the_decision_comes_first() -> None:
    assert french("large").startswith(
        "Bonjour, Votre ticket EU-000123 est classé S1-Critique : le compte client indiqué est un compte grand"
    )
    assert "Client prioritaire – Compte grand utilisateur" in french("large")
    assert "Client prioritaire" not in french("standard")


def test_deadlines_stand_in_the_region_s_zone_with_utc() -> None:
    assert "Objectif mer. 25 nov., 19:42 (18:42 UTC)" in french("large")
    assert "Au plus tard jeu. 26 nov., 02:42 (01:42 UTC)" in french("large")
    html = rendered("fr", "large").html
    assert re.search(r"mer\. 25 nov\.</span><br>\s*<span[^>]*>19:42</span><br>\s*<span[^>]*>18:42 UTC", html)


def test_another_day_in_utc_is_named() -> None:
    assert "jeu. 26 nov., 00:12 (mer. 25 nov. 18:42 UTC)" in french("india")


def test_a_region_on_utc_says_so_once() -> None:
    assert "Objectif mer. 25 nov., 18:42 UTC" in french("utc")
    assert "HEURES UTC" in french("utc")


def test_a_deadline_keeps_its_zone_over_the_end_of_summer_time() -> None:
    before, after = datetime(2026, 10, 24, 23, 0, tzinfo=UTC), datetime(2026, 10, 25, 23, 0, tzinfo=UTC)
    facts = replace(gallery.situations()["large"][1], acknowledge=Due(before, after))
    text = RENDERER.render(NoticeName.TICKET_OPENED, "en", facts).text
    assert "Sun, Oct 25, 01:00 (Sat, Oct 24 23:00 UTC)" in text
    assert "Mon, Oct 26, 00:00 (Sun, Oct 25 23:00 UTC)" in text


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ("excluded_contacts", "sa mesure est le nombre de contacts ou d’abonnés"),
        ("excluded_rows", "sa mesure est la quantité de lignes traitées mensuellement"),
        ("excluded_visitors", "le nombre de visiteurs mensuels du site web, en particulier le public cible"),
        ("excluded_credits", "à la fois des crédits d’automatisation et des e-mails groupés (publipostage)"),
    ],
)
def test_an_excluded_service_has_the_faq_s_reason(situation: str, reason: str) -> None:
    service = gallery.situations()[situation][1].service
    assert f"{service} n’entre pas dans le support prioritaire." in french(situation)
    assert reason in french(situation)
    assert "passe automatiquement" not in french(situation)


def test_the_wrong_mailbox_is_served_and_the_right_one_named() -> None:
    told = french("large_wrong_mailbox")
    assert "Vous avez écrit à partner-support@eu.vendor.example. Votre demande est traitée normalement" in told
    assert "l’adresse de votre région est partner-support@vendor.example." in told
    assert "L’ADRESSE DE VOTRE RÉGION" not in french("large")


def test_regular_updates_are_promised_to_critical_tickets_alone() -> None:
    assert "points d’avancement réguliers" in french("large")
    assert "points d’avancement réguliers" in french("granted")
    assert "points d’avancement" not in french("standard")


def test_what_is_missing_says_why_it_matters() -> None:
    assert "passe automatiquement en « S1-Critique »" in french("no_reference")
    assert "nous attendons par défaut" in french("large_without_super_admin")
    assert "passe automatiquement" not in french("large_without_super_admin")


@pytest.mark.parametrize("locale", LABELS)
@pytest.mark.parametrize("situation", ["no_reference", "unknown", "conflicting", "large_without_super_admin"])
def test_the_fill_in_block_stands_on_its_own_lines_in_text_and_html(locale: str, situation: str) -> None:
    mail = rendered(locale, situation)
    assert block(mail.text) == LABELS[locale]
    html = re.sub(r"</div>\s*<div[^>]*>", "\n", mail.html.partition("<body")[2])
    assert block(re.sub(r"<[^>]+>", "", html)) == LABELS[locale]


@given(st.sampled_from(["> ", ">", "> > ", "| ", "\t> "]), st.integers(0, 3), st.sampled_from(sorted(LABELS)))
def test_a_filled_block_is_whole_under_any_quoting(quote: str, line: int, locale: str) -> None:
    label = LABELS[locale][line]
    filled = rendered(locale, "no_reference").text.replace(f"\n{label}\n", f"\n{label} it@acme.example\n")
    quoted = "\n".join(quote + row for row in filled.splitlines())
    bare = "\n".join(row.removeprefix(quote) for row in quoted.splitlines())
    assert block(bare)[line] == f"{label} it@acme.example"


def block(text: str) -> list[str]:
    rows = [row.strip() for row in text.splitlines()]
    start = next(at for at, row in enumerate(rows) if row.startswith("[["))
    return rows[start + 1 : rows.index("]]")]


def test_a_complete_mail_is_asked_for_nothing() -> None:
    assert "[[" not in rendered("fr", "large").text
    assert "[[" not in rendered("fr", "large").html


@pytest.mark.parametrize("locale", LABELS)
def test_the_alert_tells_all_that_an_associate_needs_at_night(locale: str) -> None:
    mail = rendered(locale, "alert")
    needed = ["EU-000123", "Acme SA", "60012345678", "640", "200", "Integra", "contact@integra.example", "20:42 UTC"]
    for fact in (*needed, "CRM inaccessible", "triaged ticket show EU-000123"):
        assert fact in mail.text
        assert fact in mail.html
    assert "21:42 (20:42 UTC)" in mail.subject
    assert "Acme SA" in mail.subject


# --- what they must not say ---------------------------------------------------------------------------------------

SECRETS = Facts(
    ticket="EU-000123",
    reason="large_account",
    tier="large_user",
    service="Secretservice",
    licences=98765,
    threshold=200,
    understood=(Written("super_admin", "secret@acme.example"),),
    account="Secretaccount",
    account_zoid="60099999999",
    requester="secret@integra.example",
    partner="Secretpartner",
    excluded_unit="rows",
    missing=("super_admin",),
    ask=True,
    severity="S1",
    severity_label="Secretlabel",
    priority=True,
    desk_name="Support",
)


@pytest.mark.parametrize("locale", LABELS)
@pytest.mark.parametrize("name", [NoticeName.RECEIVED_FOR_REVIEW, NoticeName.UNREADABLE])
def test_a_neutral_mail_is_the_same_whatever_we_know(locale: str, name: NoticeName) -> None:
    told = RENDERER.render(name, locale, replace(SECRETS, priority=False))
    blind = RENDERER.render(name, locale, Facts(ticket="EU-000123", desk_name="Support"))
    assert told == blind


def test_the_unreadable_mail_s_subject_is_never_repeated() -> None:
    facts = replace(SECRETS, subject="viagra")
    assert "viagra" not in str(RENDERER.render(NoticeName.UNREADABLE, "fr", facts))


@pytest.mark.parametrize("locale", LABELS)
@pytest.mark.parametrize("name", sorted(set(NoticeName) - {NoticeName.PRIORITY_ALERT}))
def test_no_partner_reads_the_account_s_name_its_id_or_its_licences(locale: str, name: NoticeName) -> None:
    told = str(RENDERER.render(name, locale, SECRETS))
    for secret in ("Secretaccount", "60099999999", "98765", "98 765", "98,765", "98.765", "98\u202f765"):
        assert secret not in told


def test_no_fact_holds_the_directory_s_super_admin() -> None:
    assert not [field.name for field in fields(Facts) if "admin" in field.name or "primary" in field.name]


def test_what_a_partner_writes_stays_text() -> None:
    hostile = "{{ 7*7 }}{{ ''.__class__ }}<script>alert(1)</script>\r\nBcc: v@x\u202e&amp;"
    facts = replace(
        gallery.situations()["alert"][1], subject=hostile, partner=hostile, understood=(Written(hostile, hostile),)
    )
    mail = RENDERER.render(NoticeName.PRIORITY_ALERT, "en", facts)
    assert "<script>" not in mail.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Bcc: v@x&amp;amp;" in mail.html
    assert "{{ 7*7 }}{{ ''.__class__ }}<script>alert(1)</script> Bcc: v@x&amp;" in mail.text
    assert not re.search("\u202e|\nBcc", mail.html + mail.text)


# --- languages and operators --------------------------------------------------------------------------------------


def test_a_language_is_added_by_adding_a_folder(folder: Path) -> None:
    shutil.copytree(folder / "en", folder / "es")
    words = folder / "es" / "_words.jinja"
    words.write_text(words.read_text().replace("Your ticket", "Su ticket"))
    renderer = templates.Renderer([folder])
    mail = renderer.render(NoticeName.TICKET_OPENED, "es", gallery.situations()["large"][1])
    assert "es" in renderer.locales()
    assert renderer.problems() == []
    assert "Su ticket EU-000123" in mail.text
    assert "mié, 25 nov, 19:42" in mail.text
    assert '<html lang="es"' in mail.html


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("fr-CA", "fr"), ("fr_FR", "fr"), ("ja", "de"), ("../../etc", "de"), ("_layout", "de"), ("", "de")],
)
def test_the_nearest_language_answers(asked: str, spoken: str) -> None:
    renderer = templates.Renderer([SHIPPED], fallback="de")
    assert renderer.render(NoticeName.UNREADABLE, asked, Facts()).locale == spoken


def test_an_operator_s_file_comes_before_ours(tmp_path: Path) -> None:
    (tmp_path / "fr" / "unreadable").mkdir(parents=True)
    (tmp_path / "fr" / "unreadable" / "subject.txt").write_text("À nous\nde jouer")
    mail = templates.Renderer([tmp_path, SHIPPED]).render(NoticeName.UNREADABLE, "fr", Facts())
    assert mail.subject == "À nous de jouer"
    assert "nous n’avons pas pu le lire" in mail.text


def test_a_missing_file_is_named_and_another_language_answers(folder: Path) -> None:
    (folder / "fr" / "too_large" / "body.txt").unlink()
    renderer = templates.Renderer([folder])
    assert renderer.problems() == ["fr/too_large/body.txt is missing: copy it from another locale"]
    assert renderer.render(NoticeName.TOO_LARGE, "fr", Facts()).locale == "en"


def test_no_templates_at_all_is_a_problem_with_a_fix(tmp_path: Path) -> None:
    renderer = templates.Renderer([tmp_path / "nowhere"])
    assert "correct [service] templates" in renderer.problems()[0]
    with pytest.raises(PermanentError, match="no templates for unreadable"):
        renderer.render(NoticeName.UNREADABLE, "fr", Facts())


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("\n{{ mail.nothing }}", r"fr/unreadable/body\.txt line 2: .*nothing"),
        ("\n\n{% if %}", r"fr/unreadable/body\.txt line 3: "),
        ("{{ mail.acknowledge.target | day }}", r"fr/unreadable/body\.txt line 1: "),
        ("{{ mail.licences | number }}", r"fr/unreadable"),
        ("{{ ''.__class__.__mro__ }}", r"fr/unreadable/body\.txt line 1: .*unsafe"),
        ("{% include 'fr/nowhere.txt' %}", r"asks for fr/nowhere\.txt, which is not in "),
        ("{% include '../../../secret.txt' %}", r"asks for "),
    ],
)
def test_a_broken_template_is_named_with_its_line(folder: Path, broken: str, complaint: str) -> None:
    (folder / "secret.txt").write_text("secret")
    (folder / "fr" / "unreadable" / "body.txt").write_text(broken)
    renderer = templates.Renderer([folder])
    assert [problem for problem in renderer.problems() if re.search(complaint, problem)]
    with pytest.raises(PermanentError, match=complaint):
        renderer.render(NoticeName.UNREADABLE, "fr", Facts())


def test_a_language_unknown_to_the_world_uses_english_dates(folder: Path) -> None:
    shutil.copytree(folder / "en", folder / "zz-klingon")
    mail = templates.Renderer([folder]).render(NoticeName.TICKET_OPENED, "zz-klingon", gallery.situations()["large"][1])
    assert "Wed, Nov 25, 19:42 (18:42 UTC)" in mail.text


def sentences(locale: str) -> Iterator[str]:
    words = (SHIPPED / locale / "_words.jinja").read_text()
    return (m[1] for m in re.finditer(r"\{%- macro (\w+)", words))


@pytest.mark.parametrize("locale", LABELS)
def test_every_language_has_the_same_sentences(locale: str) -> None:
    assert sorted(sentences(locale)) == sorted(sentences("fr"))


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_a_sender_hears_which_attachment_nobody_but_outlook_can_read(locale: str) -> None:
    facts = Facts(ticket="EU-000123", reason="no_customer_reference", unread=("winmail.dat",))
    mail = RENDERER.render(NoticeName.TICKET_OPENED, locale, facts)
    assert "winmail.dat" in mail.text
    assert "winmail.dat" in mail.html
    assert "TNEF" not in RENDERER.render(NoticeName.TICKET_OPENED, locale, Facts(ticket="EU-000123")).text
