# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bios_attributes``: the BIOS settings that the server will have after its next boot."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bios, Bmc, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, InvalidInput

_SHOWS_WITHIN_S = 8.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Stage the attributes whose value after the next boot would not be the wanted one."""
    task: Task | None = None
    with open_bmc(params) as bmc:
        bios = bmc.bios()
        wanted = _wanted(bmc, bios, params["attributes"])
        before = {name: bios.future(name) for name in wanted}
        differing = {name: value for name, value in wanted.items() if before[name] != value}
        if differing:
            bmc.check_bios(differing)
            if not check_mode:
                task = bmc.set_bios(differing, apply_time=params["apply_time"])
                # with a job that has yet to run, the pending values may show only when it does
                bios = bmc.bios() if task else _read_back(bmc, differing)
    current = {name: bios.current.get(name) for name in wanted}
    return {
        "changed": bool(differing),
        "pending": {name: value for name, value in wanted.items() if current[name] != value},
        "reboot_required": current != wanted,
        "drift": {
            name: {"current": current[name], "next_boot": before[name], "wanted": wanted[name]}
            for name in wanted
            if current[name] != wanted[name] or name in differing
        },
        "task": asdict(task) if task else None,
        "diff": {"before": {"attributes": before}, "after": {"attributes": wanted}},
    }


def _wanted(bmc: Bmc, bios: Bios, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes under the names and types that this BIOS uses."""
    unknown = [name for name in attributes if name not in bios.current]
    resolved = {name: _name_of(name, bios) for name in unknown}
    missing = [name for name, found in resolved.items() if found is None]
    if missing:
        raise InvalidInput(
            f"this BIOS has no attribute {', '.join(missing)}",
            host=bmc.host,
            tried="comparing with the BIOS attributes",
            answer=f"{len(bios.current)} attributes, none of that name",
            next="Correct the names; they change with vendor, model and BIOS version.",
        )
    wanted = {}
    for name, value in attributes.items():
        own_name = resolved.get(name) or name
        wanted[own_name] = _as_type_of(bios.current[own_name], value)
    return wanted


def _name_of(name: str, bios: Bios) -> str | None:
    """Supermicro appends a suffix (QuietBoot#002E) that changes with the BIOS version."""
    found = [own for own in bios.current if own.split("#")[0] == name]
    return found[0] if len(found) == 1 else None


def _as_type_of(current: Any, value: Any) -> Any:
    """The wanted value in the type that the BIOS shows: Jinja and YAML turn 115200 and Yes into what they are not."""
    if isinstance(current, bool):
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
    elif isinstance(current, int):
        if isinstance(value, str) and value.strip().lstrip("-").isdigit():
            return int(value)
    elif isinstance(current, str) and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _read_back(bmc: Bmc, staged: dict[str, Any]) -> Bios:
    def held(read: Bios) -> bool:
        return all(read.future(name) == value for name, value in staged.items())

    done, bios = wait_until(bmc.bios, held, _SHOWS_WITHIN_S)
    if not done:
        shown = {name: bios.future(name) for name in staged}
        raise BadAnswer(
            "the BMC accepted the BIOS attributes and does not show them",
            code="not_applied",
            host=bmc.host,
            tried=f"staging {staged}",
            answer=f"read back {shown}",
            next="Look for a BIOS job that waits on the BMC; run again.",
        )
    return bios
