"""What somebody with bad intentions, or a typing error, may send to the record."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.actor import SYSTEM
from fleet.errors import FleetError, Forbidden, Invalid
from fleet.operations import ledger, register, release, reports
from tests.component.fleet.support import Site, fleet_document


def test_a_user_cannot_park_servers_in_a_release_that_only_staff_may_run(fleet: Site) -> None:
    allocation = fleet.active()
    with pytest.raises(Forbidden), fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation, executor="external")
    assert fleet.allocation(allocation).status == "active"


def test_a_release_that_waits_for_a_hand_is_the_services_when_it_is_asked(fleet: Site) -> None:
    allocation = fleet.active()
    with fleet.database.transaction() as session:
        parked = release.start_release(session, SYSTEM, allocation, executor="external").id
    with fleet.database.transaction() as session:
        again = release.start_release(session, fleet.ada, allocation)
        assert (again.id, again.executor, again.status) == (parked, "service", "pending")
    fleet.finish(fleet.claim_next())
    assert fleet.allocation(allocation).status == "released"


@pytest.mark.parametrize("cidr", ["127.101.0.0/16", "0.0.0.0/0", "224.0.0.0/24"])
def test_networks_do_not_hand_out_the_same_addresses(fleet: Site, cidr: str) -> None:
    entry: dict[str, Any] = {"name": "another", "purpose": "tenant", "vlan": 3000}
    if cidr.startswith("127"):
        cidr = next(row["cidr"] for row in fleet_document()["networks"] if row.get("cidr"))
    with pytest.raises(FleetError, match=r"overlaps|no addresses"), fleet.database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"networks": [{**entry, "cidr": cidr}]})


@pytest.mark.parametrize("device", ['/dev/sda"\n  - name: evil', "sda", "/dev/../x y", ""])
def test_a_disk_is_a_device_path_and_nothing_else(fleet: Site, device: str) -> None:
    with pytest.raises(FleetError, match="device"), fleet.database.transaction() as session:
        register.import_fleet(
            session, SYSTEM, {"servers": [{"name": "gpu-99", "bmc_address": "192.0.2.9", "disks": [device]}]}
        )


@pytest.mark.parametrize("port", ["abc", [1], 10**30, -5, 0, 70000])
def test_a_port_that_a_step_reports_is_a_port(port: Any) -> None:
    with pytest.raises(Invalid):
        ledger._port(port)


def test_a_port_or_address_that_is_not_reported_is_left_to_the_record() -> None:
    assert (ledger._port(None), ledger._address("")) == (None, None)
    assert (ledger._port("22"), ledger._address("2001:db8::1")) == (22, "2001:db8::1")
    with pytest.raises(Invalid):
        ledger._address("nowhere; rm -rf /")


def test_secrets_are_masked_however_deep_a_report_hides_them() -> None:
    body = {"a": [{"b": {"password": "hunter2", "ok": 1}}]}
    assert {key: reports._clean(key, value) for key, value in body.items()} == {
        "a": [{"b": {"password": "***", "ok": 1}}]
    }
