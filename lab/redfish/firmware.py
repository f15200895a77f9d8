"""UpdateService: what firmware is on the machine. The lab flashes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.redfish.baseboard import find_gpu
from lab.redfish.routes import AMI_OK, Body, ami, hgx, hgx_status, link, members, routes
from lab.sensors import NVSWITCHES

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

DRIVER = "535.154.05"


def inventory(bmc: RedfishBmc) -> dict[str, tuple[str, str]]:
    """Version and device class of each component, by its id."""
    parts = {
        "CPLDMB_0": ("0.2.1.8", "CPLD"),
        "HGX_FW_BMC_0": ("HGX-22.10-1-rc57", "HGX"),
        "HGX_FW_FPGA_0": ("2.37", "HGX"),
        "HostBIOS_0": ("01.01.03", "BIOS"),
        "HostBMC_0": ("23.11.20", "BMC"),
    }
    for number in range(NVSWITCHES):
        parts[f"HGX_FW_NVSwitch_{number}"] = ("96.10.3F.00.01", "HGX")
    for gpu in bmc.machine.present_gpus:
        parts[f"HGX_FW_{gpu.id}"] = (gpu.firmware_version, "HGX")
    return dict(sorted(parts.items()))


@routes.get("/UpdateService")
def update_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/UpdateService",
        "UpdateService.v1_11_0.UpdateService",
        Description="Redfish Update Service",
        FirmwareInventory=link("/UpdateService/FirmwareInventory"),
        Id="UpdateService",
        Name="Update Service",
        ServiceEnabled=True,
        SoftwareInventory=link("/UpdateService/SoftwareInventory"),
        Status=dict(AMI_OK),
    )


@routes.get("/UpdateService/FirmwareInventory")
def firmware_list(bmc: RedfishBmc) -> Body:
    parts = inventory(bmc)
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
    found = inventory(bmc).get(id)
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
