"""Logging in and out."""

from __future__ import annotations

from marshmallow import fields

from api.schemas.base import Answer, Request, text


class LoginSchema(Request):
    username = text("The user's name.", required=True)
    password = text("The user's password.", length=1024, required=True)


class AccessTokenSchema(Answer):
    access_token = fields.String(required=True, metadata={"description": "Send as `Authorization: Bearer …`."})
    token_type = fields.String(required=True, dump_default="Bearer")
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds until the access token expires."})


class TokenPairSchema(AccessTokenSchema):
    refresh_token = fields.String(required=True, metadata={"description": "For POST /api/v1/auth/refresh only."})
