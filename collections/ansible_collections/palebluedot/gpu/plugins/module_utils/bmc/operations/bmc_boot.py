# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_boot``: what the server boots from next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bmc, Boot, BootTarget
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer

# BMCs answer a change before it shows; sushy and Ironic allow some seconds too.
_SHOWS_WITHIN_S = 8.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Set override and order where they differ from what is wanted, and read them back."""
    with open_bmc(params) as bmc:
        before = bmc.boot()
        wanted = _wanted(bmc, before, params)
        after = wanted
        changed = wanted != before
        if changed:
            override = _override(wanted) != _override(before)
            change: dict[str, Any] = {
                "target": BootTarget(wanted.target) if override else None,
                "persistence": wanted.persistence or "once",
                "mode": params.get("mode"),
                "boot_order": wanted.boot_order if wanted.boot_order != before.boot_order else None,
                "uefi_target": wanted.uefi_target,
            }
            if check_mode:
                bmc.set_boot(**change, dry=True)
            else:
                after = _set(bmc, change, wanted, params)
    return {
        "changed": changed,
        "boot": after.as_dict(),
        "diff": {"before": _shown(before, params), "after": _shown(after, params)},
    }


def _shown(boot: Boot, params: dict[str, Any]) -> dict[str, Any]:
    """What the diff shows. The mode that nobody asked for is the BMC's business: some show one with an override only,
    which cannot be foretold."""
    shown = boot.as_dict()
    if not params.get("mode"):
        del shown["mode"]
    return shown


def _wanted(bmc: Bmc, before: Boot, params: dict[str, Any]) -> Boot:
    wanted = before
    device = params.get("uefi_target")
    target = BootTarget.UEFI_TARGET.value if device is not None else params.get("target")
    if target == BootTarget.NONE.value:
        # the mode says nothing without an override
        wanted = replace(wanted, target=target, persistence=None, uefi_target=None)
    elif target is not None:
        mode = params.get("mode") or before.mode
        path = None if device is None else bmc.resolve_uefi_target(device)
        wanted = replace(wanted, target=target, persistence=params["persistence"], mode=mode, uefi_target=path)
    if params.get("boot_order"):
        wanted = replace(wanted, boot_order=bmc.resolve_boot_order(params["boot_order"]))
    return wanted


def _override(boot: Boot) -> tuple[str | None, ...]:
    return boot.target, boot.uefi_target, boot.persistence, boot.mode if boot.persistence else None


def _set(bmc: Bmc, change: dict[str, Any], wanted: Boot, params: dict[str, Any]) -> Boot:
    """Set it, and read it back: that also tells whether it was carried out where the answer was lost."""
    lost: AnswerLost | None = None
    try:
        bmc.set_boot(**change)
    except AnswerLost as problem:
        problem.retryable = True  # what the boot settings are is read first, and setting them twice does no harm
        lost = problem

    def holds(read: Boot) -> bool:
        if (read.target, read.uefi_target, read.persistence) != (wanted.target, wanted.uefi_target, wanted.persistence):
            return False
        # a BMC that does not say its mode, or was not asked for one, is taken at its word
        if wanted.persistence and params.get("mode") and read.mode not in (None, wanted.mode):
            return False
        return not params.get("boot_order") or read.boot_order == wanted.boot_order

    done, read = wait_until(bmc.boot, holds, _SHOWS_WITHIN_S)
    if not done:
        raise lost or BadAnswer(
            "the BMC accepted the boot setting and does not show it",
            code="not_applied",
            host=bmc.host,
            tried=f"setting {wanted.as_dict()}",
            answer=f"read back {read.as_dict()}",
            next="Run again; update the BMC's firmware if it stays so.",
        )
    return read


def set_order(bmc: Bmc, order: list[str]) -> None:
    """Set the whole boot order, as `Bmc.resolve_boot_order` gives it, and read it back."""
    wanted = replace(bmc.boot(), boot_order=order)
    _set(bmc, {"boot_order": order}, wanted, {"boot_order": order})
