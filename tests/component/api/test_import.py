"""Importing a fleet is all or nothing; inspections may say more than we know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from api.records import record
from fleet.models import AuditEntry, Network, Server, Switch
from tests.component.api.support import WISH, Caller, fleet_document, inspection, problem


def _server(**change: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        document["servers"][2].update(change)

    return apply


def _network(**change: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        document["networks"][1].update(change)

    return apply


@pytest.mark.parametrize(
    "change",
    [
        _server(name="Not A Label"),
        _server(name="gpu-00"),
        _server(bmc_adress="192.0.2.1"),
        _server(bmc_address=["192.0.2.1"]),
        _server(bmc_port=70000),
        _server(bmc_protocol="telnet"),
        _server(nics=["02:00:00:00:00:01"]),
        _server(nics=[{"mac": "nonsense"}]),
        _server(nics=[{"mac": "02:00:00:00:00:00"}]),
        _server(nics=[{"mac": "02:00:00:00:00:77", "switch": "nowhere", "port": "1"}]),
        _server(nics=[{"mac": "02:00:00:00:00:77", "switch": "leaf-1", "port": "Ethernet0"}]),
        _server(hardware_profile=["bios"]),
        _server(hardware_profile={"boot": []}),
        _server(disks=[1]),
        _server(memory_gb=-1),
        _server(bmc_password={"a": 1}),
        _network(vlan=5000),
        _network(vlan=10),
        _network(cidr="10.0.0.0/33"),
        _network(cidr="everywhere"),
        _network(gateway="203.0.113.1"),
        _network(purpose="fun"),
        lambda document: document.update(racks=[]),
        lambda document: document.update(servers={}),
        lambda document: document.update(servers=[1]),
    ],
)
def test_an_import_with_one_wrong_entry_imports_nothing(
    app: Flask, automation: Caller, change: Callable[[dict[str, Any]], None]
) -> None:
    document = fleet_document()
    change(document)
    problem(automation.post("/servers", document), 422)
    with record(app).reading() as session:
        for kind in (Server, Switch, Network):
            assert session.scalar(select(func.count()).select_from(kind)) == 0
        assert session.scalar(select(func.count()).where(AuditEntry.action == "fleet.import")) == 0


def test_importing_again_changes_nothing(automation: Caller, fleet: list[str]) -> None:
    answer = automation.post("/servers", fleet_document()).json
    assert answer == {"created": {}, "updated": {}, "unchanged": {"networks": 5, "switches": 1, "servers": 3}}


@pytest.mark.usefixtures("fleet")
def test_an_inspection_may_say_more_than_we_know_and_stand_under_bmc(automation: Caller) -> None:
    facts = {**inspection(0), "novelty": {"a": [1]}, "model": "DGXH200", "bios_version": None}
    assert automation.put("/servers/gpu-00/inspection", {"bmc": facts}).json["model"] == "DGXH200"  # type: ignore[index]


def test_when_everything_is_taken(
    user: Caller, admin: Caller, operator: Caller, neighbour: Caller, fleet: list[str]
) -> None:
    for caller in (admin, operator, neighbour):
        assert caller.post("/gpu/allocate", WISH).status_code == 202
    assert problem(user.post("/gpu/allocate", WISH), 409, "no_capacity")["next"]
    assert user.get("/allocations").json == {"items": [], "next_cursor": None}
    assert user.get("/users/quota").json["used_gpu_count"] == 0  # type: ignore[index]
