"""The tables of the contracts desk: customers, orders, contracts, invitations, people, the estate (INTERFACE §4).

A customer's contracts, people and rooms belong to one group: (customer, site); an empty site is the global account of
the head office (row C9). Licences and spares are folds over `estate_entry`, which is only ever added to (row N8).
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from triaged.adapters.db.models import NUMBERED, Base
from triaged.domain.credentials import ROWS


def order_number(row_id: int) -> str:
    return f"ORD-{row_id:06d}"


def contract_number(row_id: int) -> str:
    return f"SC-{row_id:06d}"


def row_id(number: str, prefix: str) -> int | None:
    """The row behind `SC-000012`, `sc-12` or `12`; None when it is no such number, or greater than any row's."""
    digits = number.strip().upper().removeprefix(f"{prefix}-")
    found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
    return found if found is not None and found < ROWS else None


class Customer(Base):
    """An end customer of service contracts. `parent` is another customer's name: its spares count together (C12)."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    folded: Mapped[str] = mapped_column(index=True)  # domain.customer.name_key(name)
    parent: Mapped[str | None]
    country: Mapped[str | None] = mapped_column(String(2))
    head_office: Mapped[str] = mapped_column(default="")
    sites: Mapped[list[str]] = mapped_column(JSON, default=list)
    csm: Mapped[str | None]
    locale: Mapped[str | None] = mapped_column(String(16))
    made_by_order: Mapped[bool] = mapped_column(Boolean, default=False)


class CustomerDomain(Base):
    __tablename__ = "customer_domain"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(primary_key=True, index=True)


class PurchaseOrder(Base):
    """An order as it stands: one row per placing party and PO number, conflicting and rejected ones beside it."""

    __tablename__ = "purchase_order"
    __table_args__ = (
        CheckConstraint("state IN ('accepted','incomplete','conflict','review','rejected')", name="state"),
        Index(
            "uq_purchase_order_standing",
            "placed_by",
            "po_folded",
            unique=True,
            sqlite_where=text("state = 'accepted'"),
            postgresql_where=text("state = 'accepted'"),
        ),
        Index("ix_purchase_order_po", "placed_by", "po_folded", "state"),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    po_number: Mapped[str] = mapped_column(default="")
    po_folded: Mapped[str] = mapped_column(default="")  # domain.order.folded(po_number)
    placed_by: Mapped[str]  # the registered partner's name, else the sender's address
    sender: Mapped[str]  # who is answered
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    draft: Mapped[dict[str, Any]]  # domain.order.Draft as written
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    problems: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    warnings: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    locale: Mapped[str] = mapped_column(String(16))
    mailbox: Mapped[str]
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"), index=True)
    thread_message_id: Mapped[str] = mapped_column(default="")  # of the mail that placed it, for References
    received_at: Mapped[datetime]
    decided_by: Mapped[str | None]  # an operator who accepted or rejected it
    note: Mapped[str | None]


class Contract(Base):
    """One position of an accepted order: so many licences of one SKU for one customer."""

    __tablename__ = "contract"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        CheckConstraint("state IN ('active','cancelled','expired')", name="state"),
        CheckConstraint("licences > 0", name="licences"),
        Index("ix_contract_group", "customer_id", "site"),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("purchase_order.id"))
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="active")
    service: Mapped[str] = mapped_column(String(16))
    sku: Mapped[str] = mapped_column(String(32))
    years: Mapped[int]
    licences: Mapped[int] = mapped_column(Integer)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    site: Mapped[str] = mapped_column(default="")  # empty: the global account
    po_number: Mapped[str]
    placed_by: Mapped[str]
    customer_contact: Mapped[str]  # the name on the order
    customer_email: Mapped[str] = mapped_column(index=True)
    customer_address: Mapped[str]
    reseller_name: Mapped[str]
    reseller_email: Mapped[str] = mapped_column(index=True)
    reseller_address: Mapped[str]
    distributor_name: Mapped[str]
    distributor_email: Mapped[str] = mapped_column(index=True)
    distributor_address: Mapped[str]
    country: Mapped[str | None] = mapped_column(String(2))
    timezone: Mapped[str]  # whose calendar counts: the customer's country's
    locale: Mapped[str] = mapped_column(String(16))  # the customer's
    order_locale: Mapped[str] = mapped_column(String(16))  # of reseller and distributor, where the directory says none
    mailbox: Mapped[str]
    purchased_at: Mapped[datetime]  # arrival of the order: the initial purchase
    created_at: Mapped[datetime]  # when the service order was made
    first_assigned_on: Mapped[date | None]
    starts: Mapped[date | None]
    ends: Mapped[date | None]
    cancellable_until: Mapped[date]
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]


class Invitation(Base):
    """One invitation mail: a generation for one recipient of one contract. No link and no secret rests here."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("state IN ('owed','sent','accepted','expired','revoked','replaced')", name="state"),
        UniqueConstraint("contract_id", "recipient", "generation"),
        Index(
            "uq_invitation_live",
            "contract_id",
            "recipient",
            unique=True,
            sqlite_where=text("state IN ('owed','sent')"),
            postgresql_where=text("state IN ('owed','sent')"),
        ),
        NUMBERED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    contract_id: Mapped[int] = mapped_column(ForeignKey("contract.id"), index=True)
    recipient: Mapped[str] = mapped_column(index=True)
    access: Mapped[str] = mapped_column(String(8), default="admin")
    generation: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(16), default="owed")
    named_by: Mapped[str | None]  # the customer or administrator who added this person; None: the order
    locale: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    resent: Mapped[bool] = mapped_column(Boolean, default=False)  # counts for the three a day
    asked_by: Mapped[str | None]  # who asked for the resend by mail
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # set when the mail is claimed for sending
    accepted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # revoked, replaced
    ended_because: Mapped[str | None]


