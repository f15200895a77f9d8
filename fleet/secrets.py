"""Secrets: files of keys, encryption at rest (AES-256-GCM), password hashes (argon2id), tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets as random
import string
from functools import cache
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fleet.errors import FleetError
from fleet.settings import get_settings

TOKEN_PREFIX = "pbd_"  # noqa: S105  # a prefix, so that scanners recognise a leaked token
KEY_BYTES = 32

# RFC 9106, second recommended option (64 MiB), as argon2-cffi's default profile has it
_hasher = PasswordHasher()


class SecretError(FleetError):
    """A secret cannot be opened: wrong or missing key file."""

    code = "secret_unreadable"
    status = 500


def _read_or_create(path: Path) -> bytes:
    """The content of a key file; made with fresh random bytes, mode 0600, when it is not there."""
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = base64.b64encode(os.urandom(KEY_BYTES))
    # written aside and linked, so that of two processes that start at once one wins and both read the same key
    aside = path.with_name(f".{path.name}.{os.getpid()}.{random.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    return path.read_bytes().strip()


@cache
def _keyring(path: Path) -> dict[str, bytes]:
    """Key id -> key. The first line encrypts; older keys follow, one a line, so that a key can be rotated."""
    ring: dict[str, bytes] = {}
    for line in _read_or_create(path).split():
        key = base64.b64decode(line)
        if len(key) != KEY_BYTES:
            raise SecretError(f"a key in {path} is not {KEY_BYTES} bytes of base64", next="restore the key file")
        ring[hashlib.sha256(key).hexdigest()[:16]] = key
    if not ring:
        raise SecretError(f"{path} holds no key", next="restore the key file from the backup")
    return ring


def _master_keys() -> dict[str, bytes]:
    path = get_settings().master_key_file
    assert path is not None
    return _keyring(path)


def jwt_secret() -> str:
    """The key that signs access tokens."""
    path = get_settings().jwt_secret_file
    assert path is not None
    return _read_or_create(path).decode()


def encrypt(plain: str, owner: str) -> tuple[str, bytes, bytes]:
    """`(key_id, nonce, ciphertext)`; `owner` is authenticated: the text opens only for the same owner."""
    key_id, key = next(iter(_master_keys().items()))
    nonce = os.urandom(12)
    return key_id, nonce, AESGCM(key).encrypt(nonce, plain.encode(), owner.encode())


def decrypt(key_id: str, nonce: bytes, ciphertext: bytes, owner: str) -> str:
    """The plain text; SecretError when the key is not in the ring or the row was tampered with."""
    key = _master_keys().get(key_id)
    if key is None:
        raise SecretError(
            f"the key {key_id} is not in the master key file",
            next="put the older key back into the file (one a line, newest first)",
        )
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, owner.encode()).decode()
    except InvalidTag:
        raise SecretError(
            f"a secret of {owner} does not open with its key", next="enter the credential anew: the row was changed"
        ) from None


def fingerprint(plain: str, owner: str) -> str:
    """What tells whether a password is the same one again, and nothing more: HMAC-SHA-256 under the oldest master key,
    hexadecimal."""
    key = list(_master_keys().values())[-1]
    return hmac.new(key, f"fingerprint:{owner}:{plain}".encode(), hashlib.sha256).hexdigest()


def new_device_password(length: int = 16) -> str:
    """A password for a BMC. 16 characters fit IPMI's shorter form and are within every vendor's limits.

    It begins with a letter, has a capital, a small letter, a digit and a sign (which some firmware wants), no character
    twice in a row (which some forbids), and nothing that a shell, a URL or a spreadsheet would read as its own.
    """
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "-_.+")
    while True:
        found = random.choice(string.ascii_letters) + "".join(random.choice("".join(kinds)) for _ in range(length - 1))
        if all(set(found) & set(kind) for kind in kinds) and all(a != b for a, b in pairwise(found)):
            return found


def derive(purpose: str) -> str:
    """A token that can be made again but not guessed: HMAC-SHA-256 of `purpose` under the oldest master key.

    The oldest one, so that a rotation does not change what was already handed out. 43 URL-safe characters.
    """
    key = list(_master_keys().values())[-1]
    mac = hmac.new(key, f"derive:{purpose}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def hash_password(password: str) -> str:
    """argon2id in PHC form."""
    return _hasher.hash(password)


@cache
def _nobody() -> str:
    """The hash to verify against when there is no such user, so that both answers take the same time."""
    return _hasher.hash(random.token_hex(16))


def verify_password(stored: str | None, password: str) -> bool:
    """Takes the same time whether there is such a user or not."""
    try:
        _hasher.verify(stored or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def new_token() -> str:
    """`pbd_` and 256 random bits."""
    return TOKEN_PREFIX + random.token_urlsafe(32)


def token_hash(token: str) -> str:
    """SHA-256, hexadecimal: a token is random, a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
