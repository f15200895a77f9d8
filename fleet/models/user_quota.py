"""What a user may hold at once."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.models.base import ID_LENGTH, Base, Timestamps


class UserQuota(Timestamps, Base):
    """Ceilings over all allocations that count; null means no ceiling. What is used is counted, never stored."""

    __tablename__ = "user_quotas"

    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"), primary_key=True)
    max_gpu_count: Mapped[int | None]
    max_memory_gb: Mapped[int | None]
    max_storage_gb: Mapped[int | None]
