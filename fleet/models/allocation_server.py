"""A server of an allocation."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps

if TYPE_CHECKING:
    from fleet.models.server import Server


class AllocationServer(Timestamps, Base):
    """`hand_over` holds the facts the user needs to get in. `released_at` is null while the server is not given back
    clean: the partial unique index lets nobody else hold it until then."""

    __tablename__ = "allocation_servers"
    __table_args__ = (
        UniqueConstraint("allocation_id", "rank"),
        Index("uq_allocation_servers_held", "server_id", unique=True, sqlite_where=text("released_at IS NULL"),
              postgresql_where=text("released_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("as"))
    allocation_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("allocations.id"), index=True)
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"))
    rank: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="reserved")
    address: Mapped[str | None] = mapped_column(String(45))
    ssh_port: Mapped[int | None]
    ssh_user: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    hand_over: Mapped[dict[str, Any] | None]
    released_at: Mapped[datetime | None]
    server: Mapped[Server] = relationship()
