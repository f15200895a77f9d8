# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``ipmi_raw``: one IPMI command as its bytes."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

# IPMI 2.0: network functions are even for requests and have 6 bits (5.1); a LAN message holds at most this much data.
_LARGEST_NETFN = 0x3E
_LONGEST_DATA = 200


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Send the command, once. Check mode sends nothing."""
    netfn, command, data = params["netfn"], params["command"], list(params.get("data") or [])
    request = " ".join(f"{byte:02x}" for byte in (netfn, command, *data)) if _fits(netfn, command, data) else None
    if request is None:
        raise InvalidInput(
            "this is no IPMI request",
            tried=f"netfn {netfn}, command {command}, data {data}",
            answer="nothing was sent",
            next=f"A network function is even and at most {_LARGEST_NETFN}; command and data are bytes, "
            f"at most {_LONGEST_DATA} of them.",
        )
    code: int | None = None
    received: list[int] | None = None
    if not check_mode:
        if params.get("bmc_protocol") in (None, "auto"):
            params = {**params, "bmc_protocol": "ipmi", "bmc_port": None}  # the port is the Redfish service's then
        with open_bmc(params) as bmc:
            ipmi: IpmiBmc = bmc.facet(ipmi=lambda client: client)
            answer = ipmi.ask("set_raw", netfn=netfn, number=command, data=data)
            code, received = int(answer["code"]), list(answer["data"])
            if code not in params["accept"]:
                raise Refused(
                    "the BMC did not carry out the IPMI command",
                    code="completion_code",
                    host=bmc.host,
                    tried=f"IPMI {request}",
                    answer=f"completion code 0x{code:02x}: {answer['text'] or 'no explanation'}",
                    next="See table 5-2 of the IPMI specification; add the code to accept where it is no failure.",
                )
    return {
        "changed": True,
        "code": code,
        "data": received,
        "hex": None if received is None else " ".join(f"{byte:02x}" for byte in received),
        "diff": {"before": {}, "after": {"request": request}},
    }


def _fits(netfn: int, command: int, data: list[int]) -> bool:
    return (
        0 <= netfn <= _LARGEST_NETFN
        and netfn % 2 == 0
        and all(0 <= byte <= 0xFF for byte in (command, *data))
        and len(data) <= _LONGEST_DATA
    )
