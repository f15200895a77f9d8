"""A leaf switch, configured over gNMI."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class Switch(Timestamps, Base):
    """`dialect` names the network OS's way of speaking OpenConfig."""

    __tablename__ = "switches"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("sw"))
    name: Mapped[str] = mapped_column(String(63), unique=True)
    address: Mapped[str] = mapped_column(String(255))
    grpc_port: Mapped[int | None]
    dialect: Mapped[str] = mapped_column(String(32), default="openconfig")
    username: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    ca_path: Mapped[str | None] = mapped_column(String(1024))
