"""A figure says whether its server is on: what is off cannot be hot"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_power_state"
down_revision = "0004_needs_clean"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # plain ADD COLUMN: SQLite can do that without making the table anew
    op.add_column("monitoring_data", sa.Column("power_state", sa.String(length=16), nullable=True))


def downgrade() -> None:
    op.drop_column("monitoring_data", "power_state")
