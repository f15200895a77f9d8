# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What connects the GPUs: a manager that is down leaves each of them healthy, and none reaches another over NVLink."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Finding
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.registry import Reader
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, leaf, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import Profile

# Resource.Status (DSP0268). The other states are those of one that is starting or waits to be started.
_DOWN = ("Absent", "Disabled", "UnavailableOffline")


def findings(reader: Reader, profile: Profile, deadline: Deadline) -> list[Finding]:
    """``fabric_manager_down`` for each fabric manager that the BMC shows and that does not do its work."""
    found = []
    for path in profile.fabric_managers:
        status = dig(reader.get_optional(path, deadline), "Status")
        state, health = text(dig(status, "State")), text(dig(status, "Health"))
        if state in _DOWN or health in ("Warning", "Critical"):
            told = f"{leaf(path)} is {state or 'in an unknown state'}, its health {health or 'unknown'}"
            found.append(Finding("fabric_manager_down", leaf(path), told))
    return found
