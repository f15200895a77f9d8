"""A BMC's password is changed in two phases: proposed, then confirmed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_proposed_credentials"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proposal", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("proposed_username", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("proposed_ciphertext", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("proposed_nonce", sa.LargeBinary(length=12), nullable=True))
        batch_op.add_column(sa.Column("proposed_key_id", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("imported", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        for name in (
            "imported",
            "proposed_key_id",
            "proposed_nonce",
            "proposed_ciphertext",
            "proposed_username",
            "proposed_at",
            "proposal",
        ):
            batch_op.drop_column(name)
