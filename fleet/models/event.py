"""The outbox: events wait here, in the transaction that they speak of, until the relay has handed them on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base


class Event(Base):
    """A CloudEvents 1.0 event: `id`, `type`, `subject`, `time`, `data`. Unpublished rows are the queue."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_unpublished", "seq", sqlite_where=text("published_at IS NULL"),
              postgresql_where=text("published_at IS NULL")),
    )  # fmt: skip

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True, default=lambda: new_id("evt"))
    type: Mapped[str] = mapped_column(String(NAME_LENGTH))
    subject: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    time: Mapped[datetime] = mapped_column(default=utcnow)
    data: Mapped[dict[str, Any]]
    published_at: Mapped[datetime | None]
