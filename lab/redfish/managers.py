"""Managers: the AMI BMC with its virtual media, and the HMC on the GPU tray."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from lab.redfish.errors import RedfishError
from lab.redfish.root import bmc_uuid
from lab.redfish.routes import AMI_OK, ROOT, Answer, Body, Call, action_info, ami, hgx, hgx_status, link, routes
from lab.redfish.routes import members as member_list
from lab.redfish.systems import reset_action

if TYPE_CHECKING:
    from lab.bmc import VirtualMedia
    from lab.redfish.service import RedfishBmc

BMC = "/Managers/BMC"
MEDIA = f"{BMC}/VirtualMedia"


@routes.get("/Managers")
def managers(bmc: RedfishBmc) -> Body:
    return ami(
        "/Managers",
        "ManagerCollection.ManagerCollection",
        Description="The collection for Managers",
        **member_list([BMC, "/Managers/HGX_BMC_0", "/Managers/HGX_FabricManager_0"]),
        Name="Manager Collection",
    )


@routes.get("/Managers/BMC")
def manager(bmc: RedfishBmc) -> Body:
    return ami(
        BMC,
        "Manager.v1_14_0.Manager",
        Actions=reset_action(BMC, "Manager.Reset"),
        CommandShell={"ConnectTypesSupported": ["IPMI", "SSH"], "MaxConcurrentSessions": 36, "ServiceEnabled": True},
        DateTime=bmc.clock.now().isoformat(timespec="seconds"),
        DateTimeLocalOffset="+00:00",
        Description="BMC",
        EthernetInterfaces=link(f"{BMC}/EthernetInterfaces"),
        FirmwareVersion=bmc.machine.firmware.bmc_version,
        GraphicalConsole={"ConnectTypesSupported": ["KVMIP"], "MaxConcurrentSessions": 4, "ServiceEnabled": True},
        Id="BMC",
        Links={"ManagerInChassis": link("/Chassis/DGX")},
        LogServices=link(f"{BMC}/LogServices"),
        ManagerType="BMC",
        Model="77171220",
        Name="Manager",
        NetworkProtocol=link(f"{BMC}/NetworkProtocol"),
        PowerState="On",
        **{"Redundancy@odata.count": 0},
        SerialConsole={"ConnectTypesSupported": ["IPMI"], "MaxConcurrentSessions": 1, "ServiceEnabled": True},
        ServiceEntryPointUUID=bmc_uuid(bmc),
        Status=dict(AMI_OK),
        UUID=bmc_uuid(bmc),
        VirtualMedia=link(MEDIA),
    )


@routes.get("/Managers/BMC/ResetActionInfo")
def reset_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        f"{BMC}/ResetActionInfo",
        "ResetAction",
        "This action is used to reset the Managers",
        ResetType=["ForceRestart"],
    )


@routes.post("/Managers/BMC/Actions/Manager.Reset")
async def reset(call: Call) -> Answer:
    """Restart the BMC: sessions end and it does not answer for a while. The host runs on."""
    (kind,) = call.require("Manager.Reset", "ResetType")
    if kind != "ForceRestart":
        raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", "Manager.Reset")
    call.bmc.tasks.start("Manager Reset", restart_bmc(call.bmc))
    return Answer()


async def restart_bmc(bmc: RedfishBmc) -> None:
    """A restart that leaves the time for an answer."""
    await asyncio.sleep(0.05)
    restart(bmc)


def restart(bmc: RedfishBmc) -> None:
    """The BMC starts over: sessions and media go, and nothing answers for a while."""
    bmc.machine.world.log.add(bmc.machine.name, "machine", "bmc.reset", by="redfish")
    bmc.state.resets += 1
    bmc.state.away_until = bmc.clock.elapsed() + bmc.machine.world.delays.bmc_reset_s
    bmc.machine.firmware.run_staged(("BMC",))
    for media in bmc.state.media.values():
        _eject(media)


# --- virtual media


@routes.get("/Managers/BMC/VirtualMedia")
def media_list(bmc: RedfishBmc) -> Body:
    return ami(
        MEDIA,
        "VirtualMediaCollection.VirtualMediaCollection",
        Description="Collection of Virtual Media redirected to host via this Manager",
        **member_list([f"{MEDIA}/{id}" for id in bmc.state.media]),
        Name="Virtual Media Collection",
    )


@routes.get("/Managers/BMC/VirtualMedia/{id}")
def media(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.state.media.get(id)
    if found is None:
        return None
    path = f"{MEDIA}/{id}"
    return ami(
        path,
        "VirtualMedia.v1_5_0.VirtualMedia",
        Actions={
            f"#VirtualMedia.{verb}Media": {"target": f"{ROOT}{path}/Actions/VirtualMedia.{verb}Media"}
            for verb in ("Insert", "Eject")
        },
        ConnectedVia="URI" if found.inserted else "NotConnected",
        Id=id,
        Image=found.image,
        ImageName=found.image.rsplit("/", 1)[-1] if found.image else None,
        Inserted=found.inserted,
        MediaTypes=["CD", "DVD"] if id.startswith("CD") else ["USBStick"],
        Name=f"Virtual media {id}",
        Password=None,
        UserName=found.username,
        WriteProtected=found.write_protected,
    )


@routes.post("/Managers/BMC/VirtualMedia/{id}/Actions/VirtualMedia.InsertMedia")
async def insert_media(call: Call, id: str) -> Answer:
    """A DGX wants UserName and Password in the body, even if empty."""
    found = call.bmc.state.media.get(id)
    if found is None:
        raise RedfishError("ResourceMissingAtURI", call.path)
    for name in ("Image", "UserName", "Password"):
        if name not in call.body:
            raise RedfishError("ActionParameterMissing", "VirtualMedia.InsertMedia", name)
    image = call.body["Image"]
    if not isinstance(image, str) or "://" not in image:
        raise RedfishError("ActionParameterValueNotInList", str(image), "Image", "VirtualMedia.InsertMedia")
    found.image, found.inserted, found.username = image, True, str(call.body["UserName"]) or None
    return Answer()


@routes.post("/Managers/BMC/VirtualMedia/{id}/Actions/VirtualMedia.EjectMedia")
async def eject_media(call: Call, id: str) -> Answer:
    found = call.bmc.state.media.get(id)
    if found is None:
        raise RedfishError("ResourceMissingAtURI", call.path)
    _eject(found)
    return Answer()


def _eject(media: VirtualMedia) -> None:
    media.image, media.inserted, media.username = None, False, None


# --- the HMC


@routes.get("/Managers/HGX_BMC_0")
def hmc(bmc: RedfishBmc) -> Body:
    path = "/Managers/HGX_BMC_0"
    return hgx(
        path,
        "Manager.v1_14_0.Manager",
        Actions={
            "#Manager.Reset": {
                "@Redfish.ActionInfo": f"{ROOT}{path}/ResetActionInfo",
                "target": f"{ROOT}{path}/Actions/Manager.Reset",
            }
        },
        DateTime=bmc.clock.now().replace(year=2020).isoformat(timespec="seconds"),  # a clock nobody set
        DateTimeLocalOffset="+00:00",
        Description="Baseboard Management Controller",
        FirmwareVersion=bmc.machine.firmware.components["HGX_FW_BMC_0"][0],
        Id="bmc",  # sic: not the last part of its path
        Links={
            "ManagerForChassis": [link("/Chassis/HGX_BMC_0")],
            "ManagerForChassis@odata.count": 1,
            "ManagerForServers": [link("/Systems/HGX_Baseboard_0")],
            "ManagerForServers@odata.count": 1,
            "ManagerInChassis": link("/Chassis/HGX_Chassis_0"),
        },
        ManagerType="BMC",
        Model="OpenBmc",
        Name="OpenBmc Manager",
        PowerState="On",
        Status=hgx_status(),
        UUID=str(uuid.uuid5(uuid.NAMESPACE_OID, f"hmc/{bmc.machine.serial_number}")),
    )


@routes.get("/Managers/HGX_BMC_0/ResetActionInfo")
def hmc_reset_action_info(bmc: RedfishBmc) -> Body:
    return hgx(
        "/Managers/HGX_BMC_0/ResetActionInfo",
        "ActionInfo.v1_1_2.ActionInfo",
        Id="ResetActionInfo",
        Name="Reset Action Info",
        Parameters=[
            {
                "AllowableValues": ["GracefulRestart", "ForceRestart"],
                "DataType": "String",
                "Name": "ResetType",
                "Required": True,
            }
        ],
    )


@routes.post("/Managers/HGX_BMC_0/Actions/Manager.Reset")
async def reset_hmc(call: Call) -> Answer:
    (kind,) = call.require("Manager.Reset", "ResetType")
    if kind not in ("GracefulRestart", "ForceRestart"):
        raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", "Manager.Reset")
    return Answer()


@routes.get("/Managers/HGX_FabricManager_0")
def fabric_manager(bmc: RedfishBmc) -> Body:
    return hgx(
        "/Managers/HGX_FabricManager_0",
        "Manager.v1_11_0.Manager",
        Description="Software Service for Baseboard Management Functions",
        Id="HGX_FabricManager_0",
        ManagerType="Service",
        Name="NVSwitch Fabric Manager",
        # no capture shows one that is down; these are the words that Resource.Status has for it (DSP0268)
        Status=hgx_status() if bmc.machine.fabric_runs else hgx_status("Critical", "UnavailableOffline"),
    )
