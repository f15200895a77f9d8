"""Rate limits: a tight one on logging in, a generous one on everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

LOGIN = "auth.login"
EXEMPT = ("health.getHealth", "health.getHealthV1", "health.getReadiness", "health.getReadinessV1", "health.getMetrics")


def _caller() -> str:
    """A token's holder, or else an address: machines behind one address must not exhaust each other's share."""
    credential = request.headers.get("Authorization")
    return hashlib.sha256(credential.encode()).hexdigest() if credential else get_remote_address()


def init_app(app: Flask, *, default: str, login: str, storage: str) -> None:
    """Limit the app's registered routes; call it when all blueprints are there.

    Args:
        default: limit per caller over all routes, in Flask-Limiter's notation (``1200 per minute``).
        login: limit per address on logging in.
        storage: where counts live (``memory://``, ``redis://…``).
    """
    limiter = Limiter(
        _caller,
        app=app,
        application_limits=[default],
        storage_uri=storage,
        strategy="moving-window",
        headers_enabled=True,
    )
    for endpoint in EXEMPT:
        limiter.exempt(app.view_functions[endpoint])
    limited = limiter.limit(login, key_func=get_remote_address)(app.view_functions[LOGIN])
    app.view_functions[LOGIN] = cast(Callable[..., Any], limited)
