"""What a machine said about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class MachineReport(Timestamps, Base):
    """A report that a workflow expects from one machine (`kind` first-boot or erase), and its body once it came.

    Only the SHA-256 of the report's token is kept.
    """

    __tablename__ = "machine_reports"
    __table_args__ = (UniqueConstraint("workflow_id", "server_id", "kind"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("rep"))
    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"))
    kind: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    received_at: Mapped[datetime | None]
    body: Mapped[dict[str, Any] | None]
    remote_addr: Mapped[str | None] = mapped_column(String(45))
