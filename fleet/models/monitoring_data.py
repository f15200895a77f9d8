"""Figures of servers and GPUs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.models.base import ID_LENGTH, Base


class MonitoringData(Base):
    """One sample; `gpu_id` is null for a figure of the whole server. Usages in percent, temperature in Celsius, power
    in watts; `margin_celsius` is what is left to the slow-down temperature; `power_state` is the server's, as its BMC
    says it. Unknown is null."""

    __tablename__ = "monitoring_data"
    __table_args__ = (
        Index("ix_monitoring_data_latest", "server_id", "gpu_id", "timestamp"),
        Index("ix_monitoring_data_timestamp", "timestamp"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"))
    gpu_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("gpus.id"))
    cpu_usage: Mapped[float | None] = mapped_column(Float)
    memory_usage: Mapped[float | None] = mapped_column(Float)
    gpu_usage: Mapped[float | None] = mapped_column(Float)
    temperature: Mapped[float | None] = mapped_column(Float)
    memory_temperature: Mapped[float | None] = mapped_column(Float)
    margin_celsius: Mapped[float | None] = mapped_column(Float)
    power_consumption: Mapped[float | None] = mapped_column(Float)
    power_state: Mapped[str | None] = mapped_column(String(16))
    timestamp: Mapped[datetime]
