"""The parts that a bill of materials asks for, read from captures of real machines, from the lab, and from oddities."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info

PARTS = ["system", "gpus", "memory", "drives", "nics", "links"]


def read(bmc: Any, *subset: str) -> dict[str, Any]:
    found: dict[str, Any] = info.run(bmc.params(subset=list(subset) or PARTS), False)["bmc"]
    return found


def test_a_dgx_tells_its_dimms_drives_cards_and_links(start_replay: Any, dgx_capture: Any) -> None:
    found = read(start_replay(dgx_capture))
    assert len(found["dimms"]) == 32
    assert {(dimm["size_gb"], dimm["state"]) for dimm in found["dimms"]} == {(64, "Enabled")}
    assert len({dimm["serial_number"] for dimm in found["dimms"]}) == 32
    assert len(found["drives"]) == 15
    # its storage units list nothing, the chassis knows all fifteen; of each the capture has no more than its address
    assert {drive["protocol"] for drive in found["drives"]} == {None}
    assert (len(found["adapters"]), len(found["nics"])) == (12, 5)
    links = [link for link in found["links"] if link["kind"] == "gpu"]
    assert [link["id"] for link in links] == [f"GPU_SXM_{number}" for number in range(1, 9)]
    assert {(link["width"], link["max_width"], link["generation"]) for link in links} == {(16, 16, 5)}


def test_an_hpe_names_its_sockets_as_the_board_does_and_tells_a_failing_drive(
    start_replay: Any, hpe_capture: Any
) -> None:
    found = read(start_replay(hpe_capture))
    assert len(found["dimms"]) == 32
    absent = [dimm for dimm in found["dimms"] if dimm["state"] == "Absent"]
    assert absent and {dimm["size_gb"] for dimm in absent} == {None}
    assert "PROC 2 DIMM 15" in {dimm["name"] for dimm in absent}
    sizes = Counter(drive["size_gb"] for drive in found["drives"])
    assert sizes[6401] == 16
    assert [drive["name"] for drive in found["drives"] if drive["health"] == "Critical"] == ["Box 2:Bay 5"]
    assert "ILC22602SD" in {card["serial_number"] for card in found["adapters"]}
    assert "50:7c:6f:11:f2:a8" in {nic["mac"] for nic in found["nics"]}
    assert found["links"] == [] and found["gpus"] == []


def test_a_dell_tells_nvme_drives_and_widths_of_its_cards(start_replay: Any, dell_capture: Any) -> None:
    found = read(start_replay(dell_capture))
    drives = {drive["serial_number"]: drive for drive in found["drives"]}
    assert (drives["S6CSNE0RB00701"]["size_gb"], drives["S6CSNE0RB00701"]["protocol"]) == (1920, "NVMe")
    assert "DIMM B3" in {dimm["name"] for dimm in found["dimms"]}
    nic = next(nic for nic in found["nics"] if nic["id"] == "NIC.Embedded.2-1-1")
    assert (nic["mac"], nic["link_up"], nic["speed_mbps"]) == ("c8:4b:d6:7b:ab:93", False, None)
    assert found["adapters"]


def test_parts_are_read_only_when_they_are_asked_for(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    found = info.run(bmc.params(subset=None), False)["bmc"]
    assert {found[part] for part in ("drives", "dimms", "nics", "adapters", "links")} == {None}
    assert not [asked for asked in bmc.requests() if "/Memory/" in asked or "/Drives/" in asked]


def test_links_of_gpus_cost_no_request_more(start_replay: Any, dgx_capture: Any) -> None:
    with_gpus, with_links = start_replay(dgx_capture), start_replay(dgx_capture)
    read(with_gpus, "gpus")
    read(with_links, "gpus", "links")
    assert with_gpus.requests() == with_links.requests()


SYSTEM = {
    "/redfish/v1": {"Systems": {"@odata.id": "/redfish/v1/Systems"}},
    "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
    "/redfish/v1/Systems/1": {"Id": "1", "PowerState": "On"},
}


def test_a_bmc_without_lists_knows_nothing_rather_than_none(start_replay: Any) -> None:
    found = read(start_replay(SYSTEM), "memory", "drives", "nics")
    assert {found[part] for part in ("drives", "dimms", "nics", "adapters")} == {None}


def test_what_firmware_says_oddly(start_replay: Any) -> None:
    found = read(
        start_replay(
            {
                **SYSTEM,
                "/redfish/v1/Systems/1": {
                    "Id": "1",
                    "Memory": {"@odata.id": "/redfish/v1/Systems/1/Memory"},
                    "EthernetInterfaces": {"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces"},
                    "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1"}]},
                },
                "/redfish/v1/Systems/1/Memory": {
                    "Members": [
                        {"@odata.id": f"/redfish/v1/Systems/1/Memory/{name}"} for name in ("A1", "A2", "HBM", "gone")
                    ]
                },
                "/redfish/v1/Systems/1/Memory/A1": {"CapacityMiB": "65536", "SerialNumber": " 12AB ", "Status": None},
                "/redfish/v1/Systems/1/Memory/A2": {"CapacityMiB": 0, "Status": {"State": "Absent"}},
                "/redfish/v1/Systems/1/Memory/HBM": {"CapacityMiB": 81559, "MemoryDeviceType": "HBM3"},
                "/redfish/v1/Systems/1/EthernetInterfaces": {
                    "Members": [{"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces/ib0"}]
                },
                "/redfish/v1/Systems/1/EthernetInterfaces/ib0": {"MACAddress": "N/A", "SpeedMbps": 0},
                "/redfish/v1/Chassis/1": {"NetworkAdapters": {"@odata.id": "/redfish/v1/Chassis/1/NetworkAdapters"}},
                "/redfish/v1/Chassis/1/NetworkAdapters": {
                    "Members": [{"@odata.id": "/redfish/v1/Chassis/1/NetworkAdapters/7"}]
                },
                "/redfish/v1/Chassis/1/NetworkAdapters/7": {
                    "Id": "7",
                    "Name": "ConnectX-7",
                    "Controllers": [{"PCIeInterface": {"LanesInUse": 8, "MaxLanes": 16, "PCIeType": "Gen4"}}],
                },
            }
        ),
        "memory",
        "nics",
        "links",
    )
    assert [(dimm["id"], dimm["size_gb"], dimm["serial_number"], dimm["state"]) for dimm in found["dimms"]] == [
        ("A1", 64, "12AB", None),
        ("A2", None, None, "Absent"),
        ("gone", None, None, None),
    ]
    assert found["nics"] == [{"id": "ib0", "mac": None, "speed_mbps": None, "link_up": None}]
    assert found["adapters"][0]["model"] == "ConnectX-7"
    assert found["links"] == [
        {"id": "7", "kind": "nic", "width": 8, "max_width": 16, "generation": 4, "max_generation": None}
    ]


@pytest.mark.parametrize("subset", [["memory"], ["links"], ["drives", "nics"]])
def test_the_module_takes_the_subsets(subset: list[str]) -> None:
    module = importlib.import_module("ansible_collections.palebluedot.gpu.plugins.modules.bmc_info")
    option = module.SPEC["argument_spec"]["subset"]
    assert set(subset) <= set(option["choices"]) and not set(subset) & set(option["default"])


def test_the_labs_dgx_tells_its_parts(lab_bmc: Any) -> None:
    found = read(lab_bmc)
    assert [len(found[part]) for part in ("dimms", "nics", "links")] == [32, 1, 8]
    assert len(found["drives"]) == len(lab_bmc.machine.disks)
    assert found["nics"][0]["mac"] == lab_bmc.machine.mac.lower()
    assert found["adapters"] is None


def test_an_hpe_has_its_gpus_among_its_cards(start_lab: Any) -> None:
    hpe = start_lab("hpe")
    found = read(hpe, "gpus")["gpus"]
    assert [gpu["serial_number"] for gpu in found] == [gpu.serial_number for gpu in hpe.machine.gpus]
    assert [gpu["id"] for gpu in found] == [f"PCI-E Slot {n}" for n in range(11, 19)]
    assert {(gpu["memory_gb"], gpu["source"]) for gpu in found} == {(80, "card")}
    hpe.fault("gpu_missing", value=3)
    assert "PCI-E Slot 13" not in [gpu["id"] for gpu in read(hpe, "gpus")["gpus"]]
