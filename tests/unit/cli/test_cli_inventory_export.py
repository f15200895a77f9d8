"""The inventory for when the service is away."""

from __future__ import annotations

from cli.inventory import static_inventory

SERVERS = [
    {
        "name": "gpu-001",
        "bmc_address": "10.0.0.1",
        "bmc_port": 443,
        "bmc_ca_path": None,
        "pool": "train",
        "rack": "r-1",
    },
    {"name": "gpu-002", "bmc_address": "10.0.0.2", "bmc_port": None, "pool": "train", "rack": None},
]


def test_without_credentials_it_holds_a_reference_that_needs_no_service() -> None:
    hosts = static_inventory(SERVERS, {})["all"]["hosts"]
    assert hosts == {
        "gpu-001": {"bmc_address": "10.0.0.1", "bmc_port": 443, "bmc_credential": "env:PALEBLUEDOT_BMC_LOGIN"},
        "gpu-002": {"bmc_address": "10.0.0.2", "bmc_credential": "env:PALEBLUEDOT_BMC_LOGIN"},
    }


def test_with_credentials_it_holds_them() -> None:
    hosts = static_inventory(SERVERS[:1], {"gpu-001": {"username": "admin", "password": "p"}})["all"]["hosts"]
    assert hosts["gpu-001"] == {
        "bmc_address": "10.0.0.1",
        "bmc_port": 443,
        "bmc_username": "admin",
        "bmc_password": "p",
    }


def test_groups_are_those_of_the_fleet_plugin() -> None:
    children = static_inventory(SERVERS, {})["all"]["children"]
    assert children == {
        "pool_train": {"hosts": {"gpu-001": None, "gpu-002": None}},
        "rack_r_1": {"hosts": {"gpu-001": None}},
    }
