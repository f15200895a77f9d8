"""Who runs the periodic jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.models.base import Base, Timestamps


class LeaderLease(Timestamps, Base):
    """One row per role that only one process may play; `fence` rises when the holder changes."""

    __tablename__ = "leader_leases"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    holder: Mapped[str] = mapped_column(String(255))
    fence: Mapped[int] = mapped_column(default=1)
    expires_at: Mapped[datetime]
