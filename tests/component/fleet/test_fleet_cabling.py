"""Racks and cabling: what LLDP says, what contradicts itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from fleet import errors
from fleet.actor import SYSTEM
from fleet.enrolment import topology
from fleet.models import (
    AuditEntry,
    ServerNic,
)
from fleet.operations import lookup, register
from tests.component.fleet.enrolled import OPERATOR, facts_of, look
from tests.component.fleet.support import Site, bmc_facts


def test_cabling_by_lldp_fills_gaps_and_names_contradictions(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), nics=[{"mac": "02:00:00:00:0b:01", "neighbor": {"system_name": "leaf-1", "port": "E9"}}])
    with site.database.reading() as session:
        nic = session.scalars(select(ServerNic).where(ServerNic.mac == "02:00:00:00:0b:01")).one()
        assert (nic.switch.name if nic.switch else None, nic.switch_port, nic.lldp_port) == ("leaf-1", "E9", "E9")
        assert topology.read(session, OPERATOR).conflicts == []
    look(site, bmc_facts(1), "gpu-01", nics=[{"mac": "02:00:00:00:00:01", "neighbor": "leaf-1", "neighbor_port": "E9"}])
    with site.database.reading() as session:
        found = topology.read(session, OPERATOR)
        # the record's cabling is not overwritten
        assert lookup.server(session, "gpu-01").nics[0].switch_port == "Ethernet1"
    assert found.conflicts == [
        "gpu-01 02:00:00:00:00:01: cabled to leaf-1 Ethernet1 in the record, LLDP hears leaf-1 E9",
        "leaf-1 E9: new's in the record, LLDP hears gpu-01 (02:00:00:00:00:01) there",
        "leaf-1 E9: LLDP hears gpu-01 (02:00:00:00:00:01) and new (02:00:00:00:0b:01)",
    ]
    assert found.racks["r0"] == [{"name": "gpu-01", "rack_unit": None}]
    assert {(port.server, port.port, port.source) for port in found.ports} >= {
        ("new", "E9", "both"),
        ("gpu-01", "Ethernet1", "recorded"),
        ("gpu-01", "E9", "lldp"),
    }


def test_what_a_switch_hears_is_stored_at_the_interfaces(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        answer = topology.heard_by_switch(
            session,
            SYSTEM,
            "leaf-1",
            [{"interface": "Ethernet3", "macs": ["02-00-00-00-00-02", "nonsense", "02:99:00:00:00:00"]}],
        )
        assert answer == {"stored": 1, "unknown_macs": ["nonsense", "02:99:00:00:00:00"]}
        assert topology.read(session, OPERATOR).conflicts[0].startswith("gpu-02 02:00:00:00:00:02: cabled to leaf-1")
        with pytest.raises(errors.NotFound):
            topology.heard_by_switch(session, SYSTEM, "leaf-9", [])


def without_cabling(site: Site, server: str) -> None:
    with site.database.transaction() as session:
        nic = lookup.server(session, server).nics[0]
        nic.switch_id = nic.switch_port = None


def heard(site: Site, *ports: tuple[str, str]) -> None:
    with site.database.transaction() as session:
        topology.heard_by_switch(session, SYSTEM, "leaf-1", [{"interface": on, "macs": [mac]} for on, mac in ports])


def cabled_to(site: Site, server: str) -> str | None:
    return server_nic(site, server).switch_port


def server_nic(site: Site, server: str) -> ServerNic:
    with site.database.reading() as session:
        return lookup.server(session, server).nics[0]


def test_lldp_does_not_cable_a_server_that_is_in_use(fleet: Site) -> None:
    fleet.active()
    without_cabling(fleet, "gpu-01")
    heard(fleet, ("Ethernet1", "02:00:00:00:00:01"))
    assert cabled_to(fleet, "gpu-01") is None and server_nic(fleet, "gpu-01").lldp_port == "Ethernet1"
    nics = [{"mac": "02:00:00:00:00:01", "neighbor": "leaf-1", "neighbor_port": "Ethernet1"}]
    look(fleet, bmc_facts(1), "gpu-01", nics=nics)
    assert cabled_to(fleet, "gpu-01") is None


def test_lldp_cables_a_new_server_from_one_port_only_and_says_so(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    heard(site, ("E8", "02:00:00:00:0b:01"), ("E9", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") is None
    # the port it is heard on now is not the one before
    heard(site, ("E8", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") is None
    heard(site, ("E8", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") == "E8"
    with site.database.reading() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "topology.filled"))
    assert entry.detail == {"server": "new", "mac": "02:00:00:00:0b:01", "switch": "leaf-1", "port": "E8"}


def test_two_servers_in_one_rack_unit_are_named(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        places = [{"name": name, "rack": "r5", "rack_unit": 7} for name in ("gpu-01", "gpu-02")]
        register.import_fleet(session, SYSTEM, {"servers": places})
        assert topology.read(session, OPERATOR).conflicts == [
            "rack r5 unit 7: gpu-01 and gpu-02 stand there in the record"
        ]
