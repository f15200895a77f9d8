"""Layer-2 networks the fleet hands out or uses."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class Network(Timestamps, Base):
    """`purpose` is provisioning, tenant, quarantine or management. A tenant network belongs to one allocation at a
    time: `allocation_id` says whose."""

    __tablename__ = "networks"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("net"))
    name: Mapped[str] = mapped_column(String(63), unique=True)
    purpose: Mapped[str] = mapped_column(String(16), index=True)
    vlan: Mapped[int] = mapped_column(unique=True)
    vni: Mapped[int | None]
    cidr: Mapped[str] = mapped_column(String(64))
    gateway: Mapped[str | None] = mapped_column(String(64))
    # addresses that can be handed out: what placement asks for, so that it need not read the cidr
    capacity: Mapped[int]
    allocation_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("allocations.id"), unique=True)
