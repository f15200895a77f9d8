"""How a server should be configured."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class HardwareProfile(Timestamps, Base):
    """Wanted BIOS attributes (Redfish attribute names) and boot order."""

    __tablename__ = "hardware_profiles"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("hwp"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    bios: Mapped[dict[str, Any]] = mapped_column(default=dict)
    boot_order: Mapped[list[str]] = mapped_column(default=list)
