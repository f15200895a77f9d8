"""The smallest site: four steps to allocate, three to release, servers of eight GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fleet import db
from fleet.actor import SYSTEM, Actor
from fleet.models import Allocation, Workflow
from fleet.operations import claim, ledger, lookup, register, templates, users
from fleet.operations.allocate import AllocateRequest, reserve
from fleet.operations.ledger import StepAnswer

STEPS: dict[str, dict[str, Any]] = {
    "reserve": {"destructive": False, "timeout_s": 60, "retries": 0},
    "network_provisioning": {"destructive": True, "timeout_s": 120, "retries": 2, "begin": "provisioning"},
    "provision": {"destructive": True, "timeout_s": 1800, "retries": 2},
    # as network_tenant, which this site does not have
    "hand_over": {"destructive": False, "timeout_s": 120, "retries": 2, "end": "active", "compensation": "clean"},
    "stop_monitoring": {"destructive": False, "timeout_s": 60, "retries": 2, "begin": "cleaning"},
    "secure_erase": {"destructive": True, "timeout_s": 7200, "retries": 1},
    "return_to_pool": {"destructive": False, "timeout_s": 120, "retries": 2, "end": "available"},
}
ALLOCATE = ["reserve", "network_provisioning", "provision", "hand_over"]
RELEASE = ["stop_monitoring", "secure_erase", "return_to_pool"]
PASSWORD = "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGUqcIE0iV/N6Nyx5TN8SOr8ZP0PZQhqU1yA8QPeWBkL ada@example"

OS_TEMPLATE = """\
name: ubuntu-24.04
version: "1"
kind: os
description: Ubuntu for tests
os: {distro: ubuntu, version: "24.04"}
image: {url: "http://images.example/ubuntu.raw.gz", sha256: "aa"}
ssh_user: ubuntu
parameters:
  type: object
  additionalProperties: false
  properties:
    timezone: {type: string, default: Etc/UTC}
    packages: {type: array, items: {type: string}, default: []}
steps:
  - {name: reserve, needs: []}
  - {name: network_provisioning, needs: [reserve]}
  - {name: provision, needs: [network_provisioning]}
  - {name: hand_over, needs: [provision]}
tinkerbell: |
  version: "0.1"
  tasks:
    - name: os-installation
      worker: "{{.device_1}}"
      actions:
        - name: stream
          environment:
            IMG_URL: "[[ image.url ]]"
            DEST_DISK: "{{ index .Hardware.Disks 0 }}"
            ADDRESS: "[[ network.address ]]/[[ network.prefix ]]"
user_data: |
  #cloud-config
  hostname: [[ server.name ]]
  timezone: [[ parameters.timezone ]]
  ssh_authorized_keys: [[ ssh_keys | to_json ]]
  phone_home: {url: "[[ report_url ]]"}
"""

ERASE_TEMPLATE = """\
name: secure-erase
version: "1"
kind: erase
steps:
  - {name: stop_monitoring, needs: []}
  - {name: secure_erase, needs: [stop_monitoring]}
  - {name: return_to_pool, needs: [secure_erase]}
tinkerbell: |
  tasks:
    - name: erase
      worker: "{{.device_1}}"
      environment: {REPORT_URL: "[[ report_url ]]"}
