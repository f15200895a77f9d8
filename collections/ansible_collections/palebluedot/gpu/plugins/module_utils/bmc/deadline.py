# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""How long an operation may take in all, and the one way of waiting for a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

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
    deadline: Deadline,
    *,
    first: float = 0.1,
    longest: float = 3.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[bool, T | None]:
    """Read until ``done`` says so or the deadline passes; the pauses grow from ``first`` to ``longest`` seconds.

    A BMC that is busy or restarting while we wait is part of waiting: retryable errors are read over, unless the last
    read before the deadline raised one and nothing was ever read.

    :returns: whether it was done, and the last value read.
    """
    pause = first
    last: T | None = None
    problem: PaleBlueDotError | None = None
    while True:
        try:
            last = read()
            problem = None
            if done(last):
                return True, last
        except PaleBlueDotError as error:
            if not error.retryable:
                raise
            problem = error
        left = deadline.remaining()
        if left <= 0:
            if problem is not None and last is None:
                raise problem
            return False, last
        sleep(min(pause, left))
        pause = min(pause * 1.6, longest)
