# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Volumes over Redfish (schemas Storage, VolumeCollection and Volume; DSP0266 for capabilities and apply times)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.storage import Controller, Storage, Volume
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of, wait_for
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    integer,
    leaf,
    link,
    links,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, NotFound, Unsupported

# Volume.VolumeType, which older services show instead of RAIDType
_OLD_TYPES = {
    "NonRedundant": "RAID0",
    "Mirrored": "RAID1",
    "StripedWithParity": "RAID5",
    "SpannedMirrors": "RAID10",
    "SpannedStripesWithParity": "RAID50",
}
_INITIALIZE = {"fast": "Fast", "slow": "Slow"}


class RedfishStorage(Storage):
    """The storage behind one `RedfishBmc`."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc
        self._names: dict[str, str] = {}  # what a controller wants a new volume's name under

    # -- reading ------------------------------------------------------------------------------------------------------

    def controller(self, id: str | None) -> Controller:
        deadline = self._bmc.deadline()
        system = self._bmc.system(deadline)
        paths = {leaf(path): path for path in self._bmc.transport.members(link(system, "Storage"), deadline)}
        if id is not None:
            if id not in paths:
                raise NotFound(
                    f"the machine has no storage controller {id}",
                    code="no_controller",
                    host=self._bmc.host,
                    tried=f"GET {link(system, 'Storage') or 'System.Storage'}",
                    answer=f"controllers: {', '.join(paths) or 'none'}",
                    next="Set controller to one of these.",
                )
            body = self._bmc.transport.get(paths[id], deadline)
            return self._controller(id, paths[id], body, deadline)
        read = {name: self._bmc.transport.get_optional(path, deadline) or {} for name, path in paths.items()}
        having = {name: body for name, body in read.items() if link(body, "Volumes") is not None}
        # a SATA port without drives has an empty collection of volumes, too
        with_drives = {name: body for name, body in having.items() if links(body, "Drives")} or having
        if len(with_drives) > 1:
            raise InvalidInput(
                "the machine has several storage controllers and none is named",
                code="ambiguous_controller",
                host=self._bmc.host,
                tried=f"GET {link(system, 'Storage')}",
                answer=", ".join(sorted(with_drives)),
                next="Set controller to one of these.",
            )
        if not with_drives:
            raise self._unsupported("volumes", "Storage.Volumes", f"controllers: {', '.join(paths) or 'none'}")
        ((name, body),) = with_drives.items()
        return self._controller(name, paths[name], body, deadline)

    def _controller(self, id: str, path: str, body: dict[str, Any], deadline: Deadline) -> Controller:
        volumes_path = link(body, "Volumes")
        if volumes_path is None:
            raise self._unsupported(f"volumes on {id}", f"GET {path}", "Volumes is missing")
        collection = self._bmc.transport.get(volumes_path, deadline)
        capabilities = self._capabilities(collection, deadline)
        offered = texts(capabilities.get("RAIDType@Redfish.AllowableValues")) or self._raid_types(body, deadline)
        for name in ("DisplayName", "Name"):
            if any(f"{name}@Redfish.{when}OnCreate" in capabilities for when in ("Required", "Optional")):
                self._names[path] = name
                break
        read = [self._volume(each, deadline) for each in self._bmc.transport.members(volumes_path, deadline)]
        return Controller(
            id=id,
            raid_types=None if offered is None else tuple(offered),
            drives=tuple(leaf(drive) for drive in links(body, "Drives")),
            volumes=tuple(volume for volume in read if volume is not None),
            apply_times=tuple(texts(dig(collection, "@Redfish.OperationApplyTimeSupport", "SupportedValues"))),
            uri=path,
        )

    def _capabilities(self, collection: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        for found in tables(dig(collection, "@Redfish.CollectionCapabilities", "Capabilities")):
            if found.get("UseCase") == "VolumeCreation":
                return self._bmc.transport.get_optional(link(found, "CapabilitiesObject"), deadline) or {}
        return {}

    def _raid_types(self, body: dict[str, Any], deadline: Deadline) -> list[str] | None:
        """What the controllers themselves say: embedded ones, or those of the newer Controllers collection. Drives that
        no controller stands before cannot become a volume."""
        controllers = tables(body.get("StorageControllers")) or [
            self._bmc.transport.get_optional(path, deadline) or {}
            for path in self._bmc.transport.members(link(body, "Controllers"), deadline)
        ]
        said = [controller for controller in controllers if "SupportedRAIDTypes" in controller]
        if controllers and not said:
            return None
        return list(dict.fromkeys(kind for controller in said for kind in texts(controller["SupportedRAIDTypes"])))

    def _volume(self, path: str, deadline: Deadline) -> Volume | None:
        body = self._bmc.transport.get_optional(path, deadline)
        if body is None:
            return None
        kind = text(body.get("VolumeType"))
        capacity = integer(body.get("CapacityBytes"))
        raid_type = text(body.get("RAIDType")) or _OLD_TYPES.get(kind or "")
        return Volume(
            id=text(body.get("Id")) or leaf(path),
            name=text(body.get("DisplayName")) or text(body.get("Name")),
            raid_type=raid_type,
            drives=tuple(leaf(drive) for drive in links(body, "Links", "Drives")),
            capacity_gb=None if capacity is None else capacity // 10**9,
            raw=kind == "RawDevice" or raid_type is None,
            uri=path,
        )

    # -- writing ------------------------------------------------------------------------------------------------------

    def create(
        self, controller: Controller, *, name: str, raid_type: str, drives: Sequence[str], apply_time: str | None
    ) -> Task | None:
        deadline = self._bmc.deadline()
        body = self._bmc.transport.get(controller.uri, deadline)
        by_id = {leaf(path): path for path in links(body, "Drives")}
        request: dict[str, Any] = {
            self._names.get(controller.uri, "Name"): name,
            "RAIDType": raid_type,
            "Links": {"Drives": [{"@odata.id": by_id[drive]} for drive in drives]},
        }
        if apply_time is not None:
            request["@Redfish.OperationApplyTime"] = apply_time
        return task_of(self._bmc.transport.post(link(body, "Volumes") or "", request, deadline))

    def check(self, controller: Controller, initialize: str | None) -> None:
        deadline = self._bmc.deadline()
        self._bmc.check_lockdown(deadline)
        for volume in controller.volumes if initialize else ():
            # one volume's actions are the next one's; a controller without volumes says nothing before
            if not volume.raw:
                self._initialize_target(volume, str(initialize), deadline)
                return

    def _initialize_target(self, volume: Volume, how: str, deadline: Deadline) -> str:
        body = self._bmc.transport.get(volume.uri, deadline)
        action = table(dig(body, "Actions", "#Volume.Initialize"))
        offered = texts(action.get("InitializeType@Redfish.AllowableValues"))
        target = text(action.get("target"))
        if target is None or (offered and _INITIALIZE[how] not in offered):
            answer = f"offered: {', '.join(offered)}" if target else "the action is missing"
            raise self._unsupported(f"initialising a volume '{how}'", f"#Volume.Initialize {_INITIALIZE[how]}", answer)
        return target

    def initialize(self, volume: Volume, how: str) -> Task | None:
        deadline = self._bmc.deadline()
        target = self._initialize_target(volume, how, deadline)
        return task_of(self._bmc.transport.post(target, {"InitializeType": _INITIALIZE[how]}, deadline))

    def delete(self, controller: Controller, volume: Volume, *, apply_time: str | None) -> Task | None:
        deadline = self._bmc.deadline()
        body = None if apply_time is None else {"@Redfish.OperationApplyTime": apply_time}
        # iDRAC has colons in ids, and some controllers blanks
        return task_of(self._bmc.transport.delete(quote(volume.uri, safe="/:%"), deadline, body))

    def wait(self, task: Task | None, seconds: float) -> Task | None:
        return None if task is None else wait_for(self._bmc, task, seconds)

    def _unsupported(self, what: str, tried: str, answer: str) -> Unsupported:
        return Unsupported(
            f"the BMC does not offer {what}",
            host=self._bmc.host,
            tried=tried,
            answer=answer,
            next="Make it with the controller's own setup, or as software RAID in the installed system.",
        )
