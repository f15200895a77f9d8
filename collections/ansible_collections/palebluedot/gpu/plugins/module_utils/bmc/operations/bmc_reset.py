# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_reset``: restart the BMC, and see it go and come back."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.manager import Manager, ManagerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.manager import IpmiManager
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.manager import RedfishManager


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restart the BMC; with ``wait``, return when it answers to a new login."""
    task: Task | None = None
    away_s: float | None = None
    with open_bmc(params) as bmc:
        manager: Manager = bmc.facet(redfish=RedfishManager, ipmi=IpmiManager)
        before = manager.state()
        kind, word = manager.choose(params.get("kind"))
        after = before
        if not check_mode:
            try:
                task = manager.reset(word)
            except AnswerLost:
                if not params["wait"]:
                    raise
                # a BMC may be gone before it has answered; whether it is, is seen below
            if params["wait"]:
                after, away_s = _wait(manager, Deadline(float(params["wait_timeout"])))
    return {
        "changed": True,
        "manager": {**after.as_dict(), "reset": word, "away_s": away_s},
        "task": asdict(task) if task else None,
        "diff": {"before": {"manager": before.id}, "after": {"manager": before.id, "by": kind}},
    }


def _wait(manager: Manager, patience: Deadline) -> tuple[ManagerState, float]:
    """The BMC's state when it is back, and the seconds from when it was missed until then."""
    missed, _last = wait_until(manager.gone, bool, patience.remaining())
    if not missed:
        raise manager.late(
            patience.seconds, "the BMC took the order to restart and was never away", "it answers on", code="never_away"
        )
    since = time.monotonic()
    returned, state = wait_until(manager.back, lambda found: found is not None, patience.remaining())
    if not returned or state is None:
        raise manager.late(patience.seconds, "the BMC went away to restart and has not come back", "no answer yet")
    return state, round(time.monotonic() - since, 1)