"""


def write_roles(folder: Path) -> Path:
    """roles/<step>/meta/step.yml for every step."""
    for name, rule in STEPS.items():
        meta = folder / name / "meta"
        meta.mkdir(parents=True)
        document = {
            "step": name,
            "description": name,
            "destructive": rule["destructive"],
            "timeout_s": rule["timeout_s"],
            "retries": rule["retries"],
            "server_state": {"begin": rule.get("begin"), "end": rule.get("end")},
            "compensation": rule.get("compensation"),
        }
        (meta / "step.yml").write_text(yaml.safe_dump(document))
    return folder


def write_templates(folder: Path) -> Path:
    """The template library."""
    folder.mkdir()
    (folder / "ubuntu.yml").write_text(OS_TEMPLATE)
    (folder / "erase.yml").write_text(ERASE_TEMPLATE)
    return folder


def fleet_document(servers: int = 4, tenants: int = 8) -> dict[str, Any]:
    """An import document."""
    return {
        "networks": [
            *(
                {"name": name, "purpose": name, "vlan": vlan, "cidr": f"10.{vlan}.0.0/24", "gateway": f"10.{vlan}.0.1"}
                for name, vlan in (("provisioning", 10), ("quarantine", 20))
            ),
            *(
                {
                    "name": f"tenant-{number}",
                    "purpose": "tenant",
                    "vlan": 100 + number,
                    "cidr": f"127.30.{number}.0/28",
                    "gateway": f"127.30.{number}.1",
                }
                for number in range(tenants)
            ),
        ],
        "switches": [
            {"name": "leaf-1", "address": "192.0.2.1", "grpc_port": 9339, "dialect": "openconfig", "username": "gnmi",
             "password": "switch-secret"},
        ],
        "servers": [
            {
                "name": f"gpu-{number:02d}",
                "bmc_address": f"192.0.2.{10 + number}",
                "bmc_port": 443,
                "bmc_protocol": "redfish",
                "bmc_username": "admin",
                "bmc_password": f"bmc-secret-{number}",
                "rack": f"r{number // 2}",
                "pool": "default",
                "memory_gb": 2048,
                "storage_gb": 30000,
                "nics": [{"mac": f"02:00:00:00:00:{number:02x}", "switch": "leaf-1", "port": f"Ethernet{number}"}],
                "disks": ["/dev/nvme0n1", "/dev/nvme1n1"],
                "hardware_profile": {"bios": {"SriovGlobalEnable": "Enabled"}, "boot_order": ["pxe", "hdd"]},
            }
            for number in range(1, servers + 1)
        ],
    }  # fmt: skip


def bmc_facts(number: int, gpus: int = 8, model: str = "NVIDIA H100 80GB HBM3") -> dict[str, Any]:
    """What bmc_info answers for server `gpu-<number>`."""
    return {
        "manufacturer": "NVIDIA",
        "model": "DGXH100",
        "serial_number": f"SN{number:04d}",
        "bios_version": "1.0",
        "bmc_firmware_version": "24.01",
        "protocol": "redfish",
        "capabilities": {"metric_report": True},
        "gpus": [
            {
                "id": f"GPU_SXM_{slot}",
                "model": model,
                "serial_number": f"GPU{number:04d}{slot:02d}",
                "memory_gb": 80,
                "source": "processor",
            }
            for slot in range(1, gpus + 1)
        ],
    }


@dataclass
class Site:
    """A record with templates, servers and two users."""

    database: db.Database
    admin: Actor
    ada: Actor
    bob: Actor

    def reserve(self, actor: Actor | None = None, **fields: Any) -> str:
        """Reserve in a transaction of its own; the allocation's id."""
        wish = AllocateRequest(**{"template": "ubuntu-24.04", "gpu_count": 8, **fields})
        with self.database.transaction() as session:
            return reserve(session, actor or self.ada, wish).id

    def workflow_of(self, allocation_id: str) -> str:
        """Id of the current workflow."""
        with self.database.reading() as session:
            found = session.get_one(Allocation, allocation_id).workflow_id
        assert found is not None
        return found

    def workflow(self, workflow_id: str) -> Workflow:
        """The row as it is now."""
        with self.database.reading() as session:
            return session.get_one(Workflow, workflow_id)

    def claim_next(self, claimant: str = "job-1") -> Workflow:
        """The dispatcher's claim."""
        with self.database.transaction() as session:
            found = claim.claim_next(session, claimant, 15)
        assert found is not None, "nothing to claim"
        return found

    def begin(self, workflow: Workflow, step: str, server: str = "gpu-01") -> StepAnswer:
        """Begin with the workflow's attempt and fence."""
        with self.database.transaction() as session:
            return ledger.begin(session, self.admin, workflow.id, step, server, workflow.attempt, workflow.fence)

    def end(
        self,
        workflow: Workflow,
        step: str,
        server: str = "gpu-01",
        status: str = "succeeded",
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> StepAnswer:
        """End with the workflow's attempt and fence."""
        with self.database.transaction() as session:
            return ledger.end(
                session, self.admin, workflow.id, step, server, workflow.attempt, workflow.fence, status, result, error
            )

    def step(self, workflow: Workflow, step: str, server: str = "gpu-01", **ending: Any) -> StepAnswer:
        """Begin and end."""
        answer = self.begin(workflow, step, server)
        return self.end(workflow, step, server, **ending) if answer.action == "run" else answer

    def servers(self, workflow: Workflow) -> list[str]:
        """Names of the workflow's servers by rank."""
        with self.database.reading() as session:
            return [server.name for server in lookup.workflow_servers(session, workflow)]

    def finish(self, workflow: Workflow) -> None:
        """Every step on every server, well."""
        for step in workflow.steps:
            for server in self.servers(workflow):
                self.step(workflow, step["name"], server)
        with self.database.transaction() as session:
            claim.surrender(session, workflow.id, workflow.fence, "ended")

    def active(self, actor: Actor | None = None, **fields: Any) -> str:
        """An allocation that is handed over."""
        allocation = self.reserve(actor, **fields)
        self.finish(self.claim_next())
        return allocation

    def allocation(self, allocation_id: str) -> Allocation:
        """The row as it is now."""
        with self.database.reading() as session:
            return session.get_one(Allocation, allocation_id)

    def server_states(self) -> dict[str, str]:
        """name -> state."""
        with self.database.reading() as session:
            from sqlalchemy import select

            from fleet.models import Server

            return {row.name: row.status for row in session.scalars(select(Server).order_by(Server.name))}


def build(database: db.Database, servers: int = 4, gpus: int = 8, tenants: int = 8, inspect: bool = True) -> Site:
    """Seed templates, import and inspect servers, make users."""
    with database.transaction() as session:
        templates.seed(session)
        for name, role in (("root", "admin"), ("ada", "user"), ("bob", "user")):
            users.create_user(session, SYSTEM, name, None, role)
            users.set_quota(session, SYSTEM, name, max_gpu_count=64, max_memory_gb=None, max_storage_gb=None)
        register.import_fleet(session, SYSTEM, fleet_document(servers, tenants))
        for number in range(1, servers + 1):
            if inspect:
                register.record_inspection(session, SYSTEM, f"gpu-{number:02d}", bmc_facts(number, gpus))
    return users_of(database)


def users_of(database: db.Database) -> Site:
    """The site of a record that `build` has filled."""
    with database.reading() as session:
        rows = [lookup.user(session, name) for name in ("root", "ada", "bob")]
    return Site(database, *(Actor(row.id, row.username, row.role) for row in rows))
