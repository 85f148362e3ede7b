"""The tables. One class = one table; what may be written when stands in docs/architecture.md.

Keys carry the guarantees (DESIGN §4): a message is unique by (mailbox, UIDVALIDITY, UID), an outbox row by what it
discharges, an event is only ever added.
"""

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; SQLite stores it naive, PostgreSQL as timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime given to the database: times are aware UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, str: Text, date: Date}


# A row's number is told outside (Message-IDs, ORD-000012, links): it is never given twice, and a restored backup can
# leave room for the numbers that it does not know of (`installation.mark_restored`). PostgreSQL has sequences for it.
NUMBERED = {"sqlite_autoincrement": True}


class Cursor(Base):
    """How far a mailbox was read: (UIDVALIDITY, last UID), moved in the transaction that stores the mails."""

    __tablename__ = "cursor"

    mailbox: Mapped[str] = mapped_column(primary_key=True)
    uidvalidity: Mapped[int] = mapped_column(BigInteger)  # 32 bits unsigned, and our count of incarnations above
    last_uid: Mapped[int] = mapped_column(BigInteger)
    polled_at: Mapped[datetime]


class MessageRow(Base):
    """The ledger: one row per mail that a server showed us, for ever (bytes may be purged, the row stays)."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("mailbox", "uidvalidity", "uid"),
        Index("ix_message_todo", "state", "attempts", "id"),
        Index("ix_message_untidied", "mailbox", "tidied_at"),
        Index("ix_message_twin", "message_id", "content_hash"),  # the same mail again, among ten thousand of one id
        Index(
            "ix_message_unannounced",
            "id",
            sqlite_where=text("NOT announced AND decision IS NOT NULL"),
            postgresql_where=text("NOT announced AND decision IS NOT NULL"),
        ),
        CheckConstraint("state IN ('received','decided','quarantined','dropped','erased')", name="state"),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox: Mapped[str]
    uidvalidity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    message_id: Mapped[str] = mapped_column(default="")  # known after decide
    received_at: Mapped[datetime]  # the server's arrival time (INTERNALDATE)
    fetched_at: Mapped[datetime]
    truncated: Mapped[bool] = mapped_column(Boolean, default=False)  # only the header was taken: too large
    state: Mapped[str] = mapped_column(String(16), default="received")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    decision: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    decided_at: Mapped[datetime | None]
    policy_version: Mapped[str | None] = mapped_column(String(16))
    receipt: Mapped[dict[str, Any] | None]
    sender: Mapped[str | None] = mapped_column(index=True)
    content_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    duplicate_of: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    error: Mapped[str | None]
    announced: Mapped[bool] = mapped_column(Boolean, default=False)  # its decision line was surely printed
    tidied_at: Mapped[datetime | None]  # archived or flagged on the server, or found gone
    trust: Mapped[str | None] = mapped_column(String(16))  # its rung on the ladder (domain/trust.py), once decided


class RawRow(Base):
    """The bytes as they came, zstd-compressed; beside the ledger so that listing it never reads them."""

    __tablename__ = "message_raw"

    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), primary_key=True)
    zstd: Mapped[bytes] = mapped_column(LargeBinary)


class Handling(Base):
    """What a person did to a mail by hand (released, dropped, erased), who and when; only ever added to."""

    __tablename__ = "handling"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    kind: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(default="")


class Account(Base):
    """A customer's organisation (INTERFACE §2)."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("zoid", "region"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    zoid: Mapped[str] = mapped_column(String(20), index=True)
    region: Mapped[str] = mapped_column(String(16))
    zgid: Mapped[str | None] = mapped_column(String(20), index=True)
    name: Mapped[str]
    super_admin: Mapped[str | None] = mapped_column(index=True)


class AccountDomain(Base):
    __tablename__ = "account_domain"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(primary_key=True, index=True)


class AccountUser(Base):
    __tablename__ = "account_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    zuid: Mapped[str | None] = mapped_column(String(20), index=True)
    email: Mapped[str | None] = mapped_column(index=True)


class AccountPartner(Base):
    """Which partners may be told of the account; none = every registered partner."""

    __tablename__ = "account_partner"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    partner: Mapped[str] = mapped_column(primary_key=True)


class Subscription(Base):
    __tablename__ = "subscription"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    service: Mapped[str]
    licences: Mapped[int]
    status: Mapped[str]  # the vendor's own word: only `active` counts
    starts: Mapped[date | None]
    ends: Mapped[date | None]


class Partner(Base):
    """A registered partner organisation (INTERFACE §2)."""

    __tablename__ = "partner"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    region: Mapped[str | None] = mapped_column(String(16))
    locale: Mapped[str | None] = mapped_column(String(16))


class PartnerDomain(Base):
    __tablename__ = "partner_domain"

    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(primary_key=True, index=True)


class PartnerContact(Base):
    __tablename__ = "partner_contact"

    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True, index=True)


class DirectorySource(Base):
    """What a watched directory source held when it was last imported, so that an unchanged one costs nothing."""

    __tablename__ = "directory_source"

    name: Mapped[str] = mapped_column(primary_key=True)  # accounts | partners
    location: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64), default="")
    refreshed_at: Mapped[datetime | None]
    error: Mapped[str | None]


class TicketCounter(Base):
    """The last number given in a region: EU-000123."""

    __tablename__ = "ticket_counter"

    region: Mapped[str] = mapped_column(String(16), primary_key=True)
    last: Mapped[int]


