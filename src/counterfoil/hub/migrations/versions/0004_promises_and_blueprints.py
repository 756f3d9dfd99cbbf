"""promises, and the blueprints that were in force

Additive: code of 0003 goes on working beside it.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("ended_at IS NULL")
WATCHED = sa.text("ended_at IS NULL AND missed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "promise",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("missed_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_as", sa.Text),
        sa.Column("took", sa.Double),
    )
    op.create_index("promise_subject", "promise", ["subject"])
    op.create_index(
        "promise_open", "promise", ["subject", "name"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("promise_due", "promise", ["due_at"], sqlite_where=WATCHED, postgresql_where=WATCHED)
    op.create_index("promise_ended", "promise", ["name", "ended_at"])
    op.create_table(
        "blueprint_change",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sections", sa.JSON, nullable=False),
        sa.Column("proposed_at", sa.Double, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("approved_at", sa.Double),
        sa.Column("approved_by", sa.Text),
        sa.Column("in_force_at", sa.Double),
    )
    op.create_table(
        "told_apart",
        sa.Column("canonical_id", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("object_id", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
    )
    op.create_table(
        "merged",
        sa.Column("canonical_id", sa.Text, primary_key=True),
        sa.Column("into_id", sa.Text, nullable=False),
        sa.Column("links", sa.JSON, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
    )
    op.create_index("merged_into", "merged", ["into_id"])
    op.add_column("delivery", sa.Column("not_before", sa.Double))


def downgrade() -> None:
    op.drop_column("delivery", "not_before")
    op.drop_table("merged")
    op.drop_table("told_apart")
    op.drop_table("blueprint_change")
    op.drop_table("promise")
