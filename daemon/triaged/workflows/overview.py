"""`status`: one screen that says whether a person must do something."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from triaged.adapters.db import (
    alarms,
    casebook,
    clock,
    contracts,
    engine,
    hosts,
    inspections,
    installation,
    invitations,
    ledger,
    orders,
    outbox,
    returns,
    tickets,
)
from triaged.adapters.db.models import Inspection
from triaged.domain.accounting import UNSEEN
from triaged.domain.delivery import State
from triaged.settings import Settings

_ELSEWHERE = "elsewhere"  # what intake says of a mailbox that another host polls
_AUDITED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the tables say now; `attention` are sentences for a person, empty when all is well."""

    daemons: tuple[dict[str, Any], ...]
    mailboxes: tuple[dict[str, Any], ...]
    messages: dict[str, int]
    tickets: dict[str, int]
    critical: int
    queue: dict[str, int]
    orders: dict[str, int]
    contracts: dict[str, int]
    invitations: dict[str, int]
    attention: tuple[str, ...]
    audit: dict[str, Any] | None = None  # when the last whole one was, and what it found

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def overview(database: engine.Database, settings: Settings) -> Overview:
    """Read everything in one go."""
    with database.read() as session:
        alive = hosts.alive(session)
        daemons = tuple(
            {"host": h.name, "pid": h.pid, "since": h.started_at, "alive": h.id in alive, "progress": h.status}
            for h in hosts.listed(session)
        )
        positions = {m.name: ledger.position(session, m.name) for m in settings.mailboxes}
        messages, counted, queue = casebook.counts(session), tickets.counts(session), outbox.counts(session)
        rung = alarms.lately(session)
        restored = len(installation.waiting(session)), installation.doubtful(session)
        damage = inspections.last(session, "integrity")
        audited, now = inspections.last(session, "audit"), clock.now(session)
        bounced = returns.bounces(session)
        untried, trouble = outbox.relay_trouble(session, f"{settings.smtp.host}:{settings.smtp.port}: ", now)
        ordered, booked, invited = orders.counts(session), contracts.counts(session), invitations.counts(session)
    open_by_state: dict[str, int] = {}
    for (state, _severity), number in counted.items():
        open_by_state[state] = open_by_state.get(state, 0) + number
    critical = sum(n for (state, severity), n in counted.items() if severity == "S1" and state in ("open", "review"))
    mailboxes = tuple(_mailbox(name, place, daemons) for name, place in positions.items())
    return Overview(
        daemons=daemons,
        mailboxes=mailboxes,
        messages=messages,
        tickets=open_by_state,
        critical=critical,
        queue={state.value: number for state, number in queue.items()},
        orders=ordered,
        contracts=booked,
        invitations=invited,
        attention=(
            *_attention(daemons, mailboxes, messages, open_by_state, ordered, queue, bounced),
            *rung,
            *_of_the_relay(untried, trouble),
            *_of_the_database(restored, damage),
            *_of_the_audit(audited, daemons, now),
        ),
        audit=_audit(audited) if audited else None,
    )


def _of_the_database(restored: tuple[int, int], damage: Inspection | None) -> list[str]:
    held, doubted = restored
    said = []
    if held:
        said.append(
            f"restored from a backup: {_number(held, 'mail')} held, perhaps sent before: `triaged queue list --state "
            "held`, then `triaged queue release --restored` or `withdraw --restored`"
        )
    if doubted:
        said.append(
            f"restored from a backup: {_number(doubted, 'mail')} in doubt: `triaged queue list --state uncertain`, "
            "then `triaged queue retry N` or `withdraw N`"
        )
    if damage and damage.problems:
        said.append(
            f"the database is damaged ({damage.at:%Y-%m-%d %H:%M} UTC: {damage.problems[0]}): stop triaged, look at "
            "the disk, `triaged db restore BACKUP`"
        )
    return said


def _audit(audited: Inspection) -> dict[str, Any]:
    unseen = [problem for problem in audited.problems if problem.startswith(UNSEEN)]
    differences = [problem for problem in audited.problems if problem not in unseen]
    return {"at": audited.at, "differences": differences, "not_looked_at": unseen}


