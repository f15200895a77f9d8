# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bios_attributes``: the BIOS settings that the server will have after its next boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bios, Bmc, PowerState, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import TaskWaiter
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.restarted import read_back
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, Conflict, InvalidInput

_SHOWS_WITHIN_S = 8.0


@dataclass(frozen=True)
class Plan:
    """Attributes under the names and values of this BIOS: as they are, as the next boot would leave them, as wanted."""

    current: Mapping[str, Any]
    before: Mapping[str, Any]
    wanted: Mapping[str, Any]
    late_boot_options: bool = False

    @property
    def waiting(self) -> bool:
        """Whether something is not as wanted before the next boot."""
        return any(self.current[name] != value for name, value in self.wanted.items())

    @property
    def differing(self) -> dict[str, Any]:
        """What has to be staged."""
        return {name: value for name, value in self.wanted.items() if self.before[name] != value}

    @property
    def drift(self) -> dict[str, dict[str, Any]]:
        """What is not as wanted now, or would not be after the next boot."""
        return {
            name: {"current": self.current[name], "next_boot": self.before[name], "wanted": value}
            for name, value in self.wanted.items()
            if self.current[name] != value or name in self.differing
        }

    def holds(self, bios: Bios) -> bool:
        """Whether the BIOS runs with what was wanted."""
        return all(bios.current.get(name) == value for name, value in self.wanted.items())


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Stage what would not be as wanted after the next boot, or have it applied at once."""
    task: Task | None = None
    with open_bmc(params) as bmc:
        plan = plan_bios(bmc, params["attributes"], params["apply_time"])
        at_once: dict[str, Any] = {}
        # a server that is off has them when it is switched on; what was staged before stays staged
        if params["apply_time"] == "immediate" and plan.differing and bmc.power_state() is not PowerState.OFF:
            at_once = plan.differing
        current = {**plan.current, **at_once}
        if plan.differing and not check_mode:
            task, bios = stage(bmc, plan, apply_time=params["apply_time"])
            if at_once and params["wait"]:
                task, bios = _wait(bmc, plan, task, float(params["wait_timeout"]))
            current = {name: bios.current.get(name) for name in plan.wanted}
    pending = {name: value for name, value in plan.wanted.items() if current[name] != value}
    return {
        "changed": bool(plan.differing),
        "pending": pending,
        # what is applied at once brings its own restart, where it takes one
        "reboot_required": bool(pending.keys() - at_once.keys()),
        "drift": plan.drift,
        "task": asdict(task) if task else None,
        "diff": {"before": {"attributes": dict(plan.before)}, "after": {"attributes": dict(plan.wanted)}},
    }


def _wait(bmc: Bmc, plan: Plan, task: Task | None, seconds: float) -> tuple[Task | None, Bios]:
    """Wait for the task, and for the BIOS to run with what was written."""
    deadline = Deadline(seconds)
    written = replace(plan, wanted=plan.differing)
    if task is not None:
        task = bmc.facet(redfish=TaskWaiter).wait(task, seconds)
    read_back(bmc.host, {"bios": lambda: written.holds(bmc.bios())}, max(deadline.remaining(), 1.0))
    return task, bmc.bios()


def plan_bios(bmc: Bmc, attributes: Mapping[str, Any], apply_time: str = "on_reset") -> Plan:
    """Compare, and check what differs against the machine's own registry: nothing is written before all of it is."""
    bios = bmc.bios()
    wanted = _wanted(bmc, bios, attributes)
    plan = Plan(
        {name: bios.current.get(name) for name in wanted},
        {name: bios.future(name) for name in wanted},
        wanted,
        bios.late_boot_options,
    )
    if plan.differing:
        bmc.check_bios(plan.differing, apply_time=apply_time)
        _check_clearing(bmc, bios, plan)
    return plan


def stage(bmc: Bmc, plan: Plan, *, apply_time: str) -> tuple[Task | None, Bios]:
    """Write what differs and read it back: that also tells whether it was carried out where the answer was lost."""
    task: Task | None = None
    lost: AnswerLost | None = None
    try:
        task = bmc.set_bios(plan.differing, apply_time=apply_time)
    except AnswerLost as problem:
        # what is staged is read first, and staging it twice does no harm; a restart that may be under way would
        problem.retryable = apply_time == "on_reset"
        lost = problem
    # with a job that has yet to run, the pending values may show only when it does
    return task, bmc.bios() if task else _read_back(bmc, plan.differing, lost)


def _wanted(bmc: Bmc, bios: Bios, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes under the names and in the types and spellings that this BIOS uses."""
    if not bios.current:
        raise BadAnswer(
            "the BMC shows no BIOS attributes",
            code="bios_attributes_missing",
            host=bmc.host,
            tried="reading the BIOS attributes",
            answer="none at all",
            next="Restart the BMC; some show none until then, or until the host has passed POST once.",
        )
    resolved = {name: bios.own_name(name) for name in attributes}
    missing = [name for name, found in resolved.items() if found is None]
    if missing:
        raise InvalidInput(
            f"this BIOS has no attribute {', '.join(missing)}",
            host=bmc.host,
            tried="comparing with the BIOS attributes",
            answer=f"{len(bios.current)} attributes, none of that name",
            next="Correct the names; they change with vendor, model and BIOS version.",
        )
    return {own: bios.own_value(own, attributes[name]) for name, own in resolved.items() if own is not None}


def _check_clearing(bmc: Bmc, bios: Bios, plan: Plan) -> None:
    """A value that is staged and would have to be taken back, on a BMC that cannot."""
    if bios.pending_clears:
        return
    stuck = {name: bios.pending[name] for name, value in plan.differing.items() if plan.current[name] == value}
    if stuck:
        raise Conflict(
            f"the BMC has BIOS values staged and cannot take them back before the next boot: {stuck}",
            code="pending_sticks",
            host=bmc.host,
            tried=f"comparing with {dict(plan.wanted)}",
            answer=f"pending {stuck}",
            next="Restart the server, which applies them, and run again.",
        )


def _read_back(bmc: Bmc, staged: dict[str, Any], lost: AnswerLost | None) -> Bios:
    def held(read: Bios) -> bool:
        return all(read.future(name) == value for name, value in staged.items())

    done, bios = wait_until(bmc.bios, held, _SHOWS_WITHIN_S)
    if not done:
        shown = {name: bios.future(name) for name in staged}
        raise lost or BadAnswer(
            "the BMC accepted the BIOS attributes and does not show them",
            code="not_applied",
            host=bmc.host,
            tried=f"staging {staged}",
            answer=f"read back {shown}",
            next="Look for a BIOS job that waits on the BMC; run again.",
        )
    return bios
