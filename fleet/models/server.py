"""A bare-metal server and how its BMC is reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps
from fleet.models.gpu import Gpu
from fleet.models.hardware_profile import HardwareProfile
from fleet.models.server_nic import ServerNic


class Server(Timestamps, Base):
    """`name` is the inventory_hostname: a DNS label that never changes. `bmc_ip` may be IPv4, IPv6 or a name.

    `needs_clean`: somebody may have left something on it; only a clean that ended well takes that away.

    `gpu_count`, `gpu_model` and `gpu_memory_gb` repeat what the GPUs say, so that placement is one indexed query.
    """

    __tablename__ = "servers"
    __table_args__ = (Index("ix_servers_placement", "status", "hands_off", "gpu_count"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("srv"))
    name: Mapped[str] = mapped_column(String(63), unique=True)
    manufacturer: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    serial_number: Mapped[str | None] = mapped_column(String(NAME_LENGTH), unique=True)

    bmc_ip: Mapped[str] = mapped_column(String(255))
    bmc_port: Mapped[int | None]
    bmc_protocol: Mapped[str] = mapped_column(String(16), default="auto")
    bmc_username: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    bmc_validate_certs: Mapped[bool] = mapped_column(default=True)
    bmc_ca_path: Mapped[str | None] = mapped_column(String(1024))
    bmc_fingerprint: Mapped[str | None] = mapped_column(String(128))
    capabilities: Mapped[dict[str, Any] | None]

    status: Mapped[str] = mapped_column(String(16), default="enrolled")
    status_reason: Mapped[str | None] = mapped_column(String(1024))
    status_since: Mapped[datetime] = mapped_column(default=utcnow)
    hands_off: Mapped[bool] = mapped_column(default=False)
    hands_off_reason: Mapped[str | None] = mapped_column(String(1024))
    warm: Mapped[bool] = mapped_column(default=False)
    needs_clean: Mapped[bool] = mapped_column(default=False)

    rack: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    pool: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    rack_unit: Mapped[int | None]
    nvlink_domain: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    model_class: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    tags: Mapped[list[str] | None]
    cpu_count: Mapped[int | None]
    memory_gb: Mapped[int | None]
    storage_gb: Mapped[int | None]
    disks: Mapped[list[str]] = mapped_column(default=list)
    gpu_count: Mapped[int | None]
    gpu_model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    gpu_memory_gb: Mapped[int | None]

    hardware_profile_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("hardware_profiles.id"))
    hardware_profile: Mapped[HardwareProfile | None] = relationship()
    nics: Mapped[list[ServerNic]] = relationship(order_by=ServerNic.position)
    gpus: Mapped[list[Gpu]] = relationship(order_by=Gpu.position)
