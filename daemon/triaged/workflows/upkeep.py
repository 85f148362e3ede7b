"""Upkeep: what is due by the clock on the wall and concerns no single mail: the dead are buried and what they held is
freed."""

from collections.abc import Collection

from triaged import log
from triaged.adapters.db import casebook, engine, hosts, leases


def bury_the_dead(database: engine.Database, owner: str, seen_dead: Collection[str] = ()) -> None:
    """Free the mails that dead daemons had claimed for deciding, and their leases; `owner` is us and lives, `seen_dead`
    have died before their heartbeat was missed."""
    with database.write() as session:
        hosts.declare_dead(session, seen_dead)
        dead = (*hosts.bury(session), *seen_dead)
        alive = {*hosts.alive(session), owner}
        freed, left = casebook.orphaned(session, alive), leases.orphaned(session, alive)
    if dead or freed or left:
        log.warning("took over", hosts=",".join(dead) or None, mails=freed, leases=",".join(left) or None)
