"""Personal data leaves the tables; rows, hashes and numbers stay, so that the ledger is whole and a second delivery is
still recognised. What is written here is written in the caller's transaction."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from triaged.adapters.db import orders as order_rows
from triaged.adapters.db.contract_models import (
    Contract,
    Invitation,
    Person,
    PurchaseOrder,
    SignIn,
    SignInCode,
    contract_number,
)
from triaged.adapters.db.engine import Database
from triaged.adapters.db.models import (
    Account,
    AccountUser,
    Event,
    Handling,
    Inspection,
    MessageRow,
    Outbox,
    PartnerContact,
    RawRow,
    Ticket,
)
from triaged.domain import erasure
from triaged.domain.delivery import State
from triaged.domain.order import Draft
from triaged.domain.order import State as OrderState

FINISHED = (State.SENT, State.FAILED, State.WITHDRAWN)  # nothing of these goes out any more by itself
_SETTLED = ("decided", "dropped")
_MENTIONING = (MessageRow, Ticket, Event, Outbox, Handling)


# --- whose time is over -----------------------------------------------------------------------------------------------


def mailboxes(session: Session) -> tuple[str, ...]:
    """Every mailbox that the ledger knows, configured or not."""
    return tuple(session.scalars(sqlalchemy.select(MessageRow.mailbox).distinct()))


def regions(session: Session) -> tuple[str, ...]:
    return tuple(session.scalars(sqlalchemy.select(Ticket.region).distinct()))


def mails_over(session: Session, mailbox: str, before: datetime, limit: int) -> list[int]:
    """Settled mails without ticket that arrived before, and for which nothing is owed any more."""
    query = sqlalchemy.select(MessageRow.id).where(
        MessageRow.mailbox == mailbox,
        MessageRow.state.in_(_SETTLED),
        MessageRow.ticket_id.is_(None),
        MessageRow.received_at < before,
        ~_owing(Outbox.source_message_id == MessageRow.id),
        ~sqlalchemy.exists().where(PurchaseOrder.message_id == MessageRow.id, PurchaseOrder.state == OrderState.REVIEW),
    )
    return list(session.scalars(query.order_by(MessageRow.id).limit(limit)))


def tickets_over(session: Session, region: str, before: datetime, limit: int) -> list[int]:
    """Tickets that were closed before, of which something is left, and for which nothing is owed any more."""
    query = sqlalchemy.select(Ticket.id).where(
        Ticket.region == region,
        Ticket.state == "closed",
        Ticket.closed_at < before,
        sqlalchemy.or_(Ticket.requester.not_like(f"{erasure.PREFIX}%"), _has_mails()),
        ~_owing(Outbox.ticket_id == Ticket.id),
    )
    return list(session.scalars(query.order_by(Ticket.id).limit(limit)))


def orders_over(session: Session, before: datetime, limit: int) -> list[int]:
    """Orders that became no contract and wait for nobody."""
    nothing = (OrderState.REJECTED, OrderState.CONFLICT, OrderState.INCOMPLETE)
    query = sqlalchemy.select(PurchaseOrder.id).where(
        PurchaseOrder.state.in_(nothing),
        PurchaseOrder.received_at < before,
        PurchaseOrder.sender.not_like(f"{erasure.PREFIX}%"),
    )
    return list(session.scalars(query.order_by(PurchaseOrder.id).limit(limit)))


def letters_over(session: Session, before: datetime, limit: int) -> list[int]:
    """Finished mails of ours that belong to no ticket and no received mail."""
    query = sqlalchemy.select(Outbox.id).where(
        Outbox.state.in_(FINISHED),
        Outbox.ticket_id.is_(None),
        Outbox.source_message_id.is_(None),
        Outbox.created_at < before,
        Outbox.recipient.not_like(f"{erasure.PREFIX}%"),
    )
    return list(session.scalars(query.order_by(Outbox.id).limit(limit)))


def bodies_over(session: Session, before: datetime, limit: int) -> int:
    """Remove the bytes of mails that were sent, or never will be. A failed one may be sent again: its bytes stay."""
    done = (Outbox.state.in_((State.SENT, State.WITHDRAWN)), Outbox.created_at < before, Outbox.body.is_not(None))
    ids = list(session.scalars(sqlalchemy.select(Outbox.id).where(*done).order_by(Outbox.id).limit(limit)))
    if ids:
        session.execute(sqlalchemy.update(Outbox).where(Outbox.id.in_(ids)).values(body=None))
    return len(ids)


def _owing(belongs: ColumnElement[bool]) -> ColumnElement[bool]:
    return sqlalchemy.exists().where(belongs, Outbox.state.not_in(FINISHED))


def _has_mails() -> ColumnElement[bool]:
    """A ticket erased with one of its mails keeps those of others until its own time is over."""
    return sqlalchemy.exists().where(MessageRow.ticket_id == Ticket.id, MessageRow.state != "erased")


def _orphaned() -> ColumnElement[bool]:
    """Mails of ours that answer no mail, or an erased one."""
    erased = sqlalchemy.exists().where(MessageRow.id == Outbox.source_message_id, MessageRow.state == "erased")
    return sqlalchemy.or_(Outbox.source_message_id.is_(None), erased)


def _among(column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """`column IN (...)` with the numbers written out: one person may have more mails than a statement may have
    variables (SQLite: 32,766)."""
    numbers = sqlalchemy.bindparam(None, list(ids), sqlalchemy.Integer, expanding=True, literal_execute=True)
    return cast(ColumnElement[bool], column.in_(numbers))


# --- erasing ----------------------------------------------------------------------------------------------------------


def mails(session: Session, ids: Collection[int], key: bytes) -> None:
    """Bytes, sender and what was read of these mails; what we answered to them."""
    for row in session.scalars(sqlalchemy.select(MessageRow).where(_among(MessageRow.id, ids))):
        row.state, row.error = "erased", None
        row.sender = row.sender and erasure.pseudonym(row.sender, key)
        row.message_id = erasure.pseudonym(row.message_id, key) if row.message_id else ""
        row.receipt = erasure.receipt(row.receipt, key) if row.receipt else None
    session.execute(sqlalchemy.delete(RawRow).where(_among(RawRow.message_id, ids)))
    letters(session, _among(Outbox.source_message_id, ids), key)
    events(session, _among(Event.message_id, ids), key)


def tickets(session: Session, ids: Collection[int], key: bytes) -> None:
    """What these tickets say of persons, and their history; not the mails of others, nor to whom those were answered:
    what they are owed is told by them, and must be found."""
    subjects: dict[int | None, str] = {}
    for row in session.scalars(sqlalchemy.select(Ticket).where(_among(Ticket.id, ids))):
        subjects[row.id], row.subject, row.thread_message_id = row.subject, erasure.GONE, ""
        row.requester = erasure.pseudonym(row.requester, key)
        if row.primary_customer_email:
            row.primary_customer_email = erasure.pseudonym(row.primary_customer_email, key)
        row.evidence = erasure.evidence(row.evidence, key)
    events(session, _among(Event.ticket_id, ids), key)
    mine = _among(Outbox.ticket_id, ids)
    letters(session, sqlalchemy.and_(mine, _orphaned()), key)
    others = sqlalchemy.select(Outbox).where(mine, ~_orphaned(), Outbox.state.in_(FINISHED))
    for letter in session.scalars(others):
        letter.body = None  # it may repeat what the ticket said
        if (subject := subjects.get(letter.ticket_id)) and subject in letter.subject:
            letter.subject = erasure.GONE


def events(session: Session, where: ColumnElement[bool], key: bytes) -> None:
    """The one change that a history ever suffers: who did what when is left, in what words is not."""
    for row in session.scalars(sqlalchemy.select(Event).where(where)):
        row.actor, row.detail = erasure.actor(row.actor, key), erasure.event(row.detail, key)


def letters(session: Session, where: ColumnElement[bool], key: bytes) -> int:
    """Finished mails of ours: bytes, subject, and to whom. Their Message-ID and outcome stay."""
    rows = list(session.scalars(sqlalchemy.select(Outbox).where(where, Outbox.state.in_(FINISHED))))
    for row in rows:
        row.recipient, row.subject = erasure.pseudonym(row.recipient, key), erasure.GONE
        row.body, row.last_error = None, None
    return len(rows)


def orders(session: Session, ids: Collection[int], key: bytes) -> None:
    """Orders that became no contract: number and problems stay, the parties do not."""
    for row in session.scalars(sqlalchemy.select(PurchaseOrder).where(_among(PurchaseOrder.id, ids))):
        row.draft = Draft().document()
        row.sender, row.placed_by = erasure.pseudonym(row.sender, key), erasure.actor(row.placed_by, key)
        row.fingerprint, row.thread_message_id, row.note = None, "", None
        row.po_number = row.po_folded = ""
        if row.state == OrderState.INCOMPLETE:
            order_rows.move(row, OrderState.REJECTED)
        row.problems = [{**problem, "value": ""} for problem in row.problems]
        row.warnings = [{**warning, "value": ""} for warning in row.warnings]


def mentions(session: Session, address: str, key: bytes) -> int:
    """Put the pseudonym wherever else the address stands in mails' receipts, tickets, histories and our own mails."""
    changed = 0
    for table in _MENTIONING:
        columns = _texts(table)
        query = sqlalchemy.select(table).where(sqlalchemy.or_(*(_says(column, address) for column in columns)))
        for row in session.scalars(query.where(Outbox.state.in_(FINISHED)) if table is Outbox else query):
            if not _rewritten(row, columns, address, key):
                continue  # somebody else's address that has this one in it
            changed += 1
            if isinstance(row, Ticket | Outbox):
                _unwrite(session, Outbox.id == row.id if isinstance(row, Outbox) else Outbox.ticket_id == row.id)
    alarming = sqlalchemy.or_(_says(Inspection.name, address), _says(Inspection.problems, address))
    for told in session.scalars(sqlalchemy.select(Inspection).where(alarming)):
        if erasure.says([told.name, told.problems], address):
            session.delete(told)
    for doors in (SignIn, SignInCode):
        session.execute(sqlalchemy.delete(doors).where(doors.address == address))
    return changed


