"""Operating-system images."""

from __future__ import annotations

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class Image(Timestamps, Base):
    """An image is its digest: the URL may move, the content may not."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("url", "sha256"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("img"))
    url: Mapped[str] = mapped_column(String(1024))
    sha256: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str | None] = mapped_column(String(4096))
    os: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    driver_version: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
