# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as types.

Every error says what was tried, where, what came back and what to do next. The classes are mapped to a module failure
in one place (``entry.py``); their ``code`` is what a playbook branches on.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.text import printable

__all__ = [
    "AuthenticationError",
    "BadAnswer",
    "Busy",
    "Conflict",
    "DeadlineExceeded",
    "InvalidInput",
    "LicenceMissing",
    "NotFound",
    "PaleBlueDotError",
    "Unreachable",
    "Unsupported",
]


class PaleBlueDotError(Exception):
    """Base of every error this collection raises.

    :param message: one sentence: what failed.
    :param code: snake_case name of the failure; the class has a default.
    :param host: the device or service it failed on.
    :param step: the step or phase of the operation.
    :param tried: the request or command, without secrets.
    :param answer: what came back, shortened.
    :param next: what the reader should do.
    :param retryable: whether trying the same again may succeed; the class has a default.
    :param details: machine-readable facts for the caller in Python, such as the service's problem document.
    """

    code: str = "error"
    retryable: bool = False
    _longest_answer: ClassVar[int] = 2000

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        host: str | None = None,
        step: str | None = None,
        tried: str | None = None,
        answer: str | None = None,
        next: str | None = None,
        retryable: bool | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        message = printable(message)
        super().__init__(message)
        self.message = message
        self.host = host
        self.step = step
        self.tried = tried
        self.answer = answer if answer is None else printable(str(answer)[: self._longest_answer])
        self.next = next
        self.details = details or {}
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of a module failure and of the step ledger."""
        return {
            "code": self.code,
            "message": self.message,
            "host": self.host,
            "step": self.step,
            "tried": self.tried,
            "answer": self.answer,
            "next": self.next,
            "retryable": self.retryable,
        }

    def __str__(self) -> str:
        text = self.message.rstrip(".")
        if self.host and self.host not in text:
            text = f"{self.host}: {text}"
        details = [f"{name}: {value}" for name, value in (("tried", self.tried), ("answer", self.answer)) if value]
        if details:
            text = f"{text} ({'; '.join(details)})"
        text += "."
        if self.next:
            text += f" {self.next}"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        # keyword-only arguments do not survive Exception's own pickling, and errors cross process pools
        return _rebuild, (type(self), {**self.as_dict(), "details": self.details})


def _rebuild(kind: type[PaleBlueDotError], fields: dict[str, Any]) -> PaleBlueDotError:
    return kind(**fields)


class AuthenticationError(PaleBlueDotError):
    """The device or service refused the credentials, or the account may not do this."""

    code = "authentication_failed"


class NotFound(PaleBlueDotError):
    """What was asked for does not exist there."""

    code = "not_found"


class Busy(PaleBlueDotError):
    """It is doing something else and will be free later."""

    code = "busy"
    retryable = True


class DeadlineExceeded(PaleBlueDotError):
    """The answer, or the state waited for, did not come within the time allowed."""

    code = "deadline_exceeded"
    retryable = True


class Unsupported(PaleBlueDotError):
    """The device does not offer this."""

    code = "unsupported"


class Conflict(PaleBlueDotError):
    """Somebody else changed or holds it."""

    code = "conflict"


class Unreachable(PaleBlueDotError):
    """No connection: refused, dropped, no route, name unknown, TLS not agreed."""

    code = "unreachable"
    retryable = True


class BadAnswer(PaleBlueDotError):
    """An answer came, and it makes no sense."""

    code = "bad_answer"
    retryable = True


class InvalidInput(PaleBlueDotError):
    """What was asked for is wrong in itself; nothing was sent."""

    code = "invalid_input"


class LicenceMissing(PaleBlueDotError):
    """The device wants a licence for this."""

    code = "licence_missing"
