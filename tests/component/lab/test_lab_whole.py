"""A whole lab as its users see it: install a server through Tinkerbell, log in, take the network away, erase it."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import requests
import yaml
from pygnmi.client import gNMIclient

import lab

TEMPLATE = """
version: "0.1"
name: install
global_timeout: 600
tasks:
  - name: os
    worker: "{{.device_1}}"
    actions:
      - name: stream
        image: quay.io/tinkerbell/actions/image2disk:latest
        timeout: 60
        environment: {IMG_URL: "http://images/ubuntu.raw.gz", DEST_DISK: /dev/nvme0n1, COMPRESSED: "true"}
      - name: netplan
        image: quay.io/tinkerbell/actions/writefile:latest
        timeout: 60
        environment:
          DEST_DISK: /dev/nvme0n1p1
          FS_TYPE: ext4
          DEST_PATH: /etc/netplan/60-tenant.yaml
          CONTENTS: |
            network:
              version: 2
              ethernets:
                tenant: {match: {macaddress: "%(mac)s"}, addresses: ["%(address)s/24"]}
      - name: boot
        image: quay.io/tinkerbell/actions/kexec:latest
        timeout: 60
        environment: {BLOCK_DEVICE: /dev/nvme0n1p1, FS_TYPE: ext4}
"""


class Site:
    """The lab's clients, each by its own protocol."""

    def __init__(self, process: lab.LabProcess) -> None:
        self.facts = process.facts
        self.fleet: dict[str, Any] = yaml.safe_load(Path(self.facts["fleet_file"]).read_text())
        config = yaml.safe_load(Path(self.facts["kubeconfig"]).read_text())
        self._kube_url = config["clusters"][0]["cluster"]["server"]
        self._kube_token = config["users"][0]["user"]["token"]

    def server(self, number: int) -> dict[str, Any]:
        return dict(self.fleet["servers"][number])

    def network(self, purpose: str, number: int = 0) -> dict[str, Any]:
        return dict([n for n in self.fleet["networks"] if n["purpose"] == purpose][number])

    def machine(self, name: str) -> dict[str, Any]:
        return dict(requests.get(f"{self.facts['control_url']}/machines/{name}", timeout=3).json())

    def log(self, name: str) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.facts['control_url']}/log", params={"machine": name}, timeout=3).json())

    def redfish(self, server: dict[str, Any], method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method,
            f"https://{server['bmc_address']}:{server['bmc_port']}/redfish/v1{path}",
            auth=(server["bmc_username"], server["bmc_password"]),
            verify=server["bmc_ca_path"],
            timeout=3,
            **options,
        )

    def create(self, kind: str, plural: str, name: str, spec: dict[str, Any]) -> None:
        body = {
            "apiVersion": "tinkerbell.org/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "default"},
            "spec": spec,
        }
        answer = requests.post(
            f"{self._kube_url}/apis/tinkerbell.org/v1alpha1/namespaces/default/{plural}",
            json=body,
            headers={"Authorization": f"Bearer {self._kube_token}"},
            verify=self.facts["ca_path"],
            timeout=3,
        )
        assert answer.status_code == 201, answer.text

    def set_vlan(self, server: dict[str, Any], vlan: int) -> None:
        (nic,) = server["nics"]
        switch = next(s for s in self.fleet["switches"] if s["name"] == nic["switch"])
        port = {"interface-mode": "ACCESS", "access-vlan": vlan}
        with gNMIclient(
            target=(switch["address"], switch["grpc_port"]),
            username=switch["username"],
            password=switch["password"],
            path_root=switch["ca_path"],
            override="localhost",
            gnmi_timeout=5,
        ) as client:
            vlans = "openconfig:network-instances/network-instance[name=default]/vlans"
            client.set(
                update=[(f"{vlans}/vlan[vlan-id={vlan}]/config", {"vlan-id": vlan, "name": f"v{vlan}"})],
                replace=[
                    (
                        f"openconfig:interfaces/interface[name={nic['port']}]/ethernet/switched-vlan/config",
                        port,
                    )
                ],
                encoding="json_ietf",
            )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with lab.start(tmp_path_factory.mktemp("lab"), servers=2) as process:
        yield Site(process)


