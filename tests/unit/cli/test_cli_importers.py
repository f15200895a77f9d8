"""Exports of NetBox, MAAS and Ironic in their own shape become import documents; what they cannot hold is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli import client
from cli import server as server_command
from cli.importers import read_export
from cli.main import cli
from cli.problems import Problem

EXPORTS = Path(__file__).with_name("exports")


def test_netbox_devices_by_their_out_of_band_address() -> None:
    found = read_export(EXPORTS / "netbox-devices.json", "netbox")
    assert found.servers == [
        {
            "name": "gpu-001",
            "bmc_address": "10.9.0.11",
            "rack": "R12",
            "rack_unit": 10,
            "tags": ["gpu"],
            "pool": "training",
            "nvlink_domain": "nv1",
        }
    ]
    assert found.notes == [
        "gpu-002 left out: it is being decommissioned",
        "gpu-003 left out: no bmc_address in the export",
    ]


def test_netbox_csv_by_its_labels() -> None:
    found = read_export(EXPORTS / "netbox-devices.csv", "netbox")
    assert found.servers == [
        {"name": "gpu-001", "bmc_address": "10.9.0.11", "rack": "R12", "rack_unit": 10, "tags": ["gpu", "h100"]},
        {"name": "gpu-004", "bmc_address": "2001:db8::4", "rack": "R12", "rack_unit": 30},
    ]


def test_maas_machines_with_their_power_parameters() -> None:
    found = read_export(EXPORTS / "maas.json", "maas")
    assert found.servers == [
        {
            "name": "gpu-001",
            "bmc_address": "10.9.0.11",
            "bmc_port": 8443,
            "bmc_protocol": "redfish",
            "bmc_username": "admin",
            "bmc_password": "maas-secret",
            "pool": "training",
            "tags": ["nvlink"],
            # the one that boots first; the bond and the InfiniBand port are no interfaces of the record
            "nics": [{"mac": "52:54:00:15:36:f3"}, {"mac": "52:54:00:15:36:f2"}],
            "disks": ["/dev/nvme0n1"],
            "memory_gb": 2048,
            "storage_gb": 30720,
        },
        {
            "name": "gpu-002",
            "bmc_address": "10.9.0.12",
            "bmc_protocol": "ipmi",
            "bmc_username": "maas",
            "pool": "default",
        },
    ]
    assert found.in_use == ["gpu-002"]
    assert found.notes == ["vm-1 left out: its power type is lxd, not redfish or ipmi"]
    assert found.without("bmc_password") == ["gpu-002"]


def test_maas_machines_alone_say_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "machines.json"
    file.write_text(json.dumps(json.loads((EXPORTS / "maas.json").read_text())["machines"]))
    with pytest.raises(Problem, match="no server in it") as caught:
        read_export(file, "maas")
    assert "gpu-001 left out: no power_address; add `machines power-parameters`" in (caught.value.answer or "")


def test_ironic_nodes_by_the_labels_of_the_long_list() -> None:
    found = read_export(EXPORTS / "ironic-list-long.json", "ironic")
    assert found.servers == [
        {
            "name": "gpu-001",
            "bmc_address": "10.9.0.11",
            "bmc_port": 8443,
            "bmc_protocol": "redfish",
            "bmc_username": "admin",
            "bmc_validate_certs": False,
            "pool": "training",
            "memory_gb": 2048,
            "storage_gb": 30720,
        },
        {
            "name": "a466960c-4dae-4aaf-9514-37629aa1b868",
            "bmc_address": "10.9.0.12",
            "bmc_port": 6230,
            "bmc_protocol": "ipmi",
            "bmc_username": "ADMIN",
            "pool": "baremetal",
        },
    ]
    assert found.in_use == ["a466960c-4dae-4aaf-9514-37629aa1b868"]
    assert found.without("bmc_password") == ["gpu-001", "a466960c-4dae-4aaf-9514-37629aa1b868"]
    assert "fake-1 left out" in found.notes[0]


def test_ironic_nodes_by_name_with_their_ports() -> None:
    (server,) = read_export(EXPORTS / "ironic-show-with-ports.json", "ironic").servers
    assert (server["bmc_password"], server["bmc_ca_path"]) == ("in-clear", "/etc/ironic/ca.pem")
    assert server["nics"] == [{"mac": "52:54:00:15:36:f3"}, {"mac": "52:54:00:15:36:f2"}]


@pytest.mark.parametrize("source", ["netbox", "maas", "ironic"])
@pytest.mark.parametrize("content", ["[", "3", '[{"a": 1}]', '{"machines": 7}', "[]", '["x"]'])
def test_what_is_no_export_is_told(tmp_path: Path, source: str, content: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(Problem):
        read_export(file, source)


class _Api:
    """Takes imports down."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def __enter__(self) -> _Api:
        return self

    def __exit__(self, *nothing: object) -> None:
        pass

    def import_fleet(self, document: dict[str, Any]) -> dict[str, Any]:
        self.documents.append(json.loads(json.dumps(document)))
        return {"created": {"servers": len(document.get("servers", []))}, "updated": {}, "unchanged": {}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> _Api:
    found = _Api()
    monkeypatch.setattr(client, "make_client", lambda **_options: found)
    return found


def test_missing_passwords_and_servers_in_use_are_named(api: _Api, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(EXPORTS / "maas.json")
    result = CliRunner().invoke(cli, ["server", "import", file, "--from", "maas"])
    assert result.exit_code == 0, result.output
    assert "No BMC password for 1 servers: gpu-002" in result.stderr
    assert "In use by maas's word: gpu-002" in result.stderr
    assert len(api.documents[0]["servers"]) == 2
    monkeypatch.setenv("FACTORY", "from-the-label")
    result = CliRunner().invoke(cli, ["server", "import", file, "--from", "maas", "--bmc-password-env", "FACTORY"])
    assert "No BMC password" not in result.stderr
    assert [row["bmc_password"] for row in api.documents[1]["servers"]] == ["maas-secret", "from-the-label"]


def test_a_dry_run_shows_the_document_without_passwords(api: _Api) -> None:
    result = CliRunner().invoke(cli, ["server", "import", str(EXPORTS / "maas.json"), "--from", "maas", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "maas-secret" not in result.output
    assert yaml.safe_load(result.stdout)["servers"][0]["name"] == "gpu-001"
    assert api.documents == []


def test_a_large_document_goes_in_pieces(api: _Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server_command, "PIECE", 2)
    file = tmp_path / "fleet.yml"
    servers = [{"name": f"s{number}", "bmc_address": f"192.0.2.{number}"} for number in range(5)]
    file.write_text(yaml.safe_dump({"switches": [{"name": "leaf", "address": "192.0.2.9"}], "servers": servers}))
    result = CliRunner().invoke(cli, ["server", "import", str(file), "--json"])
    assert json.loads(result.stdout)["created"] == {"servers": 5}
    assert [len(document["servers"]) for document in api.documents] == [2, 2, 1]
    assert ["switches" in document for document in api.documents] == [True, False, False]
