"""The record"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(length=40), nullable=False),
        sa.Column("actor_username", sa.String(length=128), nullable=False),
        sa.Column("actor_role", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("outcome", sa.String(length=63), nullable=False),
        sa.Column("detail", JSON, nullable=True),
        sa.Column("workflow_id", sa.String(length=40), nullable=True),
        sa.Column("remote_addr", sa.String(length=45), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entries_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entries_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entries_subject"), ["subject"], unique=False)

    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_subject"), ["subject"], unique=False)
        batch_op.create_index(
            "ix_events_unpublished",
            ["seq"],
            unique=False,
            sqlite_where=sa.text("published_at IS NULL"),
            postgresql_where=sa.text("published_at IS NULL"),
        )

    op.create_table(
        "fleet_flags",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=True),
        sa.Column("set_by", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fleet_flags")),
    )
    op.create_table(
        "hardware_profiles",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("bios", JSON, nullable=False),
        sa.Column("boot_order", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hardware_profiles")),
        sa.UniqueConstraint("name", name=op.f("uq_hardware_profiles_name")),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=4096), nullable=True),
        sa.Column("os", sa.String(length=128), nullable=True),
        sa.Column("driver_version", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("url", "sha256", name=op.f("uq_images_url_sha256")),
    )
    op.create_table(
        "leader_leases",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leader_leases")),
    )
    op.create_table(
        "switches",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("grpc_port", sa.Integer(), nullable=True),
        sa.Column("dialect", sa.String(length=32), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=True),
        sa.Column("ca_path", sa.String(length=1024), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_switches")),
        sa.UniqueConstraint("name", name=op.f("uq_switches_name")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("password_hash", sa.String(length=256), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tokens_valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("manufacturer", sa.String(length=128), nullable=True),
        sa.Column("model", sa.String(length=128), nullable=True),
        sa.Column("serial_number", sa.String(length=128), nullable=True),
        sa.Column("bmc_ip", sa.String(length=255), nullable=False),
        sa.Column("bmc_port", sa.Integer(), nullable=True),
        sa.Column("bmc_protocol", sa.String(length=16), nullable=False),
        sa.Column("bmc_username", sa.String(length=128), nullable=True),
        sa.Column("bmc_validate_certs", sa.Boolean(), nullable=False),
        sa.Column("bmc_ca_path", sa.String(length=1024), nullable=True),
        sa.Column("bmc_fingerprint", sa.String(length=128), nullable=True),
        sa.Column("capabilities", JSON, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.String(length=1024), nullable=True),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hands_off", sa.Boolean(), nullable=False),
        sa.Column("hands_off_reason", sa.String(length=1024), nullable=True),
        sa.Column("warm", sa.Boolean(), nullable=False),
        sa.Column("rack", sa.String(length=128), nullable=True),
        sa.Column("pool", sa.String(length=128), nullable=True),
        sa.Column("nvlink_domain", sa.String(length=128), nullable=True),
        sa.Column("cpu_count", sa.Integer(), nullable=True),
        sa.Column("memory_gb", sa.Integer(), nullable=True),
        sa.Column("storage_gb", sa.Integer(), nullable=True),
        sa.Column("disks", JSON, nullable=False),
        sa.Column("gpu_count", sa.Integer(), nullable=True),
        sa.Column("gpu_model", sa.String(length=128), nullable=True),
        sa.Column("gpu_memory_gb", sa.Integer(), nullable=True),
        sa.Column("hardware_profile_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["hardware_profile_id"],
            ["hardware_profiles.id"],
            name=op.f("fk_servers_hardware_profile_id_hardware_profiles"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
        sa.UniqueConstraint("name", name=op.f("uq_servers_name")),
        sa.UniqueConstraint("serial_number", name=op.f("uq_servers_serial_number")),
    )
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.create_index("ix_servers_placement", ["status", "hands_off", "gpu_count"], unique=False)

    op.create_table(
        "ssh_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ssh_keys_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_keys")),
        sa.UniqueConstraint("user_id", "fingerprint", name=op.f("uq_ssh_keys_user_id_fingerprint")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_ssh_keys_user_id_name")),
    )
    with op.batch_alter_table("ssh_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ssh_keys_user_id"), ["user_id"], unique=False)

    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=63), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("image_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_templates_image_id_images")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("name", "serial", name=op.f("uq_templates_name_serial")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_templates_name_version")),
    )
    op.create_table(
        "user_quotas",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("max_gpu_count", sa.Integer(), nullable=True),
        sa.Column("max_memory_gb", sa.Integer(), nullable=True),
        sa.Column("max_storage_gb", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_quotas_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_quotas")),
    )
    op.create_table(
        "allocations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=True),
        sa.Column("workflow_id", sa.String(length=40), nullable=True),
        sa.Column("template_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_reason", sa.String(length=1024), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request", sa.String(length=128), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("requested_by", sa.String(length=40), nullable=True),
        sa.Column("executor", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("gpu_count", sa.Integer(), nullable=False),
        sa.Column("gpu_model", sa.String(length=128), nullable=True),
        sa.Column("server_count", sa.Integer(), nullable=False),
        sa.Column("memory_gb", sa.Integer(), nullable=False),
        sa.Column("storage_gb", sa.Integer(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("ssh_keys", JSON, nullable=False),
        sa.Column("placement", JSON, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_allocations_server_id_servers")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_allocations_template_id_templates")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_allocations_user_id_users")),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="fk_allocations_workflow_id_workflows", use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocations")),
        sa.UniqueConstraint("user_id", "request", name=op.f("uq_allocations_user_id_request")),
    )
    with op.batch_alter_table("allocations", schema=None) as batch_op:
        batch_op.create_index("ix_allocations_quota", ["user_id", "status"], unique=False)
        batch_op.create_index(batch_op.f("ix_allocations_server_id"), ["server_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_allocations_status"), ["status"], unique=False)

    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=True),
        sa.Column("switch_id", sa.String(length=40), nullable=True),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=12), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_credentials_server_id_servers")),
        sa.ForeignKeyConstraint(["switch_id"], ["switches.id"], name=op.f("fk_credentials_switch_id_switches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("server_id", name=op.f("uq_credentials_server_id")),
        sa.UniqueConstraint("switch_id", name=op.f("uq_credentials_switch_id")),
    )
    op.create_table(
        "gpus",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.String(length=128), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.Column("model", sa.String(length=128), nullable=True),
        sa.Column("serial_number", sa.String(length=128), nullable=True),
        sa.Column("memory_gb", sa.Integer(), nullable=True),
        sa.Column("pci_address", sa.String(length=32), nullable=True),
        sa.Column("uuid", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["gpus.id"], name=op.f("fk_gpus_parent_id_gpus")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_gpus_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gpus")),
        sa.UniqueConstraint("serial_number", name=op.f("uq_gpus_serial_number")),
        sa.UniqueConstraint("server_id", "slot", name=op.f("uq_gpus_server_id_slot")),
    )
    with op.batch_alter_table("gpus", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gpus_server_id"), ["server_id"], unique=False)

    op.create_table(
        "hardware_configs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("bios_version", sa.String(length=128), nullable=True),
        sa.Column("bmc_firmware_version", sa.String(length=128), nullable=True),
        sa.Column("raid_config", JSON, nullable=True),
        sa.Column("network_config", JSON, nullable=True),
        sa.Column("bios_attributes", JSON, nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_hardware_configs_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hardware_configs")),
        sa.UniqueConstraint("server_id", name=op.f("uq_hardware_configs_server_id")),
    )
    op.create_table(
        "server_nics",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("switch_id", sa.String(length=40), nullable=True),
        sa.Column("switch_port", sa.String(length=128), nullable=True),
        sa.Column("observed", JSON, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_server_nics_server_id_servers")),
        sa.ForeignKeyConstraint(["switch_id"], ["switches.id"], name=op.f("fk_server_nics_switch_id_switches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_nics")),
        sa.UniqueConstraint("mac", name=op.f("uq_server_nics_mac")),
        sa.UniqueConstraint("switch_id", "switch_port", name=op.f("uq_server_nics_switch_id_switch_port")),
    )
    with op.batch_alter_table("server_nics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_server_nics_server_id"), ["server_id"], unique=False)

    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("gpu_id", sa.String(length=40), nullable=True),
        sa.Column("type", sa.String(length=63), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("message", sa.String(length=1024), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("classifications", JSON, nullable=False),
        sa.Column("prevents_allocations", sa.Boolean(), nullable=False),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.Column("silenced_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("fk_alerts_gpu_id_gpus")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_alerts_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_server_id"), ["server_id"], unique=False)
        batch_op.create_index(
            "uq_alerts_open",
            ["fingerprint"],
            unique=True,
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )

    op.create_table(
        "allocation_servers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("ssh_port", sa.Integer(), nullable=True),
        sa.Column("ssh_user", sa.String(length=128), nullable=True),
        sa.Column("hand_over", JSON, nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_allocation_servers_allocation_id_allocations")
        ),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_allocation_servers_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation_servers")),
        sa.UniqueConstraint("allocation_id", "rank", name=op.f("uq_allocation_servers_allocation_id_rank")),
    )
    with op.batch_alter_table("allocation_servers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allocation_servers_allocation_id"), ["allocation_id"], unique=False)
        batch_op.create_index(
            "uq_allocation_servers_held",
            ["server_id"],
            unique=True,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "gpu_allocations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=False),
        sa.Column("gpu_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("allocated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_gpu_allocations_allocation_id_allocations")
        ),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("fk_gpu_allocations_gpu_id_gpus")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gpu_allocations")),
    )
    with op.batch_alter_table("gpu_allocations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gpu_allocations_allocation_id"), ["allocation_id"], unique=False)
        batch_op.create_index(
            "uq_gpu_allocations_held",
            ["gpu_id"],
            unique=True,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "monitoring_data",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("gpu_id", sa.String(length=40), nullable=True),
        sa.Column("cpu_usage", sa.Float(), nullable=True),
        sa.Column("memory_usage", sa.Float(), nullable=True),
        sa.Column("gpu_usage", sa.Float(), nullable=True),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("memory_temperature", sa.Float(), nullable=True),
        sa.Column("margin_celsius", sa.Float(), nullable=True),
        sa.Column("power_consumption", sa.Float(), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("fk_monitoring_data_gpu_id_gpus")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_monitoring_data_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_data")),
    )
    with op.batch_alter_table("monitoring_data", schema=None) as batch_op:
        batch_op.create_index("ix_monitoring_data_latest", ["server_id", "gpu_id", "timestamp"], unique=False)
        batch_op.create_index("ix_monitoring_data_timestamp", ["timestamp"], unique=False)

    op.create_table(
        "networks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("vlan", sa.Integer(), nullable=False),
        sa.Column("vni", sa.Integer(), nullable=True),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_networks_allocation_id_allocations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("allocation_id", name=op.f("uq_networks_allocation_id")),
        sa.UniqueConstraint("name", name=op.f("uq_networks_name")),
        sa.UniqueConstraint("vlan", name=op.f("uq_networks_vlan")),
    )
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_networks_purpose"), ["purpose"], unique=False)

    op.create_table(
        "workflows",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=True),
        sa.Column("server_id", sa.String(length=40), nullable=True),
        sa.Column("template_id", sa.String(length=40), nullable=False),
        sa.Column("after_id", sa.String(length=40), nullable=True),
        sa.Column("tinkerbell_id", sa.String(length=253), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status_reason", sa.String(length=1024), nullable=True),
        sa.Column("error_message", sa.String(length=4096), nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("executor", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=255), nullable=True),
        sa.Column("claim_fence", sa.Integer(), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resume_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("steps", JSON, nullable=False),
        sa.Column("requested_by", sa.String(length=40), nullable=True),
        sa.Column("playbook_commit", sa.String(length=64), nullable=True),
        sa.Column("protocol", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["after_id"], ["workflows.id"], name=op.f("fk_workflows_after_id_workflows")),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_workflows_allocation_id_allocations")
        ),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_workflows_server_id_servers")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_workflows_template_id_templates")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflows")),
    )
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_workflows_allocation_id"), ["allocation_id"], unique=False)
        batch_op.create_index("ix_workflows_queue", ["status", "executor", "not_before"], unique=False)
        batch_op.create_index(batch_op.f("ix_workflows_server_id"), ["server_id"], unique=False)

    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("workflow_id", sa.String(length=40), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id_users")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name=op.f("fk_api_tokens_workflow_id_workflows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_tokens_user_id"), ["user_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_tokens_workflow_id"), ["workflow_id"], unique=False)

    op.create_table(
        "ip_addresses",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("network_id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_ip_addresses_allocation_id_allocations")
        ),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_ip_addresses_network_id_networks")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_ip_addresses_server_id_servers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ip_addresses")),
        sa.UniqueConstraint("network_id", "address", name=op.f("uq_ip_addresses_network_id_address")),
        sa.UniqueConstraint("network_id", "server_id", name=op.f("uq_ip_addresses_network_id_server_id")),
    )
    with op.batch_alter_table("ip_addresses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ip_addresses_allocation_id"), ["allocation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ip_addresses_server_id"), ["server_id"], unique=False)

    op.create_table(
        "machine_reports",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("workflow_id", sa.String(length=40), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", JSON, nullable=True),
        sa.Column("remote_addr", sa.String(length=45), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_machine_reports_server_id_servers")),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("fk_machine_reports_workflow_id_workflows")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_reports")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_machine_reports_token_hash")),
        sa.UniqueConstraint(
            "workflow_id", "server_id", "kind", name=op.f("uq_machine_reports_workflow_id_server_id_kind")
        ),
    )
    op.create_table(
        "workflow_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("workflow_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=63), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=True),
        sa.Column("task", sa.String(length=255), nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("fk_workflow_events_workflow_id_workflows")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_events")),
        sa.UniqueConstraint(
            "workflow_id", "attempt", "counter", name=op.f("uq_workflow_events_workflow_id_attempt_counter")
        ),
    )
    op.create_table(
        "workflow_steps",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("workflow_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=63), nullable=False),
        sa.Column("server_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_workflow_steps_server_id_servers")),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("fk_workflow_steps_workflow_id_workflows")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_steps")),
        sa.UniqueConstraint(
            "workflow_id",
            "step",
            "server_id",
            "attempt",
            name=op.f("uq_workflow_steps_workflow_id_step_server_id_attempt"),
        ),
    )
    # allocations and workflows name each other: the second half of the circle comes when both are there
    if op.get_bind().dialect.name != "sqlite":
        op.create_foreign_key(
            "fk_allocations_workflow_id_workflows", "allocations", "workflows", ["workflow_id"], ["id"]
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("fk_allocations_workflow_id_workflows", "allocations", type_="foreignkey")
    op.drop_table("workflow_steps")
    op.drop_table("workflow_events")
    op.drop_table("machine_reports")
    with op.batch_alter_table("ip_addresses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ip_addresses_server_id"))
        batch_op.drop_index(batch_op.f("ix_ip_addresses_allocation_id"))

    op.drop_table("ip_addresses")
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_tokens_workflow_id"))
        batch_op.drop_index(batch_op.f("ix_api_tokens_user_id"))

    op.drop_table("api_tokens")
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workflows_server_id"))
        batch_op.drop_index("ix_workflows_queue")
        batch_op.drop_index(batch_op.f("ix_workflows_allocation_id"))

    op.drop_table("workflows")
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_networks_purpose"))

    op.drop_table("networks")
    with op.batch_alter_table("monitoring_data", schema=None) as batch_op:
        batch_op.drop_index("ix_monitoring_data_timestamp")
        batch_op.drop_index("ix_monitoring_data_latest")

    op.drop_table("monitoring_data")
    with op.batch_alter_table("gpu_allocations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_gpu_allocations_held",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_gpu_allocations_allocation_id"))

    op.drop_table("gpu_allocations")
    with op.batch_alter_table("allocation_servers", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_allocation_servers_held",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_allocation_servers_allocation_id"))

    op.drop_table("allocation_servers")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_alerts_open",
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )
        batch_op.drop_index(batch_op.f("ix_alerts_server_id"))

    op.drop_table("alerts")
    with op.batch_alter_table("server_nics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_server_nics_server_id"))

    op.drop_table("server_nics")
    op.drop_table("hardware_configs")
    with op.batch_alter_table("gpus", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gpus_server_id"))

    op.drop_table("gpus")
    op.drop_table("credentials")
    with op.batch_alter_table("allocations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_allocations_status"))
        batch_op.drop_index(batch_op.f("ix_allocations_server_id"))
        batch_op.drop_index("ix_allocations_quota")

    op.drop_table("allocations")
    op.drop_table("user_quotas")
    op.drop_table("templates")
    with op.batch_alter_table("ssh_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ssh_keys_user_id"))

    op.drop_table("ssh_keys")
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.drop_index("ix_servers_placement")

    op.drop_table("servers")
    op.drop_table("users")
    op.drop_table("switches")
    op.drop_table("leader_leases")
    op.drop_table("images")
    op.drop_table("hardware_profiles")
    op.drop_table("fleet_flags")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_events_unpublished",
            sqlite_where=sa.text("published_at IS NULL"),
            postgresql_where=sa.text("published_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_events_subject"))

    op.drop_table("events")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entries_subject"))
        batch_op.drop_index(batch_op.f("ix_audit_entries_at"))
        batch_op.drop_index(batch_op.f("ix_audit_entries_actor_id"))

    op.drop_table("audit_entries")
