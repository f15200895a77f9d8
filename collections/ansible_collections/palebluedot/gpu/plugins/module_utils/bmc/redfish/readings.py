# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Power and temperatures through Redfish, asking as little as the machine allows.

A GET costs a DGX half a second on average, so eight GPUs sensor by sensor would take minutes: one MetricReport, where
there is one, holds them all. Else each GPU's EnvironmentMetrics.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import GpuMetrics, Metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.gpus import CHASSIS, SYSTEMS, slot_order
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.registry import Reader
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    leaf,
    link,
    links,
    number,
    tables,
    text,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import Profile

REPORTS = "/redfish/v1/TelemetryService/MetricReports"
# Sensors of an NVIDIA HGX tray: .../Chassis/HGX_GPU_SXM_3/Sensors/HGX_GPU_SXM_3_TEMP_0 (GB200: HGX_GPU_0_TEMP_0).
_HGX_SENSOR = re.compile(r"/Sensors/(?:HGX_)?(?P<gpu>GPU_(?:SXM_)?\d+)_(?P<sensor>[A-Za-z][A-Za-z0-9_]*)$")
# TEMP_1 is not a temperature but TLIMIT, the margin to throttling (its sensor has LowerCaution 0, LowerCritical -2).
_HGX_FIELDS = {
    "TEMP_0": "temperature_celsius",
    "TEMP_1": "margin_celsius",
    "DRAM_0_Temp_0": "memory_temperature_celsius",
    "Power_0": "power_watts",
}
_INLET = re.compile(r"inlet|ambient|intake", re.IGNORECASE)


def read(reader: Reader, profile: Profile, system_path: str, deadline: Deadline) -> Metrics:
    """The readings of one server; what it does not offer is None, and GPUs without any reading are left out."""
    gpus = _from_reports(reader, profile, deadline)
    if not gpus:
        gpus = _from_processors(reader, profile, deadline)
    metrics = Metrics(gpus=sorted(gpus, key=lambda gpu: slot_order(gpu.id)))
    metrics.power_watts = _first_sensor(reader, profile.power_sensors, deadline)
    metrics.inlet_celsius = _first_sensor(reader, profile.inlet_sensors, deadline)
    if metrics.power_watts is None or metrics.inlet_celsius is None:
        _from_chassis(reader, system_path, metrics, deadline)
    return metrics


def _from_reports(reader: Reader, profile: Profile, deadline: Deadline) -> list[GpuMetrics]:
    found: dict[str, GpuMetrics] = {}
    for name in profile.metric_reports:
        report = reader.get_optional(f"{REPORTS}/{name}", deadline) or {}
        for item in tables(report.get("MetricValues")):
            named = _HGX_SENSOR.search(text(item.get("MetricProperty")) or "")
            attribute = _HGX_FIELDS.get(named.group("sensor")) if named else None
            if named is None or attribute is None:
                continue
            gpu = found.setdefault(named.group("gpu"), GpuMetrics(named.group("gpu"), "metric_report"))
            setattr(gpu, attribute, number(item.get("MetricValue")))
            if dig(item, "Oem", "Nvidia", "MetricValueStale") is True:
                gpu.stale = True
    return list(found.values())


def _from_processors(reader: Reader, profile: Profile, deadline: Deadline) -> list[GpuMetrics]:
    systems = [f"{SYSTEMS}/{name}" for name in profile.gpu_systems] or reader.members(SYSTEMS, deadline)
    found = []
    for system in systems:
        for path in reader.members(f"{system}/Processors", deadline):
            if profile.gpu_processors and not re.fullmatch(profile.gpu_processors, leaf(path)):
                continue
            processor = reader.get_optional(path, deadline) or {}
            if processor.get("ProcessorType") != "GPU":
                continue
            environment = reader.get_optional(link(processor, "EnvironmentMetrics"), deadline) or {}
            chassis = link(processor, "Links", "Chassis")
            if chassis is not None and not environment.get("TemperatureCelsius"):
                environment = {
                    **environment,
                    **(reader.get_optional(f"{chassis}/EnvironmentMetrics", deadline) or {}),
                }
            found.append(
                GpuMetrics(
                    text(processor.get("Id")) or leaf(path),
                    "processor",
                    temperature_celsius=number(dig(environment, "TemperatureCelsius", "Reading")),
                    power_watts=number(dig(environment, "PowerWatts", "Reading")),
                )
            )
    return found


def _first_sensor(reader: Reader, paths: tuple[str, ...], deadline: Deadline) -> float | None:
    for path in paths:
        reading = number(dig(reader.get_optional(path, deadline), "Reading"))
        if reading is not None:
            return reading
    return None


def _from_chassis(reader: Reader, system_path: str, metrics: Metrics, deadline: Deadline) -> None:
    """Fill in power and inlet from the host's chassis: EnvironmentMetrics first, the older Power and Thermal else."""
    system = reader.get_optional(system_path, deadline) or {}
    for chassis in links(system, "Links", "Chassis")[:2] or reader.members(CHASSIS, deadline)[:1]:
        environment = reader.get_optional(f"{chassis}/EnvironmentMetrics", deadline) or {}
        if metrics.power_watts is None:
            metrics.power_watts = number(dig(environment, "PowerWatts", "Reading"))
        if metrics.power_watts is None:
            power = reader.get_optional(f"{chassis}/Power", deadline) or {}
            metrics.power_watts = _consumed(power)
        if metrics.inlet_celsius is None:
            metrics.inlet_celsius = number(dig(environment, "TemperatureCelsius", "Reading"))
        if metrics.inlet_celsius is None:
            thermal = reader.get_optional(f"{chassis}/Thermal", deadline) or {}
            metrics.inlet_celsius = _inlet(thermal)


def _consumed(power: dict[str, Any]) -> float | None:
    for control in tables(power.get("PowerControl")):
        watts = number(control.get("PowerConsumedWatts"))
        if watts is not None:
            return watts
    return None


def _inlet(thermal: dict[str, Any]) -> float | None:
    for sensor in tables(thermal.get("Temperatures")):
        if _INLET.search(text(sensor.get("Name")) or ""):
            celsius = number(sensor.get("ReadingCelsius"))
            if celsius is not None:
                return celsius
    return None
