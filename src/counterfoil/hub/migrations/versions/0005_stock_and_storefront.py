"""stock that may be promised, reservations, and the storefront's tokens

Additive: code of 0004 goes on working beside it.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNTOLD = sa.text("untold_at IS NOT NULL")
ACCEPTED = sa.text("accepted_at IS NOT NULL")
OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("cursor", sa.Column("began_at", sa.Double))
    op.create_table(
        "stock",
        sa.Column("article", sa.Text, primary_key=True),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("places", sa.JSON, nullable=False),
        sa.Column("taken", sa.JSON, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("changed", ID, nullable=False),
        sa.Column("untold_at", sa.Double),
    )
    op.create_index("stock_sku", "stock", ["sku"])
    op.create_index("stock_changed", "stock", ["changed"])
    op.create_index("stock_untold", "stock", ["untold_at"], sqlite_where=UNTOLD, postgresql_where=UNTOLD)
    op.create_table(
        "taking",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("article", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("units", ID, nullable=False),
        sa.Column("accepted", ID, nullable=False),
        sa.Column("known", ID, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.Double),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_index("taking_article", "taking", ["article"])
    op.create_index("taking_accepted", "taking", ["accepted_at"], sqlite_where=ACCEPTED, postgresql_where=ACCEPTED)
    op.create_table(
        "told",
        sa.Column("article", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("quantity", ID, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "reservation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lines", sa.JSON, nullable=False),
        sa.Column("order_number", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
    )
    op.create_index("reservation_order", "reservation", ["channel", "order_number"])
    op.create_index("reservation_ended", "reservation", ["ended_at"])
    op.create_index("reservation_expires", "reservation", ["expires_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "answered",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("answered_at", "answered", ["at"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_table(
        "signing_key",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
    )
    op.create_table(
        "routing",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lines", sa.JSON, nullable=False),
        sa.Column("words", sa.JSON, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("routing_at", "routing", ["at", "id"])
    op.create_table(
        "prescription",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("lines", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("decided_at", sa.Double),
        sa.Column("decided_by", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("prescription_subject", "prescription", ["subject"])
    op.create_index("prescription_state", "prescription", ["state", "made_at"])

    _appointments()


def _appointments() -> None:
    op.create_table(
        "appointment",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("channel", "state", "service", "place", "staff")),
        *(sa.Column(name, ID, nullable=False) for name in ("starts_at", "ends_at", "held_from", "held_until")),
        sa.Column("visitor", sa.JSON, nullable=False),
        sa.Column("asked", sa.Integer, nullable=False),
        sa.Column("known_at", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
    )
    op.create_index("appointment_staff", "appointment", ["staff", "held_until"])
    op.create_table(
        "busy",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("system", "calendar", "engagement")),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("starts_at", ID, nullable=False),
        sa.Column("ends_at", ID, nullable=False),
        sa.Column("appointment", sa.Text, nullable=False),
    )
    op.create_index("busy_who", "busy", ["system", "who", "ends_at"])
    op.create_index("busy_appointment", "busy", ["appointment"])
    for statement in NEVER_TWICE[op.get_bind().dialect.name]:
        op.execute(statement)


# A range of one number stands for "the same", so that no extension is needed for the constraint.
MEETING = """SELECT 1 FROM appointment WHERE staff = NEW.staff AND id <> NEW.id AND ended_at IS NULL
    AND held_from < NEW.held_until AND held_until > NEW.held_from"""
NEVER_TWICE = {
    "postgresql": (
        """ALTER TABLE appointment ADD CONSTRAINT appointment_never_twice EXCLUDE USING gist (
            int8range(hashtextextended(staff, 0), hashtextextended(staff, 0), '[]') WITH &&,
            int8range(held_from, held_until) WITH &&) WHERE (ended_at IS NULL)""",
    ),
    "sqlite": tuple(
        f"""CREATE TRIGGER appointment_never_twice_{verb} BEFORE {verb} ON appointment
            WHEN NEW.ended_at IS NULL AND EXISTS ({MEETING})
            BEGIN SELECT RAISE(ABORT, 'appointment_never_twice'); END"""
        for verb in ("insert", "update")
    ),
}


def downgrade() -> None:
    for table in (
        *("busy", "appointment", "prescription", "routing"),
        *("signing_key", "api_token", "answered", "reservation", "told", "taking", "stock"),
    ):
        op.drop_table(table)
    op.drop_column("cursor", "began_at")
