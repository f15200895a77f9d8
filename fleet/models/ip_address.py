"""An address in use."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class IpAddress(Timestamps, Base):
    """One address of a network, held by a server; a row exists while it is held. One per network and server."""

    __tablename__ = "ip_addresses"
    __table_args__ = (UniqueConstraint("network_id", "address"), UniqueConstraint("network_id", "server_id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("ip"))
    network_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("networks.id"))
    address: Mapped[str] = mapped_column(String(45))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    allocation_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("allocations.id"), index=True)
