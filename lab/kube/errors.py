"""Kubernetes API errors: exceptions that know their ``Status`` document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid, as in ``Status.details.causes``."""

    reason: str
    message: str
    field: str

    def as_dict(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A request refused. ``status()`` is the body that Kubernetes answers with."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s

    def status(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        details = dict(self.details or {})
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        if details:
            body["details"] = details
        return body | {"code": self.code}


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    return {k: v for k, v in (("name", name), ("group", group), ("kind", kind)) if v}


def qualified(group: str, plural: str) -> str:
    """``workflows.tinkerbell.org``, or ``secrets`` for the core group."""
    return f"{plural}.{group}" if group else plural


def not_found(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(group, plural, name))


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> ApiError:
    """``conflicts`` holds (manager, field path)."""
    count = len(conflicts)
    heading = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: "
    causes = [
        Cause("FieldManagerConflict", f'conflict with "{manager}"', path).as_dict() for manager, path in conflicts
    ]
    message = heading + ", ".join(f'conflict with "{manager}": {path}' for manager, path in conflicts)
    return ApiError(409, "Conflict", message, {"causes": causes})


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    problems = [f"{cause.field}: {cause.message}" for cause in causes]
    told = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    message = f'{qualified(group, kind)} "{name}" is invalid: {told}'
    details = _details(group, kind, name) | {"causes": [cause.as_dict() for cause in causes]}
    return ApiError(422, "Invalid", message, details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def expired(wanted: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", message)


def bad_option(kind: str, field: str, cause: Cause) -> ApiError:
    """A query parameter that CreateOptions, PatchOptions, … do not allow."""
    message = f'{kind}.meta.k8s.io "" is invalid: {field}: {cause.message}'
    details = {"group": "meta.k8s.io", "kind": kind, "causes": [cause.as_dict()]}
    return ApiError(422, "Invalid", message, details)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
