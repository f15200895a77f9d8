"""What an infrastructure team does with servers that nobody is asking for just now: read, configure, switch."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

from cli.children import ROOT
from tests.support.site import Site

pytestmark = pytest.mark.e2e


class Loader(yaml.SafeLoader):
    """A playbook's YAML, `!unsafe` included."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))

# telemetry and alerts by hand here, so that a test sees its own round
SITE = {"servers": 2, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}


def machine(site: Site, name: str = "gpu-001") -> dict[str, Any]:
    return dict(site.lab("GET", f"/machines/{name}"))


def test_a_round_of_telemetry_is_stored_and_a_hot_gpu_raises_an_alert_that_goes_away(site: Site) -> None:
    site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    assert machine(site)["power"] == "On"
    site.playbook("collect.yml")
    server = site.client.server("gpu-001")
    gpu = server["gpus"][0]
    status = site.client.gpu_status(gpu["id"])
    figures = status["figures"]
    assert figures["temperature"] == pytest.approx(machine(site)["gpus"][0]["temperature_celsius"], abs=5)
    assert figures["power_consumption"] > 0
    assert list(site.client.alerts(status="firing")) == []

    site.lab("POST", "/machines/gpu-001/temperature", {"gpu": "GPU_SXM_1", "celsius": 95})
    site.playbook("collect.yml")
    firing = site.until(lambda: list(site.client.alerts(status="firing")), 30)
    assert [alert["gpu_id"] for alert in firing] == [gpu["id"]]
    assert firing[0]["server_id"] == server["id"]

    site.lab("POST", "/machines/gpu-001/temperature", {"gpu": "GPU_SXM_1", "celsius": None})
    site.playbook("collect.yml")
    site.until(lambda: not list(site.client.alerts(status="firing")), 30)
    assert [alert["id"] for alert in site.client.alerts(status="resolved")] == [firing[0]["id"]]


def newest(site: Site, name: str) -> datetime:
    """When the newest figure of the server's first GPU was read."""
    gpu = site.client.server(name)["gpus"][0]
    return datetime.fromisoformat(site.client.gpu_status(gpu["id"])["figures"]["timestamp"])


def test_a_server_that_is_switched_off_hot_can_be_placed_again(site: Site) -> None:
    """An off server's BMC has no fresh figure of a GPU: what says that the heat is over is that it is off."""
    everywhere = {"gpu_count": 16, "template": "ubuntu-24.04"}
    site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    site.lab("POST", "/machines/gpu-001/temperature", {"gpu": "GPU_SXM_1", "celsius": 95})
    site.playbook("collect.yml")
    (alert,) = site.until(lambda: list(site.client.alerts(status="firing")), 30)
    with pytest.raises(PaleBlueDotError) as refused:
        site.user.allocate(everywhere, request="while it is hot")
    assert refused.value.code == "no_capacity"

    site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=off")
    site.playbook("collect.yml")
    site.until(lambda: not list(site.client.alerts(status="firing")), 30)
    assert alert["id"] in {each["id"] for each in site.client.alerts(status="resolved")}
    site.lab("POST", "/machines/gpu-001/temperature", {"gpu": "GPU_SXM_1", "celsius": None})
    taken = site.user.allocate(everywhere, request="when it is off")
    assert site.wait(site.user.release(taken["allocation_id"])["workflow_id"])["status"] == "succeeded"


def test_a_dead_bmc_among_them_is_counted_and_the_others_are_stored(site: Site) -> None:
    site.playbook("power.yml", "-e", "target=all", "-e", "state=on")
    site.playbook("collect.yml")
    before = {name: newest(site, name) for name in ("gpu-001", "gpu-002")}
    site.lab(
        "POST", "/faults", {"machine": "gpu-002", "layer": "redfish", "match": "* *", "kind": "drop", "count": None}
    )
    try:
        said = site.playbook("collect.yml").stdout
    finally:
        site.lab("DELETE", "/faults")
    assert "gpu-002" in said
    assert "connection_dropped" in said or "unreachable" in said
    assert newest(site, "gpu-001") > before["gpu-001"]
    assert newest(site, "gpu-002") == before["gpu-002"]
    site.playbook("power.yml", "-e", "target=all", "-e", "state=off")


