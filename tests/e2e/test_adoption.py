"""A server that is in use already joins as it runs, and leaves as any other."""

from __future__ import annotations

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 1, "discover": False, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}


def test_a_running_server_is_adopted_without_a_power_or_boot_write(site: Site) -> None:
    site.lab("POST", "/machines/gpu-001/power", {"action": "on"})
    before = site.mark()
    (row,) = site.stage.fleet_document()["servers"]
    site.client.import_fleet({"servers": [row]})
    site.playbook("discover.yml", "-e", "enrol=false")
    assert site.client.server("gpu-001")["state"] == "enrolled"
    allocation = site.client.adopt_server("gpu-001", "ada")
    assert (allocation["status"], allocation["gpu_count"]) == ("active", 8)
    assert site.client.server("gpu-001")["state"] == "active"
    assert site.user.quota()["used_gpu_count"] == 8
    # sessions come and go, and Tinkerbell knows it, closed for network boot; nothing else was done
    assert {deed for deed in site.deeds("gpu-001", before) if "Sessions" not in deed} == {"kube hardware.create"}


def test_its_release_wipes_it_as_any_other(site: Site) -> None:
    (allocation,) = [found for found in site.user.items("/api/v1/allocations") if found["status"] == "active"]
    workflow = site.wait(site.user.release(allocation["id"])["workflow_id"])
    assert workflow["status"] == "succeeded", workflow
    assert site.client.server("gpu-001")["state"] == "available"
    assert all(disk["erase_count"] for disk in site.lab("GET", "/machines/gpu-001")["disks"])
    assert site.user.quota()["used_gpu_count"] == 0
