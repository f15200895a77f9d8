"""A machine that was ordered: what should stand where."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class ExpectedMachine(Timestamps, Base):
    """One line of the delivery list, known by its serial number. `rack_unit` is the lowest unit that it takes."""

    __tablename__ = "expected_machines"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("exp"))
    serial_number: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    name: Mapped[str | None] = mapped_column(String(63), unique=True)
    bmc_address: Mapped[str | None] = mapped_column(String(255), index=True)
    rack: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    rack_unit: Mapped[int | None]
    pool: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    nvlink_domain: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    model_class: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    tags: Mapped[list[Any] | None]