def test_configure_shows_the_drift_and_changes_it_only_when_told(site: Site) -> None:
    wanted = '{"hardware_profile": {"bios": {"TurboMode": "Disable"}, "boot_order": []}}'
    before = machine(site).get("bios_pending")
    mark = site.mark()
    shown = site.playbook("configure.yml", "--check", "--diff", "-e", "target=gpu-001", "-e", wanted).stdout
    assert "TurboMode" in shown
    assert "Disable" in shown
    assert [entry for entry in site.log("gpu-001", mark) if "Bios" in entry["action"]] == []
    assert machine(site).get("bios_pending") == before
    changed = site.playbook("configure.yml", "-e", "target=gpu-001", "-e", wanted).stdout
    assert "changed=1" in changed
    assert [entry for entry in site.log("gpu-001", mark) if "Bios" in entry["action"]]
    again = site.playbook("configure.yml", "-e", "target=gpu-001", "-e", wanted).stdout
    assert "changed=0" in again


def test_hands_off_stops_power_and_configure(site: Site) -> None:
    site.client.set_server_flags("gpu-002", {"hands_off": True, "reason": "on loan to the vendor"})
    try:
        before = machine(site, "gpu-002")["power_actions"]
        done = site.playbook("power.yml", "-e", "target=gpu-002", "-e", "state=on", check=False)
        assert done.returncode != 0
        assert "hands are off" in done.stdout
        assert machine(site, "gpu-002")["power_actions"] == before
    finally:
        site.client.set_server_flags("gpu-002", {"hands_off": False, "reason": None})


def test_discovering_again_changes_nothing(site: Site) -> None:
    said = site.playbook("discover.yml", "-e", "target=all").stdout
    assert "failed=0" in said
    assert {server["state"] for server in site.client.servers()} == {"available"}
    assert all(len(server["gpus"]) == 8 for server in site.client.servers())


@pytest.fixture
def racks(site: Site) -> None:
    """The last server by name is in the first rack."""
    racks = [{"name": "gpu-001", "rack": "r02"}, {"name": "gpu-002", "rack": "r01"}]
    site.client.request("POST", "/api/v1/servers", body={"servers": racks})


@pytest.mark.usefixtures("racks")
@pytest.mark.parametrize("forks", ["1", "5"])
def test_racks_are_switched_one_after_the_other(site: Site, forks: str) -> None:
    """Also where there are more servers than forks, and those that come first are of the last rack."""
    site.playbook("power.yml", "-e", "target=all", "-e", "state=off")
    before = site.mark()
    site.playbook(
        "power.yml", "-e", "target=all", "-e", "state=on", "-e", "stagger_s=8", "-e", "at_once=4", "--forks", forks
    )
    ordered = [entry for entry in site.log(None, before) if entry["action"] == "power.on"]
    assert [entry["machine"] for entry in ordered] == ["gpu-002", "gpu-001"], "by rack, not by name"
    first, second = (datetime.fromisoformat(entry["at"]) for entry in ordered)
    assert (second - first).total_seconds() > 2  # the first may be late on a busy machine, the second is not early
    site.playbook("power.yml", "-e", "target=all", "-e", "state=off")


@pytest.mark.usefixtures("racks")
def test_nobody_gets_a_server_that_waits_for_its_turn_to_be_switched_off(site: Site) -> None:
    site.playbook("power.yml", "-e", "target=all", "-e", "state=on")
    switched_off = ("power.yml", "-e", "target=all", "-e", "state=off")
    site.killed(*switched_off, "-e", "stagger_s=100", when=lambda: machine(site, "gpu-002")["power"] == "Off")
    assert machine(site)["power"] == "On", "its turn had not come"
    assert re.fullmatch(r"power\.yml \(\S+:\d+:\S+\) switches it", site.hands_off()["gpu-001"])
    assert site.user.gpus_available()["items"] == []
    # what was killed is run again, and gives them back
    site.playbook(*switched_off)
    assert machine(site)["power"] == "Off"
    assert site.hands_off() == {}
    assert "changed=0" in site.playbook(*switched_off).stdout


