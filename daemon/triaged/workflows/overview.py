"""`status`: one screen that says whether a person must do something."""

from dataclasses import dataclass
from typing import Any

from triaged.adapters.db import (
    alarms,
    casebook,
    contracts,
    engine,
    hosts,
    invitations,
    ledger,
    orders,
    outbox,
    returns,
    tickets,
)
from triaged.domain.delivery import State
from triaged.settings import Settings


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
        bounced = returns.bounces(session)
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
        attention=(*_attention(daemons, mailboxes, messages, open_by_state, ordered, queue, bounced), *rung),
    )


def _mailbox(name: str, place: ledger.Position | None, daemons: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    told: dict[str, Any] = next((d["progress"][name] for d in daemons if d["alive"] and name in d["progress"]), {})
    polled = f"polled {place.polled_at:%Y-%m-%d %H:%M} UTC" if place and place.polled_at else None
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
    said = []
    if not any(d["alive"] for d in daemons):
        said.append("no daemon runs: `triaged run`")
    for mailbox in mailboxes:
        if mailbox.get("state") in ("backoff", "untidy"):
            said.append(f"mailbox {mailbox['name']}: {mailbox['state']}: {mailbox.get('reason')}")
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


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
