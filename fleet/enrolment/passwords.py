"""Passwords of an import document, encrypted, and known again when they are imported again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet import secrets
from fleet.models import Credential


@dataclass(slots=True)
class Sealed:
    """An encrypted password and whose it is, with the mark that tells it when it is imported again; None in `cipher`:
    the record has that one already, or had it before it was rotated."""

    owner: str
    username: str
    mark: str
    cipher: tuple[str, bytes, bytes] | None


def seal(owner: str, username: str, password: str, stored: Credential | None) -> Sealed:
    """The password for the record, as `owner`'s; `stored` is what the record has of it."""
    mark = secrets.fingerprint(f"{username}:{password}", owner)
    if stored is not None and (stored.imported == mark or _is(stored, owner, username, password)):
        return Sealed(owner, username, mark, None)
    return Sealed(owner, username, mark, secrets.encrypt(password, owner))


def _is(stored: Credential, owner: str, username: str, password: str) -> bool:
    if stored.username != username:
        return False
    try:
        return secrets.decrypt(stored.key_id, stored.nonce, stored.ciphertext, owner) == password
    except secrets.SecretError:
        # a row that does not open any more is what a new import mends
        return False


def store(row: Credential, sealed: Sealed, rotated_at: datetime | None) -> Credential:
    """Put it into a row."""
    assert sealed.cipher is not None
    row.username = sealed.username
    row.imported = sealed.mark
    row.key_id, row.nonce, row.ciphertext = sealed.cipher
    if rotated_at is not None:
        row.rotated_at = rotated_at
    return row
