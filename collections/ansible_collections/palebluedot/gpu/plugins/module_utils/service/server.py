# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A server's record: the operation of ``server``."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.service import claimant as claimants
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

Json = dict[str, Any]

# Moves with every write, and says nothing about the machine.
_RESTLESS = frozenset({"updated_at", "state_since"})
# Facts of ``bmc_info`` that the record keeps under another name.
_RENAMED = {"protocol": "bmc_protocol"}
# How the playbooks say which of their runs keeps hands off a server: "power.yml (<run>) switches it".
_RUN = re.compile(r"\S+ \(([^\s()]+)\) ")
_EXTERNAL = "external:"


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``server``: ``changed``, ``diff``, ``server``, ``run``, ``workflow_id``."""
    me = (params.get("claimant") or str(claimants.claimant_of(os.getppid()))).removeprefix(_EXTERNAL)
    with client_from(params) as client:
        before = client.server(params["name"])
        if check_mode:
            after, workflow_id = _predict(before, params), None
        else:
            after, workflow_id = _apply(client, before, params)
        freeze = client.freeze()
    changed = sorted(
        name for name in before.keys() | after.keys() if name not in _RESTLESS and before.get(name) != after.get(name)
    )
    return {
        "changed": bool(changed),
        "diff": {
            "before": {name: before.get(name) for name in changed},
            "after": {name: after.get(name) for name in changed},
        },
        "server": {
            **after,
            "hands_off_at_work": _at_work(after.get("hands_off_reason"), me),
            "fleet_frozen": freeze["frozen"],
            "freeze_reason": freeze.get("reason"),
        },
        "run": me,
        "workflow_id": workflow_id,
    }


def _at_work(reason: str | None, me: str) -> bool:
    """Whether the reason names a run other than this one that is not known to be gone."""
    named = _RUN.match(reason or "")
    if named is None or named[1] == me:
        return False
    other = claimants.parse(_EXTERNAL + named[1])
    return other is None or not claimants.is_gone(other)


def _apply(client: ServiceClient, before: Json, params: Json) -> tuple[Json, str | None]:
    name, workflow_id, wrote = params["name"], None, False
    if params["state"] == "inspecting" and before["state"] == "maintenance":
        client.set_server_state(name, "inspecting", params.get("reason") or "its maintenance is over")
        wrote = True
    if params.get("facts"):
        client.record_inspection(name, params["facts"])
        wrote = True
    flags = _differing_flags(before, params)
    if flags:
        client.set_server_flags(name, flags)
        wrote = True
    if params["state"] == "maintenance" and before["state"] != "maintenance":
        client.set_server_state(name, "maintenance", params["reason"])
        wrote = True
    if params["state"] == "cleaning" and before["state"] != "cleaning":
        workflow_id = client.clean_server(name)["workflow_id"]
        wrote = True
    return (client.server(name) if wrote else before), workflow_id


def _predict(before: Json, params: Json) -> Json:
    """What the record would say, as far as it can be known without the service's rules."""
    after = dict(before)
    for name, value in (params.get("facts") or {}).items():
        kept = _RENAMED.get(name, name)
        # Lists (GPUs) are matched by the service; a list of the same length is taken as the same. Of interfaces the
        # record has those that were imported, whatever the BMC lists; other parts are not of the server's record.
        if isinstance(value, list):
            if kept in before and kept != "nics" and len(value) != len(before.get(kept) or []):
                after[kept] = value
        elif kept in before and value is not None:
            after[kept] = value
    flags = _differing_flags(before, params)
    if "hands_off" in flags:
        after.update(hands_off=flags["hands_off"], hands_off_reason=flags.get("reason"))
    if params["state"] == "inspecting":
        # what comes of the inspection is for the service to say
        after["state"] = "inspecting" if before["state"] == "maintenance" else before["state"]
    elif params["state"] != "present" and before["state"] != params["state"]:
        after["state"] = params["state"]
        if params["state"] == "maintenance":
            after["state_reason"] = params["reason"]
    return after


def _differing_flags(before: Json, params: Json) -> Json:
    wanted = {name: value for name, value in (params.get("flags") or {}).items() if value is not None}
    if "hands_off" not in wanted:
        return {}
    same_reason = "reason" not in wanted or wanted["reason"] == before.get("hands_off_reason")
    return {} if wanted["hands_off"] == before["hands_off"] and same_reason else wanted
