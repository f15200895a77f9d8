"""How a server was found to be configured."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class HardwareConfig(Timestamps, Base):
    """What the last inspection saw; unknown is null. `facts` is what the BMC said as it came, `findings` what is wrong
    with it (each names the part), `notes` what was left out or could not be checked."""

    __tablename__ = "hardware_configs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("hwp"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), unique=True)
    bios_version: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    bmc_firmware_version: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    raid_config: Mapped[dict[str, Any] | None]
    network_config: Mapped[dict[str, Any] | None]
    bios_attributes: Mapped[dict[str, Any] | None]
    facts: Mapped[dict[str, Any] | None]
    findings: Mapped[list[str] | None]
    notes: Mapped[list[str] | None]
    observed_at: Mapped[datetime | None]
