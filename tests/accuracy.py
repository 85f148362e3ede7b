"""The labelled set: `tests/mails/<story>.eml` with `<story>.toml` says what must be decided; two files = a test.

    python -m tests.accuracy [CATEGORY …]

prints what is right by category, and wrong customers and false S1 apart, because those two must be none. The house
that decides has its own directory in `tests/mails/house/`; every mail arrives on `ARRIVED`.

A story's TOML: `category`, `mailbox` (default partners-eu), and `[expect]` with any of: decision, reason, region,
locale, partner, authenticated, account (a ZOID, "" for none), via, service, licences, tier, severity, priority,
missing, evidence ([kind, value, where] each; where may be left out; all that is listed must be there), only_evidence
(true: and nothing else), notices (names).
"""

import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from triaged import app as composition
from triaged import settings
from triaged.adapters import directory_file
from triaged.adapters.db import directory_import
from triaged.app import App
from triaged.desks import reception, support

MAILS = Path(__file__).parent / "mails"
ARRIVED = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
SLOW = 2.0  # seconds for one mail


@dataclass(frozen=True)
class Story:
    name: str
    raw: bytes
    category: str
    mailbox: str
    expect: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """`wrong` lists what differs; `wrong_customer` and `false_s1` are the two that must never happen."""

    story: Story
    receipt: dict[str, Any]
    wrong: tuple[str, ...]
    seconds: float

    @property
    def wrong_customer(self) -> bool:
        account = self.receipt["account"]
        wanted = self.story.expect.get("account")
        return account is not None and wanted is not None and account["zoid"] != wanted

    @property
    def false_s1(self) -> bool:
        return bool(self.receipt["priority_large_user"]) and self.story.expect.get("priority") is False


def stories() -> Iterator[Story]:
    """Every pair of files, by name."""
    for label in sorted(MAILS.glob("*.toml")):
        told = tomllib.loads(label.read_text("utf-8"))
        mailbox = told.get("mailbox", "partners-eu")
        yield Story(label.stem, label.with_suffix(".eml").read_bytes(), told["category"], mailbox, told["expect"])


@cache
def house() -> App:
    """The deciding house, with the labelled set's own directory, in a database of its own."""
    folder = tempfile.mkdtemp(prefix="triaged-accuracy-")
    place = MAILS / "house"
    values = {"TRIAGED_DATABASE__URL": f"sqlite:///{folder}/t.db", "TRIAGED_SERVICE__STATE_DIR": folder}
    app = composition.build(settings.load(place / "triaged.toml", values))
    composition.upgrade(app)
    partners = directory_file.read_partners((place / "partners.json").read_bytes(), app.rules)
    accounts = directory_file.read_accounts((place / "accounts.json").read_bytes(), app.rules)
    assert not partners.problems, partners.problems
    assert not accounts.problems, accounts.problems
    with app.database.write() as session:
        directory_import.import_partners(session, partners.records)
        directory_import.import_accounts(session, accounts.records)
    return app


def decide_on(story: Story) -> Outcome:
    """What the daemon would decide, compared with the label."""
    app = house()
    begun = time.monotonic()
    mail = reception.read_mail(story.raw, app.settings.mailbox(story.mailbox), app.desk, ARRIVED)
    with app.database.read() as session:
        receipt = support.consider(mail, app.desk, session).document()
    seconds = time.monotonic() - begun
    return Outcome(story, receipt, tuple(_differences(story.expect, receipt)), seconds)


def _differences(expect: dict[str, Any], receipt: dict[str, Any]) -> Iterator[str]:
    seen = _seen(receipt)
    for key, wanted in expect.items():
        match key:
            case "evidence":
                yield from _lacking(wanted, receipt["evidence"])
            case "only_evidence":
                extra = len(receipt["evidence"]) - len(expect["evidence"])
                if wanted and extra:
                    yield f"{extra} more in evidence: {receipt['evidence']}"
            case _:
                if seen[key] != wanted:
                    yield f"{key}: {seen[key]!r}, expected {wanted!r}"


def _seen(receipt: dict[str, Any]) -> dict[str, Any]:
    account, sender = receipt["account"] or {}, receipt["sender"] or {}
    return {
        **{key: receipt[key] for key in ("decision", "reason", "region", "locale", "licences", "missing", "severity")},
        "partner": sender.get("partner") or "",
        "authenticated": sender.get("authenticated", False),
        "account": account.get("zoid", ""),
        "via": account.get("via", ""),
        "service": receipt["service"] or "",
        "tier": receipt["tier"] or "",
        "priority": receipt["priority_large_user"],
        "notices": [notice["name"] for notice in receipt["notices"]],
    }


def _lacking(wanted: list[list[str]], found: list[dict[str, str]]) -> Iterator[str]:
    for kind, value, *where in wanted:
        same = [one for one in found if (one["kind"], one["value"]) == (kind, value)]
        if not any(not where or one["where"] == where[0] for one in same):
            yield f"evidence {kind} {value} {where}: found {found}"


def main(categories: list[str]) -> int:
    outcomes = [decide_on(s) for s in stories() if not categories or s.category in categories]
    total, right = (
        Counter(o.story.category for o in outcomes),
        Counter(o.story.category for o in outcomes if not o.wrong),
    )
    for outcome in outcomes:
        if outcome.wrong:
            print(f"{outcome.story.name}: " + "; ".join(outcome.wrong))
    for category, number in sorted(total.items()):
        print(f"{category:<24} {right[category]:>4} of {number:>4}")
    customers = [o.story.name for o in outcomes if o.wrong_customer]
    critical = [o.story.name for o in outcomes if o.false_s1]
    slow = [o.story.name for o in outcomes if o.seconds > SLOW]
    print(f"{'all':<24} {sum(right.values()):>4} of {len(outcomes):>4}")
    print(f"wrong customers: {len(customers)} {customers or ''}\nfalse S1: {len(critical)} {critical or ''}")
    print(f"over {SLOW:.0f} s: {len(slow)} {slow or ''}")
    return int(any(o.wrong for o in outcomes) or bool(slow))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
