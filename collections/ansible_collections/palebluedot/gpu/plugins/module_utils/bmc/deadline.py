# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""How long an operation may take in all, and the one way of waiting for a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

T = TypeVar("T")


class Deadline:
    """A point in monotonic time that everything inside one operation has to respect.

    :param seconds: time allowed from now.
    :param clock: seconds that only rise; tests pass their own.
    """

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        return self._clock() >= self._end

    def within(self, seconds: float) -> Deadline:
        """A deadline that ends after ``seconds`` or with this one, whichever comes first."""
        return Deadline(min(seconds, self.remaining()), self._clock)


def wait_until(
    read: Callable[[], T],
    done: Callable[[T], bool],
    seconds: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[bool, T]:
    """Read until ``done`` says so or the time is over.

    A BMC that is busy or restarting while we wait is part of waiting: retryable errors are read over, unless nothing
    but errors ever came.

    :returns: whether it was done, and the last value read.
    """
    waiter = Waiter(seconds, first_pause_s=0.1, longest_pause_s=3.0, growth=1.6, sleep=sleep)
    seen: list[T] = []
    while True:
        problem: PaleBlueDotError | None = None
        try:
            seen = [read()]
            if done(seen[0]):
                return True, seen[0]
        except PaleBlueDotError as error:
            if not error.retryable:
                raise
            problem = error
        if not waiter.pause():
            if problem is not None and not seen:
                raise problem
            return False, seen[0]
