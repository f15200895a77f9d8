# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The import document, and what switches hear: the operation of ``fleet_import``."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import BASE
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

Json = dict[str, Any]

_MAC = re.compile(r"([0-9a-f]{2}[:.-]?){5}[0-9a-f]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}", re.I)
# Said in another shape by the record than by the document, or by nobody.
_NOT_COMPARED = frozenset({"name", "nics", "disks", "hardware_profile", "bmc_password", "bmc_username"})


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``fleet_import``: ``changed``, ``diff``, ``counts``, ``heard``."""
    document = {kind: params[kind] for kind in ("networks", "switches", "servers") if params[kind]}
    with client_from(params) as client:
        cabling = _cabling(client) if params["neighbors"] else None
        before = {str(row["name"]): _record(client, str(row["name"])) for row in params["servers"]}
        if check_mode:
            after: dict[str, Json | None] = {name: _expected(before[name], row) for name, row in _rows(params).items()}
            counts, heard = None, {}
            changed = any(after[name] != _shown(before[name], row) for name, row in _rows(params).items())
        else:
            counts = client.import_fleet(document) if document else {"created": {}, "updated": {}}
            heard = {str(each["switch"]): _hear(client, each) for each in params["neighbors"]}
            after = {name: _shown(_record(client, name), row) for name, row in _rows(params).items()}
            changed = any(sum(counts[kind].values()) for kind in ("created", "updated"))
            changed = changed or (cabling is not None and cabling != _cabling(client))
    shown = {name: _shown(before[name], row) for name, row in _rows(params).items()}
    differing = [name for name in after if after[name] != shown[name]]
    return {
        "changed": bool(changed),
        "counts": counts,
        "heard": heard,
        "diff": {
            "before": {name: shown[name] for name in differing},
            "after": {name: after[name] for name in differing},
        },
    }


def _rows(params: Json) -> dict[str, Json]:
    return {str(row["name"]): row for row in params["servers"]}


def _record(client: ServiceClient, name: str) -> Json | None:
    try:
        return client.server(name)
    except NotFound:
        return None


def _shown(server: Json | None, row: Json) -> Json | None:
    """What the record says of the fields that the row has."""
    if server is None:
        return None
    return {key: server.get(key) for key in row if key not in _NOT_COMPARED}


def _expected(server: Json | None, row: Json) -> Json:
    known = server or {}
    return {key: row[key] if row[key] is not None else known.get(key) for key in row if key not in _NOT_COMPARED}


def _cabling(client: ServiceClient) -> Any:
    """Which interface is at which switch port, by the record and by LLDP."""
    return client.request("GET", f"{BASE}/topology")["ports"]


def _hear(client: ServiceClient, each: Json) -> Json:
    """Tell the record who a switch hears: ``{stored, unknown_macs}``.

    A neighbour is known by the MAC address of its interface, which LLDP sends as the port's id or the chassis'.
    """
    ports = []
    for port in each["ports"]:
        ids = [neighbor.get(name) for neighbor in port.get("neighbors") or [] for name in ("port_id", "chassis_id")]
        macs = list(dict.fromkeys(str(id) for id in ids if id and _MAC.fullmatch(str(id))))
        if macs:
            ports.append({"interface": port["interface"], "macs": macs})
    path = f"{BASE}/switches/{quote(str(each['switch']), safe='')}/neighbors"
    answer: Json = client.request("PUT", path, body={"ports": ports})
    return answer
