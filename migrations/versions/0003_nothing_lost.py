"""leases, restored backups, bounces, inspections, trust

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBERED = (
    "ticket",
    "message",
    "event",
    "outbox",
    "purchase_order",
    "contract",
    "invitation",
    "sign_in_code",
    "estate_entry",
)


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("gap_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gap_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "inspection",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_inspection")),
    )
    op.create_table(
        "handling",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_handling_message_id_message")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handling")),
    )
    op.create_index("ix_handling_message_id", "handling", ["message_id"])
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trust", sa.String(length=16), nullable=True))
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("delayed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("report_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_outbox_report_id_message"), "message", ["report_id"], ["id"])
    _number_rows({"sqlite_autoincrement": True})
    op.drop_index("ix_message_message_id", "message")
    op.create_index("ix_message_twin", "message", ["message_id", "content_hash"])
    op.drop_index("ix_outbox_braked", "outbox")
    passed = sa.text("braked AND state NOT IN ('held','withdrawn')")
    for name, columns in (("passed", ["created_at", "recipient"]), ("passed_to", ["recipient", "created_at"])):
        op.create_index(f"ix_outbox_{name}", "outbox", columns, sqlite_where=passed, postgresql_where=passed)


def _number_rows(kept: dict[str, bool]) -> None:
    """On SQLite rows whose numbers are told outside are never numbered twice (PostgreSQL has sequences): the tables
    are copied for it."""
    if op.get_bind().dialect.name == "sqlite":
        for table in _NUMBERED:
            with op.batch_alter_table(table, schema=None, recreate="always", table_kwargs=kept):
                pass


def downgrade() -> None:
    op.drop_index("ix_outbox_passed_to", "outbox")
    op.drop_index("ix_outbox_passed", "outbox")
    op.create_index("ix_outbox_braked", "outbox", ["braked", "created_at", "recipient"])
    op.drop_index("ix_message_twin", "message")
    op.create_index("ix_message_message_id", "message", ["message_id"])
    _number_rows({})
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_outbox_report_id_message"), type_="foreignkey")
        batch_op.drop_column("report_id")
        batch_op.drop_column("bounced_at")
        batch_op.drop_column("delivered_at")
        batch_op.drop_column("delayed_at")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_column("trust")
    op.drop_index("ix_handling_message_id", "handling")
    op.drop_table("handling")
    op.drop_table("inspection")
    op.drop_table("installation")
    op.drop_table("lease")
