# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``hardware_profile``: firmware, BIOS, boot order, volumes and BMC settings as one wanted state.

Everything is compared and checked first, against what the machine itself says that it takes. Then all of it is written,
and at most one restart makes it hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc, PowerAction, PowerState, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.parts import Part, parts_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.restarted import about, read_back
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, PaleBlueDotError


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the machine to the profile."""
    started = time.monotonic()
    seconds = float(params["wait_timeout"])

    def left() -> float:
        return max(seconds - (time.monotonic() - started), 1.0)

    with open_bmc(params) as bmc:
        parts = parts_of(bmc, params)
        plan(bmc, parts)
        waiting = any(part.waits for part in parts)
        restarts = waiting and params["reboot"] == "if_needed"
        if restarts:
            bmc.check_power(_restart_by(parts))
        drift = {part.name: part.drift for part in parts if part.drift}
        diff = {
            "before": {part.name: part.before for part in parts},
            "after": {part.name: part.after for part in parts},
        }
        changed = any(part.changed for part in parts)
        tasks: dict[str, Task | None] = {}
        if not check_mode:
            for part in parts:
                if part.changed:
                    with about(part.name):
                        part.apply(left)
            restarted = restart(bmc, parts, left, bool(params["wait"])) if restarts else None
            tasks = {**{part.name: part.task for part in parts}, "restart": restarted}
            diff["after"] = {part.name: part.after for part in parts}
    return {
        "changed": changed or restarts,
        "drift": drift,
        "rebooted": restarts,
        "reboot_required": waiting and not restarts,
        "tasks": {name: asdict(task) for name, task in tasks.items() if task is not None},
        "diff": diff,
    }


def plan(bmc: Bmc, parts: Sequence[Part]) -> None:
    """Compare and check all parts. What is wrong with several of them is told at once, so that one round mends it."""
    problems: dict[str, PaleBlueDotError] = {}
    for part in parts:
        try:
            with about(part.name):
                part.plan()
        except PaleBlueDotError as problem:
            if problem.retryable:
                raise  # the BMC and not the profile
            problems[part.name] = problem
    if len(problems) == 1:
        raise next(iter(problems.values()))
    if problems:
        raise InvalidInput(
            "the machine does not take this profile; nothing was written",
            code="profile_refused",
            host=bmc.host,
            tried=", ".join(problems),
            answer="; ".join(f"{name}: {problem.message}" for name, problem in problems.items()),
            next=" ".join(dict.fromkeys(problem.next for problem in problems.values() if problem.next)),
            details={"problems": {name: problem.as_dict() for name, problem in problems.items()}},
        )


def _restart_by(parts: Sequence[Part]) -> PowerAction:
    cycles = any(part.waits and part.power_cycle for part in parts)
    return PowerAction.CYCLE if cycles else PowerAction.RESET


def restart(bmc: Bmc, parts: Sequence[Part], left: Callable[[], float], waits: bool) -> Task | None:
    """One restart, then read back. A server that was off is switched on for it, and off again.

    :returns: the BMC's task for the restart.
    """
    was_on = bmc.power_state() is not PowerState.OFF
    action = _restart_by(parts) if was_on else PowerAction.ON
    with about("restart"):
        task = bmc.set_power(action, wait_timeout=left() if waits else None)
    if not waits:
        return task
    for part in parts:
        if part.waits or part.changed:
            with about(part.name):
                part.finish(left)
    read_back(bmc.host, {part.name: part.holds for part in parts}, left())
    if not was_on:
        with about("restart"):
            bmc.set_power(PowerAction.OFF, wait_timeout=left())
    return task