class Ticket(Base):
    __tablename__ = "ticket"
    __table_args__ = (
        CheckConstraint("state IN ('review','open','waiting','resolved','closed')", name="state"),
        Index("ix_ticket_state", "state", "region"),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    region: Mapped[str] = mapped_column(String(16))
    mailbox: Mapped[str]
    severity: Mapped[str] = mapped_column(String(8))
    priority: Mapped[bool] = mapped_column(Boolean, default=False)
    reason: Mapped[str] = mapped_column(String(32))
    tier: Mapped[str | None] = mapped_column(String(16))
    licences: Mapped[int | None]
    subject: Mapped[str]
    requester: Mapped[str]
    authenticated: Mapped[bool] = mapped_column(Boolean, default=False)
    vouched: Mapped[bool] = mapped_column(Boolean, default=False)  # an associate accepted the sender
    answerable: Mapped[bool] = mapped_column(Boolean, default=False)  # a person wrote, not a machine or a list
    missing: Mapped[list[str]] = mapped_column(JSON)
    partner: Mapped[str | None]
    locale: Mapped[str] = mapped_column(String(16))
    account_zoid: Mapped[str | None] = mapped_column(String(20))
    account_region: Mapped[str | None] = mapped_column(String(16))
    account_name: Mapped[str | None]
    account_via: Mapped[str | None] = mapped_column(String(16))
    service: Mapped[str | None]
    primary_customer_email: Mapped[str | None]
    evidence: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    opened_at: Mapped[datetime]  # arrival of the first mail: the clock starts there
    due_acknowledge: Mapped[datetime]
    due_determine: Mapped[datetime]
    due_resolve: Mapped[datetime]
    thread_message_id: Mapped[str] = mapped_column(default="")  # the partner's first Message-ID, for References
    linked_to: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    closed_at: Mapped[datetime | None]


class Event(Base):
    """Append-only: who did what to a ticket, when and why, under which policy."""

    __tablename__ = "event"
    __table_args__ = (NUMBERED,)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    at: Mapped[datetime]
    actor: Mapped[str]
    kind: Mapped[str] = mapped_column(String(32))
    detail: Mapped[dict[str, Any]]
    policy_version: Mapped[str] = mapped_column(String(16))


PASSED = "braked AND state NOT IN ('held','withdrawn')"  # what brakes have let through: they count only that
_WHERE_PASSED: dict[str, Any] = {"sqlite_where": text(PASSED), "postgresql_where": text(PASSED)}


class Outbox(Base):
    """Mails we owe: one row = one recipient = finished bytes (DESIGN §4.3)."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("cause", "notice", "recipient"),
        Index("ix_outbox_due", "state", "due_at"),  # what is due next
        Index("ix_outbox_order", "state", "deadline", "due_at"),  # a claim takes the earliest deadline first
        Index("ix_outbox_passed", "created_at", "recipient", **_WHERE_PASSED),
        Index("ix_outbox_passed_to", "recipient", "created_at", **_WHERE_PASSED),
        Index("ix_outbox_lease_owner", "lease_owner"),  # what a dead owner held
        CheckConstraint("state IN ('queued','sending','sent','uncertain','failed','held','withdrawn')", name="state"),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[str] = mapped_column(String(48))  # 7Q3KX2M8.1, for the log line
    cause: Mapped[str]  # what made us owe it: m17 (a message row), e45 (an event)
    notice: Mapped[str] = mapped_column(String(32))
    recipient: Mapped[str] = mapped_column(index=True)
    envelope_from: Mapped[str] = mapped_column(default="")
    subject: Mapped[str]
    message_id: Mapped[str] = mapped_column(unique=True)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)  # the finished MIME bytes
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    doubts: Mapped[int] = mapped_column(Integer, default=0)  # how often it stopped between DATA and its answer
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]  # not before
    not_after: Mapped[datetime | None]  # no longer true after it: withdrawn
    deadline: Mapped[datetime]  # of the duty it discharges: the order of sending
    braked: Mapped[bool] = mapped_column(Boolean, default=False)  # answers a mail that brakes may count
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(Integer, default=0)
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("contract.id"), index=True)
    seal: Mapped[str | None]  # invitation:17, code:4: the bytes hold a secret and are made when it is claimed
    source_message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"), index=True)
    delayed_at: Mapped[datetime | None]  # a report said that it is late …
    delivered_at: Mapped[datetime | None]  # … that it arrived …
    bounced_at: Mapped[datetime | None]  # … that it did not: the duty is open again until somebody closes it
    report_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))  # the mail that said the last of these


class Host(Base):
    """A running daemon by its heartbeat: whose leases are dead is decided here, not by their length."""

    __tablename__ = "host"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    status: Mapped[dict[str, Any]]  # each mailbox's and loop's last progress, for `status`


class Lease(Base):
    """Who alone may work on something (`mailbox:NAME`, `job:NAME`), until when by the database's clock. The fence goes
    up whenever the lease changes hands; whoever still holds an older one finds out in his next transaction."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None]
    fence: Mapped[int] = mapped_column(Integer, default=0)
    until: Mapped[datetime]
    done_at: Mapped[datetime | None]  # when a job last ran to its end


class Installation(Base):
    """One row: how often a daemon was started on this database, which tells an old backup from the present; and the
    gap that a restored backup left: mails that arrived in it may have been answered before."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True)
    starts: Mapped[int] = mapped_column(BigInteger, default=0)
    gap_from: Mapped[datetime | None]
    gap_until: Mapped[datetime | None]


class Inspection(Base):
    """What a look over the whole house (`audit`, `integrity`) found last; an empty list is a clean one."""

    __tablename__ = "inspection"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    problems: Mapped[list[str]] = mapped_column(JSON)
