"""Who is asking: ``Authorization: Bearer`` with a JWT (login) or with a ``pbd_…`` token (API token, a job's token).

Every route states its roles with `requires` (or says `public`); a test walks all routes with all roles. A job's token
reaches a route only where the route says ``job=True``, and then only its own workflow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app, g, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from api.idempotency import HEADER, KEY_PARAMETER, Replays
from api.problems import ApiError
from api.records import record
from fleet.actor import ROLES, Actor
from fleet.clock import utcnow
from fleet.operations import users
from fleet.secrets import TOKEN_PREFIX, jwt_secret, token_hash
from fleet.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])

ISSUER = "palebluedot"
EVERYBODY = ROLES
"""Every role there is: for what anybody may do once logged in."""


def requires(*roles: str, job: bool = False, keyed: bool = False) -> Callable[[View], View]:
    """Let a view be reached by these roles only.

    Args:
        roles: at least one of `fleet.actor.ROLES`.
        job: whether a job's token may come here too; a ``workflow_id`` in the path must then be its own.
        keyed: whether an Idempotency-Key makes a repetition get the first answer (`api.idempotency`).
    """
    unknown = set(roles) - set(ROLES)
    if not roles or unknown:
        raise ValueError(f"requires needs roles out of {ROLES}, not {roles}")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            actor = identify()
            g.actor = actor
            _admit(actor, roles, job, request.view_args or {})
            if keyed and request.headers.get(HEADER):
                replays: Replays = current_app.extensions[Replays.EXTENSION]
                return replays.run(
                    actor.workflow_id or actor.id, lambda: current_app.make_response(view(*args, **kwargs))
                )
            return view(*args, **kwargs)

        parameters = {"parameters": [KEY_PARAMETER]} if keyed else {}
        _document(
            guarded,
            {
                **parameters,
                "security": [{"bearer": []}],
                "x-roles": list(roles),
                "x-job-token": job,
                "responses": {"401": "UNAUTHORIZED", "403": "FORBIDDEN"},
            },
        )
        return guarded  # type: ignore[return-value]

    return decorate


def public(view: View) -> View:
    """Say that a view needs no token."""
    _document(view, {"security": [], "x-roles": []})
    return view


def _document(view: Any, members: dict[str, Any]) -> None:
    documentation = dict(getattr(view, "_apidoc", {}))
    documentation["manual_doc"] = {**documentation.get("manual_doc", {}), **members}
    view._apidoc = documentation
    view.access = members


def _admit(actor: Actor, roles: tuple[str, ...], job: bool, path: dict[str, Any]) -> None:
    if actor.role not in roles:
        raise ApiError(
            "role_not_allowed",
            f"{request.method} {request.path} needs the role {' or '.join(roles)}; {actor.username} is {actor.role}.",
        )
    if actor.workflow_id is None:
        return
    if not job:
        raise ApiError("outside_token_scope", f"A job's token does not reach {request.method} {request.path}.")
    if path.get("workflow_id", actor.workflow_id) != actor.workflow_id:
        raise ApiError("outside_token_scope", f"This token belongs to {actor.workflow_id} alone.")


def current_actor() -> Actor:
    """Who is asking; only in views behind `requires`."""
    actor: Actor = g.actor
    return actor


def identify() -> Actor:
    """The actor of the request's bearer token.

    Raises:
        ApiError, fleet.errors.Unauthenticated: 401 with a code that says what is wrong with the token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX):
        return _verify_api_token(token)
    return verify_jwt(refresh=False)


def _verify_api_token(token: str) -> Actor:
    with record().reading() as session:
        actor = users.verify_token(session, token, request.remote_addr, g.request_id)
    uses: TokenUses = current_app.extensions[TokenUses.EXTENSION]
    if uses.due(token):
        with record().transaction() as session:
            users.touch_token(session, token)
    return actor


class TokenUses:
    """When each API token's use was last written down, so that most requests write nothing."""

    EXTENSION = "palebluedot-token-uses"
    MOST = 10_000

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._written: dict[str, float] = {}
        self._lock = threading.Lock()

    def due(self, token: str) -> bool:
        """Whether it is time to note a use of the token; answering yes counts as noting it."""
        key, now = token_hash(token), time.monotonic()
        with self._lock:
            if now - self._written.get(key, -self._every_s) < self._every_s:
                return False
            if len(self._written) >= self.MOST:
                self._written.clear()
            self._written[key] = now
            return True


def verify_jwt(*, refresh: bool) -> Actor:
    """The actor of a JWT of the wanted kind (access or refresh)."""
    try:
        verify_jwt_in_request(refresh=refresh)
        claims = get_jwt()
    except NoAuthorizationError as error:
        raise ApiError("authentication_required", "The request carries no bearer token.") from error
    except ExpiredSignatureError as error:
        raise ApiError("token_expired", "The token has expired.") from error
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise ApiError("invalid_token", f"The token cannot be accepted: {error}.") from error
    with record().reading() as session:
        actor = users.actor_of(session, str(claims["sub"]), float(claims["iat"]))
    return replace(actor, remote_addr=request.remote_addr, request_id=g.request_id)


def issue_access(actor: Actor) -> dict[str, Any]:
    """A fresh access token: ``{access_token, token_type, expires_in}``."""
    lifetime: timedelta = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return {
        "access_token": create_access_token(actor.id, additional_claims=_issued_now()),
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
    }


def issue_pair(actor: Actor) -> dict[str, Any]:
    """An access token and the refresh token that gives more of them."""
    return {**issue_access(actor), "refresh_token": create_refresh_token(actor.id, additional_claims=_issued_now())}


def _issued_now() -> dict[str, float]:
    # RFC 7519 lets iat have fractions; without them a login right after a log-out would count as issued before it
    return {"iat": utcnow().timestamp()}


def init_app(app: Flask, settings: Settings) -> None:
    """Set up JWTs, signed with the key of the settings' 0600 file (made on first use)."""
    app.config.from_mapping(
        JWT_SECRET_KEY=jwt_secret(),
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=settings.access_token_ttl_s),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(seconds=settings.refresh_token_ttl_s),
    )
    JWTManager(app)
    app.extensions[Replays.EXTENSION] = Replays()
    app.extensions[TokenUses.EXTENSION] = TokenUses(users.TOKEN_USE_RESOLUTION.total_seconds())
