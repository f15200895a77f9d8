# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``storage_volume``: a RAID volume that is there, or is not; never one that was not named."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bmc, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.storage import Controller, Storage, Volume
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.storage import RedfishStorage
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    InvalidInput,
    PaleBlueDotError,
    Unsupported,
)

_SHOWS_WITHIN_S = 30.0
_APPLY_TIMES = {"on_reset": "OnReset", "immediate": "Immediate"}
# SNIA Common RAID Disk Data Format: the fewest drives of each level
_FEWEST = {"RAID0": 1, "RAID1": 2, "RAID5": 3, "RAID6": 4, "RAID10": 4, "RAID50": 6, "RAID60": 8, "RAID1Triple": 3}


@dataclass(frozen=True)
class Plan:
    """One volume, compared with what is there.

    :param apply_time: Redfish's word for when it happens; None: the BMC offers no choice and does it at once.
    """

    entry: Mapping[str, Any]
    controller: Controller
    found: Volume | None
    apply_time: str | None

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def present(self) -> bool:
        return (self.entry.get("state") or "present") == "present"

    @property
    def changed(self) -> bool:
        return self.present is (self.found is None)

    @property
    def on_reset(self) -> bool:
        return self.changed and self.apply_time == "OnReset"

    @property
    def before(self) -> dict[str, Any] | None:
        return _shown(self.found) if self.found else None

    @property
    def after(self) -> dict[str, Any] | None:
        if not self.present:
            return None
        if self.found is not None:
            return _shown(self.found)
        return {"name": self.name, "raid_type": self.entry["raid_type"], "drives": sorted(self.entry["drives"])}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the volume, or take it apart, where it is not so."""
    task: Task | None = None
    volume: Volume | None = None
    with open_bmc(params) as bmc:
        storage = bmc.facet(redfish=RedfishStorage)
        plan = plan_volume(bmc, storage, params)
        volume = plan.found
        if plan.changed and not check_mode:
            seconds = float(params["wait_timeout"]) if params["wait"] else None
            task, volume = carry_out(bmc, storage, plan, seconds)
    shown = volume.as_dict() if volume else None
    if plan.changed and (check_mode or plan.on_reset):
        shown = None if plan.after is None else {"id": None, "capacity_gb": None, **plan.after}
    return {
        "changed": plan.changed,
        "volume": shown,
        "reboot_required": plan.on_reset,
        "task": asdict(task) if task else None,
        "diff": {"before": {"volume": plan.before}, "after": {"volume": plan.after}},
    }


def plan_volume(bmc: Bmc, storage: Storage, entry: Mapping[str, Any], gone: frozenset[str] = frozenset()) -> Plan:
    """Find the volume by its name and check everything that the change would need.

    :param entry: ``state``, ``controller``, ``name``, ``raid_type``, ``drives``, ``initialize``, ``apply_time``,
        ``wait``.
    :param gone: names of volumes whose drives will be free by then.
    :raises Conflict: a volume of that name is of another kind, or a drive is in use: nothing is ever remade or taken.
    """
    controller = storage.controller(entry.get("controller"))
    named = [volume for volume in controller.volumes if volume.name == entry["name"]]
    if len(named) > 1:
        raise Conflict(
            f"several volumes are called {entry['name']}",
            code="ambiguous_volume",
            host=bmc.host,
            tried=f"looking for it on {controller.id}",
            answer=", ".join(volume.id for volume in named),
            next="Give them names of their own in the controller's setup.",
        )
    found = named[0] if named else None
    plan = Plan(entry, controller, found, None)
    if plan.present:
        _check_wanted(bmc, controller, plan, gone)
    if not plan.changed:
        return plan
    if not plan.present and found is not None and found.raw:
        raise Conflict(
            f"{entry['name']} is a drive without RAID and cannot be deleted",
            code="raw_drive",
            host=bmc.host,
            tried=f"deleting it on {controller.id}",
            answer="VolumeType RawDevice",
            next="Erase a drive with the erase workflow.",
        )
    storage.check(controller, entry.get("initialize") if plan.present else None)
    plan = Plan(entry, controller, found, _apply_time(bmc, controller, entry.get("apply_time")))
    if plan.present and entry.get("initialize") and (plan.on_reset or not entry.get("wait", True)):
        raise InvalidInput(
            "a volume is initialised when it is there, and it is not waited for",
            code="initialize_waits",
            host=bmc.host,
            tried=f"initialize={entry['initialize']} of volume {plan.name} on {controller.id}",
            answer="it is made with the next restart" if plan.on_reset else "wait is false",
            next="Leave initialize out, or use wait=true and apply_time=immediate where the controller offers it.",
        )
    return plan


def _check_wanted(bmc: Bmc, controller: Controller, plan: Plan, gone: frozenset[str]) -> None:
    entry = plan.entry
    raid_type, drives = entry.get("raid_type"), list(entry.get("drives") or [])
    if plan.found is not None:
        wanted = (raid_type or plan.found.raid_type, sorted(drives or plan.found.drives))
        if (plan.found.raid_type, sorted(plan.found.drives)) != wanted:
            raise Conflict(
                f"a volume {plan.name} is there and is another one; it is not remade",
                code="volume_differs",
                host=bmc.host,
                tried=f"{wanted[0]} over {', '.join(wanted[1])}",
                answer=f"{plan.found.raid_type} over {', '.join(sorted(plan.found.drives))}",
                next="Delete it by name first (state=absent), if what is on it may go.",
            )
        return
    facts: dict[str, Any] = {"host": bmc.host, "tried": f"volume {plan.name} on {controller.id}"}
    if not raid_type or not drives:
        raise InvalidInput("a new volume needs raid_type and drives", next="Give both.", **facts)
    if controller.raid_types is not None and raid_type not in controller.raid_types:
        raise Unsupported(
            f"the controller does not offer {raid_type}",
            answer=f"SupportedRAIDTypes: {', '.join(controller.raid_types) or 'none'}",
            next="Choose one of these, or make it as software RAID in the installed system.",
            **facts,
        )
    missing = [drive for drive in drives if drive not in controller.drives]
    if missing or len(set(drives)) != len(drives):
        raise InvalidInput(
            f"the controller has no drive {', '.join(missing)}" if missing else "a drive is named twice",
            answer=f"drives: {', '.join(controller.drives) or 'none'}",
            next="Use the Ids of its drives.",
            **facts,
        )
    if len(drives) < _FEWEST.get(str(raid_type), 1):
        raise InvalidInput(
            f"{raid_type} takes {_FEWEST[str(raid_type)]} drives at least",
            answer=f"{len(drives)} given",
            next="Give more drives, or choose another raid_type.",
            **facts,
        )
    used = {
        drive: volume
        for volume in controller.volumes
        if not volume.raw and volume.name not in gone
        for drive in volume.drives
    }
    taken = {drive: used[drive] for drive in drives if drive in used}
    if taken:
        raise Conflict(
            "drives are in use by other volumes",
            code="drive_in_use",
            answer=", ".join(f"{drive}: {volume.name or volume.id}" for drive, volume in taken.items()),
            next="Use other drives, or delete that volume by its name first.",
            **facts,
        )


def _apply_time(bmc: Bmc, controller: Controller, wanted: str | None) -> str | None:
    offered = controller.apply_times
    if wanted is None:
        return next((word for word in ("Immediate", "OnReset") if word in offered), None)
    if _APPLY_TIMES[wanted] in offered or (wanted == "immediate" and not offered):
        return _APPLY_TIMES[wanted] if offered else None
    raise Unsupported(
        f"the controller does not change volumes {wanted}",
        host=bmc.host,
        tried=f"apply_time={wanted}",
        answer=f"offered: {', '.join(offered) or 'nothing, so it is done at once'}",
        next="Leave apply_time out, or choose one of these.",
    )


def carry_out(bmc: Bmc, storage: Storage, plan: Plan, seconds: float | None) -> tuple[Task | None, Volume | None]:
    """Make the change; wait for the task and read the volume back, unless it waits for a restart.

    :param seconds: None: return when the BMC has accepted it.
    """
    started = time.monotonic()

    def left() -> float:
        return max((seconds or 0) - (time.monotonic() - started), 1.0)

    how = plan.entry.get("initialize") if plan.present else None
    try:
        task = _order(storage, plan)
        if seconds is None or plan.on_reset:
            return task, plan.found
        task = storage.wait(task, left())
        volume = read_back(bmc, storage, plan, left())
        initialising = storage.initialize(volume, str(how)) if volume is not None and how else None
    except PaleBlueDotError as problem:
        if how and (problem.retryable or isinstance(problem, AnswerLost | BadAnswer)):
            problem.next = (
                f"The volume may be made and has not been initialised ({how}), which is never done to one that is "
                f"there: initialise it on the controller, or delete it by its name first. {problem.next or ''}"
            ).rstrip()
        raise
    if volume is not None and how:
        task = storage.wait(initialising, left())
    return task, volume


def _order(storage: Storage, plan: Plan) -> Task | None:
    entry = plan.entry
    if not plan.present:
        if plan.found is None:
            raise AssertionError("what is absent already is not deleted")
        return storage.delete(plan.controller, plan.found, apply_time=plan.apply_time)
    return storage.create(
        plan.controller,
        name=plan.name,
        raid_type=str(entry["raid_type"]),
        drives=[str(drive) for drive in entry["drives"]],
        apply_time=plan.apply_time,
    )


def read_back(bmc: Bmc, storage: Storage, plan: Plan, seconds: float) -> Volume | None:
    """The volume as it was wanted, or None as it was wanted."""

    def read() -> Volume | None:
        volumes = storage.controller(plan.controller.id).volumes
        return next((volume for volume in volumes if volume.name == plan.name), None)

    def holds(volume: Volume | None) -> bool:
        if volume is None or not plan.present:
            return (volume is None) is not plan.present
        wanted = plan.entry.get("raid_type"), sorted(plan.entry.get("drives") or volume.drives)
        return (volume.raid_type, sorted(volume.drives)) == wanted

    done, volume = wait_until(read, holds, min(seconds, _SHOWS_WITHIN_S))
    if not done:
        raise BadAnswer(
            f"the BMC called it done, and the volume {plan.name} is {'not there' if plan.present else 'there still'}",
            code="not_applied",
            host=bmc.host,
            tried=f"volume {plan.name} {'present' if plan.present else 'absent'} on {plan.controller.id}",
            answer=f"read back {volume.as_dict() if volume else 'no such volume'}",
            next="See the controller's log; some controllers take a restart first.",
            retryable=False,
        )
    return volume


def _shown(volume: Volume) -> dict[str, Any]:
    return {"name": volume.name, "raid_type": volume.raid_type, "drives": sorted(volume.drives)}
