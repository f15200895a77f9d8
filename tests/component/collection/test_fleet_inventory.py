"""The fleet inventory plugin through ansible-inventory, against a small service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.collection.fake_service import PASSWORD, TOKEN, FakeService

ROOT = Path(__file__).parents[3]


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    fake.add_server("gpu-01", state="available", rack="r-1")
    fake.add_server("gpu-02", state="active", rack="r-2", hardware_profile={"bios": {"SMT": "Enabled"}})
    fake.add_server("gpu-03", state="active", rack=None, pool="inference", serial_number="165", watched=False)
    yield fake
    fake.close()


class Inventory:
    def __init__(self, directory: Path, service: FakeService) -> None:
        self.directory = directory
        self.service = service

    def list(self, file: str = "fleet.yml", **options: Any) -> dict[str, Any]:
        done = self.run(file, **options)
        assert done.returncode == 0, done.stderr
        # ansible-inventory marks what came from the service as never to be templated
        answer: dict[str, Any] = json.loads(done.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))
        return answer

    def run(self, file: str = "fleet.yml", env: dict[str, str] | None = None, **options: Any) -> Any:
        path = self.directory / file
        path.write_text(yaml.safe_dump({"plugin": "palebluedot.gpu.fleet", **options}))
        command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(path), "--list"]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PALEBLUEDOT_", "ANSIBLE_"))},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "PALEBLUEDOT_URL": self.service.url,
            "PALEBLUEDOT_TOKEN": TOKEN,
            **(env or {}),
        }
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def inventory(tmp_path: Path, service: FakeService) -> Inventory:
    return Inventory(tmp_path, service)


def hosts(answer: dict[str, Any], group: str) -> list[str]:
    return sorted(answer.get(group, {}).get("hosts", []))


def test_hosts_and_groups_over_all_pages(inventory: Inventory, service: FakeService) -> None:
    answer = inventory.list()
    assert sorted(answer["_meta"]["hostvars"]) == ["gpu-01", "gpu-02", "gpu-03"]
    assert hosts(answer, "state_active") == ["gpu-02", "gpu-03"]
    assert hosts(answer, "state_available") == ["gpu-01"]
    assert hosts(answer, "watched") == ["gpu-01", "gpu-02"], "as the service says"
    assert hosts(answer, "rack_r_1") == ["gpu-01"]
    assert hosts(answer, "pool_inference") == ["gpu-03"]
    assert hosts(answer, "model_DGX_H100") == ["gpu-01", "gpu-02", "gpu-03"]
    assert "state_failed" in answer["all"]["children"], "a play over an empty state matches nothing quietly"
    assert service.said == ["GET /api/v1/servers?limit=200", "GET /api/v1/servers?limit=200&cursor=2"]


def test_variables_are_flat_and_hold_no_secret(inventory: Inventory) -> None:
    answer = inventory.list()
    variables = answer["_meta"]["hostvars"]["gpu-03"]
    assert variables["bmc_address"] == "10.0.0.1"
    assert variables["bmc_credential"] == "service:gpu-03"
    assert variables["bmc_validate_certs"] is True
    assert variables["server_serial_number"] == "165"
    assert "server_rack" not in variables, "unknown is absent"
    assert "bmc_port" not in variables
    assert not any(isinstance(value, dict | list) for value in variables.values())
    assert answer["_meta"]["hostvars"]["gpu-02"]["hardware_profile"] == {"bios": {"SMT": "Enabled"}}
    assert PASSWORD not in json.dumps(answer)
    assert TOKEN not in json.dumps(answer)


def test_the_service_filters(inventory: Inventory, service: FakeService) -> None:
    answer = inventory.list(state=["active", "available"], pool=["inference"])
    assert list(answer["_meta"]["hostvars"]) == ["gpu-03"]
    assert service.said == [
        "GET /api/v1/servers?limit=200&state=active&pool=inference",
        "GET /api/v1/servers?limit=200&state=available&pool=inference",
    ]


def test_users_add_their_own_groups(inventory: Inventory) -> None:
    answer = inventory.list(
        compose={"site": "'north'"}, groups={"busy": "server_state == 'active'"}, keyed_groups=[{"key": "server_pool"}]
    )
    assert answer["_meta"]["hostvars"]["gpu-01"]["site"] == "north"
    assert hosts(answer, "busy") == ["gpu-02", "gpu-03"]
    assert hosts(answer, "_training") == ["gpu-01", "gpu-02"]


def test_the_raw_list_is_cached(inventory: Inventory, service: FakeService, tmp_path: Path) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = inventory.list(**cache)
    service.away = True
    assert inventory.list(**cache) == first
    assert TOKEN not in "".join(path.read_text() for path in (tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"PALEBLUEDOT_TOKEN": "wrong"}, "Give a valid api_token"),
        ({"PALEBLUEDOT_URL": "nonsense"}, "api_url 'nonsense' is not an http or https URL"),
    ],
)
def test_what_is_wrong_is_said_and_ends_the_run(inventory: Inventory, env: dict[str, str], words: str) -> None:
    done = inventory.run(env=env)
    assert done.returncode != 0
    assert words in " ".join(done.stderr.split())


def test_other_files_are_left_to_others(inventory: Inventory, service: FakeService) -> None:
    inventory.run("servers.yml")
    assert service.said == []
