# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A BMC that says "not now": asked again with growing pauses, for as long as there is time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

T = TypeVar("T")


def patiently(
    send: Callable[[], T], for_now: Callable[[PaleBlueDotError], bool], seconds: float, sleep: Callable[[float], None]
) -> T:
    """Send until it is answered with something else than "not now", or the time is over.

    :param for_now: whether a refusal is one for now, after which nothing can have happened.
    """
    waiter = Waiter(seconds, first_pause_s=0.5, longest_pause_s=15.0, growth=2.0, sleep=sleep)
    while True:
        try:
            return send()
        except PaleBlueDotError as problem:
            asked = float(problem.details.get("retry_after") or 0)
            # a BMC that names a time is not asked before it
            if not for_now(problem) or waiter.left <= asked or not waiter.pause(asked):
                raise
