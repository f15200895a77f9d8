# SPDX-License-Identifier: Apache-2.0
"""Ansible's events on their way to the record.

They decorate the step ledger, which the playbook itself writes. So they may be late or lost; they may not slow a
playbook down or fail it. ansible-runner calls the handler inside its read loop: an exception there hangs the run, a
slow handler loses events. The handler therefore only enqueues, and a thread writes in bulk (the shape of AWX's
callback writer).
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

Row = dict[str, Any]

BATCH = 1000
INTERVAL_S = 1.0
QUEUE_LIMIT = 20_000  # an hour of a busy playbook; beyond it events are counted and dropped
STDOUT_LIMIT = 2048  # characters
TEXT_LIMIT = 1024  # characters of any other text
HOST_LIMIT, TASK_LIMIT = 128, 255  # the record's columns
DATA_LIMIT = 16_384  # characters of one row's data as JSON
HIDDEN = "********"

#: of ansible-runner's events, those that say something to a person who watches
_WANTED = re.compile(r"^(playbook_on_(start|play_start|task_start|stats)|runner_(on_\w+|retry)|verbose|warning|error)$")
_UNWANTED = {"runner_on_start"}  # one per host and task, and playbook_on_task_start said it
_SECRET_NAME = re.compile(r"passw|secret|token|credential|private_?key|authorization|api_?key", re.IGNORECASE)


class Mask:
    """Hides known secret values in text, and the values of keys that are named like secrets."""

    def __init__(self, *secrets: str) -> None:
        known = sorted(filter(None, secrets), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, value: str, limit: int = TEXT_LIMIT) -> str:
        masked = self._known.sub(HIDDEN, value) if self._known else value
        return masked if len(masked) <= limit else masked[: limit - 1] + "…"

    def value(self, value: Any, depth: int = 4) -> Any:
        """A JSON value without secrets, not deeper than `depth`, no list longer than 50."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool | int | float) or value is None:
            return value
        if depth == 0:
            return "…"
        if isinstance(value, Mapping):
            return {
                str(name): HIDDEN if item and _SECRET_NAME.search(str(name)) else self.value(item, depth - 1)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item, depth - 1) for item in value[:50]]
        return self.text(str(value))


def row_of(event: Mapping[str, Any], mask: Mask) -> Row | None:
    """The row for one event of ansible-runner, or None for one that nobody misses.

    Only named fields are taken: `task_args` and results at large may hold secrets.
    """
    kind = str(event.get("event", ""))
    stdout = str(event.get("stdout", ""))
    if kind in _UNWANTED or not _WANTED.match(kind) or (kind == "verbose" and not stdout.strip()):
        return None
    data = event.get("event_data") or {}
    result: Any = data.get("res")
    if not isinstance(result, dict):
        result = {}
    detail = {
        name: mask.value(data[name])
        for name in ("play", "role", "task_action", "duration", "ignore_errors", "changed", "failures", "dark", "ok")
        if data.get(name) not in (None, "", {})
    }
    if result.get("changed") is not None:
        detail["changed"] = bool(result["changed"])
    if "failed" in kind or "unreachable" in kind or kind == "runner_retry":
        detail["error"] = mask.value(
            result.get("error") or result.get("msg") or result.get("exception") or "no message"
        )
        if len(as_text := json.dumps(detail["error"])) > DATA_LIMIT:
            detail["error"] = as_text[:TEXT_LIMIT] + "…"
    if stdout:
        detail["stdout"] = mask.text(stdout, STDOUT_LIMIT)
    return {
        "counter": int(event.get("counter", 0)),
        "event": kind,
        "host": mask.text(str(data.get("host") or ""), HOST_LIMIT) or None,
        "task": mask.text(str(data.get("task") or data.get("name") or ""), TASK_LIMIT) or None,
        "data": detail,
    }


class EventWriter:
    """A bounded queue and the thread that empties it into `store` (a list of rows each call).

    `store` may raise: the batch is tried again with the next one, up to the queue's limit, and then dropped.
    """

    def __init__(self, store: Callable[[list[Row]], None], mask: Mask, interval_s: float = INTERVAL_S) -> None:
        self._store = store
        self._mask = mask
        self._interval_s = interval_s
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(QUEUE_LIMIT)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="events", daemon=True)
        self._pending: list[Row] = []
        self.dropped = 0
        self.last_failure: Row | None = None  # what a failed job most likely failed of
        self.tail: collections.deque[str] = collections.deque(maxlen=20)  # output outside of any task: a syntax error

    def handle(self, event: Mapping[str, Any]) -> bool:
        """ansible-runner's event handler: never raises, never waits; False means "write no file"."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1
        return False

    def start(self) -> None:
        self._thread.start()

    def close(self, limit_s: float) -> None:
        """Write what is queued, for at most `limit_s` seconds."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the writer
        if self._thread.is_alive():
            self._thread.join(limit_s)
        left = self._queue.qsize() + len(self._pending) + self.dropped
        if left:
            log.warning("%d events of this job were not stored; the step ledger is not affected", left)

    def _write(self) -> None:
        while True:
            last = self._closing.is_set()
            self._take(0.0 if last else self._interval_s)
            if self._pending:
                self._flush()
            if last and self._queue.empty():
                return

    def _take(self, wait_s: float) -> None:
        """Collect rows for `wait_s` seconds, until the batch is full, or until the job ends."""
        until = time.monotonic() + wait_s
        while len(self._pending) < BATCH:
            try:
                event = self._queue.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty:
                return
            if event is None:
                return
            if (row := row_of(event, self._mask)) is not None:
                self._pending.append(row)
                self._remember(row)

    def _remember(self, row: Row) -> None:
        if row["event"] == "verbose":
            self.tail.append(row["data"]["stdout"])
        elif "error" in row["data"] and not row["data"].get("ignore_errors") and row["event"] != "runner_retry":
            self.last_failure = row

    def _flush(self) -> None:
        try:
            self._store(self._pending)
        except Exception as error:
            log.warning("storing %d events: %s", len(self._pending), error)
            if len(self._pending) < BATCH:
                return  # again with the next batch
            self.dropped += len(self._pending)
        self._pending = []
