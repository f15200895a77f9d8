"""Switches of the whole fleet."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.models.base import NAME_LENGTH, Base, Timestamps


class FleetFlag(Timestamps, Base):
    """`frozen`: no door starts anything destructive while it is set."""

    __tablename__ = "fleet_flags"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None] = mapped_column(String(1024))
    set_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
