"""Chassis: the DGX box of the AMI BMC and the components of the GPU tray behind the HMC."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lab.redfish.baseboard import find_gpu, gpu_health
from lab.redfish.logs import xid_service_paths
from lab.redfish.routes import AMI_OK, OK, ROOT, Answer, Body, Call, action_info, ami, hgx, hgx_status, link, routes
from lab.redfish.routes import members as member_list
from lab.redfish.systems import LED_STATES, drive_paths, reset_action, reset_host
from lab.sensors import NVSWITCHES, POWER_SUPPLIES, RETIMERS, Sensor, fans, hgx_sensors, host_sensors

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

# Component chassis of the GPU tray without the GPUs: (id, type, model, sku)
_COMPONENTS: dict[str, tuple[str, str | None, str]] = {
    "HGX_BMC_0": ("Component", "P2312-A04", "0x52240D10"),
    "HGX_FPGA_0": ("Component", None, "0x10325450"),
    "HGX_PCIeSwitch_0": ("Component", None, "0x01000040"),
    **{f"HGX_NVSwitch_{n}": ("Module", "NVSwitch", "0xB7030070") for n in range(NVSWITCHES)},
    **{f"HGX_PCIeRetimer_{n}": ("Component", None, "0x0001FA1D") for n in range(RETIMERS)},
}


def chassis_ids(bmc: RedfishBmc) -> list[str]:
    gpus = [f"HGX_{gpu.id}" for gpu in bmc.machine.present_gpus]
    return sorted(["DGX", "HGX", "HGX_Chassis_0", *gpus, *_COMPONENTS])


@routes.get("/Chassis")
def chassis_list(bmc: RedfishBmc) -> Body:
    return ami(
        "/Chassis",
        "ChassisCollection.ChassisCollection",
        Description="The Collection for Chassis",
        **member_list([f"/Chassis/{id}" for id in chassis_ids(bmc)]),
        Name="Chassis Collection",
    )


@routes.get("/Chassis/DGX")
def dgx(bmc: RedfishBmc) -> Body:
    path = "/Chassis/DGX"
    drives = drive_paths(bmc)
    return ami(
        path,
        "Chassis.v1_15_0.Chassis",
        Actions=reset_action(path, "Chassis.Reset"),
        AssetTag="Default string",
        ChassisType="Other",
        Description="High Level Chassis instance",
        Id="DGX",
        IndicatorLED=bmc.indicator_led,
        **{"IndicatorLED@Redfish.AllowableValues": list(LED_STATES)},
        Links={
            "ComputerSystems": [link("/Systems/DGX")],
            "ComputerSystems@odata.count": 1,
            "Contains": [link("/Chassis/HGX")],
            "Contains@odata.count": 1,
            "Drives": [link(drive) for drive in drives],
            "Drives@odata.count": len(drives),
            "ManagedBy": [link("/Managers/BMC")],
            "ManagedBy@odata.count": 1,
        },
        Manufacturer="NVIDIA",
        MaxPowerWatts=4,  # sic, as the firmware says
        Model="DGXH100",
        Name="High Level Chassis",
        PartNumber="965-24387-0002-000",
        Power=link(f"{path}/Power"),
        PowerState=bmc.machine.power,
        PowerSubsystem=link(f"{path}/PowerSubsystem"),
        SKU="920-24387-2540-000",
        Sensors=link(f"{path}/Sensors"),
        SerialNumber=bmc.machine.serial_number,
        Status=dict(OK),
        Thermal=link(f"{path}/Thermal"),
        ThermalSubsystem=link(f"{path}/ThermalSubsystem"),
    )


@routes.get("/Chassis/DGX/ResetActionInfo")
def reset_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        "/Chassis/DGX/ResetActionInfo",
        "ResetAction",
        "This action is used to reset the Chassis",
        ResetType=["ForceOff", "ForceRestart", "GracefulShutdown", "On"],
    )


@routes.post("/Chassis/DGX/Actions/Chassis.Reset")
async def reset(call: Call) -> Answer:
    return reset_host(call, "Chassis.Reset", "Chassis Reset")


@routes.get("/Chassis/HGX")
def hgx_tray(bmc: RedfishBmc) -> Body:
    return ami(
        "/Chassis/HGX",
        "Chassis.v1_15_0.Chassis",
        AssetTag="",
        ChassisType="Component",
        Description="Chassis Instance for HGX",
        Id="HGX",
        IndicatorLED=None,
        Links={
            "ContainedBy": link("/Chassis/DGX"),
            "ManagedBy": [link("/Managers/BMC")],
            "ManagedBy@odata.count": 1,
        },
        Manufacturer="NVIDIA",
        Model="NVIDIA HGX H100 8-GPU",
        Name="HGX",
        PartNumber="0000000000000000000000000",
        PowerState=None,
        SerialNumber="0000000000000000000000000",
    )


def _hgx_chassis(bmc: RedfishBmc, id: str, kind: str, links: Body, **properties: object) -> Body:
    path = f"/Chassis/{id}"
    return hgx(
        path,
        "Chassis.v1_17_0.Chassis",
        ChassisType=kind,
        Id=id,
        Links={
            "ComputerSystems": [link("/Systems/HGX_Baseboard_0")],
            "ManagedBy": [link("/Managers/HGX_BMC_0")],
            **links,
        },
        LogServices=link(f"{path}/LogServices"),
        Name=id.removeprefix("HGX_"),
        Sensors=link(f"{path}/Sensors"),
        Status=hgx_status(),
        ThermalSubsystem=link(f"{path}/ThermalSubsystem"),
        **properties,
    )


@routes.get("/Chassis/HGX_Chassis_0")
def hgx_chassis(bmc: RedfishBmc) -> Body:
    contained = [f"HGX_{gpu.id}" for gpu in bmc.machine.present_gpus] + list(_COMPONENTS)
    return _hgx_chassis(
        bmc,
        "HGX_Chassis_0",
        "Zone",
        {"Contains": [link(f"/Chassis/{id}") for id in contained]},
        Manufacturer="NVIDIA",
        MaxPowerWatts=5600,
        MinPowerWatts=1600,
        PartNumber="935-24287-0000-000",
        PowerState=bmc.machine.power,
        SerialNumber=f"HGX{bmc.machine.serial_number}",
    )


@routes.get("/Chassis/{id}")
def component(bmc: RedfishBmc, id: str) -> Body | None:
    contained = {"ContainedBy": link("/Chassis/HGX_Chassis_0")}
    gpu = find_gpu(bmc, id.removeprefix("HGX_"))
    if gpu is not None:
        return {
            **_hgx_chassis(
                bmc,
                id,
                "Module",
                {**contained, "Processors": [link(f"/Systems/HGX_Baseboard_0/Processors/{gpu.id}")]},
                Location={"PartLocation": {"LocationType": "Embedded", "ServiceLabel": f"SXM{gpu.number}"}},
                EnvironmentMetrics=link(f"/Chassis/{id}/EnvironmentMetrics"),
                Manufacturer="NVIDIA",
                MaxPowerWatts=700,
                MinPowerWatts=200,
                Model=gpu.model,
                PCIeDevices=link(f"/Chassis/{id}/PCIeDevices"),
                PartNumber=gpu.part_number,
                SKU="0x37040020",
                SerialNumber=gpu.serial_number,
                UUID=str(gpu.uuid),
            ),
            "Status": hgx_status(gpu_health(gpu)),
        }
    if id not in _COMPONENTS:
        return None
    kind, model, sku = _COMPONENTS[id]
    body = _hgx_chassis(
        bmc,
        id,
        kind,
        contained,
        Location={"PartLocation": {"LocationType": "Embedded"}},
        PowerState=bmc.machine.power,
        SKU=sku,
    )
    if id == "HGX_BMC_0":
        body["Name"] = id
    if model:
        body["Model"] = model
        body["Manufacturer"] = "NVIDIA"
    if id.startswith("HGX_NVSwitch"):
        body["UUID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{bmc.machine.serial_number}/{id}"))
    return body


@routes.get("/Chassis/{id}/PCIeDevices")
def pcie_devices(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id.removeprefix("HGX_"))
    if gpu is None:
        return None
    path = f"/Chassis/{id}/PCIeDevices"
    return hgx(
        path, "PCIeDeviceCollection.PCIeDeviceCollection", **member_list([f"{path}/{gpu.id}"]), Name="PCIe Devices"
    )


@routes.get("/Chassis/{id}/PCIeDevices/{device}")
def pcie_device(bmc: RedfishBmc, id: str, device: str) -> Body | None:
    gpu = find_gpu(bmc, device)
    if gpu is None or id != f"HGX_{gpu.id}":
        return None
    return hgx(
        f"/Chassis/{id}/PCIeDevices/{device}",
        "PCIeDevice.v1_5_0.PCIeDevice",
        DeviceType="SingleFunction",
        Id=device,
        Manufacturer="NVIDIA",
        Model=gpu.model,
        Name="PCIe Device",
        PCIeInterface={"LanesInUse": 16, "MaxLanes": 16, "MaxPCIeType": "Gen5", "PCIeType": "Gen5"},
        PartNumber=gpu.part_number,
        SerialNumber=gpu.serial_number,
        Status=hgx_status(gpu_health(gpu)),
        UUID=str(gpu.uuid),
    )


# --- sensors


def sensors_of(bmc: RedfishBmc, chassis: str) -> list[Sensor] | None:
    """Sensors of a chassis; None when there is no such chassis."""
    if chassis not in chassis_ids(bmc):
        return None
    source: Iterable[Sensor] = host_sensors(bmc.machine) if chassis == "DGX" else hgx_sensors(bmc.machine)
    return [sensor for sensor in source if sensor.chassis == chassis]


@routes.get("/Chassis/{id}/Sensors")
def sensor_list(bmc: RedfishBmc, id: str) -> Body | None:
    sensors = sensors_of(bmc, id)
    if sensors is None:
        return None
    path = f"/Chassis/{id}/Sensors"
    make = ami if id == "DGX" else hgx
    return make(
        path,
        "SensorCollection.SensorCollection",
        Description="Collection of Sensors for this Chassis",
        **member_list([f"{path}/{sensor.id}" for sensor in sensors]),
        Name="Sensors",
    )


@routes.get("/Chassis/{id}/Sensors/{sensor}")
def sensor(bmc: RedfishBmc, id: str, sensor_id: str) -> Body | None:
    found = next((sensor for sensor in sensors_of(bmc, id) or () if sensor.id == sensor_id), None)
    if found is None:
        return None
    path = f"/Chassis/{id}/Sensors/{sensor_id}"
    state = "Enabled" if found.reading is not None else "UnavailableOffline"
    thresholds = {name: {"Reading": value} for name, value in found.thresholds.items()}
    common: Body = {
        "Id": found.id,
        **_context(found),
        "Reading": None if found.reading is None else round(found.reading, 6),
        "ReadingType": found.kind,
    }
    if thresholds:
        common["Thresholds"] = thresholds
    if id == "DGX":
        return ami(
            path,
            "Sensor.v1_0_2.Sensor",
            **common,
            Location={"PartLocation": {"LocationType": "Embedded"}},
            Name=found.id,
            Status={"Health": found.health, "State": state},
        )
    if found.synthesized:
        common["Implementation"] = "Synthesized"
    if found.max_allowable is not None:
        common["MaxAllowableOperatingValue"] = found.max_allowable
    return hgx(
        path,
        "Sensor.v1_2_0.Sensor",
        **common,
        Name=found.id.replace("_", " "),
        ReadingUnits=found.unit,
        RelatedItem=[link(found.related)],
        Status=hgx_status(found.health, state),
    )


def _context(sensor: Sensor) -> Body:
    return {"PhysicalContext": sensor.context} if sensor.context else {}


@routes.get("/Chassis/{id}/EnvironmentMetrics")
def environment_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    gpu = find_gpu(bmc, id.removeprefix("HGX_"))
    if gpu is None:
        return None
    readings = {sensor.id: sensor.reading for sensor in sensors_of(bmc, id) or ()}
    sensors = f"{ROOT}/Chassis/{id}/Sensors"
    energy, power = readings[f"{id}_Energy_0"], readings[f"{id}_Power_0"]
    return hgx(
        f"/Chassis/{id}/EnvironmentMetrics",
        "EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        EnergyJoules={"DataSourceUri": f"{sensors}/{id}_Energy_0", "Reading": energy},
        EnergykWh={"Reading": None if energy is None else energy / 3.6e6},
        FanSpeedsPercent=[],
        Id="EnvironmentMetrics",
        Name="Chassis Environment Metrics",
        PowerWatts={
            "@odata.id": f"{sensors}/{id}_Power_0",
            "DataSourceUri": f"{sensors}/{id}_Power_0",
            "Reading": power,
        },
    )


@routes.get("/Chassis/{id}/ThermalSubsystem")
def thermal_subsystem(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in chassis_ids(bmc) or id == "HGX":
        return None
    path = f"/Chassis/{id}/ThermalSubsystem"
    if id == "DGX":
        return ami(
            path,
            "ThermalSubsystem.v1_0_0.ThermalSubsystem",
            Description="ThermalSubsytem for this Chassis",
            Fans=link(f"{path}/Fans"),
            Id="ThermalSubsytem",
            Name="ThermalSubsytem",
            Status=dict(AMI_OK),
            ThermalMetrics=link(f"{path}/ThermalMetrics"),
        )
    return hgx(
        path,
        "ThermalSubsystem.v1_0_0.ThermalSubsystem",
        Id="ThermalSubsystem",
        Name="Thermal Subsystem",
        Status=dict(OK),
        ThermalMetrics=link(f"{path}/ThermalMetrics"),
    )


@routes.get("/Chassis/{id}/ThermalSubsystem/ThermalMetrics")
def thermal_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    """Temperatures of a chassis. The HMC writes readings as strings, the AMI BMC as numbers."""
    sensors = sensors_of(bmc, id)
    if sensors is None or id == "HGX":
        return None
    path = f"/Chassis/{id}/ThermalSubsystem/ThermalMetrics"
    temperatures = [sensor for sensor in sensors if sensor.kind == "Temperature" and sensor.reading is not None]
    if id == "DGX":
        return ami(
            path,
            "ThermalMetrics.v1_0_1.ThermalMetrics",
            Description="Thermal Metrics for this Chassis",
            Id="ThermalMetrics",
            Name="Thermal Metrics",
            TemperatureReadingsCelsius=[
                {
                    "DataSourceUri": f"{ROOT}/Chassis/{id}/Sensors/{sensor.id}",
                    "DeviceName": sensor.id,
                    "PhysicalContext": sensor.context,
                    "Reading": round(sensor.reading or 0),
                }
                for sensor in temperatures
            ],
        )
    return hgx(
        path,
        "ThermalMetrics.v1_0_0.ThermalMetrics",
        Id="ThermalMetrics",
        Name="Chassis Thermal Metrics",
        TemperatureReadingsCelsius=[
            {
                "@odata.id": f"{ROOT}/Chassis/{id}/Sensors/{sensor.id}",
                "DataSourceUri": f"{ROOT}/Chassis/{id}/Sensors/{sensor.id}",
                "DeviceName": id.removeprefix("HGX_"),
                **_context(sensor),
                "Reading": f"{sensor.reading:.6f}",
            }
            for sensor in temperatures
        ],
    )


@routes.get("/Chassis/{id}/LogServices")
def log_services(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in chassis_ids(bmc) or id in ("DGX", "HGX"):
        return None
    return hgx(
        f"/Chassis/{id}/LogServices",
        "LogServiceCollection.LogServiceCollection",
        Description="Collection of LogServices for this Computer System",
        **member_list(xid_service_paths(id)),
        Name="System Log Services Collection",
    )


# --- the older power and thermal resources of the AMI BMC


@routes.get("/Chassis/DGX/Power")
def power(bmc: RedfishBmc) -> Body:
    consumed = next(s.reading for s in host_sensors(bmc.machine) if s.id == "PWR_SYSTEM") or 0
    return ami(
        "/Chassis/DGX/Power",
        "Power.v1_5_4.Power",
        Description="Power sensor readings",
        Id="Power",
        Name="Power",
        PowerControl=[
            {
                "@odata.id": f"{ROOT}/Chassis/DGX/Power#/PowerControl/0",
                "MemberId": "0",
                "Name": "Chassis Power Control",
                "PhysicalContext": "Intake",
                "PowerMetrics": {
                    "AverageConsumedWatts": round(consumed),
                    "IntervalInMin": 1,
                    "MaxConsumedWatts": round(consumed),
                    "MinConsumedWatts": round(consumed),
                },
                "RelatedItem@odata.count": 0,
            }
        ],
        **{"PowerControl@odata.count": 1},
    )


@routes.get("/Chassis/DGX/Thermal")
def thermal(bmc: RedfishBmc) -> Body:
    path = f"{ROOT}/Chassis/DGX/Thermal"
    temperatures = [s for s in host_sensors(bmc.machine) if s.kind == "Temperature" and s.reading is not None]
    return ami(
        "/Chassis/DGX/Thermal",
        "Thermal.v1_5_3.Thermal",
        Description="Thermal sensor readings",
        Fans=[
            {
                "@odata.id": f"{path}#/Fans/{index}",
                "LowerThresholdCritical": fan.thresholds["LowerCritical"],
                "MemberId": str(index),
                "Name": fan.id,
                "PhysicalContext": "Fan",
                "Reading": fan.reading,
                "ReadingUnits": "RPM",
                "RelatedItem@odata.count": 0,
                "Status": {"Health": fan.health, "State": "Enabled"},
            }
            for index, fan in enumerate(fans(bmc.machine))
        ],
        Id="Thermal",
        Name="Thermal",
        Temperatures=[
            {
                "@odata.id": f"{path}#/Temperatures/{index}",
                "MemberId": str(index),
                "Name": sensor.id,
                "PhysicalContext": sensor.context,
                "ReadingCelsius": round(sensor.reading or 0),
                "RelatedItem@odata.count": 0,
                "Status": {"Health": sensor.health, "State": "Enabled"},
            }
            for index, sensor in enumerate(temperatures)
        ],
    )


@routes.get("/Chassis/DGX/PowerSubsystem")
def power_subsystem(bmc: RedfishBmc) -> Body:
    return ami(
        "/Chassis/DGX/PowerSubsystem",
        "PowerSubsystem.v1_1_0.PowerSubsystem",
        Allocation=[],
        Description="PowerSubsytem for this Chassis",
        Id="PowerSubsytem",
        Name="PowerSubsytem",
        PowerSupplies=link("/Chassis/DGX/PowerSubsystem/PowerSupplies"),
        Status=dict(AMI_OK),
    )


@routes.get("/Chassis/DGX/PowerSubsystem/PowerSupplies")
def power_supplies(bmc: RedfishBmc) -> Body:
    path = "/Chassis/DGX/PowerSubsystem/PowerSupplies"
    return ami(
        path,
        "PowerSupplyCollection.PowerSupplyCollection",
        Description="Resource Collection of PowerSupply Instances",
        **member_list([f"{path}/PSU{index}" for index in range(POWER_SUPPLIES)]),
        Name="PowerSupplies Collection",
    )


def _supply_exists(id: str) -> bool:
    return id in {f"PSU{index}" for index in range(POWER_SUPPLIES)}


@routes.get("/Chassis/DGX/PowerSubsystem/PowerSupplies/{id}")
def power_supply(bmc: RedfishBmc, id: str) -> Body | None:
    if not _supply_exists(id):
        return None
    path = f"/Chassis/DGX/PowerSubsystem/PowerSupplies/{id}"
    return ami(
        path,
        "PowerSupply.v1_3_0.PowerSupply",
        Description=f"Power Supply Unit {id}",
        FirmwareVersion="2.2-2.1-2.4",
        Id=id,
        Manufacturer="Delta",
        Metrics=link(f"{path}/Metrics"),
        Model="01   ",
        Name=id,
        PartNumber="ECD16020137",
        SerialNumber=f"DTHTCT{bmc.machine.config.number:04d}{id[-1]}",
    )


@routes.get("/Chassis/DGX/PowerSubsystem/PowerSupplies/{id}/Metrics")
def power_supply_metrics(bmc: RedfishBmc, id: str) -> Body | None:
    if not _supply_exists(id):
        return None
    readings = {sensor.id: sensor.reading for sensor in host_sensors(bmc.machine)}
    sensors = f"{ROOT}/Chassis/DGX/Sensors"
    return ami(
        f"/Chassis/DGX/PowerSubsystem/PowerSupplies/{id}/Metrics",
        "PowerSupplyMetrics.v1_0_1.PowerSupplyMetrics",
        Description="Metrics for this Power Supply",
        Id="PowerSupplyMetrics",
        Name="Power Supply Metrics",
        OutputPowerWatts={"DataSourceUri": f"{sensors}/PWR_{id}"},
        TemperatureCelsius={
            "DataSourceUri": f"{sensors}/TEMP_{id}",
            "Reading": round(readings[f"TEMP_{id}"] or 0),
        },
    )


@routes.get("/Chassis/DGX/ThermalSubsystem/Fans")
def fan_list(bmc: RedfishBmc) -> Body:
    path = "/Chassis/DGX/ThermalSubsystem/Fans"
    return ami(
        path,
        "FanCollection.FanCollection",
        Description="Resource Collection of Fan Instances",
        **member_list([f"{path}/{fan.id}" for fan in fans(bmc.machine)]),
        Name="Fan Collection",
    )


@routes.get("/Chassis/DGX/ThermalSubsystem/Fans/{id}")
def fan(bmc: RedfishBmc, id: str) -> Body | None:
    found = next((fan for fan in fans(bmc.machine) if fan.id == id), None)
    if found is None:
        return None
    return ami(
        f"/Chassis/DGX/ThermalSubsystem/Fans/{id}",
        "Fan.v1_1_1.Fan",
        Id=id,
        Name=id,
        PhysicalContext="Fan",
        SpeedPercent={
            "DataSourceUri": f"{ROOT}/Chassis/DGX/Sensors/{id}",
            "Reading": found.reading,  # rounds per minute, sic
            "SpeedRPM": found.reading,
        },
        Status={"Health": found.health, "State": "Enabled"},
    )
