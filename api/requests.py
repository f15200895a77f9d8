"""What surrounds every request: its id, its limits, its log line, and the security headers of its answer."""

from __future__ import annotations

import re
import time
import uuid

from flask import Flask, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from api import protocol
from api.blueprint import is_clean
from api.problems import ApiError

# What a caller may choose as X-Request-Id; anything else is replaced, because ids land in logs and headers.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

# OWASP's REST security cheat sheet, less what only concerns cookies.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STRICT_TRANSPORT = "max-age=31536000"

# Routes that take a whole fleet at once: 20,000 samples, or an import document of thousands of servers.
BULK_ROUTES = frozenset({"fleet.storeTelemetry", "servers.importServers"})
BULK_BYTES = 8 * 1024 * 1024

# A refused upload is read to its end, up to here, so that the sender gets the answer and not a reset connection.
DRAIN_BYTES = 64 * 1024 * 1024


def assign_id() -> None:
    """Give the request an id: the caller's own when it is sane, else a new one."""
    offered = request.headers.get("X-Request-Id", "")
    g.request_id = offered if _REQUEST_ID.fullmatch(offered) else f"req_{uuid.uuid4().hex}"
    g.started = time.perf_counter()


def refuse_unusable() -> None:
    """Refuse, before any view runs, a body over the limit and text that no database can store."""
    if request.endpoint in BULK_ROUTES:
        request.max_content_length = max(BULK_BYTES, request.max_content_length or 0)
    length, limit = request.content_length, request.max_content_length
    if limit is not None and _length_over(limit, length):
        raise RequestEntityTooLarge
    values = [request.path, *(part for pair in request.args.items(multi=True) for part in pair)]
    if not all(map(is_clean, values)) or any("�" in value for value in values):
        raise ApiError("invalid_characters", "The URL holds text that is not valid UTF-8, or a NUL character.")


def _length_over(limit: int, length: int | None) -> bool:
    if length is not None or not request.environ.get("wsgi.input_terminated"):
        return length is not None and length > limit
    # chunked: werkzeug would silently cut the body at the limit (LimitedStream.readall)
    return len(request.get_data(cache=True)) >= limit


def _drain() -> None:
    stream = request.environ["wsgi.input"]
    # without either, reading would wait for an end that never comes
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        return
    left = min(request.content_length or DRAIN_BYTES, DRAIN_BYTES)
    while left > 0:
        chunk = stream.read(min(left, 1024 * 1024))
        if not chunk:
            break
        left -= len(chunk)


def finish(response: Response) -> Response:
    """Add the request id and the security headers; read what is left of a body that was refused."""
    if response.status_code == 413:
        _drain()
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers[protocol.HEADER] = str(protocol.PROTOCOL)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    return response


def init_app(app: Flask) -> None:
    app.before_request(assign_id)
    app.before_request(refuse_unusable)
    app.after_request(finish)
