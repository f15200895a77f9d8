"""A GPU of an allocation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class GpuAllocation(Timestamps, Base):
    """One GPU is held once: the partial unique index says so, not only the code."""

    __tablename__ = "gpu_allocations"
    __table_args__ = (
        Index("uq_gpu_allocations_held", "gpu_id", unique=True, sqlite_where=text("released_at IS NULL"),
              postgresql_where=text("released_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("ga"))
    allocation_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("allocations.id"), index=True)
    gpu_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("gpus.id"))
    status: Mapped[str] = mapped_column(String(16), default="reserved")
    allocated_at: Mapped[datetime] = mapped_column(default=utcnow)
    released_at: Mapped[datetime | None]