def _rewritten(row: Any, columns: Collection[Any], address: str, key: bytes) -> bool:
    """Whether the address stood in one of these columns, where its pseudonym stands now."""
    values = {column.key: getattr(row, column.key) for column in columns}
    left = {name: erasure.without(value, address, key) for name, value in values.items()}
    changed = {name: value for name, value in left.items() if value != values[name]}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def _unwrite(session: Session, where: ColumnElement[bool]) -> None:
    """Our mails that may have repeated it; what they say is encoded, so nobody can look for it there."""
    finished = sqlalchemy.update(Outbox).where(where, Outbox.state.in_(FINISHED))
    session.execute(finished.values(body=None), execution_options={"synchronize_session": False})


def _texts(table: Any) -> list[Any]:
    """The columns of a table that may hold what somebody wrote."""
    kinds = (sqlalchemy.String, sqlalchemy.JSON)
    return [
        getattr(table, column.key) for column in sqlalchemy.inspect(table).columns if isinstance(column.type, kinds)
    ]


def _says(column: Any, address: str) -> ColumnElement[bool]:
    return sqlalchemy.func.lower(sqlalchemy.cast(column, sqlalchemy.Text)).contains(address.lower(), autoescape=True)


def said_of(session: Session, ids: Collection[int]) -> dict[int, frozenset[str]]:
    """Ticket → what these mails brought to it: references and addresses, as their receipts say."""
    found: dict[int, frozenset[str]] = {}
    mine = (_among(MessageRow.id, ids), MessageRow.ticket_id.is_not(None))
    for ticket, receipt, sender in session.execute(
        sqlalchemy.select(MessageRow.ticket_id, MessageRow.receipt, MessageRow.sender).where(*mine)
    ):
        said = {one["value"] for one in (receipt or {}).get("evidence", ())} | {sender or ""}
        said.add((receipt or {}).get("primary_customer_email") or "")
        found[ticket or 0] = found.get(ticket or 0, frozenset()) | said - {""}
    return found


