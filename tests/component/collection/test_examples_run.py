"""Every example of every module, run by ansible-playbook against a site: service, servers, a switch, Tinkerbell.

They run in check mode, in one play, in the order of the modules' names. What an example says of a site is put into the
words of this one (its servers, its switch, the addresses and files that are there), and what would make it take minutes
is shortened. Nothing else of an example is touched, and a word that no example uses any more is an error.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.site import Site

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
PREFIX = "palebluedot.gpu."
MODULES = sorted(
    path.stem for path in (ROOT / "collections/ansible_collections/palebluedot/gpu/plugins/modules").glob("*.py")
)
# Servers of the examples: a DGX, one with a RAID controller, and one that applies BIOS attributes at once.
FIRST, SECOND, THIRD = ("dgx-01", "gpu-07", "old-07", "sys-03"), ("dl385-01", "hpe-03"), ("node-05",)

# An example may take ten minutes, for a reason that has nothing to do with whether it is right.
SHORTER: dict[str, Any] = {"interval": 0.2, "rounds": 2, "stagger_s": 0.1, "wait_timeout": 20}

Task = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Ansible's own tags are read as the text they stand for."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def examples() -> Iterator[tuple[str, Task]]:
    for name in MODULES:
        loaded = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.modules.{name}")
        for task in yaml.load(loaded.EXAMPLES, _Loader):  # noqa: S506  a SafeLoader
            yield name, task


class Words:
    """The examples' words for a site, and this site's."""

    def __init__(self, site: Site, folder: Path, run: dict[str, Any]) -> None:
        document = site.stage.fleet_document()
        self.servers = {server["name"]: server for server in document["servers"]}
        self.first, self.second, self.third = self.servers
        self.ipmi_ports: dict[str, int] = site.stage.facts["ipmi_ports"]
        self.switch = document["switches"][0]
        nic = self.servers[self.first]["nics"][0]
        firmware = folder / "firmware.fwpkg"
        firmware.write_bytes(b"firmware")
        first = self.servers[self.first]
        self.used: set[str] = set()
        self.replace: dict[str, str] = {
            **dict.fromkeys(FIRST, self.first),
            **dict.fromkeys(SECOND, self.second),
            **dict.fromkeys(THIRD, self.third),
            "leaf-03": self.switch["name"],
            "ADMIN": first["bmc_username"],
            "A403281X2": site.client.server(self.first)["serial_number"],
            "DE081000": "StorageUnit_0",
            "Ethernet7": nic["port"],
            "02:00:00:00:00:07": nic["mac"],
            "/srv/firmware/nvfw_DGX_240405.1.0.fwpkg": str(firmware),
            "/etc/palebluedot/bmc/sys-02.json": str(folder / "credential.json"),
            "10.20.0.0/22": f"{first['bmc_address']}/32",
            "dgx-01-bmc.example.com": f"{first['bmc_address']}:{first['bmc_port']}",
            "10.20.4.1:8443": f"{first['bmc_address']}:{first['bmc_port']}",
        }
        self.variables: dict[str, Any] = {
            "run": run,
            "workflow_id": run["workflow"]["id"],
            "rack": "r1",
            "found": {"fingerprint": None},
            "collector_token": "token",
            "monitoring_password": "Monitoring-2026",
            "vault_bmc_password": first["bmc_password"],
            "vault_label_password": first["bmc_password"],
        }

    def put(self, value: Any) -> Any:
        """The value in this site's words."""
        if isinstance(value, dict):
            return {key: self.put(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.put(item) for item in value]
        if isinstance(value, str):
            for word, ours in sorted(self.replace.items(), key=lambda pair: -len(pair[0])):
                if word in value:
                    self.used.add(word)
                    value = value.replace(word, ours)
        return value

    def task(self, task: Task) -> Task:
        """The example as it runs here."""
        done: Task = {}
        for key, arguments in copy.deepcopy(task).items():
            if key.startswith(PREFIX) and isinstance(arguments, dict):
                done[key] = self._connected(arguments)
            else:
                done[key] = self.put(arguments)
        return done

    def _connected(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Connected to this site's devices, instead of to the addresses of the documentation."""
        named = str(arguments.get("bmc_credential", ""))
        asked = self.put(arguments)
        if "bmc_address" in asked:
            server = self.servers[
                self.second
                if any(name in named for name in SECOND)
                else self.third
                if any(name in named for name in THIRD)
                else self.first
            ]
            for option in [option for option in asked if option.startswith("bmc_") and option != "bmc_protocol"]:
                del asked[option]
            asked["bmc_address"] = server["bmc_address"]
            asked["bmc_ca_path"] = server["bmc_ca_path"]
            ipmi = asked.get("bmc_protocol") == "ipmi"
            asked["bmc_port"] = self.ipmi_ports[server["name"]] if ipmi else server["bmc_port"]
            asked["bmc_credential"] = f"service:{server['name']}"
        for entry in asked.get("bmcs", []) if isinstance(asked.get("bmcs"), list) else []:
            server = (
                self.servers[entry["credential"].removeprefix("service:")] if "dgx-02" not in entry["name"] else None
            )
            entry.update(
                {
                    option: (server or self.servers[self.second])[f"bmc_{option}"]
                    for option in ("address", "port", "ca_path")
                }
            )
            entry["credential"] = f"service:{(server or self.servers[self.second])['name']}"
        asked |= {option: value for option, value in SHORTER.items() if option in asked}
        for holder in (asked, *asked.get("volumes", [])):
            if "drives" in holder:
                holder["drives"] = ["NVMe_Device0_NSID1", "NVMe_Device1_NSID1"]
        if "switch_address" in asked:
            asked["switch_address"] = self.switch["address"]
            asked["switch_grpc_port"] = self.switch["grpc_port"]
            asked["switch_ca_path"] = self.switch["ca_path"]
            asked["switch_dialect"] = self.switch["dialect"]
        if "ports" in asked or "ranges" in asked:
            asked["ports"] = [self.servers[self.first]["bmc_port"]]
        return asked


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(
        tmp_path_factory.mktemp("examples"), servers=3, vendor="ami,hpe,generic", ipmi=True, switches=("eos",)
    ) as started:
        yield started


@pytest.mark.timeout(300)
def test_every_example_runs(site: Site, tmp_path: Path) -> None:
    reserved = site.client.allocate(
        {"gpu_count": 8, "template": "ubuntu-24.04", "executor": "external"}, request="examples"
    )
    site.client.claim(reserved["workflow_id"], "examples")
    site.client.change_server_credential("gpu-001", {"phase": "propose"})
    words = Words(site, tmp_path, site.client.run_document(reserved["workflow_id"]))
    shown = list(examples())
    assert {name for name, _task in shown} == set(MODULES)
    play = {
        "hosts": words.first,
        "gather_facts": False,
        "ignore_errors": True,
        "check_mode": True,
        "vars": words.variables,
        "tasks": [words.task(task) for _name, task in shown],
    }
    playbook = tmp_path / "examples.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    (tmp_path / "ubuntu.yml").write_text(
        'version: "0.1"\nname: ubuntu\nglobal_timeout: 60\ntasks:\n  - name: os\n    worker: "{{.device_1}}"\n'
        "    actions:\n      - {name: a, image: quay.io/tinkerbell/actions/kexec, timeout: 60}\n"
    )
    inventory = tmp_path / "racks.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {words.first: {"rack": "r1"}}}}))
    results = Path(os.environ.get("EXAMPLES_RESULTS") or tmp_path / "results.jsonl")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "inventory/fleet.yml",
            "-i",
            "inventory/local.yml",
            "-i",
            inventory,
            playbook,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            **site.playbook_environment(),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "RESULTS_FILE": str(results),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    failed = {
        f"{line['task']}": line["result"].get("msg") for line in lines if line["outcome"] not in ("ok", "skipped")
    }
    assert not failed, json.dumps(failed, indent=1)
    assert len(lines) >= len(shown) - 4, done.stdout[-2000:] + done.stderr[-2000:]
    assert set(words.replace) == words.used, "words that no example uses"
