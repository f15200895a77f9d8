# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_info``."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import SUBSETS
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read what ``subset`` asks for."""
    with open_bmc(params) as bmc:
        found = bmc.info(params.get("subset") or SUBSETS)
    return {"changed": False, "bmc": found.as_dict()}
