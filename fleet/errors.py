"""What an operation raises. One family; the API maps it to a problem document (RFC 9457) in one place."""

from __future__ import annotations

from typing import Any, ClassVar


class FleetError(Exception):
    """A refusal with its reason.

    `code` is snake_case and stable; `status` is a hint for HTTP. `tried`, `answer`, `next`, `host`, `step` say what
    was tried, what came back, what to do next, on which machine and in which step. `detail` holds facts for programs.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        tried: str | None = None,
        answer: str | None = None,
        next: str | None = None,
        host: str | None = None,
        step: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code  # type: ignore[misc]  # an instance may be more exact than its class
        self.tried = tried
        self.answer = answer
        self.next = next
        self.host = host
        self.step = step
        self.detail = detail or {}

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, Any]:
        """Shape: `{code, message, status, tried, answer, next, host, step, **detail}` without what is unknown."""
        known = {
            "code": self.code,
            "message": self.message,
            "status": self.status,
            "tried": self.tried,
            "answer": self.answer,
            "next": self.next,
            "host": self.host,
            "step": self.step,
        }
        return {**self.detail, **{key: value for key, value in known.items() if value is not None}}


class Invalid(FleetError):
    """The request can never succeed as it stands."""

    code = "invalid"
    status = 422


class Unauthenticated(FleetError):
    """Nobody we know, or no longer."""

    code = "unauthenticated"
    status = 401


class Locked(Unauthenticated):
    """Too many wrong passwords; `detail.retry_after_s` says when the next one is looked at."""

    code = "locked"
    status = 429


class Forbidden(FleetError):
    """Known, but not allowed."""

    code = "forbidden"
    status = 403


class NotFound(FleetError):
    """No such thing, or none that the actor may see."""

    code = "not_found"
    status = 404


class Conflict(FleetError):
    """The request does not fit the state of things now."""

    code = "conflict"
    status = 409


class StateConflict(Conflict):
    """A transition that the table of states does not have."""

    code = "state_conflict"


class StaleFence(Conflict):
    """The claim was lost: somebody else holds the workflow now. Stop."""

    code = "stale_fence"


class ClaimHeld(Conflict):
    """Somebody holds a live claim; `detail` has `holder`, `claim_expires_at` and `fence`."""

    code = "claim_held"


class HandsOffHeld(Conflict):
    """Somebody else keeps hands off the server; the message has the reason."""

    code = "hands_off_held"


class IdempotencyMismatch(Conflict):
    """The same request name with other content."""

    code = "idempotency_mismatch"


class OverQuota(Conflict):
    """More than the user may hold; `detail` has `limit`, `used`, `requested` of each exceeded figure."""

    code = "over_quota"


class NoCapacity(Conflict):
    """No servers fit now; `detail.placement` is the ledger that explains."""

    code = "no_capacity"


class Frozen(Conflict):
    """The fleet is frozen: nothing new is started."""

    code = "frozen"


class Unavailable(FleetError):
    """The record cannot be reached or is too busy now; try again."""

    code = "unavailable"
    status = 503
