# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a hardware profile: firmware, BIOS, boot order, volumes, the BMC's own settings.

Each part compares and checks everything it will do before any part writes, stages what it can, and is read back after
the one restart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.network import ManagerNetwork, Network
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.storage import Storage
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.network import IpmiNetwork
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import (
    bios_attributes,
    bmc_boot,
    firmware,
    storage_volume,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.firmware import RedfishFirmware
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.network import RedfishNetwork
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.storage import RedfishStorage
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import TaskWaiter
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, InvalidInput

_SHOWS_WITHIN_S = 30.0

Left = Callable[[], float]
Shown = dict[str, Any]


class Part(ABC):
    """One part of a wanted state.

    ``name`` is what it is called in the profile, ``changed`` whether something has to be written, ``waits`` whether
    something holds only after a restart: what was staged now, and what was staged before and is wanted still. ``task``
    is the BMC's latest task for it.
    """

    name: str
    changed = False
    waits = False
    power_cycle = False
    task: Task | None = None

    def __init__(self, bmc: Bmc) -> None:
        self.bmc = bmc

    @abstractmethod
    def plan(self) -> None:
        """Read, compare and check; nothing is written."""

    @property
    @abstractmethod
    def before(self) -> Any:
        """What there is, as far as it was asked for."""

    @property
    @abstractmethod
    def after(self) -> Any:
        """What there will be when all is done."""

    @property
    @abstractmethod
    def drift(self) -> Shown:
        """What differs, by its name, with ``current`` and ``wanted``."""

    @abstractmethod
    def apply(self, left: Left) -> None:
        """Write. :param left: seconds that are left for it."""

    def finish(self, left: Left) -> None:
        """After the restart: whatever could not be done before it."""
        return

    @abstractmethod
    def holds(self) -> bool:
        """Read again: whether it is as wanted."""


class FirmwarePart(Part):
    """Versions, each entry with the image that brings it."""

    name = "firmware"
    # the GPU tray of a DGX runs new firmware only after its power was away
    power_cycle = True

    def __init__(self, bmc: Bmc, entries: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(bmc)
        self._entries = entries
        self._firmware = bmc.facet(redfish=RedfishFirmware)
        self._plans: list[firmware.Plan] = []

    def plan(self) -> None:
        self._plans = [firmware.plan_update(self.bmc, self._firmware, entry) for entry in self._entries]
        told: dict[str, str] = {}
        for id, version in (item for plan in self._plans for item in plan.wanted.items()):
            if told.setdefault(id, version) != version:
                raise InvalidInput(
                    f"the profile wants {id} at two versions",
                    host=self.bmc.host,
                    tried=f"{told[id]} and {version}",
                    next="Leave one of them out.",
                )
        self.changed = any(plan.differing for plan in self._plans)
        self.waits = any(plan.update is not None and plan.update.apply_time == "on_reset" for plan in self._plans)

    @property
    def before(self) -> Shown:
        return {id: version for plan in self._plans for id, version in plan.before.items()}

    @property
    def after(self) -> Shown:
        return {id: version for plan in self._plans for id, version in plan.after.items()}

    @property
    def drift(self) -> Shown:
        return {
            id: {"current": plan.before[id], "wanted": version}
            for plan in self._plans
            for id, version in plan.differing.items()
        }

    def apply(self, left: Left) -> None:
        for plan in self._plans:
            if plan.update is not None:
                # one image at a time: a BMC writes no second one meanwhile
                self.task, _components = firmware.carry_out(self.bmc, self._firmware, plan, left(), True)

    def holds(self) -> bool:
        for plan in self._plans:
            shown = self._firmware.components(list(plan.wanted))
            if {one.id for one in shown} < set(plan.wanted) or any(plan.is_old(one) for one in shown):
                return False
        return True


class BiosPart(Part):
    """BIOS attributes, staged for the next boot."""

    name = "bios"

    def __init__(self, bmc: Bmc, attributes: Mapping[str, Any]) -> None:
        super().__init__(bmc)
        self._attributes = attributes
        self._plan = bios_attributes.Plan({}, {}, {})

    def plan(self) -> None:
        self._plan = bios_attributes.plan_bios(self.bmc, self._attributes)
        self.changed = bool(self._plan.differing)
        self.waits = self._plan.waiting

    @property
    def late_boot_options(self) -> bool:
        """Whether boot options may be missing only because these attributes do not hold yet."""
        return self._plan.late_boot_options and self.waits

    @property
    def before(self) -> Shown:
        return dict(self._plan.before)

    @property
    def after(self) -> Shown:
        return dict(self._plan.wanted)

    @property
    def drift(self) -> Shown:
        return self._plan.drift

    def apply(self, left: Left) -> None:
        self.task, _bios = bios_attributes.stage(self.bmc, self._plan, apply_time="on_reset")

    def finish(self, left: Left) -> None:
        if self.task is not None:
            # an iDRAC's PATCH is only the beginning: its job says whether the BIOS took the values
            self.task = self.bmc.facet(redfish=TaskWaiter).wait(self.task, left())

    def holds(self) -> bool:
        return self._plan.holds(self.bmc.bios())


class BootOrderPart(Part):
    """What the server boots from, first to last."""

    name = "boot_order"

    def __init__(self, bmc: Bmc, order: Sequence[str], bios: BiosPart | None) -> None:
        super().__init__(bmc)
        self._order = list(order)
        self._bios = bios
        self._before: list[str] = []
        self._wanted: list[str] = []
        self._late = False

    def plan(self) -> None:
        self._before = self.bmc.boot().boot_order or []
        try:
            self._wanted = self.bmc.resolve_boot_order(self._order)
        except InvalidInput:
            if self._bios is None or not self._bios.late_boot_options:
                raise
            # the option appears after a boot with the attributes that are staged first
            self._late, self._wanted = True, self._order
        self.changed = self._late or self._wanted != self._before

    @property
    def before(self) -> list[str]:
        return self._before

    @property
    def after(self) -> list[str]:
        return self._wanted

    @property
    def drift(self) -> Shown:
        return {"boot_order": {"current": self._before, "wanted": self._wanted}} if self.changed else {}

    def apply(self, left: Left) -> None:
        if not self._late:
            bmc_boot.set_order(self.bmc, self._wanted)

    def finish(self, left: Left) -> None:
        if self._late:
            self._wanted = self.bmc.resolve_boot_order(self._order)
            self._late = False
            bmc_boot.set_order(self.bmc, self._wanted)

    def holds(self) -> bool:
        return self.bmc.boot().boot_order == self._wanted


class VolumesPart(Part):
    """RAID volumes."""

    name = "volumes"

    def __init__(self, bmc: Bmc, entries: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(bmc)
        self._entries = entries
        self._storage: Storage = bmc.facet(redfish=RedfishStorage)
        self._plans: list[storage_volume.Plan] = []

    def plan(self) -> None:
        # those that go first, so that their drives are free for those that come
        entries = sorted(self._entries, key=lambda entry: (entry.get("state") or "present") == "present")
        gone = frozenset(str(entry["name"]) for entry in entries if entry.get("state") == "absent")
        self._plans = [storage_volume.plan_volume(self.bmc, self._storage, entry, gone) for entry in entries]
        claimed: dict[tuple[str, str], str] = {}
        for plan in self._plans:
            for drive in plan.entry.get("drives") or [] if plan.present else []:
                other = claimed.setdefault((plan.controller.id, str(drive)), plan.name)
                if other != plan.name:
                    raise InvalidInput(
                        f"the profile puts drive {drive} into two volumes",
                        host=self.bmc.host,
                        tried=f"{other} and {plan.name}",
                        next="Give each volume drives of its own.",
                    )
        self.changed = any(plan.changed for plan in self._plans)
        self.waits = any(plan.on_reset for plan in self._plans)

    @property
    def before(self) -> Shown:
        return {plan.name: plan.before for plan in self._plans}

    @property
    def after(self) -> Shown:
        return {plan.name: plan.after for plan in self._plans}

    @property
    def drift(self) -> Shown:
        return {plan.name: {"current": plan.before, "wanted": plan.after} for plan in self._plans if plan.changed}

    def apply(self, left: Left) -> None:
        for plan in self._plans:
            if plan.changed:
                self.task, _volume = storage_volume.carry_out(self.bmc, self._storage, plan, left())

    def holds(self) -> bool:
        return not any(storage_volume.plan_volume(self.bmc, self._storage, plan.entry).changed for plan in self._plans)


class BmcPart(Part):
    """What is set of the BMC itself, as far as it stays where it is."""

    name = "bmc"

    def __init__(self, bmc: Bmc, settings: Mapping[str, Any], address: str) -> None:
        super().__init__(bmc)
        self._network: ManagerNetwork = bmc.facet(
            redfish=lambda redfish: RedfishNetwork(redfish, address, None), ipmi=IpmiNetwork
        )
        self._wanted = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
            if value is not None
        }
        self._now = Network()

    def plan(self) -> None:
        self._now = self._network.read()
        changes = self._changes(self._now)
        if changes:
            self._network.check(changes, self._now)
        self.changed = bool(changes)

    def _changes(self, now: Network) -> Shown:
        return {name: value for name, value in self._wanted.items() if getattr(now, name) != value}

    @property
    def before(self) -> Shown:
        return {name: value for name, value in self._now.as_dict().items() if name in self._wanted}

    @property
    def after(self) -> Shown:
        return {**self.before, **{name: _listed(value) for name, value in self._wanted.items()}}

    @property
    def drift(self) -> Shown:
        return {
            name: {"current": self.before[name], "wanted": _listed(value)}
            for name, value in self._changes(self._now).items()
        }

    def apply(self, left: Left) -> None:
        changes = self._changes(self._now)
        self._network.write(changes, self._now)
        done, shown = wait_until(self._network.read, lambda read: not self._changes(read), min(left(), _SHOWS_WITHIN_S))
        if not done:
            raise BadAnswer(
                "the BMC accepted its settings and does not show them",
                code="not_applied",
                host=self.bmc.host,
                tried=f"setting {changes}",
                answer=f"read back { {name: getattr(shown, name) for name in changes} }",
                next="Some BMCs want a restart first: bmc_reset.",
            )

    def holds(self) -> bool:
        return not self._changes(self._network.read())


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def parts_of(bmc: Bmc, wanted: Mapping[str, Any]) -> list[Part]:
    """The parts that are asked for, in the order in which they are written: firmware is written at once and may restart
    the BMC, the others are staged for the restart of the server."""
    settings: Mapping[str, Any] = wanted.get("bmc") or {}
    bios = BiosPart(bmc, wanted["bios"]) if wanted.get("bios") else None
    found: list[Part | None] = [
        FirmwarePart(bmc, wanted["firmware"]) if wanted.get("firmware") else None,
        bios,
        BootOrderPart(bmc, wanted["boot_order"], bios) if wanted.get("boot_order") else None,
        VolumesPart(bmc, wanted["volumes"]) if wanted.get("volumes") else None,
        BmcPart(bmc, settings, str(wanted["bmc_address"]))
        if any(value is not None for value in settings.values())
        else None,
    ]
    return [part for part in found if part is not None]
