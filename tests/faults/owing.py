"""A queue of mails owed, a clock that a test sets, and a relay's client with short deadlines: delivery in process, as
the daemon does it, for faults by the thousand."""

from datetime import UTC, datetime, timedelta

import sqlalchemy

from triaged.adapters import smtp
from triaged.adapters.db import ledger, models, outbox
from triaged.adapters.db.engine import Database
from triaged.domain.delivery import State
from triaged.settings.model import Smtp
from triaged.workflows import deliver

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
QUIET = timedelta(minutes=15)
_DEADLINES = smtp.Deadlines(connect=1, prepare=1, transmit=1, idle=30)
_PAUSES = smtp.Pauses(first=60, longest=60)  # a relay that is down ends the round


def body(number: int) -> bytes:
    return f"Subject: Panne {number}\r\nMessage-ID: <{number}@support.example>\r\n\r\n.Bonjour\r\nsuite\r\n".encode()


def owe(database: Database, number: int) -> None:
    """Mail `number` to p`number`@integra.example."""
    row = outbox.Owed(
        cause=f"m{number}",
        log_id=f"7Q3KX2M8.{number}",
        notice="ticket_opened",
        recipient=f"p{number}@integra.example",
        envelope_from="support@vendor.example",
        subject="Panne",
        message_id=f"<{number}@support.example>",
        body=body(number),
        created_at=START,
        due_at=START,
        deadline=START + timedelta(hours=1),
    )
    with database.write() as session:
        outbox.put(session, [row])


def client(port: int) -> smtp.Relay:
    return smtp.Relay(
        Smtp(host="127.0.0.1", port=port, security="none", connections=1),
        "support.example",
        deadlines=_DEADLINES,
        pauses=_PAUSES,
    )


def round_of(database: Database, port: int, at: datetime) -> None:
    """One round of delivery at this time, over a connection of its own."""
    relay = client(port)
    try:
        deliver.deliver_due(database, relay, "me", lambda: at, quiet=QUIET)
    finally:
        relay.close()


def states(database: Database) -> dict[str, State]:
    """By recipient."""
    with database.read() as session:
        return {row.recipient: row.state for row in outbox.entries(session, limit=100_000)}


def state(database: Database, number: int) -> State:
    query = sqlalchemy.select(models.Outbox.state).where(models.Outbox.recipient == f"p{number}@integra.example")
    with database.read() as session:
        return State(session.scalars(query).one())


def raws(database: Database, mailbox: str) -> list[bytes]:
    """The bytes of a mailbox's mails, in the order of their UIDs."""
    row = models.MessageRow
    with database.read() as session:
        ids = session.scalars(sqlalchemy.select(row.id).where(row.mailbox == mailbox).order_by(row.uid)).all()
        return [ledger.raw(session, one) for one in ids]
