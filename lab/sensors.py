"""What a server's sensors read, computed from its physics when somebody asks.

Names, units and thresholds are those of a DGX H100; values follow power state, load and temperatures. A reading is None
when nothing is there to measure (GPU tray without power, GPU off the bus).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.gpu import Gpu
from lab.machine import Machine

NVSWITCHES = 4
RETIMERS = 8
HOT_SWAP_CONTROLLERS = 10  # eight of them feed one GPU each
POWER_SUPPLIES = 6
SYSTEM_FANS = 12


@dataclass(frozen=True)
class Sensor:
    """One sensor. ``kind`` is a Redfish ReadingType; ``related`` a path below /redfish/v1; ``context``
    a Redfish PhysicalContext, "" where the firmware gives none."""

    id: str
    chassis: str
    kind: str
    reading: float | None
    context: str
    related: str = "/Systems/HGX_Baseboard_0"
    thresholds: dict[str, float] = field(default_factory=dict)
    synthesized: bool = False
    max_allowable: float | None = None

    @property
    def unit(self) -> str:
        return {"Temperature": "Cel", "Power": "W", "Voltage": "V", "EnergyJoules": "J"}.get(self.kind, "RPM")

    @property
    def health(self) -> str:
        """OK, Warning or Critical by the thresholds."""
        if self.reading is None:
            return "OK"
        for name, health in (
            ("Fatal", "Critical"),
            ("Critical", "Critical"),
            ("Caution", "Warning"),
        ):
            upper, lower = self.thresholds.get(f"Upper{name}"), self.thresholds.get(f"Lower{name}")
            if (upper is not None and self.reading >= upper) or (lower is not None and self.reading <= lower):
                return health
        return "OK"


def _wobble(machine: Machine, phase: float, amplitude: float) -> float:
    return amplitude * math.sin(machine.world.clock.elapsed() / 53 + phase + machine.config.number)


def ambient_celsius(machine: Machine) -> float:
    if machine.inlet_celsius is not None:
        return machine.inlet_celsius
    return 22.0 + _wobble(machine, 0, 0.6)


def gpu_sensors(machine: Machine, gpu: Gpu) -> Iterator[Sensor]:
    """Seven sensors of a GPU. TEMP_1 is no temperature but the margin to the slowdown threshold (TLIMIT)."""
    at = machine.world.clock.elapsed()
    on = machine.power == "On" and machine.gpu_present(gpu)
    chassis = f"HGX_{gpu.id}"
    related = f"/Systems/HGX_Baseboard_0/Processors/{gpu.id}"

    def sensor(name: str, kind: str, reading: float, related: str = related, **more: object) -> Sensor:
        return Sensor(f"{chassis}_{name}", chassis, kind, reading if on else None, "GPU", related, **more)  # type: ignore[arg-type]

    watts = gpu.power_watts(at)
    yield sensor("Energy_0", "EnergyJoules", 5.6e7 + watts * max(at - machine.powered_at, 0))
    yield sensor("DRAM_0_Power_0", "Power", gpu.memory_power_watts(at), "/Systems/HGX_Baseboard_0")
    yield sensor("Power_0", "Power", watts, max_allowable=1020)
    yield sensor("DRAM_0_Temp_0", "Temperature", gpu.memory_celsius(at), thresholds={"UpperCritical": 95})
    yield sensor("TEMP_0", "Temperature", gpu.temperature_celsius(at))
    yield sensor(
        "TEMP_1",
        "Temperature",
        gpu.margin_celsius(at),
        thresholds={"LowerCaution": 0, "LowerCritical": -2, "LowerFatal": -8},
        synthesized=True,
    )
    yield sensor("Voltage_0", "Voltage", 0.67 + 0.2 * gpu.load, "/Systems/HGX_Baseboard_0")


def baseboard_sensors(machine: Machine) -> Iterator[Sensor]:
    """The GPU tray without its GPUs: power feeds, inlets, boards."""
    on = machine.power == "On"
    at = machine.world.clock.elapsed()
    chassis = "HGX_Chassis_0"
    inlet = ambient_celsius(machine) + 9

    def sensor(name: str, kind: str, reading: float, context: str, **more: object) -> Sensor:
        return Sensor(f"{chassis}_{name}", chassis, kind, reading if on else None, context, **more)  # type: ignore[arg-type]

    gpu_watts = [gpu.power_watts(at) for gpu in machine.present_gpus]
    feeds = []
    for index in range(HOT_SWAP_CONTROLLERS):
        watts = gpu_watts[index] + 2 if index < len(gpu_watts) else 98.0 + _wobble(machine, index, 2)
        feeds.append(watts)
        yield sensor(f"HSC_{index}_Power_0", "Power", watts, "GPUSubsystem")
        yield sensor(f"HSC_{index}_Temp_0", "Temperature", inlet + _wobble(machine, index, 1), "GPUSubsystem")
    for index in range(2):
        yield sensor(f"Inlet_{index}_Temp_0", "Temperature", inlet + _wobble(machine, index, 0.5), "GPUSubsystem")
    for index in range(4):
        yield sensor(f"PCB_{index}_Temp_0", "Temperature", inlet + _wobble(machine, 2 * index, 3), "GPUSubsystem")
    yield Sensor(f"{chassis}_StandbyHSC_0_Power_0", chassis, "Power", 27.3, "GPUSubsystem")
    yield Sensor(f"{chassis}_StandbyHSC_0_Temp_0", chassis, "Temperature", inlet + 2, "GPUSubsystem")
    yield sensor("TotalGPU_Power_0", "Power", sum(gpu_watts), "GPUSubsystem", synthesized=True)
    yield sensor("TotalHSC_Power_0", "Power", sum(feeds), "GPUSubsystem", max_allowable=21207)


def component_sensors(machine: Machine) -> Iterator[Sensor]:
    """One temperature each of the HMC, the FPGA, the NVSwitches, the PCIe retimers and the PCIe switch."""
    on = machine.power == "On"

    def sensor(chassis: str, name: str, reading: float, context: str, related: str, **more: object) -> Sensor:
        return Sensor(
            f"{chassis}_{name}",
            chassis,
            "Temperature",
            reading if on else None,
            context,
            related,
            **more,  # type: ignore[arg-type]
        )

    yield Sensor("HGX_BMC_0_Temp_0", "HGX_BMC_0", "Temperature", ambient_celsius(machine) + 4, "")
    yield sensor(
        "HGX_FPGA_0", "TEMP_0", 33 + _wobble(machine, 1, 0.5), "FPGA", "/Systems/HGX_Baseboard_0/Processors/FPGA_0"
    )
    for index in range(NVSWITCHES):
        yield sensor(
            f"HGX_NVSwitch_{index}",
            "TEMP_0",
            39 + index * 0.6 + _wobble(machine, index, 0.5),
            "GPU",
            f"/Fabrics/HGX_NVLinkFabric_0/Switches/NVSwitch_{index}",
            thresholds={"UpperCritical": 102, "UpperFatal": 105},
            max_allowable=102,
        )
    for index in range(RETIMERS):
        yield sensor(
            f"HGX_PCIeRetimer_{index}",
            "TEMP_0",
            57 + index * 0.3 + _wobble(machine, index, 0.5),
            "SystemBoard",
            f"/Fabrics/HGX_PCIeRetimerTopology_{index}/Switches/PCIeRetimer_{index}",
        )
    yield sensor(
        "HGX_PCIeSwitch_0",
        "TEMP_0",
        43 + _wobble(machine, 2, 0.5),
        "SystemBoard",
        "/Fabrics/HGX_PCIeSwitchTopology_0/Switches/PCIeSwitch_0",
    )


def hgx_sensors(machine: Machine) -> Iterator[Sensor]:
    """All sensors behind the HMC, in the order of the platform report: by chassis, then by name."""
    everything = [*component_sensors(machine), *baseboard_sensors(machine)]
    for gpu in machine.present_gpus:
        everything.extend(gpu_sensors(machine, gpu))
    return iter(sorted(everything, key=lambda sensor: (sensor.chassis, sensor.id)))


def host_sensors(machine: Machine) -> Iterator[Sensor]:
    """Sensors of the AMI BMC itself (chassis DGX)."""
    on = machine.power == "On"
    at = machine.world.clock.elapsed()
    ambient = ambient_celsius(machine)
    gpus = machine.present_gpus
    gpu_watts = sum(gpu.power_watts(at) for gpu in gpus)
    system_watts = 980 + gpu_watts if on else 190.0

    def temperature(name: str, reading: float, needs_power: bool = True, **thresholds: float) -> Sensor:
        value = None if needs_power and not on else reading
        return Sensor(name, "DGX", "Temperature", value, "Intake", thresholds=thresholds)

    def power(name: str, reading: float, needs_power: bool = True, **thresholds: float) -> Sensor:
        value = None if needs_power and not on else reading
        return Sensor(name, "DGX", "Power", value, "VoltageRegulator", thresholds=thresholds)

    yield temperature("TEMP_AMBIENT", ambient, False, LowerCaution=5, UpperCaution=37, UpperCritical=40, UpperFatal=42)
    for index in range(2):
        yield temperature(
            f"TEMP_CPU{index}",
            ambient + 30 + _wobble(machine, index, 2),
            LowerCaution=5,
            UpperCaution=89,
            UpperCritical=91,
            UpperFatal=93,
        )
        yield power(f"PWR_CPU{index}", 140 + _wobble(machine, index, 5))
    yield temperature("TEMP_MB_INLET", ambient + 3, False)
    yield temperature("TEMP_MB_OUTLET", ambient + (22 if on else 4), False)
    yield temperature("TEMP_PCH", ambient + 15)
    for gpu in gpus:
        yield temperature(f"TEMP_GB_SXM{gpu.number}", gpu.temperature_celsius(at))
        yield temperature(f"TEMP_GB_SXM{gpu.number}_M", gpu.memory_celsius(at))
        yield temperature(
            f"TLIMIT_GB_SXM{gpu.number}", gpu.margin_celsius(at), LowerCaution=0, LowerCritical=-2, LowerFatal=-8
        )
        yield power(f"PWR_GB_SXM{gpu.number}", gpu.power_watts(at))
    yield power("PWR_SYSTEM", system_watts, False, UpperCaution=19890, UpperCritical=19890)
    yield power("PWR_GB1_TOT_HSC", gpu_watts + 240)
    for index in range(POWER_SUPPLIES):
        yield power(f"PWR_PSU{index}", system_watts / POWER_SUPPLIES, False)
        yield temperature(f"TEMP_PSU{index}", ambient + 5, False)
    yield from fans(machine)


def fans(machine: Machine) -> Iterator[Sensor]:
    load = max((gpu.load for gpu in machine.gpus), default=0.0)
    speed = 4400 + 7000 * load if machine.power == "On" else 1500.0
    for index in range(1, SYSTEM_FANS + 1):
        for side in ("F", "R"):
            yield Sensor(
                f"SPD_FAN_SYS{index}_{side}",
                "DGX",
                "Rotational",
                round(speed + _wobble(machine, index, 60)),
                "Fan",
                thresholds={"LowerCritical": 1000},
            )