@pytest.mark.usefixtures("racks")
def test_what_somebody_else_keeps_hands_off_for_stays(site: Site, tmp_path: Path) -> None:
    """Set while a playbook waits for a server's turn, and set between its look at the server and its own flag."""
    loan = {"hands_off": True, "reason": "on loan to the vendor"}
    site.playbook("power.yml", "-e", "target=all", "-e", "state=on")
    with ThreadPoolExecutor(1) as pool:
        switched_off = pool.submit(
            site.playbook, "power.yml", "-e", "target=all", "-e", "state=off", "-e", "stagger_s=20"
        )
        site.until(lambda: machine(site, "gpu-002")["power"] == "Off")
        site.client.set_server_flags("gpu-001", loan)
    with pytest.raises(AssertionError, match=r"hands are off this server: on loan to the vendor"):
        switched_off.result()
    assert machine(site)["power"] == "On"
    assert site.hands_off() == {"gpu-001": "on loan to the vendor"}

    late = tmp_path / "late.yml"
    late.write_text(f"""
- hosts: gpu-001
  gather_facts: false
  vars:
    take_by: power.yml
    take_as: power.yml (here:1:x)
    take_why: switches it
    may_touch_server: {{server: {{hands_off: false, state: available}}}}
  tasks:
    - block:
        - ansible.builtin.include_tasks: {ROOT}/playbooks/tasks/take.yml
      always:
        - ansible.builtin.include_tasks: {ROOT}/playbooks/tasks/give_back.yml
""")
    done = site.playbook(os.path.relpath(late, ROOT / "playbooks"), check=False)
    assert done.returncode != 0 and "hands_off_held" in done.stdout, done.stdout
    assert site.hands_off() == {"gpu-001": "on loan to the vendor"}
    site.client.set_server_flags("gpu-001", {"hands_off": False, "reason": None})
    site.playbook(os.path.relpath(late, ROOT / "playbooks"))
    assert site.hands_off() == {}


@pytest.mark.usefixtures("racks")
def test_two_runs_of_one_playbook_keep_hands_off_what_the_other_has_taken(site: Site) -> None:
    site.playbook("power.yml", "-e", "target=all", "-e", "state=on")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(site.playbook, "power.yml", "-e", "target=all", "-e", "state=off", "-e", "stagger_s=40")
        site.until(lambda: machine(site, "gpu-002")["power"] == "Off")
        (taken,) = site.until(lambda: len(site.hands_off()) == 1 and site.hands_off().items())
        second = site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=reset", check=False)
        assert machine(site)["power"] == "On", "the turn of the first has not come yet"
        assert dict([taken]) == site.hands_off()
        first.result()
    assert second.returncode != 0
    assert f"hands are off this server: {taken[1]}. Wait for that run" in " ".join(second.stdout.split())
    assert machine(site)["power"] == "Off"
    assert site.hands_off() == {}


