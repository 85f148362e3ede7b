"""Every mail in every language and situation, to look at: `python tests/mails_gallery.py` writes .screens/.

Text and HTML always; with `--pictures` (a substring of names may follow) photographs by Debian's Chromium, light and
dark, at 390 and 800 px. `situations` is also what the tests render.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from triaged.adapters import templates
from triaged.domain.notices import (
    ContractFacts,
    CountryNote,
    Due,
    Facts,
    FindingFacts,
    NoticeName,
    SparesFacts,
    Written,
)
from triaged.domain.request import Refusal, Verb

CHECKOUT = Path(__file__).parent.parent
LABELS = {"fr": ("S1-Critique", "S3-Normale"), "en": ("S1-Critical", "S3-Normal"), "de": ("S1-Kritisch", "S3-Normal")}
_ARRIVED = datetime(2026, 11, 25, 17, 42, tzinfo=UTC)


def _due(target: int, limit: int) -> Due:
    return Due(_ARRIVED + timedelta(hours=target), _ARRIVED + timedelta(hours=limit))


def situations(locale: str = "fr") -> Mapping[str, tuple[NoticeName, Facts]]:
    """Name of the situation → the notice and its facts."""
    critical, normal = LABELS.get(locale, LABELS["en"])
    frame = Facts(
        ticket="EU-000123",
        subject="CRM inaccessible pour tous les utilisateurs",
        region="eu",
        region_name="Union européenne",
        timezone="Europe/Paris",
        mailbox="partner-support@eu.vendor.example",
        severity="S3",
        severity_label=normal,
        threshold=200,
        received_at=_ARRIVED,
        acknowledge=_due(4, 8),
        determine=_due(24, 48),
        resolve=_due(72, 120),
        requester="contact@integra.example",
        partner="Integra",
        desk_name="Assistance partenaires",
    )
    wrote = (Written("super_admin", "it@acme.example"), Written("zoid", "60012345678"))
    urgent = replace(
        frame,
        severity="S1",
        severity_label=critical,
        priority=True,
        tier="large_user",
        reason="large_account",
        licences=640,
        service="Zoho CRM",
        understood=wrote,
        acknowledge=_due(1, 3),
        determine=_due(2, 8),
        resolve=_due(24, 48),
    )
    lacking = {"missing": ("super_admin",), "ask": True}
    excluded = replace(frame, reason="excluded_service", tier="large_user", understood=wrote)
    opened, stranger = NoticeName.TICKET_OPENED, replace(frame, subject="", partner="")
    return {
        "large": (opened, urgent),
        "large_without_super_admin": (opened, replace(urgent, understood=wrote[1:], **lacking)),
        "large_wrong_mailbox": (opened, replace(urgent, right_mailbox="partner-support@vendor.example")),
        "key": (opened, replace(frame, reason="key_account", tier="key_account", understood=wrote)),
        "standard": (opened, replace(frame, reason="standard_account", tier="standard", understood=wrote)),
        "no_reference": (opened, replace(frame, reason="no_customer_reference", **lacking)),
        "unknown": (opened, replace(frame, reason="unknown_customer", understood=wrote, ask=True)),
        "conflicting": (opened, replace(frame, reason="conflicting_references", understood=wrote, ask=True)),
        "reply": (opened, replace(frame, reason="reply", understood=wrote, ask=True)),
        "excluded_contacts": (opened, replace(excluded, service="Zoho Campaigns", excluded_unit="contacts")),
        "excluded_rows": (opened, replace(excluded, service="Zoho DataPrep", excluded_unit="rows", **lacking)),
        "excluded_visitors": (opened, replace(excluded, service="Zoho PageSense", excluded_unit="visitors")),
        "excluded_credits": (opened, replace(excluded, service="Zoho Writer add-ons", excluded_unit="credits")),
        "india": (opened, replace(urgent, timezone="Asia/Kolkata", region_name="Inde", ticket="IN-000007")),
        "utc": (opened, replace(urgent, timezone="UTC")),
        "review": (NoticeName.RECEIVED_FOR_REVIEW, stranger),
        "granted": (NoticeName.PRIORITY_GRANTED, urgent),
        "alert": (NoticeName.PRIORITY_ALERT, replace(urgent, account="Acme SA", account_zoid="60012345678")),
        "unreadable": (NoticeName.UNREADABLE, stranger),
        "too_large": (NoticeName.TOO_LARGE, replace(frame, size_limit=25_000_000)),
        **_orders(),
        **_invitations(),
        **_requests(),
        **_notes(),
    }


# --- the contracts desk -------------------------------------------------------------------------------------------

PO_NUMBER = "4500-77812"
LINK = "https://portal.vendor.example/i/6KQ1-2J0V9TTZ5M8R4W7C3X1H-B2N5P8S0D4F6G9"
PORTAL = "https://portal.vendor.example/"
SKUS = (
    ("994-000148", "select", 1),
    ("994-000303", "select", 3),
    ("994-000311", "syncplus", 1),
    ("994-000323", "warranty", 3),
)
_BOUGHT = ContractFacts(
    number="SC-000042",
    service="select",
    sku="994-000303",
    years=3,
    licences=40,
    starts=date(2026, 11, 25),
    ends=date(2029, 11, 24),
    cancellable_until=date(2026, 12, 25),
    po_number=PO_NUMBER,
    customer="Hôtels Bellerive SA",
)
_SELECT = Facts(
    timezone="Europe/Paris",
    desk_name="Services de support Logitech",
    mailbox="select@vendor.example",
    party="customer",
    order="ORD-000031",
    po_number=PO_NUMBER,
    customer="Hôtels Bellerive SA",
    contracts=(_BOUGHT,),
    portal=PORTAL,
)
_ABROAD = CountryNote("CH", "RMA sous deux jours ouvrables", ("select", "warranty"))
_GROUP = FindingFacts("customer_email", "group_address", "informatique@bellerive.example")


def _orders() -> dict[str, tuple[NoticeName, Facts]]:
    sold = replace(_SELECT, reseller="Intégrateur Rhône")
    unstarted = replace(_BOUGHT, number="SC-000043", licences=1250, starts=None, ends=None)
    two = replace(sold, site="12 quai Gauche, 69002 Lyon", contracts=(_BOUGHT, unstarted))
    asked = replace(_SELECT, party="other", contracts=(), skus=SKUS, ask=True, subject="Bon de commande 4500-77812")
    wrong = (
        FindingFacts("sku", "unknown", "994-000999"),
        FindingFacts("licences", "invalid", "quarante"),
        FindingFacts("customer_email", "not_customer", "ventes@rhone.example"),
        FindingFacts("distributor_address", "missing"),
    )
    mixed = (FindingFacts("service", "mixed_services", "select, warranty"), FindingFacts("reseller_name", "missing"))
    confirmed, problems = NoticeName.ORDER_CONFIRMED, NoticeName.ORDER_PROBLEMS
    return {
        "order": (confirmed, replace(sold, countries=(_ABROAD,), warnings=(_GROUP,))),
        "order_at_a_site": (confirmed, two),
        "order_repeated": (confirmed, replace(sold, repeated=True)),
        "order_warranty": (
            confirmed,
            replace(sold, contracts=(replace(_BOUGHT, service="warranty", sku="994-000323"),)),
        ),
        "order_reseller": (confirmed, replace(_SELECT, party="reseller")),
        "order_distributor": (confirmed, replace(two, party="distributor", reseller="", repeated=True)),
        "problems": (problems, replace(asked, problems=wrong, positions=1, warnings=(_GROUP,), countries=(_ABROAD,))),
        "problems_several": (problems, replace(asked, problems=wrong[:2], positions=3)),
        "problems_mixed": (problems, replace(asked, problems=mixed, positions=2)),
        "problems_conflict": (problems, replace(asked, problems=(FindingFacts("po_number", "conflict", PO_NUMBER),))),
        "problems_no_number": (
            problems,
            replace(asked, po_number="", problems=(FindingFacts("po_number", "missing"),)),
        ),
    }


def _invitations() -> dict[str, tuple[NoticeName, Facts]]:
    invited = replace(_SELECT, contracts=(), link=LINK, access="admin", expires_at=_ARRIVED + timedelta(days=30))
    colleague = replace(invited, access="reader", named_by="ana.petit@bellerive.example", timezone="Asia/Tokyo")
    code = Facts(timezone="Europe/Paris", desk_name=_SELECT.desk_name, portal=PORTAL, code="048213")
    return {
        "invitation": (NoticeName.INVITATION, invited),
        "invitation_again": (NoticeName.INVITATION, replace(invited, replaces=True, requested=True, timezone="UTC")),
        "invitation_colleague": (NoticeName.INVITATION, colleague),
        "code": (NoticeName.SIGN_IN_CODE, replace(code, expires_at=_ARRIVED + timedelta(minutes=10))),
        "address_changed": (NoticeName.ADDRESS_CHANGED, Facts(desk_name=_SELECT.desk_name)),
    }


def _requests() -> dict[str, tuple[NoticeName, Facts]]:
    asked = replace(_SELECT, subject="Nos contrats Select", po_number="")
    ended = replace(_BOUGHT, number="SC-000007", sku="994-000148", years=1, state="expired", invitation="accepted")
    open_ = replace(_BOUGHT, number="SC-000043", starts=None, ends=None, licences=1250, invitation="sent")
    all_ = replace(asked, contracts=(replace(_BOUGHT, invitation="accepted"), open_, ended))
    done = NoticeName.REQUEST_DONE
    cancelled = replace(
        _SELECT, contracts=(replace(_BOUGHT, state="cancelled"),), undo_until=_ARRIVED + timedelta(days=1)
    )
    return {
        "status": (done, replace(asked, verb=Verb.CONTRACT_STATUS)),
        "status_of_many": (done, replace(all_, verb=Verb.CONTRACT_STATUS)),
        "status_for_reseller": (done, replace(all_, verb=Verb.CONTRACT_STATUS, party="reseller")),
        "status_of_none": (done, replace(asked, verb=Verb.CONTRACT_STATUS, contracts=(), party="other")),
        "resent": (done, replace(asked, verb=Verb.RESEND_INVITATION)),
        "resent_for_reseller": (done, replace(asked, verb=Verb.RESEND_INVITATION, party="reseller")),
        "added": (done, replace(asked, verb=Verb.ADD_PERSON, person="ana.petit@bellerive.example", access="reader")),
        "restored": (done, replace(asked, verb=Verb.RESTORE_CONTRACT)),
        **{f"refused_{refusal}": _refused(asked, refusal) for refusal in Refusal},
        "cancelled": (NoticeName.CONTRACT_CANCELLED, replace(cancelled, requested=True)),
        "cancelled_for_reseller": (NoticeName.CONTRACT_CANCELLED, replace(cancelled, party="reseller")),
        "undone": (NoticeName.CONTRACT_CANCELLED, replace(_SELECT, undone=True)),
    }


def _refused(asked: Facts, refusal: Refusal) -> tuple[NoticeName, Facts]:
    verbs = {
        Refusal.NOT_ALLOWED: Verb.ADD_PERSON,
        Refusal.NO_PERSON: Verb.ADD_PERSON,
        Refusal.TOO_LATE: Verb.CANCEL_CONTRACT,
    }
    known = asked.contracts if refusal not in (Refusal.UNKNOWN_CONTRACT, Refusal.NOT_ALLOWED) else ()
    several = (*known, replace(_BOUGHT, number="SC-000043")) if refusal is Refusal.WHICH_CONTRACT else known
    verb = verbs.get(refusal, Verb.RESEND_INVITATION)
    late = date(2026, 11, 4) if refusal is Refusal.TOO_LATE else None
    told = replace(asked, verb=verb, refusal=refusal, contracts=several, cancellable_until=late)
    return NoticeName.REQUEST_REFUSED, told


def _notes() -> dict[str, tuple[NoticeName, Facts]]:
    note = replace(_SELECT, party="other", po_number="")
    spares = SparesFacts("Groupe Bellerive", 120, 1, 2)
    abroad = (replace(_ABROAD, room="Zürich 3.12"),)
    return {
        "terms": (NoticeName.COUNTRY_TERMS, replace(_SELECT, contracts=(), countries=abroad)),
        "csm": (NoticeName.CSM_NOTE, replace(note, spares=spares, countries=(_ABROAD,))),
        "csm_less": (NoticeName.CSM_NOTE, replace(note, spares=SparesFacts("Groupe Bellerive", 80, 2, 1))),
        "csm_countries": (NoticeName.CSM_NOTE, replace(note, countries=(_ABROAD, CountryNote("BR", "Non disponible")))),
    }


def main(arguments: list[str]) -> None:
    folder = CHECKOUT / ".screens"
    folder.mkdir(exist_ok=True)
    renderer = templates.Renderer([CHECKOUT / "templates"])
    wanted = arguments[1] if len(arguments) > 1 else ""
    for locale in renderer.locales():
        for situation, (name, facts) in situations(locale).items():
            rendered = renderer.render(name, locale, facts)
            page = folder / f"{locale}-{situation}.html"
            page.write_text(rendered.html, encoding="utf-8")
            page.with_suffix(".txt").write_text(f"{rendered.subject}\n\n{rendered.text}", encoding="utf-8")
            if arguments and wanted in page.stem:
                _photograph(page)


def _photograph(page: Path) -> None:
    for width in (390, 800):
        for light in (True, False):
            _chromium(page, width, light)


def _chromium(page: Path, width: int, light: bool) -> None:
    picture = page.with_name(f"{page.stem}-{width}-{'light' if light else 'dark'}.png")
    # Chromium's window is never narrower than 500 px: a narrower page is shown in a frame of that width.
    shown = page.with_name(f"{page.stem}-frame.htm")
    shown.write_text(f'<body style="margin:0"><iframe src="{page.name}" width="{width}" height="2600" frameborder="0">')
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={width},2600",
                f"--blink-settings=preferredColorScheme={int(light)}", f"--screenshot={picture}", str(shown),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
    shown.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
