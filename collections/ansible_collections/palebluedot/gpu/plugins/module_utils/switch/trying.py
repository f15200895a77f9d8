# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One operation over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Busy, Unreachable
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import Dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Session, session
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

T = TypeVar("T")

# A Set that got no answer may have been done or not: the state is read, and what is missing is written again.
_TRIES = 3


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
