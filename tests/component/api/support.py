"""What the tests of the HTTP service share: callers, an import document, and a driver of the step ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"
SERVERS = 3
GPUS_EACH = 8


@dataclass
class Caller:
    """Somebody with a token: ``caller.get("/gpu/available")`` speaks to ``/api/v1``."""

    client: FlaskClient
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = {**self.headers, **options.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if json is not None:
            options["json"] = json
        path = path if path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) else f"/api/v1{path}"
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)


def fleet_document(servers: int = SERVERS) -> dict[str, Any]:
    """An import document: the service networks, one switch, and servers cabled to it."""
    return {
        "networks": [
            {"name": "provisioning", "purpose": "provisioning", "vlan": 10, "cidr": "10.10.0.0/24", "gateway": None},
            {"name": "quarantine", "purpose": "quarantine", "vlan": 20, "cidr": "10.20.0.0/24"},
            *(
                {"name": f"tenant-{n}", "purpose": "tenant", "vlan": 100 + n, "cidr": f"10.100.{n}.0/24"}
                for n in range(servers)
            ),
        ],
        "switches": [
            {"name": "leaf-1", "address": "192.0.2.1", "grpc_port": 9339, "username": "admin", "password": "switch-pw"}
        ],
        "servers": [
            {
                "name": f"gpu-{n:02}",
                "bmc_address": f"192.0.2.{10 + n}",
                "bmc_username": "root",
                "bmc_password": f"bmc-password-{n}",
                "rack": "r1",
                "pool": "h100" if n else "spare",
                "nics": [{"mac": f"02:00:00:00:00:{n:02x}", "switch": "leaf-1", "port": f"Ethernet{n}"}],
                "disks": ["/dev/nvme0n1"],
                "hardware_profile": {"bios": {"SriovEnable": "Enabled"}, "boot_order": ["Pxe", "Hdd"]},
            }
            for n in range(servers)
        ],
    }


def inspection(n: int, gpus: int = GPUS_EACH) -> dict[str, Any]:
    """What ``bmc_info`` says of server ``n``."""
    return {
        "power_state": "Off",
        "manufacturer": "NVIDIA",
        "model": "DGXH100",
        "serial_number": f"SN{n:04}",
        "protocol": "redfish",
        "bios_version": "1.1.3",
        "cpu_count": 2,
        "memory_gb": 2048,
        "capabilities": {"vendor": "nvidia", "boot_targets": ["Pxe"]},
        "gpus": [
            {
                "id": f"GPU_SXM_{g + 1}",
                "model": "H100 80GB HBM3",
                "serial_number": f"G{n:04}{g}",
                "memory_gb": 80,
                "source": "processor",
            }
            for g in range(gpus)
        ],
    }


WISH: dict[str, Any] = {"gpu_count": 8, "template": "ubuntu-24.04"}


@dataclass
class Runner:
    """Drives a workflow's ledger over HTTP as a playbook would."""

    caller: Caller
    workflow_id: str
    fence: int
    attempt: int

    @classmethod
    def claim(cls, caller: Caller, workflow_id: str) -> Runner:
        answer = caller.post(f"/workflows/{workflow_id}/claim", {"claimant": "tests"})
        assert answer.status_code == 200, answer.text
        assert answer.json is not None
        return cls(caller, workflow_id, answer.json["fence"], answer.json["attempt"])

    def step(self, step: str, server: str, phase: str, **members: Any) -> TestResponse:
        path = f"/workflows/{self.workflow_id}/steps/{step}/servers/{server}/attempts/{self.attempt}"
        return self.caller.put(path, {"phase": phase, "fence": self.fence, **members})

    def document(self) -> dict[str, Any]:
        answer = self.caller.get(f"/workflows/{self.workflow_id}/run")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json or {}
        return found

    def run_all(self, results: dict[str, dict[str, Any]] | None = None) -> list[str]:
        """Every step of every server, in the plan's order; answers what was run."""
        document = self.document()
        done: list[str] = []
        for step in document["steps"]:
            for server in document["servers"]:
                begun = self.step(step["name"], server["name"], "begin")
                assert begun.status_code == 200, begun.text
                assert begun.json is not None and begun.json["action"] == "run", begun.json
                result = (results or {}).get(step["name"], {})
                ended = self.step(step["name"], server["name"], "end", status="succeeded", result=result)
                assert ended.status_code == 200, ended.text
                done.append(f"{step['name']}@{server['name']}")
        return done


def problem(response: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json", response.text
    document: dict[str, Any] = response.json or {}
    assert document["status"] == status
    assert document["detail"], document
    assert document["next"], document
    assert document["request_id"] == response.headers["X-Request-Id"]
    if code is not None:
        assert document["code"] == code, document
    return document
