"""Whichever door a request comes through, the same playbook does the same work and leaves the same record."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cli import children
from tests.support.site import Json, Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 3}

REQUEST = {"gpu_count": 8, "template": "ubuntu-24.04"}
DOORS = ["api", "hand", "external"]


def allocate(site: Site, door: str) -> str:
    """Ask for a server through that door; the id of the allocation when it is active."""
    name = f"door-{door}"
    if door == "api":
        asked = site.client.allocate(REQUEST, request=name)
        assert site.wait(asked["workflow_id"])["status"] == "succeeded"
        return str(asked["allocation_id"])
    if door == "external":
        asked = site.client.allocate({**REQUEST, "executor": "external"}, request=name)
        # nobody but the run by hand takes it up
        assert site.client.workflow(asked["workflow_id"])["status"] == "pending"
        site.playbook("allocate.yml", "-e", f"request={name}")
        return str(asked["allocation_id"])
    site.playbook("allocate.yml", "-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", f"request={name}")
    found = [row for row in site.client.allocations() if row["request"] == name]
    assert len(found) == 1
    return str(found[0]["id"])


def release(site: Site, door: str, allocation_id: str) -> None:
    if door == "api":
        answer = site.client.release(allocation_id)
        assert site.wait(answer["workflow_id"])["status"] == "succeeded"
    elif door == "external":
        site.playbook("release.yml", "-e", f"allocation_id={allocation_id}")
    else:
        site.playbook("release.yml", "-e", "request=door-hand")


@pytest.fixture(scope="module")
def journeys(site: Site) -> dict[str, Json]:
    """Each door once, whole: what the record and the devices saw after the allocation and after the release."""
    journeys = {}
    for door in DOORS:
        mark = site.mark()
        allocation_id = allocate(site, door)
        allocation = site.client.allocation(allocation_id)
        server = allocation["servers"][0]
        journey: Json = {"allocation": allocation, "active": site.record(allocation_id)}
        before = site.lab("GET", f"/machines/{server['name']}")
        journey["deeds_active"] = site.deeds(server["name"], mark)
        mark = site.mark()
        release(site, door, allocation_id)
        journey["released"] = site.record(allocation_id)
        journey["workflows"] = list(site.client.workflows(allocation_id=allocation_id))
        journey["playbooks"] = [workflow["playbook_commit"] for workflow in journey["workflows"]]
        journey["deeds_released"] = site.deeds(server["name"], mark)
        journey["machine"] = site.lab("GET", f"/machines/{server['name']}")
        journey["erasures"] = [
            now["erase_count"] - then["erase_count"]
            for now, then in zip(journey["machine"]["disks"], before["disks"], strict=True)
        ]
        journeys[door] = journey
    return journeys


@pytest.mark.parametrize("door", DOORS)
def test_the_way_in_ends_active_and_the_way_out_in_the_pool(journeys: dict[str, Json], door: str) -> None:
    active, released = journeys[door]["active"], journeys[door]["released"]
    assert active["allocation"] == "active"
    assert active["server_status"] == ["active"]
    assert active["gpus"] == Counter(active=8)
    assert active["workflows"] == [("allocate", "succeeded", 1)]
    assert {status for _, _, status in active["steps"]} == {"succeeded"}
    assert released["allocation"] == "released"
    assert released["server_status"] == ["available"]
    assert released["gpus"] == Counter(released=8)
    assert released["workflows"] == [("allocate", "succeeded", 1), ("release", "succeeded", 1)]
    assert released["reports"] == ["erase", "first-boot"]


@pytest.mark.parametrize("door", ["hand", "external"])
@pytest.mark.parametrize("moment", ["active", "released"])
def test_the_record_is_the_same_through_every_door(journeys: dict[str, Json], door: str, moment: str) -> None:
    expected, found = journeys["api"][moment], journeys[door][moment]
    assert found == expected


@pytest.mark.parametrize("door", DOORS)
def test_the_record_says_which_playbooks_ran(journeys: dict[str, Json], door: str) -> None:
    """Here a checkout; elsewhere the service knows its version, and a run by hand nothing."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=children.ROOT, capture_output=True, text=True, check=False)
    elsewhere = metadata.version("palebluedot") if door == "api" else None
    expected = git.stdout.strip() if git.returncode == 0 else elsewhere
    assert journeys[door]["playbooks"] == [expected, expected]