@pytest.fixture
def reports() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A place to phone home to: its URL and the forms that came."""
    came: list[dict[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            came.append(urllib.parse.parse_qs(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/first-boot", came
    server.shutdown()
    server.server_close()


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("did not come about")


async def log_in(address: str, port: int, key: asyncssh.SSHKey, host_key: str, *commands: str) -> list[str]:
    known = asyncssh.import_known_hosts(f"[{address}]:{port} {host_key}\n")
    async with (
        asyncio.timeout(5),
        asyncssh.connect(
            address, port, username="ubuntu", client_keys=[key], known_hosts=known, config=None, agent_path=None
        ) as connection,
    ):
        return [str((await connection.run(command, check=True)).stdout).strip() for command in commands]


def test_a_server_is_installed_reports_home_and_answers_only_in_its_network(
    site: Site, reports: tuple[str, list[dict[str, list[str]]]]
) -> None:
    report_url, came = reports
    server = site.server(0)
    name, mac = server["name"], server["nics"][0]["mac"]
    provisioning, tenant = site.network("provisioning"), site.network("tenant")
    address = tenant["cidr"].replace(".0/24", ".10")
    boot_address = provisioning["cidr"].replace(".0.0/22", ".1.10")
    key = asyncssh.generate_private_key("ssh-ed25519")
    public_key = key.export_public_key().decode().strip()
    user_data = "#cloud-config\n" + yaml.safe_dump(
        {
            "hostname": "one",
            "users": [{"name": "ubuntu", "ssh_authorized_keys": [public_key]}],
            "phone_home": {"url": report_url, "post": ["pub_key_ed25519", "instance_id", "hostname"]},
        }
    )

    site.set_vlan(server, provisioning["vlan"])
    assert site.machine(name)["vlan"] == provisioning["vlan"]
    site.create(
        "Hardware",
        "hardware",
        name,
        {
            "disks": [{"device": "/dev/nvme0n1"}],
            "interfaces": [
                {
                    "dhcp": {"mac": mac, "ip": {"address": boot_address, "netmask": "255.255.252.0"}},
                    "netboot": {"allowPXE": True, "allowWorkflow": True},
                }
            ],
            "metadata": {"instance": {"id": "i-one", "hostname": "one"}},
            "userData": user_data,
        },
    )
    site.create("Template", "templates", "install", {"data": TEMPLATE % {"mac": mac, "address": address}})
    site.create(
        "Workflow",
        "workflows",
        "install-one",
        {"templateRef": "install", "hardwareRef": name, "hardwareMap": {"device_1": mac}},
    )
    reset = "/Systems/DGX/Actions/ComputerSystem.Reset"
    assert site.redfish(server, "POST", reset, json={"ResetType": "On"}).status_code == 202
    until(lambda: site.machine(name)["running"] == "os")
    (report,) = until(lambda: came)
    assert (report["hostname"], report["instance_id"]) == (["one"], ["i-one"])
    host_key = report["pub_key_ed25519"][0]
    assert site.machine(name)["addresses"] == [address]

    # on the provisioning network the tenant's address leads nowhere
    with pytest.raises((OSError, asyncssh.Error, TimeoutError)):
        asyncio.run(log_in(address, site.facts["ssh_port"], key, host_key, "hostname"))
    site.set_vlan(server, tenant["vlan"])
    said = asyncio.run(log_in(address, site.facts["ssh_port"], key, host_key, "hostname", "nvidia-smi -L", "whoami"))
    assert said[0] == "one"
    assert len(said[1].splitlines()) == 8
    assert said[2] == "ubuntu"
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(log_in(address, site.facts["ssh_port"], stranger, host_key, "hostname"))

    # a reboot is not a first boot: same keys, no second report
    assert site.redfish(server, "POST", reset, json={"ResetType": "ForceRestart"}).status_code == 202
    until(lambda: site.machine(name)["posts"] == 2 and site.machine(name)["running"] == "os")

    def again() -> bool:
        try:
            return asyncio.run(log_in(address, site.facts["ssh_port"], key, host_key, "true")) == [""]
        except (OSError, asyncssh.Error, TimeoutError):
            return False

    until(again)
    assert len(came) == 1
    assert [boot["device"] for boot in site.machine(name)["boots"]] == ["pxe", "kexec", "pxe", "http", "hdd"]
    actions = [(entry["layer"], entry["action"]) for entry in site.log(name)]
    assert actions.count(("disk", "image")) == 1
    assert ("system", "phone-home") in actions
    # power is what everything hangs on
    assert site.redfish(server, "POST", reset, json={"ResetType": "ForceOff"}).status_code == 202
    until(lambda: site.machine(name)["power"] == "Off")
    with pytest.raises((OSError, asyncssh.Error, TimeoutError)):
        asyncio.run(log_in(address, site.facts["ssh_port"], key, host_key, "hostname"))


def test_the_control_api_shows_breaks_and_mends(site: Site) -> None:
    url, server = site.facts["control_url"], site.server(1)
    assert [m["name"] for m in requests.get(f"{url}/machines", timeout=3).json()] == ["gpu-001", "gpu-002"]
    fault = {
        "machine": server["name"],
        "layer": "redfish",
        "match": "GET *",
        "kind": "status",
        "value": 503,
        "count": 1,
    }
    assert requests.post(f"{url}/faults", json=fault, timeout=3).status_code == 201
    assert site.redfish(server, "GET", "/Systems/DGX").status_code == 503
    assert site.redfish(server, "GET", "/Systems/DGX").status_code == 200
    assert requests.get(f"{url}/faults", timeout=3).json() == []
    wrong = {"machine": "nobody", "layer": "redfish", "kind": "status"}
    assert requests.post(f"{url}/faults", json=wrong, timeout=3).status_code == 404
    assert requests.post(f"{url}/faults", json={"layer": "moon", "kind": "status"}, timeout=3).status_code == 422
    assert requests.post(f"{url}/faults", data=b"{", timeout=3).status_code == 400
    xid = f"{url}/machines/{server['name']}/xid"
    assert requests.post(xid, json={"gpu": 2, "xid": 79}, timeout=3).status_code == 201
    log = "/Chassis/HGX_GPU_SXM_2/LogServices/XID/Entries"
    assert "XID 79" in site.redfish(server, "GET", log).json()["Members"][0]["MessageArgs"][1]
    temperature = f"{url}/machines/{server['name']}/temperature"
    assert requests.post(temperature, json={"gpu": 2, "celsius": 91}, timeout=3).status_code == 200
    assert site.machine(server["name"])["gpus"][1]["margin_celsius"] == -4
    speed = requests.patch(f"{url}/clock", json={"speed": 10}, timeout=3).json()["speed"]
    assert speed == 10
    assert requests.patch(f"{url}/clock", json={"speed": 0}, timeout=3).status_code == 422
    requests.patch(f"{url}/clock", json={"speed": 1}, timeout=3)


def test_the_write_log_is_on_disk_and_holds_no_passwords(site: Site) -> None:
    server = site.server(1)
    body = {"UserName": server["bmc_username"], "Password": server["bmc_password"]}
    assert site.redfish(server, "POST", "/SessionService/Sessions", json=body).status_code == 201
    text = (Path(site.facts["fleet_file"]).parent / "writes.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert server["bmc_password"] not in text


def test_files_with_secrets_are_the_owners_alone(site: Site) -> None:
    for name in ("fleet_file", "kubeconfig"):
        assert Path(site.facts[name]).stat().st_mode & 0o077 == 0


def test_a_lab_ends_with_its_parent_and_leaves_no_facts(tmp_path: Path) -> None:
    process = lab.start(tmp_path, servers=1)
    assert Path(process.facts["fleet_file"]).exists()
    process.stop()
    assert process.process.returncode == 0
    assert not (tmp_path / "lab.json").exists()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match="servers must be between"):
        lab.start(tmp_path, servers=0)
