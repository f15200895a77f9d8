# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A phase of changing a BMC's password on record: the operation of ``server_credential``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

Json = dict[str, Any]

_SHOWN = ("username", "rotated_at", "proposal", "proposed_username", "proposed_at")


def run(params: Json, check_mode: bool) -> Json:
    """Say one phase to the service. No password comes back: others ask for it by reference."""
    name = params["name"]
    with client_from(params) as client:
        before = client.server_credential(name)
        body = _body(params, before)
        after = before
        if body is not None:
            after = _predicted(before, body) if check_mode else client.change_server_credential(name, body)
    shown = {side: _shown(answer) for side, answer in (("before", before), ("after", after))}
    changed = shown["before"] != shown["after"]
    return {"changed": changed, "credential": shown["after"], "diff": shown}


def _body(params: Json, before: Json) -> Json | None:
    """What to say; None when there is nothing left to say."""
    pending = bool(before.get("proposed_password"))
    if params["phase"] == "propose":
        body: Json = {"phase": "propose"}
        if params.get("older_than_days") is not None:
            body["older_than_s"] = params["older_than_days"] * 86400
        return body
    proposal = params.get("proposal") or (before.get("proposal") if pending else None)
    return {"phase": params["phase"], "proposal": proposal} if proposal else None


def _predicted(before: Json, body: Json) -> Json:
    if body["phase"] == "propose":
        due = _due(before.get("rotated_at"), body.get("older_than_s"))
        return {**before, "proposed_password": "planned"} if due and not before.get("proposed_password") else before
    return {**before, "proposed_password": None, "proposed_at": None, "proposed_username": None}


def _due(rotated_at: str | None, older_than_s: float | None) -> bool:
    """Whether the service would propose. Its own clock decides; ours foretells it."""
    if rotated_at is None or older_than_s is None:
        return True
    rotated = datetime.fromisoformat(rotated_at.replace("Z", "+00:00"))
    return rotated <= datetime.now(UTC) - timedelta(seconds=older_than_s)


def _shown(answer: Json) -> Json:
    return {**{name: answer.get(name) for name in _SHOWN}, "pending": bool(answer.get("proposed_password"))}
