"""The caller: profile, quota, SSH keys, API tokens."""

from __future__ import annotations

from marshmallow import fields

from api.schemas.base import Answer, Request, count, page_of, text

LONGEST_TOKEN_LIFE_S = 366 * 24 * 3600


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
    public_key = text("One OpenSSH public key line.", length=16384, required=True)


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
