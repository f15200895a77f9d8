# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The one waiter: back-off with jitter under a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Waiter:
    """Paces the polls of one wait.

    ::

        waiter = Waiter(600)
        while not done():
            if not waiter.pause():
                raise DeadlineExceeded(...)

    :param seconds: how long the whole wait may take.
    :param first_pause_s: the first pause; each further one is ``growth`` times as long, up to ``longest_pause_s``.
    """

    def __init__(
        self,
        seconds: float,
        *,
        first_pause_s: float = 0.5,
        longest_pause_s: float = 10.0,
        growth: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pause = first_pause_s
        self._longest = longest_pause_s
        self._growth = growth
        self._started = clock()
        self._deadline = self._started + seconds

    @property
    def waited(self) -> float:
        """Seconds since the wait began."""
        return self._clock() - self._started

    @property
    def left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self._deadline - self._clock())

    def pause(self, at_least: float = 0.0, *, whole: bool = False) -> bool:
        """Sleep until the next poll; False, at once, when the deadline has passed.

        The last pause is cut short, so that a poll is made at the deadline itself.

        :param at_least: seconds that the other side asked for.
        :param whole: rather give up, at once, than cut a pause short: for who could not do anything at the deadline.
        """
        left = self.left
        if left <= 0:
            return False
        # A fifth of jitter keeps a thousand workers that started together from polling together.
        pause = max(self._pause * random.uniform(0.8, 1.2), at_least)  # noqa: S311
        if whole and pause >= left:
            return False
        self._sleep(min(pause, left))
        self._pause = min(self._longest, self._pause * self._growth)
        return True
