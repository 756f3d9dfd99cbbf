"""facts counted by quarter of an hour

Additive: code of 0007 goes on working beside it. What is there by now is counted by the hub, bit by bit.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tally",
        sa.Column("quarter", ID, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("n", ID, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("tally")
