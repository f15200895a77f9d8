# SPDX-License-Identifier: Apache-2.0
"""What a supervisor asks of the record."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from scheduler.events import Row
from scheduler.jobs import Outcome


class Answer(NamedTuple):
    """The answer to a heartbeat: go on, or stop for `reason`."""

    run: bool
    reason: str | None = None


class Record(Protocol):
    """The record as one job sees it. Every call may raise when the database is away."""

    def heartbeat(self) -> Answer: ...

    def store_events(self, rows: list[Row]) -> None: ...

    def surrender(self, outcome: Outcome, error: dict[str, Any] | None) -> None: ...
