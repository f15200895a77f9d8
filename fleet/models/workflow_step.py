"""A line of the step ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class WorkflowStep(Timestamps, Base):
    """One step on one server in one attempt, as the playbook itself reported it."""

    __tablename__ = "workflow_steps"
    __table_args__ = (UniqueConstraint("workflow_id", "step", "server_id", "attempt"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("step"))
    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"))
    step: Mapped[str] = mapped_column(String(63))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"))
    attempt: Mapped[int]
    fence: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), default="pending")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
