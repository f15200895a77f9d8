# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``redfish_request``: any method on any path, for what no module knows yet."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.anything import RedfishAnything, checked_path
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import selected
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

_MASK = "********"
_SECRET_NAMES = re.compile(
    r"pass(word|phrase)|secret|token|private_?key|community|authentication_?key|^authorization", re.I
)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Send the request; a PATCH of what is so already, and a DELETE of what is gone, are not sent."""
    body: dict[str, Any] | None = copy.deepcopy(params.get("body"))
    secrets = sorted({secret for secret in _secrets(body) if secret}, key=len, reverse=True)
    # The options are shown with -vvv, in the worker and by a real module alike, after this has run.
    _mask(params.get("body"))
    try:
        result = _run(params, body, check_mode)
    except PaleBlueDotError as problem:
        # BMCs like to quote the value that they do not take
        problem.message = _scrubbed(problem.message, secrets)
        problem.answer = _scrubbed(problem.answer, secrets) if problem.answer else problem.answer
        problem.args = (problem.message,)
        raise
    for name in ("body", "diff"):
        _mask(result.get(name))
    return result


def _run(params: dict[str, Any], body: dict[str, Any] | None, check_mode: bool) -> dict[str, Any]:
    method = str(params["method"])
    path = checked_path(str(params["path"]), str(params["bmc_address"]))
    own_tag = params.get("if_match")
    result: dict[str, Any] = {"status": None, "body": None, "etag": None, "location": None, "task": None}
    protocol = "redfish" if params.get("bmc_protocol") in (None, "auto") else params["bmc_protocol"]
    with open_bmc({**params, "bmc_protocol": protocol}) as bmc:
        requests = bmc.facet(redfish=RedfishAnything)
        if method == "GET":
            found, etag = requests.get(path)
            return {"changed": False, **result, "status": 200, "body": found, "etag": etag}
        before: tuple[dict[str, Any], str | None] | None = None
        if method != "POST":
            before = requests.peek(path)
        changed, diff = _difference(method, path, before[0] if before else None, body)
        if not changed and before is not None:
            result |= {"status": 200, "body": before[0], "etag": before[1]}
        elif not changed:
            result |= {"status": 404}
        if changed and not check_mode:
            etag = own_tag or (before[1] if before else None)
            answer = requests.write(method, path, body, etag=etag, exact=own_tag is not None)
            task = requests.task(answer, float(params["wait_timeout"]) if params["wait"] else None)
            result |= {
                "status": answer.status,
                "body": copy.deepcopy(answer.body) or None,
                "etag": answer.etag,
                "location": answer.location,
                "task": asdict(task) if task else None,
            }
        return {"changed": changed, **result, "diff": diff}


def _difference(
    method: str, path: str, before: dict[str, Any] | None, body: dict[str, Any] | None
) -> tuple[bool, dict[str, Any]]:
    """Whether the request changes something, as far as can be read, and what."""
    if method == "PATCH" and before is not None:
        wanted = body or {}
        return not _holds(before, wanted), {"before": selected(before, wanted), "after": copy.deepcopy(wanted)}
    if method == "DELETE":
        return before is not None, {"before": {path: "present"} if before else {}, "after": {}}
    shown = {"request": f"{method} {path}", "body": copy.deepcopy(body)}
    return True, {"before": {}, "after": shown}


def _holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(name in found and _holds(found[name], wanted[name]) for name in wanted)
    return bool(found == wanted)


def _secrets(value: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _secrets(item, secret or bool(_SECRET_NAMES.search(str(name))))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, secret)
    elif secret and isinstance(value, str):
        yield value


def _mask(value: Any) -> None:
    """Put stars over the values of properties that are named like secrets, in place."""
    if isinstance(value, list):
        for item in value:
            _mask(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if _SECRET_NAMES.search(str(name)) and isinstance(item, str) and item:
                value[name] = _MASK
            elif _SECRET_NAMES.search(str(name)) and isinstance(item, list):
                value[name] = [_MASK if isinstance(entry, str) else entry for entry in item]
            else:
                _mask(item)


def _scrubbed(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _MASK)
    return text
