"""How the command line says what went wrong, and with which exit code.

| code | meaning |
|---|---|
| 0 | done |
| 1 | refused or failed; the message says why and what to do |
| 2 | wrong usage of the command line |
| 3 | nobody answered: service, database or lab not reachable |
| 4 | not allowed: no token, a token that is not valid, or a role that may not do this |
| 130 | interrupted |
"""

from __future__ import annotations

import sys
from typing import IO, Any

import click
from rich.console import Console
from rich.text import Text

EXIT_FAILED = 1
EXIT_UNREACHABLE = 3
EXIT_NOT_ALLOWED = 4
EXIT_INTERRUPTED = 130

_UNREACHABLE_STATUS = {429, 502, 503, 504}
_NOT_ALLOWED_STATUS = {401, 403}
_UNREACHABLE_CODES = {"busy", "deadline_exceeded", "unavailable", "unreachable"}
_NOT_ALLOWED_CODES = {"authentication_failed", "forbidden", "unauthenticated"}


class Problem(click.ClickException):
    """A failure as people read it: what, what was tried, what came back, what to do next.

    :param code: snake_case name of the failure, as the service and the collection use it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        host: str | None = None,
        step: str | None = None,
        tried: str | None = None,
        answer: str | None = None,
        next: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.host = host
        self.step = step
        self.tried = tried
        self.answer = answer
        self.next = next
        if exit_code is None:
            exit_code = EXIT_FAILED
            if code in _UNREACHABLE_CODES:
                exit_code = EXIT_UNREACHABLE
            elif code in _NOT_ALLOWED_CODES:
                exit_code = EXIT_NOT_ALLOWED
        self.exit_code = exit_code  # type: ignore[misc]  # click has it per class, we per failure

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """The same for an error of the record, the service's client or the lab, which carry the same fields."""

        def text(name: str) -> str | None:
            value = getattr(error, name, None)
            return None if value in (None, "") else str(value)

        # the record's errors have a status, the client's have the one that came back
        status = getattr(error, "status", None) or getattr(error, "details", {}).get("status")
        exit_code = None
        if status in _NOT_ALLOWED_STATUS:
            exit_code = EXIT_NOT_ALLOWED
        elif status in _UNREACHABLE_STATUS:
            exit_code = EXIT_UNREACHABLE
        return cls(
            text("message") or str(error) or type(error).__name__,
            code=text("code") or "failed",
            host=text("host"),
            step=text("step"),
            tried=text("tried"),
            answer=text("answer"),
            next=text("next"),
            exit_code=exit_code,
        )

    def show(self, file: IO[Any] | None = None) -> None:
        # the caller's own stream, so that click's test runner sees it too
        console = Console(file=file or sys.stderr, highlight=False)
        console.print(Text.assemble(("error: ", "bold red"), self.message), soft_wrap=True)
        for name in ("host", "step", "tried", "answer", "next"):
            if value := getattr(self, name):
                console.print(Text.assemble((f"  {name + ':':8}", "dim"), value), soft_wrap=True)
