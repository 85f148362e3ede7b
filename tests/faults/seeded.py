"""Bugs that were made on purpose (research §5.4): each function replaces something of ours in a life, and the
laboratory must notice. A harness that misses one of them proves nothing about the program."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy

from triaged.adapters import imap
from triaged.adapters.db import casebook, engine, ledger, models, outbox
from triaged.desks import correspondence
from triaged.domain.delivery import State
from triaged.workflows import decide, intake


def seen() -> None:
    """Positions by flags: fetching sets \\Seen, and only what is unseen is searched."""
    original = imap.Connection._fetch
    found = intake._find_place

    def fetch(self: Any, uids: Sequence[int], item: str, key: bytes, size: int) -> dict[int, bytes]:
        return original(self, uids, item.replace(".PEEK", ""), key, size)

    def uids(self: Any, first: int, last: int | None) -> tuple[int, ...]:
        with self._command("SEARCH", self._deadlines.long):
            return tuple(sorted(self._client.search(["UNSEEN"])))

    def place(*arguments: Any) -> Any:
        known = found(*arguments)
        return intake._Place(known.uidvalidity, 0, None)

    imap.Connection._fetch = fetch  # type: ignore[method-assign]  # a bug on purpose
    imap.Connection.uids = uids  # type: ignore[method-assign]  # a bug on purpose
    intake._find_place = place


def move_first() -> None:
    """Mails leave INBOX before the transaction that stores them."""
    take, store = intake._take, intake._store
    connections: list[Any] = []

    def taking(one: Any, connection: Any, *more: Any) -> Any:
        connections[:] = [connection]
        return take(one, connection, *more)

    def storing(one: Any, uidvalidity: int, mails: Sequence[ledger.Fetched], withheld: set[int]) -> int:
        connections[0].tidy([mail.uid for mail in mails])
        return store(one, uidvalidity, mails, withheld)

    intake._take, intake._store = taking, storing


def by_message_id() -> None:
    """A Message-ID that is known makes a duplicate, whatever the mail says."""

    def twin(session: Any, work: casebook.Work, message_id: str, *_more: Any, **_options: Any) -> casebook.Twin | None:
        row = models.MessageRow
        query = sqlalchemy.select(row.id).where(row.message_id == message_id, row.id < work.id)
        found = session.scalar(query.limit(1)) if message_id else None
        return casebook.Twin(found, "") if found else None

    casebook.twin = twin  # type: ignore[assignment]  # a bug on purpose


def two_transactions() -> None:
    """The ticket is committed first, the mails that it owes after it."""
    original, batch = correspondence.owe, decide._batch
    waiting: list[tuple[Any, ...]] = []

    def owe(_session: Any, *arguments: Any) -> None:
        waiting.append(arguments)

    def batching(office: Any, *more: Any) -> Any:
        done = batch(office, *more)
        with office.database.write() as session:
            while waiting:
                original(session, *waiting.pop(0))
        return done

    correspondence.owe = owe  # type: ignore[assignment]  # a bug on purpose
    decide._batch = batching


def sent_before_sending() -> None:
    """A mail counts as sent when it is about to be."""
    original = outbox.mark_sending

    def mark(session: Any, claims: Any, *more: Any) -> frozenset[int]:
        ours = original(session, claims, *more)
        rows = sqlalchemy.update(models.Outbox).where(models.Outbox.id.in_(ours))
        session.execute(rows.values(state=State.SENT, lease_owner=None, lease_until=None))
        return ours

    outbox.mark_sending = mark


def cursor_first() -> None:
    """The cursor is committed before the rows that it passes."""
    store = intake._store

    def storing(one: Any, uidvalidity: int, mails: Sequence[ledger.Fetched], withheld: set[int]) -> int:
        with one.database.write() as session:
            ledger.advance(session, one.mailbox.name, uidvalidity, max(mail.uid for mail in mails), one.now())
        return store(one, uidvalidity, mails, withheld)

    intake._store = storing


def synchronous_normal() -> None:
    """SQLite does not wait for the disk: no kill shows it, only the order of system calls."""
    engine._SQLITE_PRAGMAS["synchronous"] = 1


ALL: dict[str, Callable[[], None]] = {
    "seen": seen,
    "move_first": move_first,
    "by_message_id": by_message_id,
    "two_transactions": two_transactions,
    "sent_before_sending": sent_before_sending,
    "cursor_first": cursor_first,
    "synchronous_normal": synchronous_normal,
}
