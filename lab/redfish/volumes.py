"""Volumes of the storage controller: the collection, what it can make; making, deleting, initialising one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import AMI_OK, ROOT, Answer, Body, Call, ami, link, members, routes
from lab.redfish.systems import DGX, drive_id
from lab.redfish.tasks import TaskFailed
from lab.volumes import LARGEST, RAID_TYPES, Volume, VolumeError

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

UNIT = f"{DGX}/Storage/StorageUnit_0"
VOLUMES = f"{UNIT}/Volumes"
APPLY_TIMES = ("Immediate", "OnReset")
_ANNOTATION = "@Redfish.OperationApplyTime"


def _support() -> Body:
    return {
        "@odata.type": "#Settings.v1_3_5.OperationApplyTimeSupport",
        "SupportedValues": list(APPLY_TIMES),
    }


@routes.get("/Systems/DGX/Storage/StorageUnit_0/Volumes")
def volumes(bmc: RedfishBmc) -> Body:
    return {
        "@Redfish.CollectionCapabilities": {
            "@odata.type": "#CollectionCapabilities.v1_1_0.CollectionCapabilities",
            "Capabilities": [
                {
                    "CapabilitiesObject": link(f"{VOLUMES}/Capabilities"),
                    "Links": {"TargetCollection": link(VOLUMES)},
                    "UseCase": "VolumeCreation",
                }
            ],
            "MaxMembers": LARGEST,
        },
        "@Redfish.OperationApplyTimeSupport": _support(),
        **ami(
            VOLUMES,
            "VolumeCollection.VolumeCollection",
            Description="Collection of volumes of this controller",
            **members([f"{VOLUMES}/{id}" for id in bmc.machine.volumes.by_id]),
            Name="Volume Collection",
        ),
    }


@routes.get("/Systems/DGX/Storage/StorageUnit_0/Volumes/Capabilities")
def capabilities(bmc: RedfishBmc) -> Body:
    return {
        "@odata.id": f"{ROOT}{VOLUMES}/Capabilities",
        "@odata.type": "#Volume.v1_6_2.Volume",
        "DisplayName@Redfish.OptionalOnCreate": True,
        "Id": "Capabilities",
        "Links": {"Drives@Redfish.RequiredOnCreate": True},
        "Links@Redfish.RequiredOnCreate": True,
        "Name": "Capabilities for the volume collection",
        "RAIDType@Redfish.AllowableValues": list(RAID_TYPES),
        "RAIDType@Redfish.RequiredOnCreate": True,
    }


@routes.get("/Systems/DGX/Storage/StorageUnit_0/Volumes/{id}")
def volume(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.machine.volumes.by_id.get(id)
    if found is None:
        return None
    path = f"{VOLUMES}/{id}"
    return {
        "@Redfish.OperationApplyTimeSupport": _support(),
        **ami(
            path,
            "Volume.v1_6_2.Volume",
            Actions={
                "#Volume.Initialize": {
                    "InitializeType@Redfish.AllowableValues": ["Fast", "Slow"],
                    "target": f"{ROOT}{path}/Actions/Volume.Initialize",
                }
            },
            CapacityBytes=found.size_gb * 10**9,
            DisplayName=found.name,
            Id=id,
            Links={
                "Drives": [link(f"{UNIT}/Drives/{drive_id(disk)}") for disk in found.disks],
                "Drives@odata.count": len(found.disks),
            },
            Name=f"Volume {id}",
            RAIDType=found.raid_type,
            Status=dict(AMI_OK),
        ),
    }


@routes.post("/Systems/DGX/Storage/StorageUnit_0/Volumes")
async def create(call: Call) -> Answer:
    for name in ("RAIDType", "Links"):
        if name not in call.body:
            raise RedfishError("PropertyMissing", name)
    for name in call.body:
        if name not in ("DisplayName", "RAIDType", "Links", _ANNOTATION):
            raise RedfishError("PropertyUnknown", name)
    raid_type = call.body["RAIDType"]
    if raid_type not in RAID_TYPES:
        raise RedfishError("PropertyValueNotInList", str(raid_type), "RAIDType")
    machine = call.bmc.machine
    by_path = {f"{ROOT}{UNIT}/Drives/{drive_id(disk)}": disk for disk in machine.disks}
    links = call.body["Links"]
    named: Any = links.get("Drives") if isinstance(links, dict) else None
    if not isinstance(named, list) or not named:
        raise RedfishError("PropertyMissing", "Drives")
    paths = [str(drive.get("@odata.id")) if isinstance(drive, dict) else "" for drive in named]
    for path in paths:
        if path not in by_path:
            raise RedfishError("PropertyValueNotInList", path, "Drives")
    name = str(call.body.get("DisplayName") or f"Volume over {len(paths)} drives")
    try:
        planned = machine.volumes.planned(name, raid_type, [by_path[path] for path in paths])
    except VolumeError:
        raise RedfishError("PropertyValueFormatError", ", ".join(paths), "Drives") from None
    return _change(call, "create", planned)


@routes.delete("/Systems/DGX/Storage/StorageUnit_0/Volumes/{id}")
async def delete(call: Call, id: str) -> Answer:
    return _change(call, "delete", call.bmc.machine.volumes.by_id[id])


@routes.post("/Systems/DGX/Storage/StorageUnit_0/Volumes/{id}/Actions/Volume.Initialize")
async def initialize(call: Call, id: str) -> Answer:
    (kind,) = call.require("Volume.Initialize", "InitializeType")
    if kind not in ("Fast", "Slow"):
        raise RedfishError("ActionParameterValueNotInList", str(kind), "InitializeType", "Volume.Initialize")
    found = call.bmc.machine.volumes.by_id.get(id)
    if found is None:
        raise RedfishError("ResourceMissingAtURI", call.path)

    async def carry_out() -> None:
        await call.bmc.clock.sleep(call.bmc.machine.world.delays.volume_s)
        found.initialized = kind

    return call.bmc.task_answer("Volume Initialize", carry_out())


def _change(call: Call, what: str, planned: Volume) -> Answer:
    """At once as a task, or with the next POST: then the task runs until that has been."""
    bmc = call.bmc
    when = call.body.get(_ANNOTATION, "Immediate")
    if when not in APPLY_TIMES:
        raise RedfishError("PropertyValueNotInList", str(when), _ANNOTATION)
    volumes = bmc.machine.volumes

    async def now() -> None:
        await bmc.clock.sleep(bmc.machine.world.delays.volume_s)
        try:
            volumes.carry_out(what, planned)
        except VolumeError as error:
            raise TaskFailed(str(error)) from None

    async def later() -> None:
        waiting = (what, planned)
        volumes.waiting.append(waiting)
        while waiting in volumes.waiting:
            await asyncio.sleep(0.05)
        if (planned.id in volumes.by_id) is not (what == "create"):
            raise TaskFailed(f"{planned.name}: the controller failed")

    return bmc.task_answer(f"Volume {what}", now() if when == "Immediate" else later())
