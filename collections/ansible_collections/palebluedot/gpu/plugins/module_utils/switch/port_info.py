# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What the ports of a switch are in, who is there and how they do: the operation of ``switch_port_info``."""

from __future__ import annotations

import re

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import Json, PortInfo
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.openconfig import is_in
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Reading
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.port import mac_digits
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.trying import attempts
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``switch_port_info``: ``ports``."""
    spoken = dialect(params["switch_dialect"])
    asked = params.get("interfaces")
    names = [spoken.interface(name) for name in asked] if asked else None
    waiter = Waiter(float(params["switch_timeout"]), first_pause_s=0.2)
    heard = [spoken.all_neighbors()] if names is None else [spoken.neighbors(name) for name in names]
    readings: list[Reading] = [spoken.ports(names), spoken.macs(), *heard]
    ports, macs, *neighbors = attempts(params, spoken, waiter, lambda opened: opened.read(*readings))
    if names is None:
        by_port: dict[str, list[Json]] = neighbors[0]
    else:
        by_port = dict(zip(names, neighbors, strict=True))
        missing = sorted(set(names) - {port.interface for port in ports})
        if missing:
            raise NotFound(
                f"the switch has no interface {', '.join(missing)}",
                code="interface_missing",
                host=params["switch_address"],
                tried=f"Get {', '.join(query.path for query in readings[0].queries)}",
                next="Check the interface's name as the switch spells it.",
            )
    return {"changed": False, "ports": [_shown(port, by_port.get(port.interface, []), macs) for port in ports]}


def _shown(port: PortInfo, neighbors: list[Json], macs: list[tuple[str, str, int | None]]) -> Json:
    vlans = port.vlans.shown()
    return {
        "interface": port.interface,
        "mode": vlans["mode"],
        "vlan": vlans["vlan"],
        "trunk_vlans": vlans.get("trunk_vlans", []),
        "admin_status": port.admin_status,
        "oper_status": port.oper_status,
        "counters": port.counters,
        "neighbors": neighbors,
        "macs": [
            {"mac": _mac(address), "vlan": vlan, "stale": vlan is not None and not is_in(port.vlans, vlan)}
            for interface, address, vlan in macs
            if interface == port.interface
        ],
    }


def _mac(address: str) -> str:
    digits = mac_digits(address)
    return ":".join(re.findall("..", digits)) if digits else address