class Person(Base):
    """Who may sign in for a group of contracts, and what for."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("customer_id", "site", "address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    site: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(index=True)
    access: Mapped[str] = mapped_column(String(8))
    since: Mapped[datetime]
    named_by: Mapped[str | None]
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("contract.id"))  # whose invitation let them in


class SignInCode(Base):
    """A one-time code: 6 digits by HMAC of this row under the installation's key, so that none is stored."""

    __tablename__ = "sign_in_code"
    __table_args__ = (NUMBERED,)

    id: Mapped[int] = mapped_column(primary_key=True)
    nonce: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(index=True)
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitation.id"))
    browser: Mapped[str] = mapped_column(String(64), index=True)  # SHA-256 of the browser's cookie
    locale: Mapped[str] = mapped_column(String(16))
    timezone: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime | None]


class SignIn(Base):
    """A signed-in browser: only the SHA-256 of its cookie is here."""

    __tablename__ = "sign_in"

    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    address: Mapped[str] = mapped_column(index=True)
    since: Mapped[datetime]
    expires_at: Mapped[datetime]


class Room(Base):
    """A meeting room of a group; `country` where it stands (row C14); `jumpstart` the day its JumpStart was bought."""

    __tablename__ = "room"
    __table_args__ = (UniqueConstraint("customer_id", "site", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    site: Mapped[str] = mapped_column(default="")
    name: Mapped[str]
    country: Mapped[str | None] = mapped_column(String(2))
    place: Mapped[str] = mapped_column(default="")  # where hardware would be shipped to
    jumpstart: Mapped[date | None]


class Device(Base):
    """A device by serial number; where it stands is a fold over the ledger."""

    __tablename__ = "device"

    id: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[str] = mapped_column(unique=True)
    product: Mapped[str]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    purchased_on: Mapped[date]  # first purchase: the five years count from here (row C13)


class EstateEntry(Base):
    """Append-only ledger of licences, rooms, devices and spares."""

    __tablename__ = "estate_entry"
    __table_args__ = (NUMBERED,)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(24))  # domain.estate.Kind
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    site: Mapped[str] = mapped_column(default="")
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("contract.id"), index=True)
    room_id: Mapped[int | None] = mapped_column(ForeignKey("room.id"), index=True)
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=0)
    actor: Mapped[str]
    detail: Mapped[dict[str, Any]]


class Extension(Base):
    """An earlier warranty extension, bought before or elsewhere, and which customer and device it belongs to (C10)."""

    __tablename__ = "extension"
    __table_args__ = (UniqueConstraint("serial", "sku", "purchased_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[str] = mapped_column(index=True)
    sku: Mapped[str] = mapped_column(String(32))
    years: Mapped[int]
    purchased_on: Mapped[date]
    customer_name: Mapped[str]  # as the order of the extension wrote it
    customer_email: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(String(16), default="processed")  # processed | pending
