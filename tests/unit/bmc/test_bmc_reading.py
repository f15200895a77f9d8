"""GPUs, readings and registries out of resources, without a wire."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import gpus, readings, registry
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import GENERIC
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.ami import AMI_DGX
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.hpe import HPE
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

DEADLINE = Deadline(60)
REPORT = "/redfish/v1/TelemetryService/MetricReports/HGX_PlatformEnvironmentMetrics_0"


class Tree:
    """Resources by path, as a transport would read them."""

    def __init__(self, resources: dict[str, Any]) -> None:
        self.resources = resources
        self.read: list[str] = []

    def get_optional(self, path: str | None, deadline: Deadline) -> dict[str, Any] | None:
        self.read.append(str(path))
        return self.resources.get(path or "")

    def members(self, path: str | None, deadline: Deadline) -> list[str]:
        prefix = f"{path}/"
        return [known for known in self.resources if known.startswith(prefix) and "/" not in known[len(prefix) :]]


def value(gpu: str, sensor: str, reading: Any, **more: Any) -> dict[str, Any]:
    return {
        "MetricProperty": f"/redfish/v1/Chassis/HGX_{gpu}/Sensors/HGX_{gpu}_{sensor}",
        "MetricValue": reading,
        **more,
    }


def test_a_report_is_read_sensor_by_sensor_and_nonsense_is_null() -> None:
    stale = {"Oem": {"Nvidia": {"MetricValueStale": True}}}
    report = {
        "MetricValues": [
            value("GPU_SXM_10", "TEMP_0", "41.5"),
            value("GPU_SXM_2", "TEMP_1", "-1.5", **stale),
            value("GPU_SXM_2", "Power_0", "nan"),
            value("GPU_SXM_2", "DRAM_0_Temp_0", None),
            value("GPU_SXM_2", "Energy_0", "5"),
            value("NVSwitch_0", "TEMP_0", "40"),
            {"MetricValue": "7"},
            "garbage",
        ]
    }
    found = readings.read(Tree({REPORT: report}), AMI_DGX, "", DEADLINE).gpus
    assert [gpu.id for gpu in found] == ["GPU_SXM_2", "GPU_SXM_10"]
    second, tenth = found
    assert second.margin_celsius == -1.5 and second.temperature_celsius is None
    assert second.power_watts is None and second.memory_temperature_celsius is None and second.stale
    assert tenth.temperature_celsius == 41.5 and not tenth.stale


def test_the_newer_generation_names_its_gpus_without_sxm() -> None:
    report = {"MetricValues": [value("GPU_0", "TEMP_0", "30"), value("GPU_0", "TEMP_1", "55")]}
    (found,) = readings.read(Tree({REPORT: report}), AMI_DGX, "", DEADLINE).gpus
    assert (found.id, found.temperature_celsius, found.margin_celsius) == ("GPU_0", 30.0, 55.0)


def test_without_a_report_the_processors_are_asked() -> None:
    system = "/redfish/v1/Systems/1"
    tree = Tree(
        {
            system: {"Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1"}]}},
            f"{system}/Processors/CPU1": {"ProcessorType": "CPU"},
            f"{system}/Processors/GPU1": {
                "Id": "GPU1",
                "ProcessorType": "GPU",
                "EnvironmentMetrics": {"@odata.id": "/env"},
            },
            "/env": {"TemperatureCelsius": {"Reading": 44}, "PowerWatts": {"Reading": "250.5"}},
            "/redfish/v1/Chassis/1/Power": {
                "PowerControl": [{"PowerConsumedWatts": None}, {"PowerConsumedWatts": 900}]
            },
            "/redfish/v1/Chassis/1/Thermal": {
                "Temperatures": [
                    {"Name": "CPU1 Temp", "ReadingCelsius": 60},
                    {"Name": "System Inlet", "ReadingCelsius": 21},
                ]
            },
        }
    )
    found = readings.read(tree, GENERIC, system, DEADLINE)
    assert (found.power_watts, found.inlet_celsius) == (900.0, 21.0)
    (gpu,) = found.gpus
    assert (gpu.id, gpu.source, gpu.temperature_celsius, gpu.power_watts) == ("GPU1", "processor", 44.0, 250.5)
    assert gpu.margin_celsius is None


def test_nothing_to_read_is_null_and_no_error() -> None:
    found = readings.read(Tree({}), GENERIC, "/redfish/v1/Systems/1", DEADLINE)
    assert found.as_dict() == {"power_watts": None, "inlet_celsius": None, "gpus": []}


def test_gpus_are_found_as_pcie_devices_and_as_chassis() -> None:
    supermicro = Tree(
        {
            "/redfish/v1/Chassis/1": {},
            "/redfish/v1/Chassis/1/PCIeDevices/NIC1": {"Model": "CX7"},
            "/redfish/v1/Chassis/1/PCIeDevices/GPU10": {"Id": "GPU10", "Model": "H100"},
            "/redfish/v1/Chassis/1/PCIeDevices/GPU2": {"Id": "GPU2", "Model": "H100", "SerialNumber": "S2"},
        }
    )
    found = gpus.inventory(supermicro, GENERIC, DEADLINE)
    assert [(gpu.id, gpu.memory_gb, gpu.source) for gpu in found] == [
        ("GPU2", 80, "pcie_device"),
        ("GPU10", 80, "pcie_device"),
    ]
    amd = Tree({"/redfish/v1/Chassis/OAM_0": {"Id": "OAM_0", "Model": "MI300X"}, "/redfish/v1/Chassis/Self": {}})
    (gpu,) = gpus.inventory(amd, GENERIC, DEADLINE)
    assert (gpu.id, gpu.memory_gb, gpu.source) == ("OAM_0", 192, "chassis")


def test_an_ilo_says_which_of_its_cards_are_gpus() -> None:
    devices = "/redfish/v1/Chassis/1/Devices"
    gpu = {"DeviceType": "GPU", "Name": "HPE NVIDIA L40S 48GB PCIe Accelerator"}
    tree = {
        "/redfish/v1/Chassis/1": {"Oem": {"Hpe": {"Links": {"Devices": {"@odata.id": devices}}}}},
        f"{devices}/1": {"Id": "1", "DeviceType": "LOM/NIC", "Name": "ConnectX-6", "Location": "PCI-E Slot 2"},
        f"{devices}/2": {"Id": "2", **gpu, "Location": "PCI-E Slot 10", "SerialNumber": "S10     "},
        f"{devices}/3": {"Id": "3", **gpu, "Location": "PCI-E Slot 9 ", "SerialNumber": "S9"},
        f"{devices}/4": {"Id": "4", **gpu, "Location": "PCI-E Slot 3", "Status": {"State": "Absent"}},
    }
    found = gpus.inventory(Tree(tree), HPE, DEADLINE)
    assert [(gpu.id, gpu.serial_number, gpu.memory_gb, gpu.source) for gpu in found] == [
        ("PCI-E Slot 9", "S9", 48, "card"),
        ("PCI-E Slot 10", "S10", 48, "card"),
    ]
    for card in tree.values():  # on a board of its own all of them may stand in one place
        card.update({"Location": "Embedded"} if card.get("DeviceType") == "GPU" else {})
    assert [gpu.id for gpu in gpus.inventory(Tree(tree), HPE, DEADLINE)] == ["2", "3"]
    assert gpus.inventory(Tree(tree), GENERIC, DEADLINE) == []


def test_memory_that_the_model_does_not_tell_is_read() -> None:
    path = "/redfish/v1/Systems/1/Processors/GPU_0"
    memory = {"Links": {"Memory": [{"@odata.id": "/hbm"}]}}
    tree = Tree({"/redfish/v1/Systems/1": {}, path: {"ProcessorType": "GPU", **memory}, "/hbm": {"CapacityMiB": 81559}})
    (gpu,) = gpus.inventory(tree, GENERIC, DEADLINE)
    assert gpu.memory_gb == 80 and gpu.model is None and gpu.id == "GPU_0"


REGISTRY = {
    "RegistryEntries": {
        "Attributes": [
            {"AttributeName": "Turbo", "Type": "Enumeration", "Value": [{"ValueName": "On"}, {"ValueName": "Off"}]},
            {"AttributeName": "Wait", "Type": "Integer", "LowerBound": 0, "UpperBound": 10},
            {"AttributeName": "Quiet", "Type": "Boolean"},
            {"AttributeName": "Name", "Type": "String", "MinLength": 1, "MaxLength": 4},
            {"AttributeName": "Version", "Type": "String", "ReadOnly": True},
        ]
    }
}


@pytest.mark.parametrize(
    "attributes", [{"Turbo": "Off", "Wait": 10, "Quiet": False, "Name": "abcd"}, {"Unknown": object()}, {}]
)
def test_a_registry_lets_through_what_it_knows_or_does_not_know(attributes: dict[str, Any]) -> None:
    registry.check_attributes(REGISTRY, attributes, host="h", registry_name="r")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("Turbo", "Maybe"),
        ("Wait", 11),
        ("Wait", "5"),
        ("Wait", True),
        ("Quiet", "yes"),
        ("Name", "abcde"),
        ("Version", "2"),
    ],
)
def test_a_registry_rules_out(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        registry.check_attributes(REGISTRY, {name: wrong}, host="h", registry_name="r")


def test_the_registry_is_found_by_name_or_by_its_beginning_in_english_first() -> None:
    places = [{"Language": "de", "Uri": "/de"}, {"Language": "en-US", "Uri": "/en"}, {"PublicationUri": "https://x"}]
    tree = Tree(
        {
            "/redfish/v1/Registries/Base": {"Location": [{"Uri": "/base"}]},
            "/redfish/v1/Registries/BiosAttributeRegistry": {"Location": places},
        }
    )
    assert list(registry.registry_paths(tree, "BiosAttributeRegistry.1.1.3", DEADLINE)) == ["/en", "/de"]
    assert list(registry.registry_paths(tree, "Other", DEADLINE)) == []
