"""Who did what to which thing. Written in the transaction it speaks of, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base


class AuditEntry(Base):
    """`outcome` is `ok` or the code of the refusal. `detail` never holds a secret."""

    __tablename__ = "audit_entries"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("aud"))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    actor_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    actor_username: Mapped[str] = mapped_column(String(NAME_LENGTH))
    actor_role: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str | None] = mapped_column(String(NAME_LENGTH), index=True)
    outcome: Mapped[str] = mapped_column(String(63), default="ok")
    detail: Mapped[dict[str, Any] | None]
    workflow_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    request_id: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
