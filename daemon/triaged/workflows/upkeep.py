"""Upkeep: what is due by the clock on the wall and concerns no single mail: the dead are buried and what they held is
freed, stored bytes past their retention are purged (policy `retain`)."""

from dataclasses import dataclass
from datetime import datetime

from triaged import log
from triaged.adapters.db import casebook, engine, hosts, leases
from triaged.domain.policy import Policy
from triaged.settings import Mailbox

_PURGED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Buried:
    """Daemons that fell silent, and how many mails were freed from them."""

    owners: tuple[str, ...]
    freed: int


def bury_the_dead(database: engine.Database, owner: str) -> Buried:
    """Free the mails that dead daemons had claimed for deciding, and their leases; `owner` is us and lives."""
    with database.write() as session:
        dead = hosts.bury(session)
        alive = {*hosts.alive(session), owner}
        freed, left = casebook.orphaned(session, alive), leases.orphaned(session, alive)
    if dead or freed or left:
        log.warning("took over", hosts=",".join(dead) or None, mails=freed, leases=",".join(left) or None)
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
