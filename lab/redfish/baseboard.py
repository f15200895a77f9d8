"""The GPU tray behind the HMC: Systems/HGX_Baseboard_0 with its GPUs, their memory and NVLinks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lab.gpu import NVLINKS, Gpu
from lab.redfish.errors import RedfishError
from lab.redfish.routes import OK, ROOT, Answer, Body, Call, hgx, hgx_status, link, members, routes

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

HGX = "/Systems/HGX_Baseboard_0"
NVLINK_GBPS = 212.496
HBM_MIB = 81559


def find_gpu(bmc: RedfishBmc, id: str) -> Gpu | None:
    """The GPU of an id such as GPU_SXM_3 when it is on the bus."""
    return next((gpu for gpu in bmc.machine.present_gpus if gpu.id == id), None)


def gpu_health(gpu: Gpu) -> str:
    errors = gpu.errors
    if errors.remapping_failed or errors.sram_uncorrectable:
        return "Critical"
    return "Warning" if errors.remapping_pending else "OK"


@routes.get("/Systems/HGX_Baseboard_0")
def baseboard(bmc: RedfishBmc) -> Body:
    return hgx(
        HGX,
        "ComputerSystem.v1_17_0.ComputerSystem",
        Description="Computer System",
        Id="HGX_Baseboard_0",
        LastResetTime="1970-01-01T00:00:00+00:00",  # the HMC does not know the time
        Links={"Chassis": [link("/Chassis/HGX_BMC_0")], "ManagedBy": [link("/Managers/HGX_BMC_0")]},
        LogServices=link(f"{HGX}/LogServices"),
        Manufacturer="NVIDIA",
        Memory=link(f"{HGX}/Memory"),
        MemorySummary={"Status": dict(OK), "TotalSystemMemoryGiB": len(bmc.machine.present_gpus) * 79},
        Name="HGX_Baseboard_0",
        Oem={"Nvidia": {"@odata.type": "#NvidiaComputerSystem.v1_0_0.NvidiaComputerSystem", "ISTModeEnabled": False}},
        PowerState=bmc.machine.power,
        ProcessorSummary={"Status": {**OK, "State": "Disabled"}},
        Processors=link(f"{HGX}/Processors"),
        Status=dict(OK),
        SystemType="Physical",
        UUID=str(uuid.uuid5(uuid.NAMESPACE_OID, f"hgx/{bmc.machine.serial_number}")),
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors")
def processors(bmc: RedfishBmc) -> Body:
    return hgx(
        f"{HGX}/Processors",
        "ProcessorCollection.ProcessorCollection",
        **members([f"{HGX}/Processors/{id}" for id in ["FPGA_0", *(gpu.id for gpu in bmc.machine.present_gpus)]]),
        Name="Processor Collection",
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/FPGA_0")
def fpga(bmc: RedfishBmc) -> Body:
    path = f"{HGX}/Processors/FPGA_0"
    return hgx(
        path,
        "Processor.v1_13_0.Processor",
        FPGA={
            "ExternalInterfaces": [{"InterfaceType": "PCIe", "PCIe": {"LanesInUse": 1, "PCIeType": "Gen2"}}],
            "FpgaType": "Discrete",
        },
        FirmwareVersion="2.37",
        Id="FPGA_0",
        Links={"Chassis": link("/Chassis/HGX_FPGA_0")},
        Location={"PartLocation": {"LocationType": "Embedded"}},
        Manufacturer="NVIDIA",
        Name="Processor",
        ProcessorType="FPGA",
        Status=hgx_status(),
        SystemInterface={"InterfaceType": "PCIe", "PCIe": {"LanesInUse": 0, "PCIeType": ""}},
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}")
def processor(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id)
    if gpu is None:
        return None
    path = f"{HGX}/Processors/{id}"
    return {
        "@Redfish.Settings": {
            "@odata.type": "#Settings.v1_3_3.Settings",
            "SettingsObject": link(f"{path}/Settings"),
        },
        **hgx(
            path,
            "Processor.v1_13_0.Processor",
            Actions={
                "#Processor.Reset": {
                    "ResetType@Redfish.AllowableValues": ["ForceRestart"],
                    "target": f"{ROOT}{path}/Actions/Processor.Reset",
                }
            },
            EnvironmentMetrics=link(f"{path}/EnvironmentMetrics"),
            FirmwareVersion=gpu.firmware_version,
            Id=id,
            Links={
                "Chassis": link(f"/Chassis/HGX_{id}"),
                "Memory": [link(f"{HGX}/Memory/{id}_DRAM_0")],
            },
            Location={"PartLocation": {"LocationType": "Embedded", "ServiceLabel": f"SXM{gpu.number}"}},
            Manufacturer="NVIDIA",
            MaxSpeedMHz=1980,
            MemorySummary={
                "ECCModeEnabled": gpu.ecc_enabled,
                "Metrics": link(f"{path}/MemorySummary/MemoryMetrics"),
            },
            Metrics=link(f"{path}/ProcessorMetrics"),
            MinSpeedMHz=345,
            Model=gpu.model,
            Name="Processor",
            Oem={
                "Nvidia": {
                    "@odata.type": "#NvidiaProcessor.v1_0_0.NvidiaProcessor",
                    "MIGModeEnabled": gpu.mig_enabled,
                }
            },
            OperatingSpeedMHz=_speed_mhz(gpu),
            PartNumber=gpu.part_number,
            Ports=link(f"{path}/Ports"),
            ProcessorType="GPU",
            SerialNumber=gpu.serial_number,
            SpeedLimitMHz=65535,  # not set
            SpeedLocked=True,
            Status=hgx_status(gpu_health(gpu)),
            SystemInterface={
                "InterfaceType": "PCIe",
                "PCIe": {"LanesInUse": 16, "MaxLanes": 16, "MaxPCIeType": "Gen5", "PCIeType": "Gen5"},
            },
            UUID=str(gpu.uuid),
            Version="A1",
        ),
    }


def _speed_mhz(gpu: Gpu) -> int:
    return 345 + round((1980 - 345) * gpu.load)


@routes.post("/Systems/HGX_Baseboard_0/Processors/{gpu}/Actions/Processor.Reset")
async def reset_gpu(call: Call, id: str) -> Answer:
    gpu = find_gpu(call.bmc, id)
    if gpu is None:
        raise RedfishError("ResourceMissingAtURI", call.path)
    (kind,) = call.require("Processor.Reset", "ResetType")
    if kind != "ForceRestart":
        raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", "Processor.Reset")
    if call.bmc.machine.power == "Off":
        raise RedfishError("ResourceInStandby")
    settings = call.bmc.gpu_settings.pop(id, {})
    gpu.ecc_enabled = settings.get("ECCModeEnabled", gpu.ecc_enabled)
    gpu.mig_enabled = settings.get("MIGModeEnabled", gpu.mig_enabled)
    await call.bmc.machine.reset_gpu(gpu, by="redfish")
    return Answer(200, {"@Message.ExtendedInfo": []})


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/Settings")
def gpu_settings(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id)
    if gpu is None:
        return None
    pending = bmc.gpu_settings.get(id, {})
    return {
        "@Redfish.SettingsApplyTime": {"@odata.type": "#Settings.v1_3_3.PreferredApplyTime", "ApplyTime": "OnReset"},
        **hgx(
            f"{HGX}/Processors/{id}/Settings",
            "Processor.v1_13_0.Processor",
            Id="Settings",
            MemorySummary={"ECCModeEnabled": pending.get("ECCModeEnabled", gpu.ecc_enabled)},
            Name=f"{id}PendingSettings",
        ),
    }


@routes.patch("/Systems/HGX_Baseboard_0/Processors/{gpu}/Settings")
async def change_gpu_settings(call: Call, id: str) -> Answer:
    """ECC mode, from the next GPU reset on."""
    summary = call.body.get("MemorySummary")
    wanted = summary.get("ECCModeEnabled") if isinstance(summary, dict) else None
    if not isinstance(wanted, bool):
        raise RedfishError("PropertyMissing", "MemorySummary/ECCModeEnabled")
    call.bmc.gpu_settings.setdefault(id, {})["ECCModeEnabled"] = wanted
    return Answer()


@routes.patch("/Systems/HGX_Baseboard_0/Processors/{gpu}")
async def change_gpu(call: Call, id: str) -> Answer:
    """MIG mode, from the next GPU reset on."""
    wanted: Any = call.body.get("Oem")
    for name in ("Nvidia", "MIGModeEnabled"):
        wanted = wanted.get(name) if isinstance(wanted, dict) else None
    if not isinstance(wanted, bool):
        raise RedfishError("PropertyMissing", "Oem/Nvidia/MIGModeEnabled")
    call.bmc.gpu_settings.setdefault(id, {})["MIGModeEnabled"] = wanted
    return Answer()


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/ProcessorMetrics")
def processor_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id)
    if gpu is None:
        return None
    at = bmc.clock.elapsed()
    busy = max(at - bmc.machine.powered_at, 0) * gpu.load if bmc.machine.power == "On" else 0
    throttled = bmc.machine.power == "On" and gpu.margin_celsius(at) <= 0
    return hgx(
        f"{HGX}/Processors/{id}/ProcessorMetrics",
        "ProcessorMetrics.v1_4_0.ProcessorMetrics",
        BandwidthPercent=round(gpu.load * 100),
        CacheMetricsTotal={
            "LifeTime": {
                "CorrectableECCErrorCount": gpu.errors.sram_correctable,
                "UncorrectableECCErrorCount": gpu.errors.sram_uncorrectable,
            }
        },
        CoreVoltage={
            "DataSourceUri": f"{ROOT}/Chassis/HGX_{id}/Sensors/HGX_{id}_Voltage_0",
            "Reading": 0.67 + 0.2 * gpu.load,
        },
        Id="ProcessorMetrics",
        Name=f"{id} Processor Metrics",
        Oem={
            "Nvidia": {
                "@odata.type": "#NvidiaProcessorMetrics.v1_1_0.NvidiaProcessorMetrics",
                "AccumulatedGPUContextUtilizationDuration": f"PT{busy * 2:.9f}S",
                "AccumulatedSMUtilizationDuration": f"PT{busy:.9f}S",
                "PCIeRXBytes": 1_101_402_911 + round(busy * 1e6),
                "PCIeTXBytes": 1_540_054_060 + round(busy * 1e6),
                "ThrottleReasons": ["HWThermalSlowdown"] if throttled else ["NA"],
            }
        },
        OperatingSpeedMHz=_speed_mhz(gpu),
        PCIeErrors={
            "CorrectableErrorCount": 0,
            "FatalErrorCount": 0,
            "L0ToRecoveryCount": 9,
            "NAKReceivedCount": 0,
            "NAKSentCount": 0,
            "NonFatalErrorCount": 0,
            "ReplayCount": gpu.errors.pcie_replay,
            "ReplayRolloverCount": 0,
        },
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/EnvironmentMetrics")
def environment_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id)
    if gpu is None:
        return None
    at = bmc.clock.elapsed()
    on = bmc.machine.power == "On"
    sensors = f"{ROOT}/Chassis/HGX_{id}/Sensors/HGX_{id}"
    return hgx(
        f"{HGX}/Processors/{id}/EnvironmentMetrics",
        "EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        Id="Environment Metrics",
        Name=f"{id} Environment Metrics",
        PowerLimitWatts={
            "AllowableMax": 700,
            "AllowableMin": 200,
            "ControlMode": "Automatic",
            "DefaultSetPoint": 700,
            "Reading": gpu.power_watts(at) if on else None,
            "SetPoint": 700,
        },
        PowerWatts={"DataSourceUri": f"{sensors}_Power_0", "Reading": gpu.power_watts(at) if on else None},
        TemperatureCelsius={
            "DataSourceUri": f"{sensors}_TEMP_1",  # the margin, as on the real one
            "Reading": gpu.margin_celsius(at) if on else None,
        },
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/MemorySummary/MemoryMetrics")
def memory_summary_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id)
    if gpu is None:
        return None
    path = f"{HGX}/Processors/{id}/MemorySummary/MemoryMetrics"
    return hgx(path, "MemoryMetrics.v1_4_1.MemoryMetrics", **_ecc(gpu), Name=f"{id} Memory Summary Metrics")


def _ecc(gpu: Gpu) -> Body:
    return {
        "BandwidthPercent": round(gpu.load * 100),
        "CapacityUtilizationPercent": round(gpu.load * 100),
        "Id": "MemoryMetrics",
        "LifeTime": {
            "CorrectableECCErrorCount": gpu.errors.dram_correctable,
            "UncorrectableECCErrorCount": gpu.errors.dram_uncorrectable,
        },
        "OperatingSpeedMHz": 2619,
    }


# --- memory


def _memory_gpu(bmc: RedfishBmc, id: str) -> Gpu | None:
    return find_gpu(bmc, id.removesuffix("_DRAM_0")) if id.endswith("_DRAM_0") else None


@routes.get("/Systems/HGX_Baseboard_0/Memory")
def memory_modules(bmc: RedfishBmc) -> Body:
    return hgx(
        f"{HGX}/Memory",
        "MemoryCollection.MemoryCollection",
        **members([f"{HGX}/Memory/{gpu.id}_DRAM_0" for gpu in bmc.machine.present_gpus]),
        Name="Memory Module Collection",
    )


@routes.get("/Systems/HGX_Baseboard_0/Memory/{id}")
def memory_module(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = _memory_gpu(bmc, id)
    if gpu is None:
        return None
    path = f"{HGX}/Memory/{id}"
    return hgx(
        path,
        "Memory.v1_11_0.Memory",
        AllowedSpeedsMHz=[1593, 2619],
        CapacityMiB=HBM_MIB,
        ErrorCorrection="SingleBitECC",
        Id=id,
        Links={
            "Chassis": link(f"/Chassis/HGX_{gpu.id}"),
            "Processors": [link(f"{HGX}/Processors/{gpu.id}")],
        },
        Location={"PartLocation": {"LocationType": "Embedded"}},
        Manufacturer="",
        MemoryDeviceType="HBM",
        MemoryType="DRAM",
        Metrics=link(f"{path}/MemoryMetrics"),
        Name="DIMM Slot",
        Oem={
            "Nvidia": {
                "@odata.type": "#NvidiaMemory.v1_0_0.NvidiaMemory",
                "RowRemappingFailed": gpu.errors.remapping_failed,
                "RowRemappingPending": gpu.errors.remapping_pending,
            }
        },
        OperatingSpeedMhz=2619,
        PartNumber="",
        Status=hgx_status(gpu_health(gpu)),
    )


@routes.get("/Systems/HGX_Baseboard_0/Memory/{id}/MemoryMetrics")
def memory_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = _memory_gpu(bmc, id)
    if gpu is None:
        return None
    return hgx(
        f"{HGX}/Memory/{id}/MemoryMetrics",
        "MemoryMetrics.v1_4_1.MemoryMetrics",
        **_ecc(gpu),
        Name=f"{id} Memory Metrics",
        Oem={
            "Nvidia": {
                "@odata.type": "#NvidiaMemoryMetrics.v1_0_0.NvidiaMemoryMetrics",
                "RowRemapping": {
                    "CorrectableRowRemappingCount": gpu.errors.remapped_correctable,
                    "UncorrectableRowRemappingCount": gpu.errors.remapped_uncorrectable,
                },
            }
        },
    )


# --- NVLink


def _link_number(id: str) -> int | None:
    text = id.removeprefix("NVLink_")
    return int(text) if id.startswith("NVLink_") and text.isdigit() and int(text) < NVLINKS else None


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/Ports")
def ports(bmc: RedfishBmc, id: str) -> Body | None:
    if find_gpu(bmc, id) is None:
        return None
    path = f"{HGX}/Processors/{id}/Ports"
    return hgx(
        path,
        "PortCollection.PortCollection",
        **members([f"{path}/NVLink_{number}" for number in range(NVLINKS)]),
        Name="NVLink Port Collection",
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/Ports/{port}")
def port(bmc: RedfishBmc, id: str, port_id: str) -> Body | None:
    gpu, number = find_gpu(bmc, id), _link_number(port_id)
    if gpu is None or number is None:
        return None
    path = f"{HGX}/Processors/{id}/Ports/{port_id}"
    up = gpu.nvlink_up[number] and bmc.machine.power == "On"
    switch = f"/Fabrics/HGX_NVLinkFabric_0/Switches/NVSwitch_{number % 4}"
    return hgx(
        path,
        "Port.v1_4_0.Port",
        CurrentSpeedGbps=NVLINK_GBPS if up else 0,
        Id=port_id,
        LinkState="Enabled",
        LinkStatus="LinkUp" if up else "LinkDown",
        Links={
            "ConnectedSwitchPorts": [link(f"{switch}/Ports/NVLink_{gpu.number * 4 + number // 4}")],
            "ConnectedSwitches": [link(switch)],
        },
        MaxSpeedGbps=NVLINK_GBPS,
        Metrics=link(f"{path}/Metrics"),
        Name=f"{port_id} Resource",
        Oem={"Nvidia": {"@odata.type": "#NvidiaPort.v1_0_0.NvidiaPort", "RXWidth": 2, "TXWidth": 2}},
        PortProtocol="NVLink",
        PortType="DownstreamPort",
        Status=hgx_status(),
    )


@routes.get("/Systems/HGX_Baseboard_0/Processors/{gpu}/Ports/{port}/Metrics")
def port_metrics(bmc: RedfishBmc, id: str, port_id: str) -> Body | None:
    gpu, number = find_gpu(bmc, id), _link_number(port_id)
    if gpu is None or number is None:
        return None
    moved = round(max(bmc.clock.elapsed() - bmc.machine.powered_at, 0) * gpu.load * 1e9)
    return hgx(
        f"{HGX}/Processors/{id}/Ports/{port_id}/Metrics",
        "PortMetrics.v1_3_0.PortMetrics",
        Id="Metrics",
        Name=f"{port_id} Port Metrics",
        Oem={
            "Nvidia": {
                "@odata.type": "#NvidiaPortMetrics.v1_0_0.NvidiaPortMetrics",
                "NVLinkErrors": {
                    "DataCRCCount": 0,
                    "FlitCRCCount": 0,
                    "RecoveryCount": 0,
                    "ReplayCount": 0,
                    "RuntimeError": not gpu.nvlink_up[number],
                    "TrainingError": False,
                },
                "RXNoProtocolBytes": moved // 2,
                "TXNoProtocolBytes": moved // 2,
            }
        },
        RXBytes=moved,
        TXBytes=moved,
    )
