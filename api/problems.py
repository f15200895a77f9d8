"""Every error leaves the service as an RFC 9457 problem document, and this is the one place that writes them.

Errors come from three sides: the rules (`fleet.errors.FleetError`), HTTP itself (werkzeug's exceptions: unknown route,
wrong method, body too large, …) and this package (`ApiError`: a bad token, a wrong content type). Each has a stable
``code``; `CODES` lists those that are not the rules' own, and ``docs/errors.md`` lists all of them (`api.errordocs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NoReturn

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from api.logs import get_logger
from fleet.errors import FleetError

MEDIA_TYPE = "application/problem+json"
DOCUMENTATION = "/api/v1/docs"

log = get_logger()


@dataclass(frozen=True)
class ErrorCode:
    """One entry of the error catalogue.

    Args:
        status: HTTP status that goes with the code.
        title: the kind of error in a few words; the same for every occurrence (RFC 9457, 3.1.3).
        next: what the reader should do, unless the occurrence knows better.
    """

    status: int
    title: str
    next: str


CODES: dict[str, ErrorCode] = {
    "malformed_json": ErrorCode(400, "Malformed JSON", "Send one valid UTF-8 JSON document."),
    "bad_request": ErrorCode(400, "Bad request", f"Compare the request with {DOCUMENTATION}."),
    "authentication_required": ErrorCode(
        401, "Authentication required", "Send a bearer token in Authorization; POST /api/v1/auth/login gives one."
    ),
    "invalid_token": ErrorCode(401, "Invalid token", "Log in again with POST /api/v1/auth/login."),
    "token_expired": ErrorCode(
        401, "Token expired", "POST /api/v1/auth/refresh with the refresh token, or log in again."
    ),
    "token_revoked": ErrorCode(401, "Token revoked", "Log in again with POST /api/v1/auth/login."),
    "role_not_allowed": ErrorCode(403, "Role not allowed", "Ask an administrator, or use an account with that role."),
    "outside_token_scope": ErrorCode(
        403, "Outside the token's scope", "Use a user's token: a job's token reaches only its own workflow."
    ),
    "unknown_route": ErrorCode(404, "Unknown route", f"Routes are listed at {DOCUMENTATION}."),
    "not_found": ErrorCode(404, "Not found", "List the collection to see what there is."),
    "method_not_allowed": ErrorCode(405, "Method not allowed", "Use one of the methods in the Allow header."),
    "not_acceptable": ErrorCode(406, "Not acceptable", "Accept application/json."),
    "request_timeout": ErrorCode(408, "Request timeout", "Send the request again, faster."),
    "conflict": ErrorCode(409, "Conflict", "Read the resource again, then decide."),
    "idempotency_mismatch": ErrorCode(
        409, "Idempotency key used before", "Repeat the request unchanged, or use a new key for a new request."
    ),
    "gone": ErrorCode(410, "Gone", "The resource is no longer there."),
    "length_required": ErrorCode(411, "Length required", "Send a Content-Length header."),
    "body_too_large": ErrorCode(413, "Body too large", "Send a smaller body; split long lists over several requests."),
    "uri_too_long": ErrorCode(414, "URI too long", "Shorten the query."),
    "unsupported_media_type": ErrorCode(
        415, "Unsupported media type", "Send JSON, and say so: Content-Type: application/json."
    ),
    "validation_failed": ErrorCode(
        422, "Validation failed", "Correct the fields listed in `errors` and send it again."
    ),
    "wrong_id_kind": ErrorCode(422, "Wrong kind of id", "Use an id with one of the prefixes that the route takes."),
    "invalid_characters": ErrorCode(422, "Invalid characters", "Send valid Unicode text without NUL characters."),
    "protocol_unsupported": ErrorCode(
        409, "Protocol not supported", "Update the collection (or the service) so that both speak one protocol."
    ),
    "rate_limited": ErrorCode(429, "Too many requests", "Wait as long as the Retry-After header says."),
    "headers_too_large": ErrorCode(431, "Headers too large", "Send fewer or shorter headers."),
    "internal_error": ErrorCode(
        500, "Internal error", "Report the request_id to the operators; the service's log has the details under it."
    ),
    "service_unavailable": ErrorCode(503, "Service unavailable", "Try again in a few seconds."),
}

# What werkzeug raises by itself, by status. A status that is not here is answered as bad_request or internal_error.
_CODE_OF_STATUS = {
    400: "bad_request",
    401: "authentication_required",
    403: "role_not_allowed",
    404: "unknown_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    411: "length_required",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    422: "validation_failed",
    429: "rate_limited",
    431: "headers_too_large",
    503: "service_unavailable",
}


class ApiError(Exception):
    """An error that this package itself finds in a request, before any rule was asked.

    Args:
        code: a key of `CODES`.
        detail: what is wrong with this very request.
        next: what to do, where the catalogue's advice can be made more precise.
        errors: one entry per field, see `Problem`.
        headers: extra response headers (``WWW-Authenticate``, ``Retry-After``).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        next: str | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.next = next
        self.errors = errors
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Problem:
    """One occurrence of an error: RFC 9457 members and this service's own (``code`` and below).

    ``errors`` is a list of ``{field, pointer, detail}``: ``field`` is a dotted path, ``pointer`` the same as a JSON
    pointer into the body or, for the query, the parameter's name. Members that are not known are null.
    """

    code: str
    status: int
    title: str
    detail: str
    next: str | None = None
    host: str | None = None
    step: str | None = None
    tried: str | None = None
    answer: str | None = None
    errors: list[dict[str, str]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON document, without the occurrence's ``instance`` and ``request_id``."""
        document: dict[str, Any] = {
            "type": f"{DOCUMENTATION}#error-{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "host": self.host,
            "step": self.step,
            "tried": self.tried,
            "answer": self.answer,
            "next": self.next,
        }
        if self.errors:
            document["errors"] = self.errors
        return {**self.extra, **document}


def title_of(code: str) -> str:
    """A code in words: ``claim_held`` → ``Claim held``."""
    return CODES[code].title if code in CODES else code.replace("_", " ").capitalize()


def _advice(error: FleetError) -> str:
    """What to do where the rule itself did not say: its message names what is wrong."""
    if error.status == 422:
        return "Correct what `detail` names and send it again."
    # a rule that found nothing was asked on a route that there is
    code = "not_found" if error.status == 404 else _CODE_OF_STATUS.get(error.status, "internal_error")
    return CODES[error.code if error.code in CODES else code].next


def from_fleet_error(error: FleetError) -> Problem:
    """A rule said no: its own words, status and advice."""
    return Problem(
        code=error.code,
        status=error.status,
        title=title_of(error.code),
        detail=error.message,
        next=error.next or _advice(error),
        host=error.host,
        step=error.step,
        tried=error.tried,
        answer=error.answer,
        extra=error.detail,
        headers={"Retry-After": str(ceil(error.detail["retry_after_s"]))} if "retry_after_s" in error.detail else {},
    )


def from_api_error(error: ApiError) -> Problem:
    entry = CODES[error.code]
    return Problem(
        code=error.code,
        status=entry.status,
        title=entry.title,
        detail=error.detail,
        next=error.next or entry.next,
        errors=error.errors,
        headers=error.headers,
    )


def from_http_exception(error: HTTPException) -> Problem:
    """Unknown route, wrong method, body too large, …, and what webargs reports about arguments (``error.data``)."""
    status = error.code or 500
    code = _CODE_OF_STATUS.get(status, "bad_request" if status < 500 else "internal_error")
    data = getattr(error, "data", None) or {}
    messages = data.get("messages")
    errors = list(flatten(messages)) if isinstance(messages, Mapping) else None
    entry = CODES[code]
    return Problem(
        code=code,
        status=status,
        title=entry.title,
        detail=_detail(code, error, errors),
        next=entry.next,
        tried=f"{request.method} {request.path}" if status in (404, 405) else None,
        errors=errors,
        headers={
            name: value for name, value in error.get_headers() if name.lower() in ("allow", "retry-after", "location")
        },
    )


def _detail(code: str, error: HTTPException, errors: list[dict[str, str]] | None) -> str:
    if errors:
        return "; ".join(f"{entry['field']}: {entry['detail']}" for entry in errors[:5])
    if code == "body_too_large":
        limit = request.max_content_length
        return f"The body is larger than this service takes ({limit} bytes)."
    if code == "unknown_route":
        return f"There is no {request.path}."
    if code == "method_not_allowed":
        return f"{request.path} does not take {request.method}."
    return error.description or CODES[code].title


def flatten(messages: Mapping[Any, Any], path: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Marshmallow's nested messages (``{"json": {"points": {0: {"at": ["…"]}}}}``) as a list of `Problem.errors`."""
    for key, value in messages.items():
        here = (*path, str(key))
        if isinstance(value, Mapping):
            yield from flatten(value, here)
            continue
        location, *names = here
        names = [name for name in names if name != "_schema"]
        for message in value if isinstance(value, list) else [value]:
            yield {
                "field": ".".join(names) or location,
                "pointer": _pointer(location, names),
                "detail": str(message),
            }


def _pointer(location: str, names: list[str]) -> str:
    if location != "json":
        return f"{location}:{'.'.join(names)}"
    return "#" + "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def unexpected(error: Exception) -> Problem:
    """A bug: the caller learns the request id and nothing else, the log gets the trace."""
    log.error("unhandled exception", exc_info=error, http={"request": {"id": g.get("request_id")}})
    entry = CODES["internal_error"]
    return Problem(
        code="internal_error",
        status=500,
        title=entry.title,
        detail="The service failed to handle this request.",
        next=entry.next,
    )


def respond(problem: Problem) -> Response:
    """The response that carries a problem."""
    request_id = g.get("request_id")
    document = {**problem.document(), "instance": request.path, "request_id": request_id}
    response = current_app.make_response(current_app.json.response(document))
    response.status_code = problem.status
    response.mimetype = MEDIA_TYPE
    for name, value in problem.headers.items():
        response.headers[name] = value
    if problem.status == 401:
        response.headers.setdefault("WWW-Authenticate", f'Bearer realm="palebluedot", error="{problem.code}"')
    return response


def init_app(app: Flask) -> None:
    """Make every error of the app a problem document."""

    def on_fleet_error(error: FleetError) -> Response:
        return respond(from_fleet_error(error))

    def on_api_error(error: ApiError) -> Response:
        return respond(from_api_error(error))

    def on_http_exception(error: HTTPException) -> Response:
        if error.response is not None and error.code is not None and error.code < 400:  # a redirect is no error
            return current_app.make_response(error.response)
        return respond(from_http_exception(error))

    def on_exception(error: Exception) -> Response:
        return respond(unexpected(error))

    app.register_error_handler(FleetError, on_fleet_error)
    app.register_error_handler(ApiError, on_api_error)
    app.register_error_handler(HTTPException, on_http_exception)
    app.register_error_handler(Exception, on_exception)


def not_found(kind: str, wanted: str, *, list_at: str) -> NoReturn:
    """Raise the 404 of a thing that does not exist, or that the caller may not know of."""
    raise ApiError("not_found", f"There is no {kind} {wanted!r}.", next=f"GET {list_at} lists what there is.")
