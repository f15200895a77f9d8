# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``firmware_info``: what firmware is on a machine."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.firmware import RedfishFirmware


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read the components, or those that ``targets`` names."""
    with open_bmc(params) as bmc:
        found = bmc.facet(redfish=RedfishFirmware).components(params.get("targets") or None)
    return {"changed": False, "firmware": [component.as_dict() for component in found]}
