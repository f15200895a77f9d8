"""Logging in, staying in, logging out."""

from __future__ import annotations

from typing import Any

from flask import g, request

from api.auth import EVERYBODY, current_actor, issue_access, issue_pair, public, requires, verify_jwt
from api.blueprint import Blueprint
from api.records import record, writing
from api.schemas.auth import AccessTokenSchema, LoginSchema, TokenPairSchema
from fleet.operations import users

blp = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Logging in and out")


@blp.route("/login", "login", method="POST")
@public
@blp.arguments(LoginSchema)
@blp.response(200, TokenPairSchema)
def login(body: dict[str, Any]) -> Any:
    """Log in with name and password."""
    name, password = body["username"], body["password"]
    with record().reading() as session:
        check = users.check_password(session, name, password)
    with record().transaction() as session:
        result = users.try_login(session, name, password, request.remote_addr, g.request_id, check)
    if result.actor is None:  # raised outside the transaction: the count of wrong passwords stays
        raise result.error or RuntimeError("a login without actor and error")
    return issue_pair(result.actor)


@blp.route("/refresh", "refreshLogin", method="POST")
@blp.doc(security=[{"bearer": []}])  # the refresh token, which no other route takes
@public
@blp.response(200, AccessTokenSchema)
def refresh() -> Any:
    """A new access token, for the refresh token as bearer token."""
    return issue_access(verify_jwt(refresh=True))


@blp.route("/logout", "logout", method="POST")
@requires(*EVERYBODY)
@writing
@blp.response(204)
def logout(session: Any) -> None:
    """End your logins: every access and refresh token issued until now is void. API tokens stay."""
    users.end_logins(session, current_actor())
