"""Upkeep: what is due by the clock on the wall and concerns no single mail: the dead are buried and what they held is
freed, stored bytes past their retention are purged (policy `retain`)."""

from dataclasses import dataclass
from datetime import datetime

from triaged import log
from triaged.adapters.db import casebook, engine, hosts
from triaged.domain.policy import Policy
from triaged.settings import Mailbox

_PURGED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Buried:
    """Daemons that fell silent, and how many mails were freed from them."""

    owners: tuple[str, ...]
    freed: int


def bury_the_dead(database: engine.Database, owner: str, now: datetime) -> Buried:
    """Free the mails that dead daemons had claimed for deciding; `owner` is us and lives."""
    with database.write() as session:
        dead = hosts.bury(session, now)
        freed = casebook.orphaned(session, {*hosts.alive(session, now), owner})
    if dead or freed:
        log.warning("took over", hosts=",".join(dead) or None, mails=freed)
    return Buried(dead, freed)


def purge(database: engine.Database, mailboxes: tuple[Mailbox, ...], policy: Policy, now: datetime) -> int:
    """Remove the bytes of mails past their mailbox's retention, the longest of its regions'; rows and hashes stay."""
    purged = 0
    for mailbox in mailboxes:
        before = now - max(policy.regions[code].retain for code in mailbox.regions)
        while True:
            with database.write() as session:
                removed = casebook.purge(session, [mailbox.name], before, _PURGED_AT_ONCE)
            purged += removed
            if removed < _PURGED_AT_ONCE:
                break
    if purged:
        log.event("purged", mails=purged)
    return purged
