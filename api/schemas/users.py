"""The caller: profile, quota, SSH keys, API tokens."""

from __future__ import annotations

import re

from marshmallow import ValidationError, fields, validate

from api.schemas.base import Answer, Request, count, page_of, text

LONGEST_TOKEN_LIFE_S = 366 * 24 * 3600


# RSA keys of 16384 bits make lines of 2.9 kB; comments are short.
KEY_LENGTH = 16384
# type, base64, and perhaps a comment: what the rules then look into (sshd(8), AUTHORIZED_KEYS FILE FORMAT)
_KEY_LINE = re.compile(r"\s*[A-Za-z0-9@.-]+[ \t]+[A-Za-z0-9+/]+={0,3}([ \t][^\r\n]*)?\s*")


def key_line(line: str) -> None:
    """Refuse what has not even the outline of an OpenSSH public key."""
    if not _KEY_LINE.fullmatch(line):
        raise ValidationError("Give one line of a .pub file: type, base64 and perhaps a comment.")


def key_or_name(entry: str) -> None:
    """Refuse an entry with blanks, as keys have, that is no key."""
    if " " in entry.strip():
        key_line(entry)


class ProfileSchema(Answer):
    id = fields.String(required=True)
    username = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)


class QuotaSchema(Answer):
    max_gpu_count = fields.Integer(required=True, allow_none=True, metadata={"description": "null: no limit."})
    max_memory_gb = fields.Integer(required=True, allow_none=True)
    max_storage_gb = fields.Integer(required=True, allow_none=True)
    used_gpu_count = fields.Integer(required=True)
    used_memory_gb = fields.Integer(required=True)
    used_storage_gb = fields.Integer(required=True)


class NewSshKeySchema(Request):
    name = text("A name to recognise the key by.", required=True)
    public_key = fields.String(
        required=True,
        validate=[validate.Length(min=1, max=KEY_LENGTH), key_line],
        metadata={"description": "One OpenSSH public key line."},
    )


class SshKeySchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    public_key = fields.String(required=True)
    fingerprint = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class NewTokenSchema(Request):
    name = text("What the token is for.", required=True)
    expires_in_s = count("Seconds until it expires.", at_least=60, at_most=LONGEST_TOKEN_LIFE_S, allow_none=True)


class TokenSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(required=True, allow_none=True)


class MintedTokenSchema(Answer):
    id = fields.String(required=True)
    token = fields.String(required=True, metadata={"description": "Shown once; keep it."})


SshKeyPageSchema = page_of(SshKeySchema, "SshKeyPage")
TokenPageSchema = page_of(TokenSchema, "TokenPage")