def _of_the_audit(audited: Inspection | None, daemons: tuple[dict[str, Any], ...], now: datetime) -> list[str]:
    """It runs every night, so two without one are a fault, too."""
    if audited and audited.problems:
        told, when = _audit(audited), f"last audit {audited.at:%Y-%m-%d %H:%M} UTC"
        said = [f"{when}: {reason}" for reason in told["not_looked_at"]]
        if found := len(told["differences"]):
            said.append(f"{when}: {_number(found, 'difference')}: `triaged audit` names them as they are now")
        return said
    begun = [audited.at] if audited else [daemon["since"] for daemon in daemons if daemon["alive"]]
    if begun and min(begun) < now - _AUDITED:
        return [f"no audit since {min(begun):%Y-%m-%d %H:%M} UTC: `triaged audit`"]
    return []


def _mailbox(name: str, place: ledger.Position | None, daemons: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    alive = [d for d in daemons if d["alive"] and name in d["progress"]]
    alive.sort(key=lambda d: d["progress"][name].get("state") == _ELSEWHERE)  # who polls it knows most
    told: dict[str, Any] = {**alive[0]["progress"][name], "host": alive[0]["host"]} if alive else {}
    polled = place.polled_at if place else None
    return {"name": name, "last_uid": place.last_uid if place else None, "polled": polled, **told}


def _attention(
    daemons: tuple[dict[str, Any], ...],
    mailboxes: tuple[dict[str, Any], ...],
    messages: dict[str, int],
    states: dict[str, int],
    ordered: dict[str, int],
    queue: dict[State, int],
    bounced: int,
) -> list[str]:
    said = _of_the_hosts(daemons, mailboxes)
    if states.get("review"):
        said.append(f"{_number(states['review'], 'ticket')} in review: `triaged ticket list --state review`")
    if ordered.get("review"):
        said.append(f"{_number(ordered['review'], 'order')} in review: `triaged order list --state review`")
    if ordered.get("incomplete"):
        said.append(f"{_number(ordered['incomplete'], 'order')} incomplete: `triaged order list --state incomplete`")
    if messages.get("quarantined"):
        said.append(f"{_number(messages['quarantined'], 'mail')} in quarantine: `triaged quarantine list`")
    if bounced:
        said.append(f"{_number(bounced, 'mail')} bounced: `triaged queue list --state failed`")
    for state in (State.UNCERTAIN, State.FAILED, State.HELD):
        standing = queue.get(state, 0) - (bounced if state is State.FAILED else 0)
        if standing > 0:
            said.append(f"{_number(standing, 'mail')} {state}: `triaged queue list --state {state}`")
    return said


def _of_the_hosts(daemons: tuple[dict[str, Any], ...], mailboxes: tuple[dict[str, Any], ...]) -> list[str]:
    said = []
    if not any(d["alive"] for d in daemons):
        said.append("no daemon runs: `triaged run`")
    for mailbox in mailboxes:
        if mailbox.get("state") in ("backoff", "untidy"):
            said.append(f"mailbox {mailbox['name']}: {mailbox['state']}: {mailbox.get('reason')}")
        if mailbox.get("unrescued"):
            said.append(f"mailbox {mailbox['name']}: mail of a restore's gap is in its archive: {mailbox['unrescued']}")
        if mailbox.get("state") == _ELSEWHERE:
            said.append(f"mailbox {mailbox['name']}: no host polls it; if that stays so, look at the daemons' logs")
    for daemon in daemons:
        if hung := daemon["progress"].get("watchdog", {}).get("hangs"):
            said.append(f"daemon {daemon['host']}/{daemon['pid']}: {hung} hangs; restart it if systemd does not")
    return said


def _of_the_relay(untried: int, trouble: str) -> tuple[str, ...]:
    return (f"{_number(untried, 'mail')} due, and the relay cannot be used: {trouble}",) if untried else ()


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
