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
    """Log in with name and password.

    Takes no Idempotency-Key: the tokens of an answer are not kept; a repetition gives others, and both are good.
    """
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
    """A new access token, for the refresh token as bearer token.

    Takes no Idempotency-Key: the token of an answer is not kept; a repetition gives another, and both are good.
    """
    return issue_access(verify_jwt(refresh=True))


@blp.route("/logout", "logout", method="POST")
@requires(*EVERYBODY)
@writing
@blp.response(204)
def logout(session: Any) -> None:
    """End your logins: every access and refresh token issued until now is void. API tokens stay.

    Takes no Idempotency-Key: a login that was ended stays ended.
    """
    users.end_logins(session, current_actor())
