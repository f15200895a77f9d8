"""Enrolment: expected machines, rules, announced exchanges of parts, findings, what LLDP says"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

revision = "0003_enrolment"
down_revision = "0002_proposed_credentials"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "expected_machines",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("serial_number", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=True),
        sa.Column("bmc_address", sa.String(length=255), nullable=True),
        sa.Column("rack", sa.String(length=128), nullable=True),
        sa.Column("rack_unit", sa.Integer(), nullable=True),
        sa.Column("pool", sa.String(length=128), nullable=True),
        sa.Column("nvlink_domain", sa.String(length=128), nullable=True),
        sa.Column("model_class", sa.String(length=128), nullable=True),
        sa.Column("tags", JSON, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expected_machines")),
        sa.UniqueConstraint("serial_number", name=op.f("uq_expected_machines_serial_number")),
        sa.UniqueConstraint("name", name=op.f("uq_expected_machines_name")),
    )
    op.create_index(op.f("ix_expected_machines_bmc_address"), "expected_machines", ["bmc_address"], unique=False)
    op.create_table(
        "enrolment_rules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment_rules")),
        sa.UniqueConstraint("version", name=op.f("uq_enrolment_rules_version")),
    )
    op.create_table(
        "part_replacements",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("gpu_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("old_serial", sa.String(length=128), nullable=False),
        sa.Column("new_serial", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.Column("announced_by", sa.String(length=128), nullable=False),
        sa.Column("resume", sa.Boolean(), nullable=False),
        sa.Column("found_serial", sa.String(length=128), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_part_replacements_server_id_servers")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("fk_part_replacements_gpu_id_gpus")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part_replacements")),
    )
    op.create_index(op.f("ix_part_replacements_server_id"), "part_replacements", ["server_id"], unique=False)
    # plain ADD COLUMN: SQLite can do that without making the tables anew, which their foreign keys would not survive
    op.add_column("servers", sa.Column("rack_unit", sa.Integer(), nullable=True))
    op.add_column("servers", sa.Column("model_class", sa.String(length=128), nullable=True))
    op.add_column("servers", sa.Column("tags", JSON, nullable=True))
    op.add_column("server_nics", sa.Column("lldp_switch", sa.String(length=128), nullable=True))
    op.add_column("server_nics", sa.Column("lldp_port", sa.String(length=128), nullable=True))
    op.add_column("server_nics", sa.Column("lldp_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("hardware_configs", sa.Column("facts", JSON, nullable=True))
    op.add_column("hardware_configs", sa.Column("findings", JSON, nullable=True))
    op.add_column("hardware_configs", sa.Column("notes", JSON, nullable=True))


def downgrade() -> None:
    for table, columns in (
        ("hardware_configs", ("notes", "findings", "facts")),
        ("server_nics", ("lldp_seen_at", "lldp_port", "lldp_switch")),
        ("servers", ("tags", "model_class", "rack_unit")),
    ):
        for column in columns:
            op.drop_column(table, column)
    op.drop_table("part_replacements")
    op.drop_table("enrolment_rules")
    op.drop_table("expected_machines")
