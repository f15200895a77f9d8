"""The delivery list held against what was found, and machines that come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from fleet import errors, states
from fleet.actor import SYSTEM
from fleet.enrolment import expected
from fleet.models import (
    AuditEntry,
    Server,
)
from fleet.operations import lookup, register
from tests.component.fleet.enrolled import OPERATOR, facts_of, look
from tests.component.fleet.support import Site, bmc_facts

# -- the delivery list


def test_the_list_is_held_against_what_was_found(site_with: Callable[..., Site]) -> None:
    site = site_with(
        None,
        [
            {"serial_number": "SN0001", "name": "gpu-01", "rack": "r0"},
            {"serial_number": "SN0002", "rack": "r7", "pool": "default"},
            {"serial_number": "SN5555", "bmc_address": "192.0.2.13"},
            {"serial_number": "SN6666", "rack": "r9", "rack_unit": 10},
            {"serial_number": "SN7777"},
        ],
    )
    with site.database.reading() as session:
        found = {line.serial_number: line for line in expected.reconcile(session, OPERATOR)}
    assert {serial: line.status for serial, line in found.items()} == {
        "SN0001": "present",
        "SN0002": "differs",
        "SN5555": "wrong_serial",
        "SN6666": "missing",
        "SN7777": "missing",
        "SN0004": "unexpected",
    }
    assert found["SN0002"].differences == {"rack": {"expected": "r7", "found": "r1"}}
    assert (found["SN5555"].server, found["SN5555"].found_serial) == ("gpu-03", "SN0003")
    assert "new, which stands in its place, has not been inspected" in found["SN6666"].text
    look(site, facts_of(8))
    with site.database.reading() as session:
        found = {line.serial_number: line for line in expected.reconcile(session, OPERATOR)}
    assert (found["SN6666"].status, found["SN6666"].found_serial) == ("wrong_serial", "SN0008")


def test_without_a_list_nothing_is_unexpected(fleet: Site) -> None:
    with fleet.database.reading() as session:
        assert expected.reconcile(session, OPERATOR) == []
        with pytest.raises(errors.Forbidden):
            expected.reconcile(session, fleet.ada)


def test_the_list_fills_in_and_goes_before_the_rules(site_with: Callable[..., Site]) -> None:
    site = site_with(
        machines=[{"serial_number": "SN0009", "rack": "r1", "nvlink_domain": "nv3", "pool": "reserve", "tags": ["vip"]}]
    )
    server = look(site, facts_of(9))
    assert (server.rack, server.nvlink_domain, server.pool, server.tags) == ("r9", "nv3", "reserve", ["nvlink", "vip"])


def test_the_list_is_upserted_and_can_be_replaced(fleet: Site) -> None:
    expected.load(fleet.database, SYSTEM, [{"serial_number": "A", "rack": "r1"}, {"serial_number": "B"}])
    again = expected.load(fleet.database, SYSTEM, [{"serial_number": "A", "rack": "r2"}])
    assert (dict(again.created), dict(again.updated)) == ({}, {"machines": 1})
    less = expected.load(fleet.database, SYSTEM, [{"serial_number": "A"}], replace=True)
    assert dict(less.updated) == {"removed": 1}
    with fleet.database.reading() as session:
        listed = expected.reconcile(session, OPERATOR)[0]
        assert (listed.serial_number, listed.status) == ("A", "missing")
    for entry, what in (
        ({"serial_number": ""}, "no serial number"),
        ({"serial_number": "C", "colour": 1}, "unknown fields colour"),
        ({"serial_number": "C", "rack_unit": 400}, "not within"),
        ({"serial_number": "C", "bmc_address": "a b"}, "neither an address"),
        ({"serial_number": "C", "name": "all"}, "Ansible"),
    ):
        with pytest.raises(errors.Invalid, match=what):
            expected.load(fleet.database, SYSTEM, [entry])


# -- machines that come back


def bring_back(site: Site, number: int, **entry: Any) -> None:
    """Machine `number`, with its own network card and in its old place, under the name `back`."""
    nic = {"mac": f"02:00:00:00:00:{number:02x}", "switch": "leaf-1", "port": f"Ethernet{number}"}
    with site.database.transaction() as session:
        document = {"name": "back", "bmc_address": f"192.0.2.{10 + number}", "nics": [nic], **entry}
        register.import_fleet(session, SYSTEM, {"servers": [document]})


def test_a_retired_machine_comes_back_under_another_name(fleet: Site) -> None:
    with pytest.raises(errors.Invalid, match="is that of gpu-01"):
        bring_back(fleet, 1)
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "retired", "sold")
    with pytest.raises(errors.Conflict, match="gpu-01 is retired") as caught:
        look(fleet, bmc_facts(1), server="gpu-01")
    assert "under another name" in (caught.value.next or "")
    bring_back(fleet, 1)
    back = look(fleet, bmc_facts(1), server="back")
    assert (back.status, back.serial_number, back.gpu_count) == ("available", bmc_facts(1)["serial_number"], 8)
    with fleet.database.reading() as session:
        old = lookup.server(session, "gpu-01")
        assert (old.status, old.serial_number, old.nics) == ("retired", None, [])
        assert [nic.switch_port for nic in lookup.server(session, "back").nics] == ["Ethernet1"]
        assert {gpu.serial_number for gpu in lookup.server(session, "back").gpus} == {
            gpu["serial_number"] for gpu in bmc_facts(1)["gpus"]
        }
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "server.return")).one()
        assert entry.detail == {"server": "back", "was": "gpu-01", "serial_number": back.serial_number}
    # and it is one machine: nobody else is
    assert look(fleet, bmc_facts(1), server="back").status == "available"


@pytest.mark.parametrize("serial", [True, False], ids=["by its serial number", "by its interface"])
def test_what_was_left_on_a_retired_machine_comes_back_with_it(fleet: Site, serial: bool) -> None:
    fleet.reserve()
    with fleet.database.transaction() as session:
        used = session.scalars(select(Server).where(Server.status == "reserved")).one()
        number = int(used.name[-2:])
        for state in ("provisioning", "failed", "retired"):
            states.transition(session, used, state, SYSTEM)
    other = {"mac": "02:00:00:00:0c:01", "switch": "leaf-1", "port": f"Ethernet{number}"}
    bring_back(fleet, number, **({"nics": [other]} if serial else {}))
    facts = bmc_facts(number)
    back = look(fleet, facts if serial else {**facts, "serial_number": None}, server="back")
    assert (back.status, back.needs_clean) == ("quarantined", True)
    assert "has not been cleaned since" in (back.status_reason or "")


def test_a_place_in_the_rack_and_a_gpu_of_a_retired_server_are_used_again(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "retired", "burnt")
    bring_back(fleet, 1, nics=[{"mac": "02:00:00:00:0c:01", "switch": "leaf-1", "port": "Ethernet1"}])
    facts = bmc_facts(9)
    facts["gpus"][3]["serial_number"] = bmc_facts(1)["gpus"][3]["serial_number"]
    assert look(fleet, facts, server="back").status == "available"
    with fleet.database.reading() as session:
        assert lookup.server(session, "gpu-01").serial_number == bmc_facts(1)["serial_number"], "that machine is gone"
