"""``Prefer: wait=N`` (RFC 7240): a client waits here instead of polling."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

LONGEST_WAIT_S = 60
# 4 looks a second at most, and fewer the longer it takes: 0.25, 0.35, 0.49 … 1 s.
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 1.0
PAUSE_GROWTH = 1.4

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


class Waiters:
    """Bounds how many requests may wait at once, so that waiting never takes all threads from the others."""

    EXTENSION = "palebluedot-waiters"

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, most))
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End all waits: the service is about to stop."""
        self._stopping.set()

    def wait_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Ask ``done`` until it says yes, for at most ``seconds``; at once False when too many wait already."""
        if seconds <= 0 or not self._free.acquire(blocking=False):
            return False
        try:
            return self._poll(done, time.monotonic() + seconds)
        finally:
            self._free.release()

    def _poll(self, done: Callable[[], bool], deadline: float) -> bool:
        pause = FIRST_PAUSE_S
        while True:
            if done():
                return True
            left = deadline - time.monotonic()
            if left <= 0 or self._stopping.wait(min(pause, left)):
                return False
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)


def preferred_wait(prefer: str) -> int:
    """Seconds that a Prefer header asks to wait, at most `LONGEST_WAIT_S`; 0 when it says nothing about waiting (or
    nonsense: a preference that is not understood is ignored, RFC 7240, 2)."""
    match = _WAIT.search(prefer)
    return min(int(match.group(1)), LONGEST_WAIT_S) if match else 0
