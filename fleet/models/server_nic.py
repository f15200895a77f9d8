"""A server's network interface and the switch port it is cabled to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps
from fleet.models.switch import Switch


class ServerNic(Timestamps, Base):
    """`mac` in lower case with colons. The first one (position 0) boots from the network. `switch_id` and `switch_port`
    are the cabling as it should be, `lldp_switch` and `lldp_port` what the neighbour was last heard to say."""

    __tablename__ = "server_nics"
    __table_args__ = (UniqueConstraint("switch_id", "switch_port"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("nic"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    mac: Mapped[str] = mapped_column(String(17), unique=True)
    switch_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("switches.id"))
    switch_port: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    lldp_switch: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    lldp_port: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    lldp_seen_at: Mapped[datetime | None]
    observed: Mapped[dict[str, Any] | None]
    switch: Mapped[Switch | None] = relationship()
