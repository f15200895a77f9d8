"""firmware.yml over a fleet: phases, the budget of failures, hands off and freeze; and what --check shows of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab.firmware import make_image
from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 5, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}
NAMES = [f"gpu-{number:03}" for number in range(1, 6)]


def written(site: Site, since: int) -> list[str]:
    """The servers whose BIOS image was written, in that order."""
    return [entry["machine"] for entry in site.log(since=since) if entry["action"] == "firmware.write"]


def wanted(folder: Path, version: str) -> str:
    image = folder / f"bios-{version}.fwpkg"
    image.write_bytes(make_image({"HostBIOS_0": version}))
    return json.dumps({"image": str(image), "targets": ["HostBIOS_0"], "version": version, "phases": [1, 2]})


def test_the_fleet_is_updated_phase_by_phase_and_given_back(site: Site, tmp_path: Path) -> None:
    extra = wanted(tmp_path, "01.02.00")
    mark = site.mark()
    shown = site.playbook("firmware.yml", "--check", "--diff", "-e", extra).stdout
    assert "01.01.03" in shown and "01.02.00" in shown
    assert written(site, mark) == []
    site.playbook("firmware.yml", "-e", extra)
    order = written(site, mark)
    assert sorted(order) == NAMES and order[0] == NAMES[0], "one server alone comes first"
    ran = [entry["machine"] for entry in site.log(since=mark) if entry["action"] == "firmware.run"]
    assert sorted(ran) == NAMES and ran[0] == NAMES[0]
    assert site.hands_off() == {}
    assert {site.lab("GET", f"/machines/{name}")["power"] for name in NAMES} == {"Off"}, "as they were"
    again = site.playbook("firmware.yml", "-e", extra).stdout
    recap = {line.split()[0]: line for line in again.splitlines() if "changed=" in line}
    assert all("changed=0" in recap[name] for name in NAMES)
    assert written(site, mark) == order


def ends(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """What the end of the run says of every server."""
    shown = done.stdout[done.stdout.rindex("TASK [Say what became of every server]") :]
    (said,) = re.findall(r"=> (\{.*?^\})", shown, re.DOTALL | re.MULTILINE)
    return {how: sorted(names) for how, names in json.loads(said)["msg"].items() if names}


def fail_once(site: Site, name: str) -> None:
    fault = {"machine": name, "layer": "machine", "match": "firmware *", "kind": "firmware_failed", "count": 1}
    site.lab("POST", "/faults", fault)


def test_a_failed_server_ends_the_rollout_and_stays_out_of_the_pool(site: Site, tmp_path: Path) -> None:
    extra = wanted(tmp_path, "01.03.00")
    fail_once(site, NAMES[1])
    mark = site.mark()
    done = site.playbook("firmware.yml", "-e", extra, check=False)
    assert done.returncode != 0
    assert f"1 of 5 servers have failed ({NAMES[1]}) and the budget is 0" in done.stdout
    assert sorted(written(site, mark)) == NAMES[:3], "the first alone, then two; none after that"
    assert ends(done) == {"updated": [NAMES[0], NAMES[2]], "failed": [NAMES[1]], "not_reached": NAMES[3:]}
    (reason,) = site.hands_off().values()
    assert "verification failed" in reason
    # with hands off it is left alone, which costs no budget; the others go on, and the run says that not all is well
    mark = site.mark()
    done = site.playbook("firmware.yml", "-e", extra, check=False)
    assert done.returncode != 0 and f"{NAMES[1]} was left alone" in done.stdout and "hands are off" in done.stdout
    assert sorted(written(site, mark)) == NAMES[3:]
    assert ends(done) == {"updated": NAMES[3:], "as_it_was": [NAMES[0], NAMES[2]], "left_alone": [NAMES[1]]}
    site.client.set_server_flags(NAMES[1], {"hands_off": False, "reason": None})
    site.playbook("firmware.yml", "-e", extra)
    assert written(site, mark)[-1] == NAMES[1]


@pytest.mark.parametrize("version, budget", [("01.05.00", "1"), ("01.06.00", "20%")])
def test_the_budget_counts_failures_of_all_phases(site: Site, tmp_path: Path, version: str, budget: str) -> None:
    """Also where a phase has nothing but failures: the first one is a single server."""
    extra = wanted(tmp_path, version)
    fail_once(site, NAMES[0])
    fail_once(site, NAMES[2])
    mark = site.mark()
    done = site.playbook("firmware.yml", "-e", extra, "-e", f"budget={budget}", check=False)
    assert done.returncode != 0
    assert f"2 of 5 servers have failed ({NAMES[0]}, {NAMES[2]}) and the budget is 1" in done.stdout
    assert sorted(written(site, mark)) == NAMES[:3]
    assert ends(done) == {"updated": [NAMES[1]], "failed": [NAMES[0], NAMES[2]], "not_reached": NAMES[3:]}
    assert f"{NAMES[0]} has failed: " in done.stdout
    assert sorted(site.hands_off()) == [NAMES[0], NAMES[2]]
    for name in (NAMES[0], NAMES[2]):
        site.client.set_server_flags(name, {"hands_off": False, "reason": None})


def test_a_rollout_within_its_budget_reaches_every_other_server(site: Site, tmp_path: Path) -> None:
    extra = wanted(tmp_path, "01.07.00")
    fail_once(site, NAMES[0])
    done = site.playbook("firmware.yml", "-e", extra, "-e", "budget=1", check=False)
    assert done.returncode != 0, "one has not the version"
    assert ends(done) == {"updated": NAMES[1:], "failed": [NAMES[0]]}
    site.client.set_server_flags(NAMES[0], {"hands_off": False, "reason": None})


def test_a_rollout_that_was_killed_is_run_again(site: Site, tmp_path: Path) -> None:
    extra = wanted(tmp_path, "01.08.00")
    mark = site.mark()
    fault = {"machine": NAMES[0], "layer": "redfish", "match": "POST *pdate*", "kind": "hang", "count": None}
    site.lab("POST", "/faults", fault)
    try:
        site.killed("firmware.yml", "-e", extra, when=site.hands_off)
    finally:
        site.lab("DELETE", "/faults")
    ((name, reason),) = site.hands_off().items()
    assert name == NAMES[0] and re.fullmatch(r"firmware\.yml \(\S+\) updates its firmware", reason)
    assert ends(site.playbook("firmware.yml", "-e", extra)) == {"updated": NAMES}
    assert sorted(written(site, mark)) == NAMES and site.hands_off() == {}


def test_a_frozen_fleet_and_servers_in_use_are_left_alone(site: Site, tmp_path: Path) -> None:
    extra = wanted(tmp_path, "01.04.00")
    mark = site.mark()
    site.client.set_freeze(True, "audit")
    try:
        done = site.playbook("firmware.yml", "-e", extra, check=False)
    finally:
        site.client.set_freeze(False)
    assert done.returncode != 0 and "the fleet is frozen" in done.stdout
    assert ends(done) == {"left_alone": NAMES}
    assert written(site, mark) == []


def test_configure_takes_the_class_and_leaves_firmware_alone(site: Site) -> None:
    """What inventory/group_vars say of a DGX H100, and over it what the record says of this one."""
    mark = site.mark()
    shown = site.playbook("configure.yml", "--check", "--diff", "-e", f"target={NAMES[4]}").stdout
    assert "C0/C1 state" in shown and [entry for entry in site.log(NAMES[4], mark) if "PATCH" in entry["action"]] == []
    site.playbook("configure.yml", "-e", f"target={NAMES[4]}", "-e", "reboot=if_needed")
    (applied,) = [entry for entry in site.log(NAMES[4], mark) if entry["action"] == "bios.applied"]
    assert "PackageCState" in applied["detail"]["attributes"]
    assert written(site, mark) == []
    assert "changed=0" in site.playbook("configure.yml", "-e", f"target={NAMES[4]}", "-e", "reboot=if_needed").stdout


def test_hands_stay_off_a_server_that_did_not_come_back_with_its_profile(site: Site) -> None:
    profile = json.dumps(
        {"target": NAMES[3], "reboot": "if_needed", "hardware_profile": {"bios": {"TurboMode": "Disable"}}}
    )
    refused = {"status": 400, "message_id": "Base.1.12.ActionNotSupported"}
    fault = {"machine": NAMES[3], "layer": "redfish", "match": "POST */ComputerSystem.Reset", "kind": "status"}
    site.lab("POST", "/faults", {**fault, "value": refused, "count": None})
    try:
        done = site.playbook("configure.yml", "-e", profile, check=False)
    finally:
        site.lab("DELETE", "/faults")
    assert done.returncode != 0
    assert site.hands_off()[NAMES[3]].startswith("configure.yml was broken off: ")
    # the same command goes on from there, and nobody else does
    assert site.playbook("power.yml", "-e", f"target={NAMES[3]}", "-e", "state=on", check=False).returncode != 0
    site.playbook("configure.yml", "-e", profile)
    assert site.hands_off() == {}
    assert "changed=0" in site.playbook("configure.yml", "-e", profile).stdout
