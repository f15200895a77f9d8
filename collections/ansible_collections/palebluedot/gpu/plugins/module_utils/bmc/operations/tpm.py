# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``tpm``: enable or clear the TPM at the next boot."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bios_attributes import plan_bios, stage
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tpm import RedfishTpm


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Stage the vendor's attributes, unless the next boot would bring the state anyway."""
    task: Task | None = None
    with open_bmc(params) as bmc:
        tpm = bmc.facet(redfish=RedfishTpm)
        plan = plan_bios(bmc, tpm.attributes(params["state"]))
        current = plan.current
        if plan.differing and not check_mode:
            task, bios = stage(bmc, plan, apply_time="on_reset")
            current = {name: bios.current.get(name) for name in plan.wanted}
        module = tpm.module()
    pending = {name: value for name, value in plan.wanted.items() if current[name] != value}
    shown = module.as_dict() if module else {"interface": None, "firmware_version": None, "status": None}
    return {
        "changed": bool(plan.differing),
        "tpm": {**shown, "pending": pending},
        "reboot_required": bool(pending),
        "task": asdict(task) if task else None,
        "diff": {"before": {"attributes": dict(plan.before)}, "after": {"attributes": dict(plan.wanted)}},
    }
