"""A server that was in use is not offered again before a clean has ended well"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_needs_clean"
down_revision = "0003_enrolment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # plain ADD COLUMN: SQLite can do that without making the table anew
    op.add_column("servers", sa.Column("needs_clean", sa.Boolean(), nullable=False, server_default=sa.false()))
    servers = sa.table("servers", sa.column("id"), sa.column("status"), sa.column("needs_clean", sa.Boolean()))
    held = sa.table("allocation_servers", sa.column("server_id"))
    was_in_use = sa.exists().where(held.c.server_id == servers.c.id)
    op.execute(
        servers.update()
        .where(
            servers.c.status.in_(["provisioning", "active", "suspended", "cleaning", "failed"])
            | (servers.c.status.in_(["quarantined", "maintenance", "inspecting"]) & was_in_use)
        )
        .values(needs_clean=True)
    )


def downgrade() -> None:
    op.drop_column("servers", "needs_clean")
