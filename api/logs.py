"""One ECS JSON line per request, with every secret masked.

structlog renders through the standard library's ``palebluedot.api`` logger, so that whoever runs the service decides
where lines go. Field names are the Elastic Common Schema's (``http.request.method``, ``event.duration`` in ns, …).
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import ecs_logging
import structlog
from flask import Flask, Response, g, request

LOGGER = "palebluedot.api"
MASK = "********"

_SECRET_NAME = re.compile(r"passw(or)?d|token|secret|authorization|credential|private_key|cookie", re.IGNORECASE)
# API and job tokens, JWTs, and whatever follows "Bearer".
_SECRET_TEXT = re.compile(r"pbd_[A-Za-z0-9_-]{6,}|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=Bearer )\S+")
INGEST = "ingest.ingestReport"
_QUIET = "health."


def mask(value: Any) -> Any:
    """The value without what looks like a secret, by its name (in a mapping) or by its shape (in a text)."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(MASK, value)
    if isinstance(value, Mapping):
        return {
            key: MASK if _SECRET_NAME.search(str(key)) and isinstance(item, str | bytes) else mask(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def _mask_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    masked: dict[str, Any] = mask(event)
    return masked


class _Logger(structlog.stdlib.BoundLogger):
    """Renders traces itself (masked); left to the standard library they would follow the line unmasked."""

    def exception(self, event: str | None = None, *args: Any, **kw: Any) -> Any:
        kw.setdefault("exc_info", True)
        return self.error(event, *args, **kw)


def get_logger(name: str = LOGGER) -> Any:
    """A structlog logger that writes masked ECS lines to the standard library's logger of that name."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=_Logger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            _mask_event,
            ecs_logging.StructlogFormatter(),
        ],
    )


def to_stderr(level: int = logging.INFO) -> None:
    """Send this package's lines to stderr; for the process that serves, not for tests or libraries."""
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def init_app(app: Flask) -> None:
    """Log every request once it is answered."""
    logger = get_logger()

    def log_request(response: Response) -> Response:
        quiet = (request.endpoint or "").startswith(_QUIET) and response.status_code < 400
        actor = g.get("actor")
        # the token of an ingest route stands in its path, therefore the rule
        path = request.url_rule.rule if request.endpoint == INGEST and request.url_rule else request.path
        fields: dict[str, Any] = {
            "event": {
                "action": request.endpoint,
                "duration": int((time.perf_counter() - g.get("started", time.perf_counter())) * 1e9),
                "outcome": "success" if response.status_code < 400 else "failure",
            },
            "http": {
                "request": {"id": g.get("request_id"), "method": request.method},
                "response": {"status_code": response.status_code},
            },
            "url": {"path": path},
            "client": {"address": request.remote_addr},
            "user": {"id": actor.id, "name": actor.username, "roles": [actor.role]} if actor else {},
        }
        message = f"{request.method} {path} {response.status_code}"
        (logger.debug if quiet else logger.info)(message, **_without_event(fields))
        return response

    app.after_request(log_request)


def _without_event(fields: dict[str, Any]) -> dict[str, Any]:
    # structlog's own first argument is called "event"; ECS's field set of that name goes in dotted
    event = fields.pop("event")
    return {**fields, **{f"event.{name}": value for name, value in event.items()}}
