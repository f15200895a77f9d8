"""Something that somebody, or the system, should act on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class Alert(Timestamps, Base):
    """`fingerprint` names rule and subject: one open alert each, says the partial unique index. Acknowledged and
    silenced are flags. `classifications` are what the rest of the system obeys (PreventAllocations, …)."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "fingerprint", unique=True, sqlite_where=text("status <> 'resolved'"),
              postgresql_where=text("status <> 'resolved'")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("alert"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    gpu_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("gpus.id"))
    type: Mapped[str] = mapped_column(String(63))
    severity: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(String(1024))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    status_since: Mapped[datetime] = mapped_column(default=utcnow)
    fingerprint: Mapped[str] = mapped_column(String(128))
    value: Mapped[float | None] = mapped_column(Float)
    threshold: Mapped[float | None] = mapped_column(Float)
    classifications: Mapped[list[str]] = mapped_column(default=list)
    # the classification that placement asks for, as a column that a query can use
    prevents_allocations: Mapped[bool] = mapped_column(default=False)
    acknowledged: Mapped[bool] = mapped_column(default=False)
    silenced_until: Mapped[datetime | None]
    fired_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
