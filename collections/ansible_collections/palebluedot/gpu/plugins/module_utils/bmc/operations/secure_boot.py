# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``secure_boot``: whether the next boot is a verified one, and with which keys."""

from __future__ import annotations

from dataclasses import asdict, replace
from operator import not_
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bmc, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.secure_boot import SecureBoot, SecureBootState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.secure_boot import RedfishSecureBoot
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, Conflict

_SHOWS_WITHIN_S = 8.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring ``state`` and ``keys`` about where they are not so yet."""
    wanted = {"enabled": True, "disabled": False}.get(params.get("state") or "")
    keys = params.get("keys")
    task: Task | None = None
    with open_bmc(params) as bmc:
        secure_boot = bmc.facet(redfish=RedfishSecureBoot)
        before = secure_boot.read()
        resets = keys is not None and _keys_differ(secure_boot, before, keys)
        switches = wanted is not None and before.enabled is not wanted
        if resets or switches:
            secure_boot.check(keys if resets else None)
        mode_then = {"factory": "user", "deleted": "setup"}[keys] if resets and keys else before.mode
        if wanted and switches and mode_then == "setup":
            raise Conflict(
                "Secure Boot cannot be enabled without keys",
                code="no_keys",
                host=bmc.host,
                tried="state=enabled",
                answer="SecureBootMode SetupMode" if not resets else "keys=deleted takes them away",
                next="Use keys=factory.",
            )
        planned = after = replace(before, enabled=wanted if switches else before.enabled, mode=mode_then)
        if (resets or switches) and not check_mode:
            if resets and keys is not None:
                task = _reset_keys(secure_boot, keys)
            lost: AnswerLost | None = None
            if switches and wanted is not None:
                try:
                    task = secure_boot.enable(wanted) or task
                except AnswerLost as problem:
                    lost = problem
            after = _read_back(bmc, secure_boot, wanted if switches else None, lost)
    changed = resets or switches
    return {
        "changed": changed,
        "secure_boot": after.as_dict(),
        "reboot_required": resets or (after.current is not None and after.enabled is not after.current),
        "task": asdict(task) if task else None,
        "diff": {
            "before": before.as_dict(),
            "after": {**planned.as_dict(), **({"keys": keys} if resets else {})},
        },
    }


def _keys_differ(secure_boot: SecureBoot, before: SecureBootState, keys: str) -> bool:
    """Whether the keys have to be reset. Where the BMC does not let them be compared with the factory's, they have."""
    if keys == "deleted":
        return before.mode != "setup"
    return before.mode == "setup" or secure_boot.factory_keys() is not True


def _reset_keys(secure_boot: SecureBoot, keys: str) -> Task | None:
    """Where the answer is lost the keys themselves tell, if the BMC shows them before the restart."""
    try:
        return secure_boot.reset_keys(keys)
    except AnswerLost:
        if not wait_until(lambda: _keys_differ(secure_boot, secure_boot.read(), keys), not_, _SHOWS_WITHIN_S)[0]:
            raise
        return None


def _read_back(bmc: Bmc, secure_boot: SecureBoot, wanted: bool | None, lost: AnswerLost | None) -> SecureBootState:
    """:param lost: the answer was, so that only what is read tells whether it was carried out."""
    known = (wanted,) if lost else (None, wanted)
    done, read = wait_until(secure_boot.read, lambda read: wanted is None or read.enabled in known, _SHOWS_WITHIN_S)
    if not done:
        raise lost or BadAnswer(
            "the BMC accepted the Secure Boot setting and does not show it",
            code="not_applied",
            host=bmc.host,
            tried=f"SecureBootEnable {wanted}",
            answer=f"read back {read.enabled}, mode {read.mode}",
            next="Some BIOSes want a platform key, or UEFI mode, before they take it.",
        )
    return read
