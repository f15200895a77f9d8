"""Passwords of BMCs and switches, encrypted at rest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps


class Credential(Timestamps, Base):
    """AES-GCM: `key_id` names the key, `nonce` is fresh for every write, and the owner's id is authenticated with it,
    so that a ciphertext moved to another row does not open. Belongs to a server or to a switch.

    While a BMC's password is being changed there are two: the one in force and the proposed one, under the id
    `proposal`, which stays when the proposal has been confirmed. `imported` is the fingerprint of the password that an
    import document last gave, so that importing the same file again does not bring back what was rotated away."""

    __tablename__ = "credentials"
    __table_args__ = (UniqueConstraint("server_id"), UniqueConstraint("switch_id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("cred"))
    server_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"))
    switch_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("switches.id"))
    username: Mapped[str] = mapped_column(String(NAME_LENGTH))
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    nonce: Mapped[bytes] = mapped_column(LargeBinary(12))
    key_id: Mapped[str] = mapped_column(String(16))
    rotated_at: Mapped[datetime | None]
    proposal: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    proposed_at: Mapped[datetime | None]
    proposed_username: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    proposed_ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    proposed_nonce: Mapped[bytes | None] = mapped_column(LargeBinary(12))
    proposed_key_id: Mapped[str | None] = mapped_column(String(16))
    imported: Mapped[str | None] = mapped_column(String(64))
