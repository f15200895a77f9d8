"""From a list of BMCs to a pool: found, first login, inspected, registered; no power command, no boot setting."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.stage import free_port
from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 3, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}, "discover": False}
# What an enrolment may write to a BMC: sessions, and accounts.
HARMLESS = re.compile(r"(POST|DELETE|PATCH) /redfish/v1/(SessionService/Sessions|AccountService/Accounts)")


@pytest.fixture(scope="module")
def machines(site: Site) -> list[dict[str, Any]]:
    """The list as it comes from whoever delivered the servers: addresses and first passwords, racks, cabling."""
    rows = site.stage.fleet_document()["servers"]
    kept = ("name", "bmc_address", "bmc_port", "bmc_username", "bmc_password", "nics", "disks", "hardware_profile")
    machines = [
        {**{key: row[key] for key in kept if key in row}, "rack": "a1", "nvlink_domain": "nv-1"} for row in rows
    ]
    # nobody has written down the third one's cabling
    machines[2]["nics"] = [{"mac": nic["mac"]} for nic in machines[2]["nics"]]
    return machines


def discover(site: Site, folder: Path, machines: list[dict[str, Any]], *more: str, **variables: Any) -> str:
    """discover.yml over the machines' addresses, and over one where nobody is."""
    file = folder / "list.json"
    asked = [f"{row['bmc_address']}:{row['bmc_port']}" for row in machines] + variables.pop("beside", [])
    file.write_text(json.dumps({"addresses": asked, "ipmi": False, "machines": machines, **variables}))
    environment = {"XDG_STATE_HOME": str(folder / "state")}
    return str(site.playbook("discover.yml", "-e", f"@{file}", *more, environment=environment).stdout)


def writes(site: Site, since: int) -> list[str]:
    """What was written to BMCs, sessions apart."""
    entries = [entry for entry in site.log(since=since) if entry["layer"] in ("redfish", "ipmi")]
    return [f"{entry['machine']} {entry['action']}" for entry in entries if "/Sessions" not in entry["action"]]


def test_servers_in_use_are_taken_in_as_they_run(site: Site, machines: list[dict[str, Any]], tmp_path: Path) -> None:
    """The first two of the list: powered on by somebody, somebody's work on them."""
    for row in machines[:2]:
        site.lab("POST", f"/machines/{row['name']}/power", {"action": "on"})
    before = {row["name"]: site.lab("GET", f"/machines/{row['name']}") for row in machines}
    mark = site.mark()
    said = discover(site, tmp_path, machines[:2], enrol=False)
    assert "failed=0" in said
    written = writes(site, mark)
    assert sorted(written) == [f"{row['name']} POST /redfish/v1/AccountService/Accounts" for row in machines[:2]]
    for row in machines[:2]:
        after = site.lab("GET", f"/machines/{row['name']}")
        for fact in ("power", "power_actions", "boots"):
            assert after.get(fact) == before[row["name"]].get(fact), fact
        server = site.client.server(row["name"])
        assert server["rack"] == "a1" and server["nvlink_domain"] == "nv-1" and len(server["gpus"]) == 8
        assert server["serial_number"] and server["bmc_fingerprint"]
        assert site.client.server_credential(row["name"])["username"] == "palebluedot"
        assert server["state"] == "enrolled", "offered to nobody"


def test_one_of_them_becomes_its_users_without_a_touch(site: Site, machines: list[dict[str, Any]]) -> None:
    name = machines[0]["name"]
    before, mark = site.lab("GET", f"/machines/{name}"), site.mark()
    site.client.adopt_server(name, "ada")
    assert site.client.server(name)["state"] == "active"
    assert site.log(name, mark) == [], "not a single write, to nothing"
    after = site.lab("GET", f"/machines/{name}")
    assert [after.get(fact) for fact in ("power", "power_actions", "boots")] == [
        before.get(fact) for fact in ("power", "power_actions", "boots")
    ]


def test_the_rest_of_the_list_is_enrolled_and_the_running_ones_are_left_alone(
    site: Site, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    mark = site.mark()
    said = discover(site, tmp_path, machines, beside=[f"127.0.0.1:{free_port()}"])
    assert "failed=0" in said
    assert all(HARMLESS.match(entry.partition(" ")[2]) for entry in writes(site, mark))
    assert [entry for entry in writes(site, mark) if not entry.startswith(machines[2]["name"])] == []
    states = [site.client.server(row["name"])["state"] for row in machines]
    assert states == ["active", "enrolled", "available"], "the second one runs still, and waits to be adopted"
    offered = {gpu["server"] for gpu in site.client.gpus_available(limit=200)["items"]}
    assert machines[2]["name"] not in offered, "nobody knows which port to move for it"
    site.client.set_server_flags(machines[1]["name"], {"hands_off": False})
    discover(site, tmp_path, machines)
    assert site.client.server(machines[1]["name"])["state"] == "available", "a hand has said that nobody uses it"
    assert site.client.server_credential(machines[2]["name"])["username"] == "palebluedot"


def test_the_port_that_nobody_wrote_down_is_found_by_lldp(
    site: Site, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    fleet = site.stage.fleet_document()
    (cabled,) = [row for row in fleet["servers"] if row["name"] == machines[2]["name"]]
    name = machines[2]["name"]
    assert [nic.get("switch") for nic in site.client.server(name)["nics"]] == [None] * len(cabled["nics"])
    mark = site.mark()
    said = discover(site, tmp_path, machines, switches=fleet["switches"])
    assert "failed=0" in said
    found = {(nic["mac"], nic["switch"], nic["switch_port"]) for nic in site.client.server(name)["nics"]}
    assert found == {(nic["mac"], nic["switch"], nic["port"]) for nic in cabled["nics"]}
    assert name in {gpu["server"] for gpu in site.client.gpus_available(limit=200)["items"]}
    assert [entry for entry in site.log(since=mark) if entry["layer"] == "gnmi"] == [], "switches were only read"


def test_run_again_nothing_is_written_and_nothing_changes(
    site: Site, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    states = {server["name"]: server["state"] for server in site.client.servers()}
    mark = site.mark()
    discover(site, tmp_path, machines)
    assert writes(site, mark) == []
    assert {server["name"]: server["state"] for server in site.client.servers()} == states


def test_a_bmc_that_nobody_listed_is_named_and_left_alone(
    site: Site, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    mark = site.mark()
    listed = [{**machines[0], "bmc_port": 1}]
    said = discover(site, tmp_path, listed, beside=[f"127.0.0.1:{machines[0]['bmc_port']}"])
    assert writes(site, mark) == []
    assert f'"missing": [\n            "{machines[0]["name"]}"' in said.replace("\r", "")
    assert '"known": [\n            "127.0.0.1"' in said, "the record has a server there"


def test_an_enrolled_server_can_be_lent_with_the_new_account(site: Site, machines: list[dict[str, Any]]) -> None:
    accepted = site.user.allocate({"gpu_count": 8, "template": "ubuntu-24.04"}, request="first")
    assert site.wait(accepted["workflow_id"])["status"] == "succeeded"
