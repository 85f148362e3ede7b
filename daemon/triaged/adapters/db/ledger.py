"""The ledger of mails received: admitted before anything is parsed, never deleted (DESIGN §4.1)."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy
import zstandard
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from triaged.adapters.db.models import Cursor, MessageRow, RawRow
from triaged.domain.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Position:
    """How far a mailbox was read."""

    uidvalidity: int
    last_uid: int
    polled_at: datetime | None = field(default=None, compare=False)  # when the cursor last moved


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail as the server gave it; `size` is the server's RFC822.SIZE, `truncated` means header only."""

    uid: int
    raw: bytes
    size: int
    received_at: datetime
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """A mail that now has its row."""

    id: int
    uid: int
    size: int
    sha256: str


def insert_if_absent(session: Session, table: type, rows: Sequence[dict[str, object]]) -> None:
    """INSERT … ON CONFLICT DO NOTHING on either database."""
    if rows:
        build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(build(table).on_conflict_do_nothing(), rows)


def position(session: Session, mailbox: str) -> Position | None:
    row = session.get(Cursor, mailbox)
    return Position(row.uidvalidity, row.last_uid, row.polled_at) if row else None


def newest_incarnation(session: Session, mailbox: str, uidvalidity: int) -> int | None:
    """The highest number under which mails of this UIDVALIDITY (32 bits) are stored; None when there are none.

    A folder that is made anew under the same UIDVALIDITY is stored under that plus a multiple of 2**32."""
    return session.scalar(
        sqlalchemy.select(sqlalchemy.func.max(MessageRow.uidvalidity)).where(
            MessageRow.mailbox == mailbox, MessageRow.uidvalidity % 2**32 == uidvalidity
        )
    )


def advance(session: Session, mailbox: str, uidvalidity: int, last_uid: int, now: datetime) -> None:
    """Move the cursor; under another UIDVALIDITY it starts anew, under the same one it never goes back."""
    row = session.get(Cursor, mailbox)
    if row is None:
        session.add(Cursor(mailbox=mailbox, uidvalidity=uidvalidity, last_uid=last_uid, polled_at=now))
        return
    if row.uidvalidity != uidvalidity:
        row.uidvalidity, row.last_uid = uidvalidity, last_uid
    row.last_uid = max(row.last_uid, last_uid)
    row.polled_at = now


def admit(
    session: Session, mailbox: str, uidvalidity: int, mails: Sequence[Fetched], now: datetime
) -> tuple[Admitted, ...]:
    """Store a batch with the cursor, in the caller's transaction. Mails already known are left as they are;
    only rows that are new come back."""
    digests = {mail.uid: hashlib.sha256(mail.raw).hexdigest() for mail in mails}
    known = set(
        session.scalars(
            sqlalchemy.select(MessageRow.uid).where(
                MessageRow.mailbox == mailbox, MessageRow.uidvalidity == uidvalidity, MessageRow.uid.in_(digests)
            )
        )
    )
    fresh = [mail for mail in mails if mail.uid not in known]
    insert_if_absent(session, MessageRow, [_row(mailbox, uidvalidity, mail, digests[mail.uid], now) for mail in fresh])
    admitted = _ids(session, mailbox, uidvalidity, [mail.uid for mail in fresh])
    pack = zstandard.ZstdCompressor(level=3).compress
    insert_if_absent(session, RawRow, [{"message_id": admitted[mail.uid], "zstd": pack(mail.raw)} for mail in fresh])
    if mails:
        advance(session, mailbox, uidvalidity, max(digests), now)
    return tuple(Admitted(admitted[mail.uid], mail.uid, mail.size, digests[mail.uid]) for mail in fresh)


def _row(mailbox: str, uidvalidity: int, mail: Fetched, sha256: str, now: datetime) -> dict[str, object]:
    return {
        "mailbox": mailbox,
        "uidvalidity": uidvalidity,
        "uid": mail.uid,
        "size": mail.size,
        "sha256": sha256,
        "received_at": mail.received_at,
        "fetched_at": now,
        "truncated": mail.truncated,
        "state": "received",
        "attempts": 0,
        "message_id": "",
        "announced": False,
    }


def _ids(session: Session, mailbox: str, uidvalidity: int, uids: Iterable[int]) -> dict[int, int]:
    found = session.execute(
        sqlalchemy.select(MessageRow.uid, MessageRow.id).where(
            MessageRow.mailbox == mailbox, MessageRow.uidvalidity == uidvalidity, MessageRow.uid.in_(list(uids))
        )
    )
    return dict(found.all())


def kept(session: Session, row_id: int) -> bool:
    """Whether the bytes of this mail are still here."""
    return session.get(RawRow, row_id) is not None


def raw(session: Session, row_id: int) -> bytes:
    """The bytes as they came, checked against the row's SHA-256 (SQLite does not notice a damaged blob).

    Raises PermanentError when they were purged or damaged."""
    packed = session.get(RawRow, row_id)
    row = session.get(MessageRow, row_id)
    if packed is None or row is None:
        raise PermanentError(f"message {row_id} has no stored bytes: they were purged, or the number is wrong")
    data = _unpacked(packed.zstd)
    if data is None or hashlib.sha256(data).hexdigest() != row.sha256:
        raise PermanentError(
            f"message {row_id}: stored bytes are damaged (SHA-256 differs). Restore the database from a backup; "
            f"the mail may still lie on the server (mailbox {row.mailbox}, UID {row.uid})"
        )
    return data


def _unpacked(packed: bytes) -> bytes | None:
    """None where this is no zstd frame any more."""
    try:
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError:
        return None


def known(session: Session, digests: Collection[str]) -> set[str]:
    """Which of these SHA-256 belong to mails that were ever stored."""
    return set(session.scalars(sqlalchemy.select(MessageRow.sha256).where(MessageRow.sha256.in_(digests))))


def newest_arrival(session: Session, mailbox: str, upto: datetime) -> datetime | None:
    """When the mail arrived that was stored last up to a time."""
    query = sqlalchemy.select(MessageRow.received_at)
    query = query.where(MessageRow.mailbox == mailbox, MessageRow.fetched_at <= upto)
    return session.scalar(query.order_by(MessageRow.id.desc()).limit(1))


def untidied(session: Session, mailbox: str, uidvalidity: int, limit: int) -> tuple[tuple[int, int], ...]:
    """(row id, UID) of mails that are stored but not yet archived or flagged on the server, oldest first."""
    found = session.execute(
        sqlalchemy.select(MessageRow.id, MessageRow.uid)
        .where(MessageRow.mailbox == mailbox, MessageRow.tidied_at.is_(None), MessageRow.uidvalidity == uidvalidity)
        .order_by(MessageRow.uid)
        .limit(limit)
    )
    return tuple((row_id, uid) for row_id, uid in found)


def tidied(session: Session, row_ids: Sequence[int], now: datetime) -> None:
    session.execute(sqlalchemy.update(MessageRow).where(MessageRow.id.in_(row_ids)).values(tidied_at=now))
