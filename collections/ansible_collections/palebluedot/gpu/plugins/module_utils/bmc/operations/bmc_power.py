# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_power``: bring a server's power to a state, and see it there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import PowerAction, PowerState, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc

_REACHES = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.GRACEFUL: PowerState.OFF,
    PowerAction.CYCLE: PowerState.ON,
    PowerAction.RESET: PowerState.ON,
}
# These are about what happens on the way, not about the state at the end: they always change something.
_ALWAYS = (PowerAction.CYCLE, PowerAction.RESET)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Carry out ``state``; a server that is in the state already is left alone."""
    action = PowerAction(params["state"])
    reaches = _REACHES[action]
    task: Task | None = None
    with open_bmc(params) as bmc:
        before = bmc.power_state()
        changed = action in _ALWAYS or before is not reaches
        after: PowerState | None = reaches if changed else before
        if changed and not check_mode:
            wait_timeout = float(params["wait_timeout"]) if params["wait"] else None
            task = bmc.set_power(action, wait_timeout=wait_timeout)
            if wait_timeout is None:
                after = bmc.power_state()
    before_name = before.value if before else None
    after_name = after.value if after else None
    return {
        "changed": changed,
        "power_state": after_name,
        "task": asdict(task) if task else None,
        "diff": {
            "before": {"power_state": before_name},
            "after": {"power_state": after_name, **({"by": action.value} if changed and action in _ALWAYS else {})},
        },
    }
