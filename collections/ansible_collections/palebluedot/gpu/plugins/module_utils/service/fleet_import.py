# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The import document: the operation of ``fleet_import``."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

Json = dict[str, Any]

# Said in another shape by the record than by the document, or by nobody.
_NOT_COMPARED = frozenset({"name", "nics", "disks", "hardware_profile", "bmc_password", "bmc_username"})


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``fleet_import``: ``changed``, ``diff``, ``counts``, ``servers``."""
    document = {kind: params[kind] for kind in ("networks", "switches", "servers") if params[kind]}
    with client_from(params) as client:
        before = {str(row["name"]): _record(client, str(row["name"])) for row in params["servers"]}
        if check_mode:
            after: dict[str, Json | None] = {name: _expected(before[name], row) for name, row in _rows(params).items()}
            counts = None
            changed = any(after[name] != _shown(before[name], row) for name, row in _rows(params).items())
        else:
            counts = client.import_fleet(document)
            after = {name: _shown(_record(client, name), row) for name, row in _rows(params).items()}
            changed = any(counts[kind] for kind in ("created", "updated"))
    shown = {name: _shown(before[name], row) for name, row in _rows(params).items()}
    differing = [name for name in after if after[name] != shown[name]]
    return {
        "changed": bool(changed),
        "counts": counts,
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
