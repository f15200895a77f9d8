# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_log_info``: what a BMC has logged, since the last time."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.logs import LOGS, LogPage
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.logs import IpmiLogs
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.logs import RedfishLogs
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read each log in one session. It only reads, so check mode is no different."""
    cursor = {name: str(id) for name, id in (params.get("cursor") or {}).items() if id is not None}
    unknown = sorted(set(cursor) - set(LOGS))
    if unknown or params["limit"] < 1:
        raise InvalidInput(
            f"there is no log {unknown[0]}" if unknown else "limit is at least 1",
            tried=f"cursor {cursor}, limit {params['limit']}",
            answer="nothing was sent",
            next=f"The logs are {', '.join(LOGS)}.",
        )
    wanted = list(dict.fromkeys(params["logs"]))
    with open_bmc(params) as bmc:
        logs = bmc.facet(redfish=RedfishLogs, ipmi=IpmiLogs)
        pages: list[LogPage] = [logs.read(name, cursor.get(name), params["limit"]) for name in wanted]
    return {
        "changed": False,
        "entries": [entry.as_dict() for page in pages for entry in page.entries],
        "cursor": {**cursor, **{page.log: page.cursor for page in pages}},
        "logs": {page.log: page.summary() for page in pages},
    }
