"""The host as the AMI BMC shows it: Systems/DGX, its settings object, BIOS, boot options, drives and cards."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lab.bmc import BIOS_ATTRIBUTES
from lab.disk import Disk
from lab.machine import BootOption, PowerAction
from lab.redfish.errors import RedfishError
from lab.redfish.routes import AMI_OK, OK, ROOT, Answer, Body, Call, action_info, ami, link, members, routes
from lab.redfish.tasks import TaskFailed

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

DGX = "/Systems/DGX"
RESET_ACTIONS: dict[str, PowerAction] = {
    "On": "on",
    "ForceOff": "off",
    "ForceRestart": "reset",
    "GracefulShutdown": "soft",
}
OVERRIDE_TARGETS = (
    "None",
    "Pxe",
    "Floppy",
    "Cd",
    "Usb",
    "Hdd",
    "BiosSetup",
    "Utilities",
    "Diags",
    "UefiShell",
    "UefiTarget",
    "SDCard",
    "UefiHttp",
    "RemoteDrive",
    "UefiBootNext",
)
OVERRIDE_ENABLED = ("Disabled", "Once", "Continuous")
LED_STATES = ("Lit", "Blinking", "Off")
CORES, THREADS, DIMMS, DIMM_MIB = 56, 112, 32, 65536


def settings(path: str) -> Body:
    return {"@odata.type": "#Settings.v1_2_2.Settings", "SettingsObject": link(path)}


def reset_action(path: str, name: str = "ComputerSystem.Reset") -> Body:
    return {
        f"#{name}": {
            "@Redfish.ActionInfo": f"{ROOT}{path}/ResetActionInfo",
            "@Redfish.OperationApplyTimeSupport": {
                "@odata.type": "#Settings.v1_2_2.OperationApplyTimeSupport",
                "MaintenanceWindowDurationInSeconds": 600,
                "MaintenanceWindowResource": link(path),
                "SupportedValues": ["Immediate", "AtMaintenanceWindowStart"],
            },
            "target": f"{ROOT}{path}/Actions/{name}",
        }
    }


@routes.get("/Systems/DGX")
def system(bmc: RedfishBmc) -> Body:
    machine = bmc.machine
    override = machine.bmc.override
    return {
        "@Redfish.Settings": settings(f"{DGX}/SD"),
        **ami(
            DGX,
            "ComputerSystem.v1_17_0.ComputerSystem",
            Actions=reset_action(DGX),
            AssetTag=bmc.asset_tag,
            Bios=link(f"{DGX}/Bios"),
            BiosVersion=machine.firmware.bios_version,
            Boot={
                "BootNext": None,
                "BootOptions": link(f"{DGX}/BootOptions"),
                "BootOrder": list(machine.boot_order),
                "BootOrderPropertySelection": "BootOrder",
                "BootSourceOverrideEnabled": override.enabled,
                "BootSourceOverrideMode": override.mode,
                "BootSourceOverrideTarget": override.target,
                "HttpBootUri": None,
                "UefiTargetBootSourceOverride": None,
            },
            Description="System Self",
            EthernetInterfaces=link(f"{DGX}/EthernetInterfaces"),
            HostName=None,
            HostingRoles=["ApplicationServer"],
            Id="DGX",
            IndicatorLED=bmc.indicator_led,
            **{"IndicatorLED@Redfish.AllowableValues": list(LED_STATES)},
            LastResetTime=machine.last_reset or "1970-01-01T00:00:00+00:00",
            Links={
                "Chassis": [link("/Chassis/DGX")],
                "Chassis@odata.count": 1,
                "ManagedBy": [link("/Managers/BMC")],
                "ManagedBy@odata.count": 1,
            },
            LogServices=link(f"{DGX}/LogServices"),
            Manufacturer="NVIDIA",
            Memory=link(f"{DGX}/Memory"),
            MemorySummary={
                "MemoryMirroring": None,
                "Status": dict(OK),
                "TotalSystemMemoryGiB": DIMMS * DIMM_MIB // 1024,
                "TotalSystemPersistentMemoryGiB": None,
            },
            Model="DGXH100",
            Name="System",
            PartNumber="965-24387-0002-000",
            PowerRestorePolicy="LastState",
            PowerState=machine.power,
            ProcessorSummary={"Count": 2, "Model": None, "Status": dict(OK)},
            Processors=link(f"{DGX}/Processors"),
            SKU="920-24387-2540-000",
            SecureBoot=link(f"{DGX}/SecureBoot"),
            SerialNumber=machine.serial_number,
            SimpleStorage=link(f"{DGX}/SimpleStorage"),
            Status=dict(OK),
            Storage=link(f"{DGX}/Storage"),
            SubModel=None,
            SystemType="Physical",
            TrustedModules=[
                {
                    "FirmwareVersion": "15.21",
                    "FirmwareVersion2": "64.11776",
                    "InterfaceType": "TPM2_0",
                    "InterfaceTypeSelection": "OemMethod",
                    "Status": dict(OK),
                }
            ],
            UUID=str(uuid.uuid5(uuid.NAMESPACE_OID, f"system/{machine.serial_number}")).upper(),
        ),
    }


@routes.patch("/Systems/DGX")
async def change_system(call: Call) -> Answer:
    """Only the labels: whoever wants to change the boot source must address the settings object."""
    for name, value in call.body.items():
        if name == "AssetTag":
            call.bmc.asset_tag = _string(name, value)
        elif name == "IndicatorLED":
            call.bmc.indicator_led = _one_of(name, value, LED_STATES)
        else:
            raise RedfishError("PropertyNotWritable", name)
    return Answer()


@routes.get("/Systems/DGX/SD")
def system_settings(bmc: RedfishBmc) -> Body:
    """Boot settings for the next start."""
    override = bmc.state.override
    order = bmc.state.boot_order_pending or bmc.machine.boot_order
    return ami(
        f"{DGX}/SD",
        "ComputerSystem.v1_17_0.ComputerSystem",
        AssetTag=bmc.asset_tag,
        Boot={
            "AliasBootOrder": [],
            "BootNext": None,
            "BootOrder": list(order),
            "BootOrderPropertySelection": "BootOrder",
            "BootSourceOverrideEnabled": override.enabled,
            "BootSourceOverrideEnabled@Redfish.AllowableValues": list(OVERRIDE_ENABLED),
            "BootSourceOverrideMode": override.mode,
            "BootSourceOverrideMode@Redfish.AllowableValues": ["UEFI"],
            "BootSourceOverrideTarget": override.target,
            "BootSourceOverrideTarget@Redfish.AllowableValues": list(OVERRIDE_TARGETS),
            "HttpBootUri": None,
            "UefiTargetBootSourceOverride": None,
        },
        Description="System Self",
        Id="DGX",
        Name="System",
        SystemType="Physical",
    )


@routes.patch("/Systems/DGX/SD")
async def change_system_settings(call: Call) -> Answer:
    """Boot override and boot order. AMI wants Mode, Enabled and Target of an override together."""
    boot = call.body.get("Boot")
    if not isinstance(boot, dict):
        raise RedfishError("PropertyMissing", "Boot")
    for name in call.body:
        if name != "Boot":
            raise RedfishError("PropertyNotWritable", name)
    for name in boot:
        if name not in (
            "BootOrder",
            "BootSourceOverrideEnabled",
            "BootSourceOverrideMode",
            "BootSourceOverrideTarget",
        ):
            raise RedfishError("PropertyUnknown" if name.startswith("Boot") else "PropertyNotWritable", name)
    order = _checked_boot_order(call.bmc, boot["BootOrder"]) if "BootOrder" in boot else None
    override = {name: value for name, value in boot.items() if name.startswith("BootSourceOverride")}
    if override:
        enabled = _one_of(
            "BootSourceOverrideEnabled", override.get("BootSourceOverrideEnabled", "Once"), OVERRIDE_ENABLED
        )
        wanted = ["BootSourceOverrideEnabled"]
        if enabled != "Disabled":
            wanted += ["BootSourceOverrideMode", "BootSourceOverrideTarget"]
        for name in wanted:
            if name not in override:
                raise RedfishError("PropertyMissing", name)
        target = _one_of("BootSourceOverrideTarget", override.get("BootSourceOverrideTarget", "None"), OVERRIDE_TARGETS)
        mode = override.get("BootSourceOverrideMode")
        if enabled != "Disabled":
            _one_of("BootSourceOverrideMode", mode, ("UEFI",))
        state = call.bmc.state.override
        if enabled == "Disabled" or target == "None":
            state.clear()
        else:
            state.target, state.enabled, state.mode = target, enabled, mode
    if order is not None:
        call.bmc.state.boot_order_pending = order
    return Answer()


def _checked_boot_order(bmc: RedfishBmc, order: Any) -> list[str]:
    known = [option.reference for option in bmc.machine.boot_options]
    if not isinstance(order, list):
        raise RedfishError("PropertyValueTypeError", str(order), "BootOrder")
    for reference in order:
        if reference not in known:
            raise RedfishError("PropertyValueNotInList", str(reference), "BootOrder")
    if sorted(order) != sorted(known):
        raise RedfishError("PropertyValueFormatError", ", ".join(map(str, order)), "BootOrder")
    return list(order)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise RedfishError("PropertyValueTypeError", str(value), name)
    if value not in allowed:
        raise RedfishError("PropertyValueNotInList", value, name)
    return value


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RedfishError("PropertyValueTypeError", str(value), name)
    return value


# --- power


@routes.get("/Systems/DGX/ResetActionInfo")
def reset_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        f"{DGX}/ResetActionInfo",
        "ResetAction",
        "This action is used to reset the Systems",
        ResetType=["ForceOff", "ForceRestart", "GracefulShutdown", "On"],
    )


@routes.post("/Systems/DGX/Actions/ComputerSystem.Reset")
async def reset(call: Call) -> Answer:
    return reset_host(call, "ComputerSystem.Reset", "Computer Reset")


def reset_host(call: Call, action: str, task: str) -> Answer:
    """Start a power order as a task. A machine already in the wanted state is no error."""
    (kind,) = call.require(action, "ResetType")
    if kind not in RESET_ACTIONS:
        raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", action)
    machine = call.bmc.machine
    if kind == "ForceRestart" and machine.power == "Off":
        raise RedfishError("ResourceInStandby")

    async def carry_out() -> None:
        before = machine.power
        changed = await machine.power_action(RESET_ACTIONS[kind], by="redfish")
        already = before == ("On" if kind == "On" else "Off")
        if not changed and not already:
            raise TaskFailed(
                f"'{kind}' is unsuccessful. IPMI command for {kind} operation returned success but power state of "
                "chassis did not change !!"
            )

    return call.bmc.task_answer(task, carry_out())


# --- BIOS


@routes.get("/Systems/DGX/Bios")
def bios(bmc: RedfishBmc) -> Body:
    return {
        "@Redfish.Settings": settings(f"{DGX}/Bios/SD"),
        **ami(
            f"{DGX}/Bios",
            "Bios.v1_1_0.Bios",
            Actions={
                "#Bios.ResetBios": {
                    "@Redfish.ActionInfo": f"{ROOT}{DGX}/Bios/ResetBiosActionInfo",
                    "target": f"{ROOT}{DGX}/Bios/Actions/Bios.ResetBios",
                },
            },
            AttributeRegistry="BiosAttributeRegistry113.1.1.3",
            Attributes=dict(bmc.state.bios),
            Description="Current BIOS Settings",
            Id="Bios",
            Name="Current BIOS Settings",
        ),
    }


@routes.get("/Systems/DGX/Bios/SD")
def bios_settings(bmc: RedfishBmc) -> Body:
    """What the BIOS will be after the next POST: everything, not only what changes."""
    return ami(
        f"{DGX}/Bios/SD",
        "Bios.v1_1_0.Bios",
        AttributeRegistry="BiosAttributeRegistry113.1.1.3",
        Attributes={**bmc.state.bios, **bmc.state.bios_pending},
        Description="Future BIOS Settings",
        Id="SD",
        Name="Future BIOS Settings",
    )


@routes.patch("/Systems/DGX/Bios/SD")
async def change_bios_settings(call: Call) -> Answer:
    attributes = call.body.get("Attributes")
    if not isinstance(attributes, dict):
        raise RedfishError("PropertyMissing", "Attributes")
    for name in call.body:
        if name not in ("Attributes", "@Redfish.SettingsApplyTime"):
            raise RedfishError("PropertyNotWritable", name)
    for name, value in attributes.items():
        if name not in BIOS_ATTRIBUTES:
            raise RedfishError("PropertyUnknown", name)
        default, allowed = BIOS_ATTRIBUTES[name]
        if type(value) is not type(default):
            raise RedfishError("PropertyValueTypeError", str(value), name)
        if allowed is not None and value not in allowed:
            raise RedfishError("PropertyValueNotInList", str(value), name)
    state = call.bmc.state
    wanted = {**state.bios_pending, **attributes}
    state.bios_pending = {name: value for name, value in wanted.items() if state.bios[name] != value}
    return Answer()


@routes.get("/Systems/DGX/Bios/ResetBiosActionInfo")
def reset_bios_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        f"{DGX}/Bios/ResetBiosActionInfo",
        "ResetBiosAction",
        "This action is used to reset the BIOS attributes to default.",
        ResetType=["Reset"],
    )


@routes.post("/Systems/DGX/Bios/Actions/Bios.ResetBios")
async def reset_bios(call: Call) -> Answer:
    state = call.bmc.state
    defaults = {name: default for name, (default, _) in BIOS_ATTRIBUTES.items()}
    state.bios_pending = {name: value for name, value in defaults.items() if state.bios[name] != value}
    return Answer()


# --- boot options


@routes.get("/Systems/DGX/BootOptions")
def boot_options(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/BootOptions",
        "BootOptionCollection.BootOptionCollection",
        Description="Collection of BootOption for this system",
        **members([f"{DGX}/BootOptions/{option.reference[4:]}" for option in bmc.machine.boot_options]),
        Name="BootOption Collection",
    )


@routes.get("/Systems/DGX/BootOptions/{id}")
def boot_option(bmc: RedfishBmc, id: str) -> Body | None:
    option = next((option for option in bmc.machine.boot_options if option.reference == f"Boot{id}"), None)
    if option is None:
        return None
    return ami(
        f"{DGX}/BootOptions/{id}",
        "BootOption.v1_0_3.BootOption",
        Alias=option.alias or "None",
        BootOptionEnabled=True,
        BootOptionReference=option.reference,
        Description=option.name,
        DisplayName=option.name,
        Id=id,
        Name=option.reference,
        **{"RelatedItem@odata.count": 0},
        UefiDevicePath=_uefi_path(bmc, option),
    )


def _uefi_path(bmc: RedfishBmc, option: BootOption) -> str:
    if option.device == "hdd":
        return "VenHw(99E275E7-75A0-4B37-A2E6-C5385E6C00CB)"
    card = bmc.machine.mac.upper().replace(":", "")
    uri = "/Uri()" if option.device == "http" else ""
    return f"PciRoot(0x120)/Pci(0x1,0x0)/MAC({card},0x1)/IPv4(0.0.0.0,0x0,DHCP,0.0.0.0,0.0.0.0,0.0.0.0){uri}"


# --- cards, memory, processors, drives


@routes.get("/Systems/DGX/EthernetInterfaces")
def ethernet_interfaces(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/EthernetInterfaces",
        "EthernetInterfaceCollection.EthernetInterfaceCollection",
        Description="Collection of ethernet interfaces for this system",
        **members([f"{DGX}/EthernetInterfaces/EthernetInterface4"]),
        Name="Ethernet Interface Collection",
    )


@routes.get("/Systems/DGX/EthernetInterfaces/EthernetInterface4")
def ethernet_interface(bmc: RedfishBmc) -> Body:
    mac = bmc.machine.mac.upper()
    return ami(
        f"{DGX}/EthernetInterfaces/EthernetInterface4",
        "EthernetInterface.v1_6_2.EthernetInterface",
        DHCPv4={"DHCPEnabled": False},
        EthernetInterfaceType="Physical",
        Id="EthernetInterface4",
        InterfaceEnabled=True,
        LinkStatus="LinkUp" if bmc.machine.power == "On" else "LinkDown",
        Links={"Chassis": link("/Chassis/DGX"), "Endpoints@odata.count": 0},
        MACAddress=mac,
        MTUSize=1500,
        Name="EthernetInterface4",
        PermanentMACAddress=mac,
        Status=dict(AMI_OK),
        UefiDevicePath="PciRoot(0x120)/Pci(0x1,0x0)",
    )


@routes.get("/Systems/DGX/Memory")
def memory_modules(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/Memory",
        "MemoryCollection.MemoryCollection",
        Description="Collection of memory devices for this system",
        **members([f"{DGX}/Memory/DevType2_DIMM{index}" for index in range(DIMMS)]),
        Name="Memory Module Collection",
    )


@routes.get("/Systems/DGX/Memory/{id}")
def memory_module(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in {f"DevType2_DIMM{index}" for index in range(DIMMS)}:
        return None
    index = int(id.removeprefix("DevType2_DIMM"))
    return ami(
        f"{DGX}/Memory/{id}",
        "Memory.v1_8_0.Memory",
        AllowedSpeedsMHz=[4800],
        BaseModuleType="RDIMM",
        CapacityMiB=DIMM_MIB,
        Id=id,
        Links={"Chassis": link("/Chassis/DGX")},
        Manufacturer="Micron",
        MemoryLocation={"Channel": index % 8, "MemoryController": 0, "Slot": index % 2, "Socket": index // 16},
        MemoryType="DRAM",
        Name=id,
        OperatingSpeedMhz=4400,
        PartNumber="MTC40F2046S1RC48BA1 ",
        SerialNumber=f"{bmc.machine.config.number:04X}{index:04X}",
        Status=dict(AMI_OK),
    )


@routes.get("/Systems/DGX/Processors")
def processors(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/Processors",
        "ProcessorCollection.ProcessorCollection",
        Description="Collection of processors",
        **members([f"{DGX}/Processors/DevType1_CPU{index}" for index in range(2)]),
        Name="Processors Collection",
    )


@routes.get("/Systems/DGX/Processors/{id}")
def processor(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in ("DevType1_CPU0", "DevType1_CPU1"):
        return None
    return ami(
        f"{DGX}/Processors/{id}",
        "Processor.v1_10_0.Processor",
        Id=id,
        Links={"Chassis": link("/Chassis/DGX")},
        Manufacturer="Intel(R) Corporation",
        Name=id,
        ProcessorArchitecture="x86",
        ProcessorId={"EffectiveFamily": "Intel(R) Xeon(R) Platinum 8480CL"},
        ProcessorType="CPU",
        Socket=id[-4:],
        Status=dict(AMI_OK),
        TotalCores=CORES,
        TotalEnabledCores=CORES,
        TotalThreads=THREADS,
    )


def drive_id(disk: Disk) -> str:
    """As the AMI firmware names NVMe drives: M.2 are devices 0 and 1, U.2 devices 7 to E."""
    return f"NVMe_Device{disk.slot if disk.slot < 2 else disk.slot + 5:X}_NSID1"


def drive_paths(bmc: RedfishBmc) -> list[str]:
    return [f"{DGX}/Storage/StorageUnit_0/Drives/{drive_id(disk)}" for disk in bmc.machine.disks]


@routes.get("/Systems/DGX/Storage")
def storages(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/Storage",
        "StorageCollection.StorageCollection",
        Description="Collection of storage for this system",
        **members([f"{DGX}/Storage/StorageUnit_0"]),
        Name="Storage Collection",
    )


@routes.get("/Systems/DGX/Storage/StorageUnit_0")
def storage(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/Storage/StorageUnit_0",
        "Storage.v1_9_0.Storage",
        Drives=[link(path) for path in drive_paths(bmc)],
        **{"Drives@odata.count": len(bmc.machine.disks)},
        Id="StorageUnit_0",
        Name="StorageUnit_0",
        Status=dict(AMI_OK),
        Volumes=link(f"{DGX}/Storage/StorageUnit_0/Volumes"),
    )


@routes.get("/Systems/DGX/Storage/StorageUnit_0/Drives/{id}")
def drive(bmc: RedfishBmc, id: str) -> Body | None:
    disk = next((disk for disk in bmc.machine.disks if drive_id(disk) == id), None)
    if disk is None:
        return None
    return ami(
        f"{DGX}/Storage/StorageUnit_0/Drives/{id}",
        "Drive.v1_11_0.Drive",
        CapacityBytes=disk.size_gb * 10**9,
        Id=id,
        Manufacturer="Samsung",
        MediaType="SSD",
        Model=disk.model,
        Name=id,
        Protocol="NVMe",
        SerialNumber=disk.serial,
        Status=dict(AMI_OK),
    )


@routes.get("/Systems/DGX/SimpleStorage")
def simple_storages(bmc: RedfishBmc) -> Body:
    return ami(
        f"{DGX}/SimpleStorage",
        "SimpleStorageCollection.SimpleStorageCollection",
        Description="Collection of simple storage for this system",
        **members([f"{DGX}/SimpleStorage/{disk.slot:X}" for disk in bmc.machine.disks]),
        Name="Simple Storage Collection",
    )


@routes.get("/Systems/DGX/SimpleStorage/{id}")
def simple_storage(bmc: RedfishBmc, id: str) -> Body | None:
    disk = next((disk for disk in bmc.machine.disks if f"{disk.slot:X}" == id), None)
    if disk is None:
        return None
    return ami(
        f"{DGX}/SimpleStorage/{id}",
        "SimpleStorage.v1_3_0.SimpleStorage",
        Devices=[
            {
                "CapacityBytes": disk.size_gb * 10**9,
                "Manufacturer": "N/A",
                "Model": disk.model,
                "Name": drive_id(disk),
                "Status": dict(AMI_OK),
            }
        ],
        Id=id,
        Links={"Chassis": link("/Chassis/DGX"), "Storage": link(f"{DGX}/Storage/StorageUnit_0")},
        Name=f"NVMe_Controller_{id}",
        Status=dict(AMI_OK),
        UefiDevicePath=f"PciRoot(0x0)/Pci(0x{disk.slot:X},0x0)/Pci(0x0,0x0)",
    )
