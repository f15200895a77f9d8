"""One server from the quarantine network to its installed system, through the protocols alone.

Hardware, Template and Workflow are written by the official kubernetes client, the port is moved by pygnmi; the
machine is the lab's own.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from pygnmi.client import gNMIclient

from lab.gnmi import GnmiTarget
from lab.kube.server import KubeServer

TEMPLATE = """
version: "0.1"
name: ubuntu
global_timeout: 3300
tasks:
  - name: os-installation
    worker: "{{.device_1}}"
    volumes: [/dev:/dev]
    actions:
      - name: stream-image
        image: quay.io/tinkerbell/actions/image2disk:latest
        timeout: 2400
        environment: {IMG_URL: http://images/ubuntu.raw.gz, DEST_DISK: "{{ index .Hardware.Disks 0 }}", COMPRESSED: "true"}
      - name: boot-installed-system
        image: quay.io/tinkerbell/actions/kexec:latest
        timeout: 90
        pid: host
        environment: {BLOCK_DEVICE: "{{ index .Hardware.Disks 0 }}p1", FS_TYPE: ext4}
"""  # noqa: E501
TINK = ("tinkerbell.org", "v1alpha1", "default")


class Site:
    """A lab whose Kubernetes API and switch listen."""

    def __init__(self, loop_thread: Any, certificate: Any, lab: Any) -> None:
        self.loop_thread, self.certificate, self.lab = loop_thread, certificate, lab
        self.kube = KubeServer(lab.store, "token", certificate.context, lab.log, lab.faults)
        self.leaf = GnmiTarget(lab.fabric.switches["leaf1"], lab.fabric, lab.log, lab.faults)
        loop_thread.run(lab.__aenter__())
        loop_thread.run(self.kube.start())
        loop_thread.run(self.leaf.start(certificate.pem, certificate.key_pem))
        client = kubernetes.config.new_client_from_config_dict(self.kube.kubeconfig(certificate.pem))
        self.objects = kubernetes.client.CustomObjectsApi(client)

    def close(self) -> None:
        self.objects.api_client.close()
        self.loop_thread.run(self.lab.__aexit__())
        self.loop_thread.run(self.leaf.stop())
        self.loop_thread.run(self.kube.stop())

    def create(self, plural: str, kind: str, name: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": "tinkerbell.org/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.objects.create_namespaced_custom_object(*TINK, plural, body)

    def wait_for(self, name: str, *states: str) -> dict[str, Any]:
        """Follow a workflow by list and watch until it is in one of the states."""
        watch = kubernetes.watch.Watch()
        call = self.objects.list_namespaced_custom_object
        for event in watch.stream(call, *TINK, "workflows", field_selector=f"metadata.name={name}", timeout_seconds=10):
            status: dict[str, Any] = event["object"].get("status") or {}
            if status.get("state") in states:
                watch.stop()
                return status
        raise AssertionError(f"{name} did not come to {states}")

    def set_port(self, machine: Any, vlan: int) -> None:
        with gNMIclient(
            target=("127.0.0.1", self.leaf.port),
            username="admin",
            password=self.leaf.switch.config.password,
            path_cert=str(self.certificate.path),
        ) as client:
            neighbor = (
                f"/lldp/interfaces/interface[name={machine.switch_port}]/neighbors/neighbor[id=1]/state/system-name"
            )
            answer = client.get(path=[neighbor], encoding="json_ietf")
            assert answer["notification"][0]["update"][0]["val"] == machine.name
            vlans = f"/network-instances/network-instance[name=default]/vlans/vlan[vlan-id={vlan}]/config"
            port = f"/interfaces/interface[name={machine.switch_port}]/ethernet/switched-vlan/config"
            client.set(
                update=[(vlans, {"vlan-id": vlan, "name": f"vlan-{vlan}"})],
                replace=[(port, {"interface-mode": "ACCESS", "access-vlan": vlan})],
                encoding="json_ietf",
            )

    def power_on_into_pxe(self, machine: Any) -> None:
        machine.bmc.override.enabled, machine.bmc.override.target = "Once", "Pxe"
        self.loop_thread.run(machine.power_action("on", "test"))

    def until(self, met: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not met():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def site(loop_thread: Any, certificate: Any, tink_lab: Callable[..., Any]) -> Iterator[Site]:
    async def build() -> Any:
        return tink_lab(delays="demo")

    opened = Site(loop_thread, certificate, loop_thread.run(build()))
    yield opened
    opened.close()


def hardware_spec(machine: Any, allow_pxe: bool = False) -> dict[str, Any]:
    return {
        "disks": [{"device": "/dev/nvme0n1"}],
        "interfaces": [
            {
                "dhcp": {"mac": machine.mac, "hostname": machine.name, "arch": "x86_64", "uefi": True},
                "netboot": {"allowPXE": allow_pxe, "allowWorkflow": True},
            }
        ],
        "userData": "#cloud-config\n",
    }


def test_a_server_is_installed_through_kubernetes_and_gnmi(site: Site) -> None:
    machine = site.lab.machine
    site.create("hardware", "Hardware", machine.name, hardware_spec(machine))
    site.create("templates", "Template", "ubuntu", {"data": TEMPLATE})
    site.create(
        "workflows",
        "Workflow",
        "install-1",
        {
            "templateRef": "ubuntu",
            "hardwareRef": machine.name,
            "hardwareMap": {"device_1": machine.mac},
            "bootOptions": {"toggleAllowNetboot": True},
        },
    )
    site.wait_for("install-1", "PENDING")
    site.set_port(machine, 100)
    site.power_on_into_pxe(machine)
    status = site.wait_for("install-1", "SUCCESS", "FAILED", "TIMEOUT")
    assert status["state"] == "SUCCESS"
    site.until(lambda: machine.running == "os")
    assert machine.disks[0].image == "http://images/ubuntu.raw.gz"
    assert [boot["device"] for boot in machine.boots] == ["pxe", "kexec"]
    assert machine.posts == 1
    site.set_port(machine, site.lab.config.tenant_networks[0].vlan)
    assert site.lab.fabric.vlan(machine) == site.lab.config.tenant_networks[0].vlan
    log = [(entry.layer, entry.action) for entry in site.lab.log.select(machine.name)]
    assert log.index(("gnmi", "port.set")) < log.index(("machine", "power.on")) < log.index(("disk", "image"))
    assert [entry for entry in log if entry[0] == "disk"] == [("disk", "image")]


def test_a_server_on_a_tenant_network_finds_no_boot_service(site: Site) -> None:
    machine = site.lab.machine
    site.create("hardware", "Hardware", machine.name, hardware_spec(machine, allow_pxe=True))
    site.set_port(machine, site.lab.config.tenant_networks[0].vlan)
    site.power_on_into_pxe(machine)
    site.until(lambda: len(machine.boots) == 3)
    assert [(boot["device"], boot["result"]) for boot in machine.boots] == [
        ("pxe", "no service"),
        ("http", "no service"),
        ("hdd", "no system"),
    ]


@pytest.mark.parametrize(
    ("dialect", "folder"),
    [("mono", "tinkerbell-v0.25.0/crd/bases/v1alpha1"), ("0.12.2", "")],
)
def test_the_real_crds_bear_all_that_tinkerbell_writes(
    tink_lab: Callable[..., Any], dialect: str, folder: str, tmp_path: Path, tinkerbell_data: Path
) -> None:
    directory = tinkerbell_data / folder
    if not folder:  # two projects of that time
        directory = tmp_path / "crds"
        directory.mkdir()
        for path in (
            *(tinkerbell_data / "tink-v0.12.2").rglob("tinkerbell.org_*.yaml"),
            *(tinkerbell_data / "rufio-v0.6.5").glob("*.yaml"),
        ):
            (directory / path.name).symlink_to(path)

    async def scenario() -> None:
        async with tink_lab(dialect=dialect, crds_dir=directory) as lab:
            lab.create("Hardware", lab.machine.name, hardware_spec(lab.machine, allow_pxe=True))
            lab.create("Template", "ubuntu", {"data": TEMPLATE})
            lab.workflow("w1", "ubuntu", lab.machine, bootOptions={"toggleAllowNetboot": True})
            await lab.machine.power_action("on", "test")
            status = await lab.until_state("w1", "SUCCESS", "STATE_SUCCESS")
            assert len(status["tasks"][0]["actions"]) == 2

    asyncio.run(scenario())


def test_the_shipped_templates_run(tink_lab: Callable[..., Any]) -> None:
    """The templates of the library, once the service has filled in its own brackets."""
    library = Path(__file__).resolve().parents[3] / "templates"
    paths = sorted(library.glob("*.yml"))
    assert paths

    def filled(text: str) -> str:
        text = re.sub(r"\[%-?.*?-?%\]", "", text)
        text = text.replace("[[ server.disks[0] ]]", "/dev/nvme0n1").replace("[[ image.url ]]", "http://images/x")
        text = text.replace('"[[ report_url ]]"', '""')
        return re.sub(r"\[\[.*?\]\]", "127.0.0.9", text)

    async def scenario() -> None:
        async with tink_lab() as lab:
            lab.create("Hardware", lab.machine.name, hardware_spec(lab.machine, allow_pxe=True))
            await lab.machine.power_action("on", "test")
            for path in paths:
                document = yaml.safe_load(path.read_text(encoding="utf-8"))
                name = document["name"].replace(".", "-")
                lab.create("Template", name, {"data": filled(document["tinkerbell"])})
                lab.workflow(f"run-{name}", name, lab.machine)
                status = await lab.until_state(f"run-{name}", "SUCCESS", "FAILED", "TIMEOUT")
                assert status["state"] == "SUCCESS", (path.name, status)

    asyncio.run(scenario())
