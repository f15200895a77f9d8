"""The rule file of enrolment, every version of it."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class EnrolmentRules(Timestamps, Base):
    """`content` is the file as it was given; the highest `version` holds."""

    __tablename__ = "enrolment_rules"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("rul"))
    version: Mapped[int] = mapped_column(unique=True)
    content: Mapped[str] = mapped_column(Text)
    content_sha256: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
