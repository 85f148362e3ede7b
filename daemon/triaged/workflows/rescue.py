"""Rescue: after a restored backup, mails that were moved to the archive in the gap are known to nobody. They are found
there by their bytes and moved back into the folder, where intake reads them like any other.

Done once for each restore and mailbox; a stop in between repeats it, which changes nothing that was done.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from triaged import log
from triaged.adapters import imap
from triaged.adapters.db import engine, inspections, installation, ledger

_MARGIN = timedelta(days=1)  # servers search by their own calendar, and clocks differ
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOW = 5_000  # UIDs per SEARCH
_LISTED = 500
_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Rescue:
    """One mailbox; `limit` is the size above which only a mail's header was taken."""

    mailbox: imap.Mailbox
    database: engine.Database
    limit: int


def bring_back(rescue: Rescue, connection: imap.Connection, now: datetime) -> int:
    """Move mails of the gap that the ledger does not know out of the archive. Returns how many; 0 when there was no
    restore, or all is done. Leaves the connection in the archive: SELECT the folder again.

    Raises TransientError and PermanentError."""
    name, archive = installation.rescue_of(rescue.mailbox.name), rescue.mailbox.archive
    since = _since(rescue, name) if archive else None
    if since is None or archive is None:
        return 0
    moved = 0
    for listed in _listed(connection, archive, since):
        unknown = _unknown(rescue, connection, listed)
        if unknown:
            connection.bring_back(unknown)
            moved += len(unknown)
            connection.examine(archive)
    with rescue.database.write() as session:
        inspections.store(session, name, now, [])
    log.warning("", mailbox=rescue.mailbox.name, state="rescued", mails=moved, since=since, reason=_REASON)
    return moved


_REASON = "a backup was restored: mails that it does not know were moved from the archive back into the folder"


def _since(rescue: Rescue, name: str) -> datetime | None:
    """From which arrival on a mail may be unknown: what came last before the gap, or its begin. A mailbox of which the
    backup knows no mail may have been read from its first one in the gap: ever. None: nothing to do."""
    with rescue.database.read() as session:
        gap, done = installation.gap(session), inspections.last(session, name)
        if gap is None or (done is not None and done.at >= gap.until):
            return None
        newest = ledger.newest_arrival(session, rescue.mailbox.name, gap.since)
    return min(gap.since, newest) - _MARGIN if newest else _EVER


def _listed(connection: imap.Connection, archive: str, since: datetime) -> Iterator[list[imap.Listed]]:
    folder = connection.examine(archive)
    if folder is None:
        return
    day, end = None if since == _EVER else (since - timedelta(days=1)).date(), folder.uidnext
    windows = [(first, first + _WINDOW - 1) for first in range(1, end, _WINDOW)] if end else [(1, None)]
    for first, last in windows:
        uids = connection.uids(first, last, day)
        for start in range(0, len(uids), _LISTED):
            listed = connection.listing(uids[start : start + _LISTED])
            yield [mail for mail in listed if mail.received_at is None or mail.received_at >= since]


def _unknown(rescue: Rescue, connection: imap.Connection, listed: Sequence[imap.Listed]) -> list[int]:
    """UIDs of mails whose bytes (of too large ones: whose header) the ledger has never seen."""
    digests: dict[int, str] = {}
    for batch in _batches(listed, rescue.limit):
        digests |= {uid: hashlib.sha256(raw).hexdigest() for uid, raw in _bytes(rescue, connection, batch).items()}
    with rescue.database.read() as session:
        known = ledger.known(session, set(digests.values()))
    return [uid for uid, digest in digests.items() if digest not in known]


def _batches(listed: Sequence[imap.Listed], limit: int) -> Iterator[list[imap.Listed]]:
    batch: list[imap.Listed] = []
    for mail in listed:
        if batch and (mail.size > limit or batch[0].size > limit or sum(m.size for m in batch) + mail.size > _BYTES):
            yield batch
            batch = []
        batch.append(mail)
    if batch:
        yield batch


def _bytes(rescue: Rescue, connection: imap.Connection, batch: Sequence[imap.Listed]) -> dict[int, bytes]:
    if batch[0].size <= rescue.limit:
        return connection.bodies([mail.uid for mail in batch], sum(mail.size for mail in batch))
    header = connection.header(batch[0].uid)
    return {} if header is None else {batch[0].uid: header}
