"""events by age

Additive: code of 0002 goes on working beside it.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("event_recorded", "event", ["recorded_at", "id"])


def downgrade() -> None:
    op.drop_index("event_recorded", "event")