def test_a_run_of_another_machine_is_taken_over_when_told_so(site: Site) -> None:
    """Whether it still lives cannot be seen from here."""
    lost = {"hands_off": True, "reason": "power.yml (elsewhere:1:2.3.4) switches it", "owner": "power.yml"}
    site.client.set_server_flags("gpu-001", lost)
    again = ("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    done = site.playbook(*again, check=False)
    assert done.returncode != 0 and "takeover=true" in done.stdout
    assert site.hands_off() == {"gpu-001": lost["reason"]}
    site.playbook(*again, "-e", "takeover=true")
    assert machine(site)["power"] == "On"
    assert site.hands_off() == {}


@pytest.mark.usefixtures("racks")
@pytest.mark.parametrize("state", ["on", "off"])
def test_a_fleet_that_is_frozen_while_a_server_waits_for_its_turn(site: Site, state: str) -> None:
    """Nobody gets the server meanwhile either, not even one that is to be switched on."""
    was = "Off" if state == "on" else "On"
    site.playbook("power.yml", "-e", "target=all", "-e", f"state={was.lower()}")
    with ThreadPoolExecutor(1) as pool:
        switched = pool.submit(
            site.playbook, "power.yml", "-e", "target=all", "-e", f"state={state}", "-e", "stagger_s=20"
        )
        site.until(lambda: machine(site, "gpu-002")["power"].lower() == state)
        site.until(lambda: list(site.hands_off()) == ["gpu-001"])
        site.client.set_freeze(True, "maintenance of the power feed")
    try:
        with pytest.raises(AssertionError, match="gpu-001 may not be touched: the fleet is frozen"):
            switched.result()
    finally:
        site.client.set_freeze(False)
    assert machine(site)["power"] == was
    assert site.hands_off() == {}


def test_a_server_goes_out_for_maintenance_and_comes_back(site: Site) -> None:
    reason = '{"reason": "fan 3 is to be changed"}'
    planned = site.playbook("maintenance.yml", "--check", "-e", "target=gpu-001", "-e", reason).stdout
    assert "changed=1" in planned and site.client.server("gpu-001")["state"] == "available"
    site.playbook("maintenance.yml", "-e", "target=gpu-001", "-e", reason)
    out = site.client.server("gpu-001")
    assert (out["state"], out["state_reason"]) == ("maintenance", "fan 3 is to be changed")
    assert "changed=0" in site.playbook("maintenance.yml", "-e", "target=gpu-001", "-e", reason).stdout
    site.playbook("maintenance.yml", "-e", "target=gpu-001", "-e", "state=back")
    assert site.client.server("gpu-001")["state"] == "available"
    assert "changed=0" in site.playbook("maintenance.yml", "-e", "target=gpu-001", "-e", "state=back").stdout
    silent = site.playbook("maintenance.yml", "-e", "target=gpu-001", check=False)
    assert silent.returncode != 0 and "Say what" in silent.stdout, "no reason, no maintenance"


# the answers to the survey of each job template of playbooks/controller.yml
TEMPLATES = {
    "discover.yml": ["target=gpu-001"],
    "configure.yml": ["target=gpu-001"],
    "collect.yml": ["rounds=1"],
    "power.yml": ["target=gpu-001", "state=off"],
    "allocate.yml": ["request=awx", "gpu_count=8", "gpu_model=", "template=ubuntu-24.04", "on_behalf_of="],
    "release.yml": ["request=awx", "on_behalf_of="],
}


def test_the_account_that_the_controller_is_given_may_run_every_template(site: Site) -> None:
    """Its role is automation."""
    (play,) = yaml.load((ROOT / "playbooks" / "controller.yml").read_text(), Loader=Loader)  # noqa: S506
    assert {Path(template["playbook"]).name for template in play["vars"]["job_templates"]} == set(TEMPLATES)
    awx = site.stage.add_person("awx", "automation", gpus=8)
    token = {"PALEBLUEDOT_TOKEN_FILE": str(awx.token_file)}
    site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    for playbook, answers in TEMPLATES.items():
        site.playbook(playbook, *(word for answer in answers for word in ("-e", answer)), environment=token)
        if playbook == "power.yml":
            assert machine(site)["power"] == "Off"
    site.playbook("rotate_credentials.yml", "-e", "target=gpu-001", environment=token)
    assert site.hands_off() == {}

    # whether a server goes out for work on its hardware, and whose flag counts no more, is a person's word
    refused = site.playbook(
        "maintenance.yml", "-e", "target=gpu-001", "-e", "reason=fan", check=False, environment=token
    )
    assert refused.returncode != 0 and "role_not_allowed" in refused.stdout
    site.client.set_server_flags("gpu-001", {"hands_off": True, "reason": "on loan to the vendor"})
    for fields in ({"reason": None}, {"owner": "power.yml"}):
        with pytest.raises(Exception, match=r"flags of its own|not by power\.yml"):
            site.stage.client(awx).set_server_flags("gpu-001", {"hands_off": False, **fields})
    site.client.set_server_flags("gpu-001", {"hands_off": False, "reason": None})
