# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One operation over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Busy,
    DeadlineExceeded,
    PaleBlueDotError,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import Dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Session, session
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

T = TypeVar("T")

# A Set that got no answer may have been done or not: the state is read, and what is missing is written again.
_TRIES = 3
# For how long a Set with an answer may look half done. What is read at one time is read by several requests, and a
# commit between them tears the picture: the port as it was, in a VLAN that is there already.
_TORN_S = 1.0


def attempts(params: dict[str, Any], spoken: Dialect, waiter: Waiter, attempt: Callable[[Session], T]) -> T:
    """Call ``attempt`` with a connected session, again when the switch was busy or the connection broke.

    It must be one that looks before it writes.
    """
    tried = 0
    while True:
        tried += 1
        try:
            with session(params, spoken) as opened:
                return attempt(opened)
        except (Busy, Unreachable) as problem:
            if not problem.retryable or tried >= _TRIES or not waiter.pause():
                raise
            notices.say(f"{params['switch_address']}: {problem.message}, trying again")


def settle(opened: Session, problem: PaleBlueDotError, look: Callable[[], tuple[bool, bool]]) -> tuple[bool, bool]:
    """What became of a Set that failed with ``problem``: ``look``, again while it may still change.

    A switch that went silent may still be at it, so it is given its time once more.

    :param look: whether all of it is done, and whether nothing of it is.
    """
    silent = isinstance(problem, DeadlineExceeded)
    patience = Waiter(opened.seconds if silent else _TORN_S, first_pause_s=0.2)
    while True:
        done, untouched = look()
        if done or (untouched and not silent) or not patience.pause():
            return done, untouched
