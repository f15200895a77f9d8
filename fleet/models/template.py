"""Versioned descriptions of what is done to a server."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, Base, Timestamps


class Template(Timestamps, Base):
    """`content` is the YAML document as written; `serial` orders the versions of one name by arrival."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("name", "version"), UniqueConstraint("name", "serial"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("tpl"))
    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(63))
    serial: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    description: Mapped[str | None] = mapped_column(String(1024))
    content: Mapped[str] = mapped_column(Text)
    content_sha256: Mapped[str] = mapped_column(String(64))
    image_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("images.id"))
