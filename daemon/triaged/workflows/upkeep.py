"""Upkeep: what is due by the clock on the wall and concerns no single mail: the dead are buried and what they held is
freed."""

from dataclasses import dataclass

from triaged import log
from triaged.adapters.db import casebook, engine, hosts, leases


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