@pytest.mark.parametrize("door", ["hand", "external"])
def test_the_devices_saw_the_same_work(journeys: dict[str, Json], door: str) -> None:
    def of(journey: Json, moment: str) -> dict[str, Any]:
        # sessions come and go with tasks, and are no change to the machine
        return {deed: count for deed, count in journey[moment].items() if "session" not in deed.lower()}

    for moment in ("deeds_active", "deeds_released"):
        assert of(journeys[door], moment) == of(journeys["api"], moment)


def test_the_machine_is_off_and_its_disks_were_erased_once(journeys: dict[str, Json]) -> None:
    for journey in journeys.values():
        machine = journey["machine"]
        assert machine["power"] == "Off"
        assert set(journey["erasures"]) == {1}
        assert all(disk["image"] is None for disk in machine["disks"])


PORTS = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/palebluedot.gpu.bmc: "{{ bmc_connection }}"
  tasks:
    - ansible.builtin.include_role: {name: network_quarantine, tasks_from: apply, public: true}
    - ansible.builtin.debug: {msg: "moved {{ network_quarantine_result.ports }}"}
    - ansible.builtin.include_role: {name: verify_clean, tasks_from: apply, public: true}
"""


def test_a_step_names_the_ports_that_it_moved_or_looked_at(
    site: Site, journeys: dict[str, Json], tmp_path: Path
) -> None:
    for journey in journeys.values():
        name = journey["allocation"]["servers"][0]["name"]
        port = " ".join(site.client.server(name)["nics"][0][key] for key in ("switch", "switch_port"))
        looked = ("network_provisioning", "network_tenant", "network_quarantine", "verify_clean")
        workflows = [site.client.workflow(workflow["id"]) for workflow in journey["workflows"]]
        results = {step["step"]: step["result"] for workflow in workflows for step in workflow["steps"]}
        assert {results[step]["ports"] for step in looked} == {port}

    # the same roles on a server whose disks are not all erased, and with nothing known of its cabling
    fleet = site.stage.fleet_document()
    (row,) = (row for row in fleet["servers"] if row["name"] == name)
    (switch,) = (switch for switch in fleet["switches"] if switch["name"] == row["nics"][0]["switch"])
    (quarantine,) = (network for network in fleet["networks"] if network["purpose"] == "quarantine")
    reached = {f"switch_{key}": switch.get(key) for key in ("address", "grpc_port", "dialect", "ca_path")}
    nic = {
        "mac": row["nics"][0]["mac"],
        "switch_port": row["nics"][0]["port"],
        "switch": {"name": switch["name"], "credential": f"service:switch/{switch['name']}", **reached},
    }
    erased = next(workflow["id"] for workflow in journey["workflows"] if workflow["kind"] == "release")
    playbook = tmp_path / "ports.yml"
    playbook.write_text(PORTS)
    for nics, moved, verified in (
        ([nic], port, f"ports in quarantine: {port}, erased"),
        ([{**nic, "switch": None}], "none on record", "ports none on record, erased"),
    ):
        server = {
            "name": name, "nics": nics, "disks": [*row["disks"], "/dev/forgotten"],
            "networks": {"quarantine": {**quarantine, "address": None}},
            "serial_number": site.client.server(name)["serial_number"],
        }  # fmt: skip
        known = tmp_path / "known.json"
        known.write_text(json.dumps({"server": server, "run": {"workflow": {"id": erased}}}))
        shared = children.ROOT / "playbooks" / "group_vars" / "all.yml"
        path = os.path.relpath(playbook, children.ROOT / "playbooks")
        done = site.playbook(path, "-l", name, "-e", f"@{shared}", "-e", f"@{known}", check=False)
        said = " ".join(done.stdout.split())
        assert f"moved {moved}" in said and f"{name} is not clean" in said and verified in said, done.stdout


def test_the_user_is_told_how_to_reach_the_server(journeys: dict[str, Json]) -> None:
    server = journeys["api"]["allocation"]["servers"][0]
    assert server["address"].startswith("127.")
    assert server["ssh_port"]
    assert server["ssh_user"] == "ubuntu"
    assert len(server["gpus"]) == 8


def test_repeating_a_name_finds_what_there_is(site: Site, journeys: dict[str, Json]) -> None:
    before = len(list(site.client.allocations()))
    done = site.playbook("allocate.yml", "-e", "request=door-hand", check=False)
    assert "released" in done.stdout + done.stderr
    assert len(list(site.client.allocations())) == before
