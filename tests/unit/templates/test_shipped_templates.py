"""The shipped templates render to what Tinkerbell would run, and to user data that cloud-init knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import templatedata

from fleet import rendering, steps, template_document

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted((ROOT / "templates").glob("*.yml"))


def variables(document: Any, **network: Any) -> dict[str, Any]:
    return {
        "server": {"name": "gpu-1", "mac": "02:00:00:00:00:01", "disks": ["/dev/nvme0n1"], "serial_number": "S1"},
        "allocation": {"id": "alloc_1", "user": "ada", "request": "r", "gpu_count": 8},
        "network": {"address": "192.0.2.10", "prefix": 24, "gateway": None, "vlan": 1001, **network},
        "image": document.image or {},
        "ssh_user": "ubuntu",
        "ssh_keys": ["ssh-ed25519 AAAA ada", 'ssh-ed25519 BBBB "quoted" name'],
        "parameters": document.fill({}),
        "report_url": "https://gpu.example.net/api/v1/ingest/first-boot/secret",
        "metadata_url": "",
        "workflow": {"id": "wf_1", "kind": "allocate"},
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
@pytest.mark.parametrize("gateway", [None, "192.0.2.1"])
@pytest.mark.parametrize("metadata_url", ["", "http://192.0.2.2:7080"])
def test_it_renders_to_what_tinkerbell_runs(path: Path, gateway: str | None, metadata_url: str) -> None:
    document = template_document.parse(path.read_text())
    given = {**variables(document, gateway=gateway), "metadata_url": metadata_url}
    text = rendering.render(document.tinkerbell, given, path.stem)
    templatedata.check(path.stem, text)
    actions = yaml.safe_load(text)["tasks"][0]["actions"]
    for action in actions:
        if contents := action["environment"].get("CONTENTS"):
            written = yaml.safe_load(contents)
            assert written, action["name"]
            if action["environment"]["DEST_PATH"].startswith("/etc/netplan/"):
                tenant = written["network"]["ethernets"]["tenant"]
                assert tenant["addresses"] == ["192.0.2.10/24"]
                assert ("routes" in tenant) == (gateway is not None)
            if "cloud.cfg.d" in action["environment"]["DEST_PATH"]:
                assert written["datasource"]["Ec2"].get("metadata_urls") == ([metadata_url] if metadata_url else None)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_its_steps_are_registered_and_in_order(path: Path) -> None:
    document = template_document.parse(path.read_text())
    planned = [entry["name"] for entry in steps.plan(document.steps, steps.load(ROOT / "roles"))]
    assert planned == [entry["name"] for entry in document.steps]


def test_user_data_is_cloud_config_that_says_who_may_log_in() -> None:
    document = template_document.parse((ROOT / "templates" / "ubuntu-24.04.yml").read_text())
    text = rendering.render(document.user_data or "", variables(document), "user data")
    assert text.startswith("#cloud-config\n")
    said = yaml.safe_load(text)
    assert said["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA ada", 'ssh-ed25519 BBBB "quoted" name']
    assert said["ssh_pwauth"] is False
    assert said["phone_home"]["url"].startswith("https://gpu.example.net/")
