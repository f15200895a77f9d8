"""A GPU of a server."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class Gpu(Timestamps, Base):
    """`slot` is the name the BMC gives it (GPU_SXM_1); `memory_gb` is the marketed figure; kind is `gpu` or `mig`."""

    __tablename__ = "gpus"
    __table_args__ = (UniqueConstraint("server_id", "slot"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("gpu"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    slot: Mapped[str] = mapped_column(String(NAME_LENGTH))
    position: Mapped[int] = mapped_column(default=0)
    kind: Mapped[str] = mapped_column(String(8), default="gpu")
    parent_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("gpus.id"))
    model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    serial_number: Mapped[str | None] = mapped_column(String(NAME_LENGTH), unique=True)
    memory_gb: Mapped[int | None]
    pci_address: Mapped[str | None] = mapped_column(String(32))
    uuid: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="inspecting")
    status_since: Mapped[datetime] = mapped_column(default=utcnow)
