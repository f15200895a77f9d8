"""UpdateService: what firmware is on the machine, and images that come in by multipart push or by URL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from lab.firmware import BadImage, read_image
from lab.redfish.baseboard import find_gpu
from lab.redfish.errors import RedfishError
from lab.redfish.managers import restart
from lab.redfish.multipart import HEAD_BYTES
from lab.redfish.routes import (
    AMI_OK,
    ROOT,
    Answer,
    Body,
    Call,
    action_info,
    ami,
    hgx,
    hgx_status,
    link,
    members,
    routes,
)
from lab.redfish.tasks import TaskFailed

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

DRIVER = "535.154.05"
INVENTORY = f"{ROOT}/UpdateService/FirmwareInventory"
GPU_TRAY = "HGX_0"  # is updated as a whole and stands in no list
PROTOCOLS = ("HTTP", "FTP", "HTTPS")
_TASK = "Firmware Update"


@routes.get("/UpdateService")
def update_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/UpdateService",
        "UpdateService.v1_11_0.UpdateService",
        Actions={
            "#UpdateService.SimpleUpdate": {
                "@Redfish.ActionInfo": f"{ROOT}/UpdateService/SimpleUpdateActionInfo",
                "target": f"{ROOT}/UpdateService/Actions/SimpleUpdate",
            },
        },
        Description="Redfish Update Service",
        FirmwareInventory=link("/UpdateService/FirmwareInventory"),
        HttpPushUriOptions={"ForceUpdate": False, "HttpPushUriApplyTime": {"ApplyTime": "Immediate"}},
        Id="UpdateService",
        MaxImageSizeBytes=419627008,
        MultipartHttpPushUri=f"{ROOT}/UpdateService/upload",
        Name="Update Service",
        ServiceEnabled=True,
        SoftwareInventory=link("/UpdateService/SoftwareInventory"),
        Status=dict(AMI_OK),
    )


@routes.get("/UpdateService/SimpleUpdateActionInfo")
def simple_update_action_info(bmc: RedfishBmc) -> Body:
    body = action_info(
        "/UpdateService/SimpleUpdateActionInfo",
        "SimpleUpdateActionInfo",
        "This action is used to perform BMC Firmware update",
        ImageURI=None,
        TransferProtocol=list(PROTOCOLS),
    )
    body["Parameters"] += [{"DataType": "String", "Name": name, "Required": False} for name in ("User", "Password")]
    return body


@routes.post("/UpdateService/upload")
async def upload(call: Call) -> Answer:
    """DSP0266, "Multipart HTTP push updates": the parameters name what is updated, the file is the image."""
    if call.form is None:
        raise RedfishError("UnrecognizedRequestBody")
    for name in call.form.parameters:
        if name not in ("Targets", "ForceUpdate", "@Redfish.OperationApplyTime"):
            raise RedfishError("PropertyUnknown", name)
    apply_time = call.form.parameters.get("@Redfish.OperationApplyTime", "Immediate")
    if apply_time != "Immediate":  # HttpPushUriOptions offers nothing else
        raise RedfishError("PropertyValueNotInList", str(apply_time), "@Redfish.OperationApplyTime")
    targets = _checked_targets(call.bmc, call.form.parameters.get("Targets", []))
    file = call.form.file
    return _start(call.bmc, targets, file.head, file.size)


@routes.post("/UpdateService/Actions/SimpleUpdate")
async def simple_update(call: Call) -> Answer:
    """The BMC fetches the image itself. This firmware knows no Targets here."""
    action = "UpdateService.SimpleUpdate"
    for name in ("ImageURI", "TransferProtocol"):
        if name not in call.body:
            raise RedfishError("ActionParameterMissing", action, name)
    for name in call.body:
        if name not in ("ImageURI", "TransferProtocol", "User", "Password"):
            raise RedfishError("ActionParameterNotSupported", name, action)
    url, protocol = str(call.body["ImageURI"]), call.body["TransferProtocol"]
    if protocol not in PROTOCOLS:
        raise RedfishError("ActionParameterValueNotInList", str(protocol), "TransferProtocol", action)
    if urlsplit(url).scheme.upper() != protocol:
        raise RedfishError("ActionParameterValueNotInList", url, "ImageURI", action)
    bmc = call.bmc
    _one_at_a_time(bmc)

    async def fetch_and_write() -> None:
        head, size = await _fetch(url)
        await _write(bmc, [], head, size)

    return bmc.task_answer(_TASK, fetch_and_write())


async def _fetch(url: str) -> tuple[bytes, int]:
    head, size = bytearray(), 0
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
            session.get(url) as answer,
        ):
            if answer.status != 200:
                raise TaskFailed(f"The image could not be transferred: the server answered {answer.status}.")
            async for piece in answer.content.iter_chunked(256 * 1024):
                size += len(piece)
                head += piece[: HEAD_BYTES - len(head)]
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TaskFailed(f"The image could not be transferred: {error}.") from None
    return bytes(head), size


def _checked_targets(bmc: RedfishBmc, targets: Any) -> list[str]:
    """Ids of the components that are meant; the GPU tray stands for all of its own."""
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise RedfishError("PropertyValueTypeError", str(targets), "Targets")
    known = bmc.machine.firmware.components
    ids: list[str] = []
    for target in targets:
        id = target.removeprefix(f"{INVENTORY}/")
        if id == GPU_TRAY:
            ids += [id for id, (_version, device_class) in known.items() if device_class == "HGX"]
        elif id in known and target.startswith(f"{INVENTORY}/"):
            ids.append(id)
        else:
            raise RedfishError("PropertyValueNotInList", target, "Targets")
    return ids


def _start(bmc: RedfishBmc, targets: list[str], head: bytes, size: int) -> Answer:
    _one_at_a_time(bmc)
    return bmc.task_answer(_TASK, _write(bmc, targets, head, size))


def _one_at_a_time(bmc: RedfishBmc) -> None:
    if any(task.name == _TASK and task.ended_at is None for task in bmc.tasks.by_id.values()):
        raise RedfishError("ServiceTemporarilyUnavailable", "60")


async def _write(bmc: RedfishBmc, targets: list[str], head: bytes, size: int) -> None:
    machine = bmc.machine
    try:
        brings = read_image(head, size)
    except BadImage as error:
        raise TaskFailed(str(error)) from None
    known = machine.firmware.components
    wanted = [id for id in brings if id in known and (not targets or id in targets)]
    if not wanted:
        raise TaskFailed("The firmware package holds nothing for this system or these targets.")
    for id in wanted:
        fault = machine.world.faults.pick(machine.name, "machine", "firmware", id)
        machine.world.log.add(machine.name, "machine", "firmware.write", component=id, version=brings[id])
        await machine.world.clock.sleep(machine.world.delays.firmware_s)
        if fault is not None and fault.kind == "firmware_failed":
            raise TaskFailed(f"The update of {id} failed: {fault.value or 'verification failed'}.")
        if fault is None:
            machine.firmware.stage(id, brings[id])
    if any(known[id][1] == "BMC" for id in wanted):
        bmc.tasks.start("Manager Reset", _restart(bmc))


async def _restart(bmc: RedfishBmc) -> None:
    await asyncio.sleep(0.05)  # whoever asks for the task sees it ended
    restart(bmc)


@routes.get("/UpdateService/FirmwareInventory")
def firmware_list(bmc: RedfishBmc) -> Body:
    parts = bmc.machine.firmware.components
    paths = [f"/UpdateService/FirmwareInventory/{id}" for id in parts]
    return ami(
        "/UpdateService/FirmwareInventory",
        "SoftwareInventoryCollection.SoftwareInventoryCollection",
        Description="Collection of Firmware Inventory resources available to the UpdateService",
        **members(paths),
        Name="Firmware Inventory Collection",
        Oem={
            "Ami": {
                "@odata.type": "#AMIFirmwareInventoryCollection.v1_0_0.AMIFirmwareInventoryCollection",
                "FirmwareInventory": [
                    {"DataSourceUri": link(path)["@odata.id"], "Name": id, "Version": version}
                    for path, (id, (version, _)) in zip(paths, parts.items(), strict=True)
                ],
            }
        },
    )


@routes.get("/UpdateService/FirmwareInventory/{id}")
def firmware(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.machine.firmware.components.get(id)
    if found is None:
        return None
    version, device_class = found
    return ami(
        f"/UpdateService/FirmwareInventory/{id}",
        "SoftwareInventory.v1_2_3.SoftwareInventory",
        Id=id,
        Name=id,
        Oem={
            "Ami": {
                "@odata.type": "#AMIFirmwareInventory.v1_0_0.AMIFirmwareInventory",
                "DeviceClass": device_class,
                "DeviceInventoryCache": False,
                **({"FWComponentName": id, "Parent": GPU_TRAY} if device_class == "HGX" else {}),
            }
        },
        Updateable=True,
        Version=version,
    )


@routes.get("/UpdateService/SoftwareInventory")
def software_list(bmc: RedfishBmc) -> Body:
    return ami(
        "/UpdateService/SoftwareInventory",
        "SoftwareInventoryCollection.SoftwareInventoryCollection",
        Description="Collection of Software Inventory resources available to the UpdateService",
        **members([f"/UpdateService/SoftwareInventory/HGX_Driver_{gpu.id}" for gpu in bmc.machine.present_gpus]),
        Name="Software Inventory Collection",
    )


@routes.get("/UpdateService/SoftwareInventory/{id}")
def software(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id.removeprefix("HGX_Driver_"))
    if gpu is None or id != f"HGX_Driver_{gpu.id}":
        return None
    return hgx(
        f"/UpdateService/SoftwareInventory/{id}",
        "SoftwareInventory.v1_4_0.SoftwareInventory",
        Id=id,
        Manufacturer="NVIDIA",
        Name="Software Inventory",
        RelatedItem=[link(f"/Systems/HGX_Baseboard_0/Processors/{gpu.id}")],
        **{"RelatedItem@odata.count": 1},
        Status=hgx_status(),
        Updateable=True,
        Version=DRIVER if bmc.machine.running == "os" else "",
    )
