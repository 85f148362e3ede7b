"""Every mail in every language and situation, to look at: `python tests/mails_gallery.py` writes .screens/.

Text and HTML always; with `--pictures` (a substring of names may follow) photographs by Debian's Chromium, light and
dark, at 390 and 800 px. `situations` is also what the tests render.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from triaged.adapters import templates
from triaged.domain.notices import Due, Facts, NoticeName, Written

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
    shown.write_text(f'<body style="margin:0"><iframe src="{page.name}" width="{width}" height="1800" frameborder="0">')
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={width},1800",
                f"--blink-settings=preferredColorScheme={int(light)}", f"--screenshot={picture}", str(shown),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
    shown.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