def evidence_from(session: Session, told: Mapping[int, frozenset[str]], key: bytes) -> None:
    """On tickets of others, what these mails had brought."""
    for row in session.scalars(sqlalchemy.select(Ticket).where(_among(Ticket.id, told))):
        mine = told[row.id]
        row.evidence = [
            {**one, "value": erasure.pseudonym(one["value"], key)} if one["value"] in mine else one
            for one in row.evidence
        ]
        if row.primary_customer_email in mine:
            row.primary_customer_email = erasure.pseudonym(row.primary_customer_email or "", key)


def mails_of(session: Session, tickets: Collection[int]) -> list[int]:
    return list(session.scalars(sqlalchemy.select(MessageRow.id).where(_among(MessageRow.ticket_id, tickets))))


def these(ids: Collection[int]) -> ColumnElement[bool]:
    return _among(Outbox.id, ids)


def about(ids: Collection[int], tickets: Collection[int], address: str) -> ColumnElement[bool]:
    """Mails of ours caused by these mails, about these tickets, or to this person."""
    to_him = sqlalchemy.func.lower(Outbox.recipient) == address if address else sqlalchemy.false()
    return sqlalchemy.or_(_among(Outbox.source_message_id, ids), _among(Outbox.ticket_id, tickets), to_him)


def theirs(ids: Collection[int], tickets: Collection[int], address: str) -> ColumnElement[bool]:
    """The same, without what answers other people's mails in these tickets."""
    return sqlalchemy.and_(about(ids, tickets, address), sqlalchemy.or_(about(ids, (), address), _orphaned()))


# --- by hand ----------------------------------------------------------------------------------------------------------


