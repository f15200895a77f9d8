"""What ansible-runner or AWX told while a playbook ran: decoration of the ledger, never the truth."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base


class WorkflowEvent(Base):
    """`counter` is the runner's own count inside one attempt."""

    __tablename__ = "workflow_events"
    __table_args__ = (UniqueConstraint("workflow_id", "attempt", "counter"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("wfe"))
    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"))
    attempt: Mapped[int]
    counter: Mapped[int]
    event: Mapped[str] = mapped_column(String(63))
    host: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    task: Mapped[str | None] = mapped_column(String(255))
    data: Mapped[dict[str, Any] | None]
    at: Mapped[datetime] = mapped_column(default=utcnow)
