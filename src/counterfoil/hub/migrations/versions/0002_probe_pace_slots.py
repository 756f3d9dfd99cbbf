"""the right to probe, learnt limits, slots of calls

Additive: code of 0001 goes on working beside it.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("system_state", sa.Column("prober", sa.Text(), nullable=True))
    op.add_column("system_state", sa.Column("probe_until", sa.Double(), nullable=True))
    op.add_column("pace", sa.Column("learnt", sa.Double(), nullable=True))
    op.add_column("pace", sa.Column("learnt_until", sa.Double(), nullable=True))
    op.create_table(
        "call_slot",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("system", "number"),
    )


def downgrade() -> None:
    op.drop_table("call_slot")
    for table, columns in (("pace", ("learnt_until", "learnt")), ("system_state", ("probe_until", "prober"))):
        with op.batch_alter_table(table) as batch_op:
            for column in columns:
                batch_op.drop_column(column)
