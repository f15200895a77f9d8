# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Telling a BMC that is away from one that was slow once."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Busy,
    DeadlineExceeded,
    PaleBlueDotError,
)

# So many looks in a row, or seconds, without an answer are more than a BMC that is busy.
_LOOKS, _SECONDS = 3, 10.0


def is_slow(problem: PaleBlueDotError) -> bool:
    """Whether a BMC that is only busy may look like this: a timeout, 503, a stumble."""
    return isinstance(problem, DeadlineExceeded | Busy | BadAnswer) or problem.code == "connect_timeout"


class Silence:
    """Looks in a row that got no answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks = 0
        self._since = 0.0

    def goes_on(self, since: float) -> bool:
        """One more look without an answer: whether it has been silent for too long to be only slow.

        :param since: when this look began.
        """
        if not self._looks:
            self._since = since
        self._looks += 1
        return self._looks >= _LOOKS or self._clock() - self._since >= _SECONDS

    def ends(self) -> None:
        """It has answered."""
        self._looks = 0
