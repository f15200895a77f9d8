"""The caller's own: profile, quota, SSH keys, API tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import ids, listing
from api.auth import EVERYBODY, current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, writing
from api.schemas.base import PageQuery
from api.schemas.users import (
    MintedTokenSchema,
    NewSshKeySchema,
    NewTokenSchema,
    ProfileSchema,
    QuotaSchema,
    SshKeyPageSchema,
    SshKeySchema,
    TokenPageSchema,
)
from fleet.operations import lookup, users

blp = Blueprint("users", __name__, url_prefix="/api/v1", description="You: profile, quota, keys, tokens")


@blp.route("/users/profile", "getProfile")
@requires(*EVERYBODY, job=True)
@reading
@blp.response(200, ProfileSchema)
def profile(session: Session) -> Any:
    """Who the token is."""
    return lookup.user(session, current_actor().id)


@blp.route("/users/quota", "getQuota")
@requires(*EVERYBODY)
@reading
@blp.response(200, QuotaSchema)
def quota(session: Session) -> Any:
    """What you may hold and what you hold."""
    return users.quota_usage(session, current_actor())


@blp.route("/ssh-keys", "listSshKeys")
@requires(*EVERYBODY)
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, SshKeyPageSchema)
def list_ssh_keys(session: Session, query: dict[str, Any]) -> Any:
    """Your public keys."""
    return listing.ssh_keys(session, current_actor(), query)


@blp.route("/ssh-keys", "addSshKey", method="POST")
@requires(*EVERYBODY, keyed=True)
@blp.arguments(NewSshKeySchema)
@writing
@blp.response(201, SshKeySchema)
def add_ssh_key(session: Session, body: dict[str, Any]) -> Any:
    """Add a public key; it may log in on servers allocated from now on."""
    return users.add_ssh_key(session, current_actor(), body["name"], body["public_key"])


@blp.route("/ssh-keys/<key_id>", "deleteSshKey", method="DELETE")
@requires(*EVERYBODY)
@writing
@blp.response(204)
def delete_ssh_key(session: Session, key_id: str) -> None:
    """Delete a public key; servers that have it keep it."""
    users.delete_ssh_key(session, current_actor(), ids.require(key_id, "key"))


@blp.route("/tokens", "listTokens")
@requires(*EVERYBODY)
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, TokenPageSchema)
def list_tokens(session: Session, query: dict[str, Any]) -> Any:
    """Your API tokens, without their secrets."""
    return listing.tokens(session, current_actor(), query)


@blp.route("/tokens", "mintToken", method="POST")
@requires(*EVERYBODY, keyed=True)
@blp.arguments(NewTokenSchema)
@writing
@blp.response(201, MintedTokenSchema)
def mint_token(session: Session, body: dict[str, Any]) -> Any:
    """Make an API token with your role; it is shown this once."""
    return users.mint_token(session, current_actor(), body["name"], body.get("expires_in_s"))


@blp.route("/tokens/<token_id>", "revokeToken", method="DELETE")
@requires(*EVERYBODY)
@writing
@blp.response(204)
def revoke_token(session: Session, token_id: str) -> None:
    """End an API token."""
    users.revoke_token(session, current_actor(), ids.require(token_id, "tok"))
