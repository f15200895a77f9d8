"""One allocation over servers behind five kinds of switches, there and back."""

from __future__ import annotations

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.e2e
DIALECTS = ("openconfig", "eos", "nxos", "sonic", "srlinux")
SITE = {"servers": 5, "switches": DIALECTS}


def test_servers_behind_every_kind_of_switch_are_lent_and_taken_back(site: Site) -> None:
    asked = site.client.allocate({"gpu_count": 40, "template": "ubuntu-24.04"}, request="five-switches")
    assert site.wait(asked["workflow_id"])["status"] == "succeeded"
    servers = site.client.allocation(asked["allocation_id"])["servers"]
    assert len(servers) == 5
    where = {server["name"]: site.lab("GET", f"/machines/{server['name']}") for server in servers}
    assert {machine["switch"] for machine in where.values()} == {f"leaf{n}" for n in range(1, 6)}
    tenant = {machine["vlan"] for machine in where.values()}
    assert len(tenant) == 1
    assert tenant.isdisjoint({100, 666, None})
    gone = site.client.release(asked["allocation_id"])
    assert site.wait(gone["workflow_id"])["status"] == "succeeded"
    assert {site.lab("GET", f"/machines/{name}")["vlan"] for name in where} == {666}
