"""The modules of configuration as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.firmware import make_image
from tests.component.bmc.playing import both_ways, play

M2 = ["NVMe_Device0_NSID1", "NVMe_Device1_NSID1"]
TASKS: dict[str, dict[str, Any]] = {
    "firmware_info": {"targets": ["HostBMC_0"]},
    "firmware": {"image": "{{ image }}", "targets": ["HostBMC_0"], "version": "24.01.05", "wait_timeout": 60},
    "storage_volume": {"name": "system", "raid_type": "RAID1", "drives": M2},
    "secure_boot": {"state": "enabled", "keys": "factory"},
    "tpm": {"state": "cleared"},
    "hardware_profile": {"bios": {"SRIOVEnable": "Disable"}, "boot_order": ["hdd"]},
}


def playbook() -> list[dict[str, Any]]:
    """Each module planned, done and repeated."""
    tasks: list[dict[str, Any]] = []
    for name, options in TASKS.items():
        module = {f"palebluedot.gpu.{name}": options}
        tasks.append({"name": "plan", **module, "check_mode": True, "diff": True, "register": f"{name}_planned"})
        tasks.append({"name": "do", **module, "diff": True, "register": f"{name}_done"})
        tasks.append({"name": "again", **module, "register": f"{name}_again"})
    wrong = {"palebluedot.gpu.hardware_profile": {"firmware": [{"image": "x"}]}}
    tasks.append({"name": "wrong", **wrong, "register": "wrong", "ignore_errors": True})
    return play_of(tasks)


def play_of(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks against the lab's BMC, and one that keeps what each of them registered."""
    content = "{{ {" + ", ".join(f"'{task['register']}': {task['register']}" for task in tasks) + "} | to_json }}"
    keep = {"name": "keep", "ansible.builtin.copy": {"content": content, "dest": "{{ kept }}", "mode": "0600"}}
    defaults = {name: f"{{{{ {name} }}}}" for name in ("bmc_address", "bmc_port", "bmc_ca_path")}
    group = {**defaults, "bmc_credential": "env:LAB_BMC", "bmc_timeout": 10}
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {"group/palebluedot.gpu.bmc": group},
            "tasks": [*tasks, keep],
        }
    ]


@both_ways
def test_each_module_plans_what_it_does_and_repeats_nothing(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    image = tmp_path / "bmc.fwpkg"
    image.write_bytes(make_image({"HostBMC_0": "24.01.05"}))
    results, _printed = play(lab_bmc, tmp_path, json.dumps(playbook()), in_worker, {"image": str(image)})
    for name in TASKS:
        changes = name != "firmware_info"
        assert results[f"{name}_planned"]["changed"] is changes, name
        assert results[f"{name}_done"]["changed"] is changes, name
        assert results[f"{name}_again"]["changed"] is False, name
        if changes:
            assert results[f"{name}_done"]["diff"] == results[f"{name}_planned"]["diff"], name
    assert results["firmware_info_done"]["firmware"][0]["version"] == "23.11.20"
    assert results["wrong"]["failed"] and "version" in results["wrong"]["msg"]
    assert lab_bmc.resets() == [] and lab_bmc.sessions() == 0


@both_ways
def test_bios_attributes_at_once_are_waited_for_through_the_restart(
    start_lab: Any, tmp_path: Path, in_worker: bool
) -> None:
    bmc = start_lab("generic")
    bmc.power("on")
    at_once = {"attributes": {"TurboMode": "Disable"}, "apply_time": "immediate", "wait_timeout": 60}
    module = {"palebluedot.gpu.bios_attributes": at_once, "diff": True}
    tasks = [
        {"name": "plan", **module, "check_mode": True, "register": "planned"},
        {"name": "do", **module, "register": "done"},
        {"name": "again", **module, "register": "again"},
    ]
    results, _printed = play(bmc, tmp_path, json.dumps(play_of(tasks)), in_worker)
    assert results["done"]["changed"] and results["done"]["diff"] == results["planned"]["diff"]
    assert results["done"]["task"]["state"] == "Completed" and not results["done"]["reboot_required"]
    assert bmc.machine.bmc.bios["TurboMode"] == "Disable" and not results["again"]["changed"]
