# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_discover``: which BMCs answer in ranges and lists of addresses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.discovery.scan import scan
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.discovery.targets import targets
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Ask every address once; it only reads, and logs in nowhere."""
    concurrency, timeout = int(params["concurrency"]), float(params["timeout"])
    if concurrency < 1 or timeout <= 0:
        raise InvalidInput("concurrency must be at least 1, and timeout more than 0", next="Correct the option.")
    asked = targets(
        params["ranges"], params["addresses"], params["ports"], public=params["public"], limit=params["limit"]
    )
    if not asked:
        raise InvalidInput("there is no address to ask", next="Give ranges or addresses.")
    result = scan(
        asked,
        concurrency=concurrency,
        timeout=timeout,
        ipmi_port=params["ipmi_port"] if params["ipmi"] else None,
    )
    return {
        "changed": False,
        "found": [found.as_dict() for found in result.found],
        "others": [asdict(other) for other in result.others],
        "counts": result.counts,
    }
