"""The modules of configuration as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.firmware import make_image

ROOT = Path(__file__).resolve().parents[3]
M2 = ["NVMe_Device0_NSID1", "NVMe_Device1_NSID1"]
TASKS: dict[str, dict[str, Any]] = {
    "firmware_info": {"targets": ["HostBMC_0"]},
    "firmware": {"image": "{{ image }}", "targets": ["HostBMC_0"], "version": "24.01.05", "wait_timeout": 60},
    "storage_volume": {"name": "system", "raid_type": "RAID1", "drives": M2},
    "secure_boot": {"state": "enabled", "keys": "factory"},
    "tpm": {"state": "cleared"},
    "hardware_profile": {"bios": {"SRIOVEnable": "Disable"}, "boot_order": ["hdd"]},
}


def play() -> list[dict[str, Any]]:
    """Each module planned, done and repeated."""
    tasks: list[dict[str, Any]] = []
    for name, options in TASKS.items():
        module = {f"palebluedot.gpu.{name}": options}
        tasks.append({"name": "plan", **module, "check_mode": True, "diff": True, "register": f"{name}_planned"})
        tasks.append({"name": "do", **module, "diff": True, "register": f"{name}_done"})
        tasks.append({"name": "again", **module, "register": f"{name}_again"})
    wrong = {"palebluedot.gpu.hardware_profile": {"firmware": [{"image": "x"}]}}
    tasks.append({"name": "wrong", **wrong, "register": "wrong", "ignore_errors": True})
    kept = {f"{name}_{when}": f"{name}_{when}" for name in TASKS for when in ("planned", "done", "again")}
    content = "{{ {" + ", ".join(f"'{name}': {name}" for name in [*kept, "wrong"]) + "} | to_json }}"
    copy = {"content": content, "dest": "{{ kept }}", "mode": "0600"}
    tasks.append({"name": "keep", "ansible.builtin.copy": copy})
    defaults = {name: f"{{{{ {name} }}}}" for name in ("bmc_address", "bmc_port", "bmc_ca_path")}
    group = {**defaults, "bmc_credential": "env:LAB_BMC", "bmc_timeout": 10}
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {"group/palebluedot.gpu.bmc": group},
            "tasks": tasks,
        }
    ]


@pytest.mark.parametrize("in_worker", [True, False], ids=["in the worker", "as a real module"])
def test_each_module_plans_what_it_does_and_repeats_nothing(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    image, kept = tmp_path / "bmc.fwpkg", tmp_path / "kept.json"
    image.write_bytes(make_image({"HostBMC_0": "24.01.05"}))
    (tmp_path / "play.yml").write_text(json.dumps(play()))
    params = lab_bmc.params()
    host = {name: params[name] for name in ("bmc_address", "bmc_port", "bmc_ca_path")}
    host |= {"image": str(image), "kept": str(kept), "ansible_connection": "local"}
    host["ansible_python_interpreter"] = sys.executable
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"dgx-01": host}}}))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts.json", tmp_path / "play.yml"],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "PALEBLUEDOT_INPROC": "1" if in_worker else "0",
            "LAB_BMC": f"{params['bmc_username']}:{params['bmc_password']}",
        },
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    results = json.loads(kept.read_text())
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
