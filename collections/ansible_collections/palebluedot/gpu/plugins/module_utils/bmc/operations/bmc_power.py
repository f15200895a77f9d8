# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_power``: bring a server's power to a state, and see it there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, PowerAction, PowerState, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

_REACHES = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.GRACEFUL: PowerState.OFF,
    PowerAction.CYCLE: PowerState.ON,
    PowerAction.RESET: PowerState.ON,
}
# These are about what happens on the way, not about the state at the end: they always change something.
_ALWAYS = (PowerAction.CYCLE, PowerAction.RESET, PowerAction.AC_CYCLE)
# A worker that sleeps longer than this is taken for one that hangs.
_LONGEST_STAGGER_S = 3600.0


def run(
    params: dict[str, Any],
    check_mode: bool,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Carry out ``state``; a server that is in the state already is left alone, and waits for no turn."""
    action = PowerAction(params["state"])
    turn = _turn(params)
    task: Task | None = None
    with open_bmc(params) as bmc:
        before = bmc.power_state()
        reaches = _REACHES.get(action, before)
        changed = action in _ALWAYS or before is not reaches
        after = shown = reaches if changed else before
        if changed and check_mode:
            bmc.check_power(action)
    waited = 0.0
    if changed and not check_mode:
        waited = _wait_for_turn(params, turn, now, sleep)
        # A new session: while waiting for its turn a session would run out.
        with open_bmc(params) as bmc:
            wait_timeout = float(params["wait_timeout"]) if params["wait"] else None
            try:
                task = bmc.set_power(action, wait_timeout=wait_timeout)
            except AnswerLost as lost:
                # whoever tries again reads the state first; a restart that may have been must not be made twice
                lost.retryable = action not in _ALWAYS
                raise
            if wait_timeout is None or action is PowerAction.AC_CYCLE:
                after = bmc.power_state()
            if wait_timeout is not None:
                shown = after
    before_name = before.value if before else None
    after_name, shown_name = (state.value if state else None for state in (after, shown))
    return {
        "changed": changed,
        "power_state": after_name,
        "task": asdict(task) if task else None,
        "staggered_s": round(waited, 3),
        "diff": {
            "before": {"power_state": before_name},
            "after": {"power_state": shown_name, **({"by": action.value} if changed and action in _ALWAYS else {})},
        },
    }


def _turn(params: dict[str, Any]) -> int:
    """Which place the server's group has among all groups, from 0."""
    every = float(params.get("stagger_s") or 0)
    group = params.get("stagger_group")
    groups = [str(name) for name in dict.fromkeys(params.get("stagger_groups") or [])]
    problem = None
    if every < 0 or every * max(len(groups) - 1, 0) > _LONGEST_STAGGER_S:
        problem = f"the last of {len(groups)} groups would start after {every * (len(groups) - 1):g} s"
    elif every and group is not None and str(group) not in groups:
        problem = f"group {group} is not among {', '.join(groups) or 'none'}"
    if problem:
        raise InvalidInput(
            "the groups cannot be started one after another",
            tried=f"stagger_s={every:g}, stagger_group={group}",
            answer=problem,
            next=f"Name every group in stagger_groups; all of them start within {_LONGEST_STAGGER_S:g} s.",
        )
    return groups.index(str(group)) if every and group is not None else 0


def _wait_for_turn(
    params: dict[str, Any], turn: int, now: Callable[[], float], sleep: Callable[[float], None]
) -> float:
    """Sleep until it is the group's turn; the seconds slept."""
    delay = turn * float(params.get("stagger_s") or 0)
    started = params.get("stagger_from")
    if started is not None:
        # at most the delay itself: the clock of who said when it began may be ahead of ours
        delay = min(delay, float(started) + delay - now())
    if delay <= 0:
        return 0.0
    sleep(delay)
    return delay
