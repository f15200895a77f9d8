"""Rules, bills of materials and exchanged parts against machines that are not whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 1, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}
RULES = """
classes:
  dgx:
    gpus: {count: 8, model: H100, pcie_width: 16}
    cpus: {count: 2}
    dimms: {count: 32, size_gb: 64}
    drives: {count: 10}
rules:
  - name: dgx
    when: [{fact: model, matches: ^DGXH100}, {fact: gpu_count, ge: 1}]
    set: {model_class: dgx, tags: [nvlink]}
"""
GPU_5 = "GET /redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_5"


def merged(site: Site, match: str, value: dict[str, Any]) -> None:
    """The BMC of gpu-001 reads differently from now on."""
    site.lab(
        "POST", "/faults", {"machine": "gpu-001", "layer": "redfish", "match": match, "kind": "merge", "value": value}
    )


def looked_at(site: Site, name: str = "gpu-001", *more: str) -> dict[str, Any]:
    site.playbook("discover.yml", "-e", f"target={name}", *more)
    return dict(site.client.server(name))


def test_a_machine_that_is_whole_gets_its_class(site: Site) -> None:
    site.client.set_rules(RULES)
    server = looked_at(site)
    assert (server["state"], server["model_class"], server["tags"]) == ("available", "dgx", ["nvlink"])
    assert (server["findings"], server["notes"]) == ([], [])
    verdict = site.client.check_rules("gpu-001")
    assert verdict["by"]["model_class"] == "dgx" and verdict["findings"] == []


def test_failing_parts_are_named_and_take_the_server_out(site: Site) -> None:
    merged(site, GPU_5, {"SystemInterface": {"PCIe": {"LanesInUse": 8}}})
    merged(site, "GET /redfish/v1/Systems/DGX/Memory/DevType2_DIMM7", {"CapacityMiB": 0, "Status": {"State": "Absent"}})
    try:
        server = looked_at(site)
    finally:
        site.lab("DELETE", "/faults")
    assert server["state"] == "quarantined"
    assert server["findings"] == ["GPU 5: PCIe x8 instead of x16", "DevType2_DIMM7: missing"]


def test_what_was_mended_comes_back_through_maintenance(site: Site) -> None:
    site.client.set_server_state("gpu-001", "maintenance", "reseated GPU 5 and DIMM 7")
    assert looked_at(site)["state"] == "maintenance"
    site.playbook("maintenance.yml", "-e", "target=gpu-001", "-e", "state=back")
    assert site.client.server("gpu-001")["state"] == "available"


def test_an_exchanged_gpu_is_quarantined_until_it_is_told_of(site: Site) -> None:
    before = {gpu["slot"]: gpu for gpu in site.client.server("gpu-001")["gpus"]}["GPU_SXM_5"]
    merged(site, GPU_5, {"SerialNumber": "1652923009999"})
    try:
        server = looked_at(site)
        assert server["state"] == "quarantined"
        assert "GPU 5: serial number 1652923009999 instead of" in server["findings"][0]
        site.client.replace_part("gpu-001", "gpu", before["serial_number"], reason="RMA 4711")
        server = looked_at(site)
        assert server["state"] == "available"
        after = {gpu["slot"]: gpu for gpu in server["gpus"]}["GPU_SXM_5"]
        assert (after["id"], after["serial_number"]) == (before["id"], "1652923009999")
    finally:
        site.lab("DELETE", "/faults")
