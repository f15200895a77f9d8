# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``firmware``: bring components to a version with an image, wait for the BMC's task, and read the version back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.firmware import (
    Component,
    Firmware,
    Update,
    same_version,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.firmware import RedfishFirmware
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

# A BMC that answers and goes on showing the old version for so long will not show the new one by itself.
_STAYS_OLD_S = 60.0
# What one that is starting says: that it has nothing yet, or cannot do it now.
_NOT_YET = (NotFound, Unsupported, Conflict)


@dataclass(frozen=True)
class Plan:
    """What one image should bring, and what is there.

    :param wanted: version by the component's id.
    """

    components: tuple[Component, ...]
    wanted: Mapping[str, str]
    update: Update | None

    @property
    def before(self) -> dict[str, str | None]:
        return {one.id: one.version for one in self.components}

    @property
    def differing(self) -> dict[str, str]:
        return {one.id: self.wanted[one.id] for one in self.components if self.is_old(one)}

    @property
    def after(self) -> dict[str, str | None]:
        """The versions then: what is the wanted one already stays under its own words."""
        return {**self.before, **self.differing}

    def is_old(self, component: Component) -> bool:
        return not same_version(component.version, self.wanted[component.id])


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Update what is not at its version yet."""
    task: Task | None = None
    with open_bmc(params) as bmc:
        firmware = bmc.facet(redfish=RedfishFirmware)
        plan = plan_update(bmc, firmware, params)
        changed = bool(plan.differing)
        now = list(plan.components)
        waits = bool(params["wait"])
        if changed and not check_mode:
            task, now = carry_out(bmc, firmware, plan, float(params["wait_timeout"]), waits)
    planned = {one.id: plan.after.get(one.id) for one in now}
    shown = [one.as_dict() | ({"version": planned[one.id]} if check_mode else {}) for one in now]
    return {
        "changed": changed,
        "firmware": shown,
        "reboot_required": changed and params["apply_time"] == "on_reset",
        "task": asdict(task) if task else None,
        "diff": {"before": {"firmware": plan.before}, "after": {"firmware": plan.after}},
    }


def plan_update(bmc: Bmc, firmware: Firmware, entry: Mapping[str, Any]) -> Plan:
    """Read what ``version`` or ``versions`` is about and check, where it differs, that the image can be sent.

    :param entry: ``image``, ``targets``, ``version`` or ``versions``, ``apply_time``.
    """
    versions = dict(entry.get("versions") or {})
    targets = list(entry.get("targets") or [])
    if not versions and not (targets and entry.get("version")):
        raise InvalidInput(
            "it is not said of which components the version is wanted"
            if entry.get("version")
            else "it is not said which version is wanted",
            host=bmc.host,
            tried=f"version {entry['version']} without targets" if entry.get("version") else "version, versions",
            next="Give version and targets, or versions with a version for each component.",
        )
    about = versions or {target: str(entry["version"]) for target in targets}
    components = firmware.components(list(about))
    wanted: dict[str, str] = {}
    for pattern, version in about.items():
        meant = [one for one in components if one.is_called(pattern)]
        if not meant:
            raise NotFound(
                f"the machine has no firmware component {pattern}",
                code="no_component",
                host=bmc.host,
                tried=f"looking for {', '.join(about)} in the firmware inventory",
                answer=", ".join(sorted(one.id for one in firmware.components())) or "no components",
                next="Use one of these ids, a name or a pattern. A part that is an image's target only goes into "
                "targets, and the versions of what it brings into versions.",
            )
        wanted.update({one.id: str(version) for one in meant})
    plan = Plan(tuple(components), wanted, None)
    if not plan.differing:
        return plan
    if not entry.get("image"):
        raise InvalidInput(
            "firmware is at another version and no image is given",
            code="image_missing",
            host=bmc.host,
            tried=f"comparing with {plan.differing}",
            answer=f"there is { {id: plan.before[id] for id in plan.differing} }",
            next="Give the image that brings it.",
        )
    prepared = firmware.prepare(str(entry["image"]), targets, apply_time=entry.get("apply_time") or "immediate")
    return Plan(plan.components, plan.wanted, prepared)


def carry_out(
    bmc: Bmc, firmware: Firmware, plan: Plan, seconds: float, waits: bool
) -> tuple[Task | None, list[Component]]:
    """Send the image; wait for the task and, unless it takes a restart, for the versions."""
    update = plan.update
    if update is None:
        raise AssertionError("a plan without an update is not carried out")
    started = time.monotonic()
    task = firmware.start(update, seconds)

    def left() -> float:
        return max(seconds - (time.monotonic() - started), 1.0)

    if not waits:
        return task, list(plan.components)
    task = firmware.wait(task, left())
    if update.apply_time == "on_reset":
        return task, list(plan.components)
    return task, read_back(bmc, firmware, plan, left())


def read_back(bmc: Bmc, firmware: Firmware, plan: Plan, seconds: float) -> list[Component]:
    """The components with their new versions; a BMC that restarts meanwhile is waited for.

    :raises BadAnswer: ``version_old``: the update was called a success, and the version is the old one.
    """
    waiter = Waiter(seconds, first_pause_s=0.2, longest_pause_s=5.0)
    old_since: float | None = None
    shown: list[Component] = []
    while True:
        missing: PaleBlueDotError | None = None
        try:
            shown = firmware.components([one.id for one in plan.components])
        except PaleBlueDotError as problem:
            if not (problem.retryable or isinstance(problem, _NOT_YET)):
                raise
            old_since, missing = None, problem
        else:
            present = {one.id for one in shown}
            if present >= set(plan.wanted) and not any(plan.is_old(one) for one in shown if one.id in plan.wanted):
                return shown
            if not shown:
                old_since = None  # an empty inventory is no old version
            elif old_since is None:
                old_since = waiter.waited
            if old_since is not None and waiter.waited - old_since >= _STAYS_OLD_S:
                break
        if not waiter.pause():
            if missing is not None:
                raise missing
            break
    raise BadAnswer(
        "the BMC called the update a success and shows the old version",
        code="version_old",
        host=bmc.host,
        tried=f"updating to {plan.differing}",
        answer=f"read back { {one.id: one.version for one in shown} }",
        next="If it takes a restart of the server, run again with apply_time=on_reset and restart it; else see the "
        "BMC's event log for what became of the image.",
        retryable=False,
    )
