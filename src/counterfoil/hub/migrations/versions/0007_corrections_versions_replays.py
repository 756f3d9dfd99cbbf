"""values corrected by people, versions of systems, replays with progress

Additive: code of 0006 goes on working beside it.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _corrections()
    _drains_and_replays()
    _versions_and_looks()


def downgrade() -> None:
    op.drop_table("correction")
    for table in ("system_look", "system_version"):
        op.drop_table(table)
    for table in ("replay", "drain"):
        op.drop_table(table)


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_FORCE = sa.text("ended_at IS NULL")


def _corrections() -> None:
    op.create_table(
        "correction",
        sa.Column("id", ID, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("subject", "path", "was", "becomes")),
        sa.Column("exception", ID, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("who", "why")),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_why", sa.Text),
    )
    op.create_index("correction_subject", "correction", ["subject"])
    one = ["subject", "path"]
    op.create_index(
        "correction_in_force", "correction", one, unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE
    )


def _drains_and_replays() -> None:
    op.create_table(
        "drain",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("upto", ID, nullable=False),
        sa.Column("total", ID, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
    )
    op.create_table(
        "replay",
        sa.Column("id", ID, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "state", "who")),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("choice", "planned")),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("rate", "began_at", "until", "at")),
        sa.Column("event_id", sa.Text, nullable=False),
        *(sa.Column(name, ID, nullable=False) for name in ("events", "deliveries")),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("due_at", "lease_until")),
        sa.Column("token", sa.Text),
        sa.Column("ended_at", sa.Double),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("ended_by", "trouble")),
    )
    op.create_index("replay_name", "replay", ["name", "state"])


def _versions_and_looks() -> None:
    op.create_table(
        "system_version",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tested", "doubt", "remedy")),
    )
    op.create_table(
        "system_look",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("look", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
    )
