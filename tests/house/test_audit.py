"""`triaged audit`: clean after whatever really happens, and every loss, seeded by hand, is named with its place."""

from datetime import UTC, datetime
from typing import Any

from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap

from triaged.domain.accounting import Check
from triaged.workflows import audit

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
Server = imap_pymap.Pymap | imap_dovecot.Dovecot


def look(house: desk.Installation, **depth: Any) -> audit.Audited:
    settings = audit.Depth(**{"deep": True, "pause": 0.05, **depth})
    return audit.audit(house.app.database, house.app.settings, lambda: datetime.now(UTC), settings)


def named(audited: audit.Audited) -> list[tuple[str, int | None]]:
    return [(one.check.value, one.uid) for one in audited.differences]


def busy(house: desk.Installation, server: Server) -> None:
    """A day's mail: tickets, replies, a copy in both mailboxes, machines, strangers, something unreadable."""
    server.deliver(house.eu, *(desk.mail(COMPLETE, number=n, subject=f"Panne {n}") for n in range(1, 6)))
    house.once()
    (ticket, *_) = house.tickets()
    server.deliver(
        house.eu,
        desk.mail("Merci, encore un mot.\n", number=10, subject=f"Re: [{ticket.number}] Panne"),
        desk.mail(COMPLETE, number=11, signed=False),
        desk.mail(COMPLETE, number=12, sender="a@stranger.example"),
        desk.mail("Je suis absent.\n", number=13, extra="Auto-Submitted: auto-replied\r\n"),
    )
    copied = desk.mail(COMPLETE, number=14)
    server.deliver(house.eu, copied)
    server.deliver(
        house.com, b"Delivered-To: second@eu.vendor.example\r\n" + copied, desk.mail("x", number=15, subject="a\rX: y")
    )
    house.once()


def test_a_busy_day_is_clean(house: desk.Installation, imap_server: Server) -> None:
    busy(house, imap_server)
    audited = look(house)
    assert [one.text for one in audited.differences] == []
    assert audited.clean
    assert audited.looked_at[Check.DECISIONS] == 12
    assert audited.looked_at[Check.ARCHIVE] >= 5
    assert audited.looked_at[Check.DUTIES] >= 12