def record(session: Session, message: int, kind: str, actor: str, why: str, now: datetime) -> None:
    """What a person did to a mail."""
    session.add(Handling(message_id=message, at=now, actor=actor, kind=kind, why=why))


def handled(session: Session, message: int) -> list[dict[str, Any]]:
    """Who did what to this mail by hand, oldest first."""
    rows = session.scalars(sqlalchemy.select(Handling).where(Handling.message_id == message).order_by(Handling.id))
    return [{"at": row.at, "by": row.actor, "did": row.kind, "why": row.why or None} for row in rows]


def locked(session: Session, ids: Collection[int]) -> Sequence[MessageRow]:
    """These mails, nobody else's to change until the transaction ends."""
    query = sqlalchemy.select(MessageRow).where(_among(MessageRow.id, ids)).order_by(MessageRow.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def of_sender(session: Session, address: str) -> list[int]:
    query = sqlalchemy.select(MessageRow.id).where(sqlalchemy.func.lower(MessageRow.sender) == address)
    return list(session.scalars(query.order_by(MessageRow.id)))


def tickets_of(session: Session, ids: Collection[int], address: str = "") -> list[Ticket]:
    """Tickets to which these mails belong, or which this person opened."""
    mine = _among(MessageRow.id, ids)
    belong = Ticket.id.in_(sqlalchemy.select(MessageRow.ticket_id).where(mine, MessageRow.ticket_id.is_not(None)))
    where = sqlalchemy.or_(belong, sqlalchemy.func.lower(Ticket.requester) == address) if address else belong
    return list(session.scalars(sqlalchemy.select(Ticket).where(where).order_by(Ticket.id).with_for_update()))


def openers(session: Session, tickets: Collection[int]) -> frozenset[tuple[int, int]]:
    """(mail, ticket) where the mail opened the ticket."""
    opened = (_among(Event.ticket_id, tickets), Event.kind == "opened")
    rows = session.execute(sqlalchemy.select(Event.message_id, Event.ticket_id).where(*opened))
    return frozenset((mail, ticket) for mail, ticket in rows if mail is not None)


def owed(session: Session, ids: Collection[int], tickets: Collection[int], address: str = "") -> list[Outbox]:
    """Mails of ours that may still go out: caused by these mails, about these tickets, or to this person."""
    query = sqlalchemy.select(Outbox).where(about(ids, tickets, address), Outbox.state.not_in(FINISHED))
    return list(session.scalars(query.order_by(Outbox.id).with_for_update()))


def orders_of(session: Session, ids: Collection[int], address: str = "") -> dict[int, str]:
    """Orders that these mails brought, or this person placed, and how they stand."""
    brought = _among(PurchaseOrder.message_id, ids)
    where = sqlalchemy.or_(brought, sqlalchemy.func.lower(PurchaseOrder.sender) == address) if address else brought
    query = sqlalchemy.select(PurchaseOrder.id, PurchaseOrder.state).where(where).order_by(PurchaseOrder.id)
    return {number: str(state) for number, state in session.execute(query)}


def books(session: Session, address: str) -> tuple[str, ...]:
    """Where the contracts desk's books and the directory name this person: business records, which nothing here
    touches."""
    party = (Contract.customer_email, Contract.reseller_email, Contract.distributor_email)
    contracts = sqlalchemy.select(Contract.id).where(sqlalchemy.or_(*(column == address for column in party)))
    found = [f"contract {contract_number(one)}" for one in session.scalars(contracts.order_by(Contract.id))]
    elsewhere = (
        ("an invitation: `triaged invite list`", Invitation.recipient),
        ("a person of a contract's account: `triaged contract show`", Person.address),
        ("the directory's accounts: `triaged account import`", AccountUser.email),
        ("the directory's accounts: `triaged account import`", Account.super_admin),
        ("the directory's partners: `triaged partner import`", PartnerContact.address),
    )
    for told, column in elsewhere:
        if session.scalar(sqlalchemy.select(sqlalchemy.exists().where(column == address))):
            found.append(told)
    return tuple(dict.fromkeys(found))


def scrub(database: Database, *, compact: bool) -> str:
    """Off the disk as well: empties SQLite's write-ahead log into the file, whose freed places are overwritten
    (`secure_delete`); `compact` writes the file anew, for what was deleted before that was so. Returns what is left to
    do. PostgreSQL's vacuum does its own."""
    if database.dialect != "sqlite":
        return ""
    connection = database.engine.raw_connection()
    try:
        if compact:
            connection.cursor().execute("VACUUM")
        busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        return f"the database's file still has old pages ({error}): they go when the daemon restarts"
    finally:
        connection.close()
    return "another process is reading: old pages stay in the -wal file until the daemon restarts" if busy else ""
