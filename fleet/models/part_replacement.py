"""An exchange of a part that an operator announced."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class PartReplacement(Timestamps, Base):
    """`kind` is gpu, board, dimm, drive or nic; `new_serial` is null where it was not known beforehand. `found_serial`
    and `accepted_at` are null until an inspection has seen the exchange. `resume` is set where the announcement took a
    quarantined server into maintenance: the inspection that sees the new part offers it again."""

    __tablename__ = "part_replacements"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("rpl"))
    server_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    gpu_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("gpus.id"))
    kind: Mapped[str] = mapped_column(String(16))
    old_serial: Mapped[str] = mapped_column(String(NAME_LENGTH))
    new_serial: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    reason: Mapped[str] = mapped_column(String(1024))
    announced_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    resume: Mapped[bool] = mapped_column(default=False)
    found_serial: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    accepted_at: Mapped[datetime | None]
