"""Exchanged parts: what is announced is accepted, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from fleet import clock, errors
from fleet.models import (
    AuditEntry,
    Gpu,
    PartReplacement,
)
from fleet.operations import lookup, register
from tests.component.fleet.enrolled import OPERATOR, config, exchange, facts_of, look, with_gpu
from tests.component.fleet.support import Site, bmc_facts


def test_an_announced_gpu_is_the_same_row_with_another_serial(fleet: Site) -> None:
    with fleet.database.reading() as session:
        before = session.scalars(select(Gpu).where(Gpu.serial_number == "GPU000103")).one().id
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    server = look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01")
    assert (server.status, server.gpu_count) == ("available", 8)
    with fleet.database.reading() as session:
        gpu = session.get_one(Gpu, before)
        assert (gpu.serial_number, gpu.slot, gpu.status) == ("NEW3", "GPU_SXM_3", "available")
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "gpu.replaced"))
        assert entry.subject == before
        assert entry.detail is not None
        assert (entry.detail["old_serial"], entry.detail["new_serial"], entry.detail["announced_by"]) == (
            "GPU000103",
            "NEW3",
            "olga",
        )
        found = session.scalars(select(PartReplacement)).one()
        assert found.accepted_at is not None and found.found_serial == "NEW3"


def test_exactly_the_announced_exchange_is_accepted(fleet: Site) -> None:
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    server = look(fleet, with_gpu(1, 3, "OTHER"), "gpu-01")
    assert server.status == "quarantined"
    assert "GPU 3: serial number OTHER instead of GPU000103" in (server.status_reason or "")
    server = look(fleet, with_gpu(1, 4, "NEW3"), "gpu-01")
    assert "GPU 4: serial number NEW3 instead of GPU000104" in str(config(fleet, "gpu-01").findings)


def test_a_quarantined_server_comes_back_when_the_exchange_is_told_of(fleet: Site) -> None:
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    exchange(fleet, "gpu", "GPU000103", None)
    assert fleet.server_states()["gpu-01"] == "maintenance"
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "available"
    # the announcement is used up
    assert look(fleet, with_gpu(1, 3, "NEXT"), "gpu-01").status == "quarantined"


def test_an_operators_quarantine_is_not_lifted_by_an_exchange(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, OPERATOR, "gpu-01", "quarantined", "smells of smoke")
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    with fleet.database.reading() as session:
        assert session.scalars(select(Gpu.id).where(Gpu.serial_number == "NEW3")).one()


def test_a_gpu_that_somebody_holds_is_not_exchanged(fleet: Site) -> None:
    exchange(fleet, "gpu", "GPU000102", "NEW2")
    fleet.reserve()
    for kind, old in (("gpu", "GPU000103"), ("board", "SN0001")):
        with pytest.raises(errors.Conflict, match="held by an allocation") as caught:
            exchange(fleet, kind, old)
        assert caught.value.code == "held_by_allocation"
    # announced before, held since: the record does not follow
    look(fleet, with_gpu(1, 2, "NEW2"), "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(Gpu.id).where(Gpu.serial_number == "GPU000102")).one()


def test_an_announced_board_is_the_same_server(fleet: Site) -> None:
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")
    exchange(fleet, "board", "SN0001", "BOARD2")
    server = look(fleet, facts, "gpu-01")
    assert (server.serial_number, server.status) == ("BOARD2", "available")
    with pytest.raises(errors.Conflict):
        look(fleet, {**bmc_facts(1), "serial_number": "BOARD3"}, "gpu-01")


def test_a_board_of_a_retired_server_is_let_in_and_one_of_another_server_is_not(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-02", "retired", "burnt, but for its board")
    exchange(fleet, "board", "SN0001")
    with pytest.raises(errors.Conflict, match="the serial number SN0003, which is that of gpu-03"):
        look(fleet, {**bmc_facts(1), "serial_number": "SN0003"}, "gpu-01")
    server = look(fleet, {**bmc_facts(1), "serial_number": "SN0002"}, "gpu-01")
    assert (server.serial_number, server.status) == ("SN0002", "available")
    with fleet.database.reading() as session:
        assert lookup.server(session, "gpu-02").serial_number is None
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "server.return")).one()
        assert entry.detail == {"server": "gpu-01", "was": "gpu-02", "serial_number": "SN0002"}


def test_an_announced_board_is_not_let_in_while_somebody_has_the_server(fleet: Site) -> None:
    exchange(fleet, "board", "SN0001", "BOARD2")
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    fleet.reserve()
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")
    fleet.finish(fleet.claim_next())
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")


def test_an_announcement_counts_for_two_weeks(fleet: Site) -> None:
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    exchange(fleet, "board", "SN0001", "BOARD2")
    with clock.travel(timedelta(days=15)):
        with pytest.raises(errors.Conflict, match="the record says SN0001"):
            look(fleet, facts, "gpu-01")
        exchange(fleet, "board", "SN0001", "BOARD2")
        assert look(fleet, facts, "gpu-01").serial_number == "BOARD2"


def test_what_a_hand_decides_is_not_undone_by_an_exchange(fleet: Site) -> None:
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    exchange(fleet, "gpu", "GPU000103", None)
    with fleet.database.transaction() as session:
        register.set_state(session, OPERATOR, "gpu-01", "inspecting", "done")
        register.set_state(session, OPERATOR, "gpu-01", "maintenance", "the fans too")
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "maintenance"


@pytest.mark.parametrize(
    ("kind", "listed", "old"), [("dimm", "dimms", "D12"), ("drive", "drives", "V11"), ("nic", "adapters", "N1")]
)
def test_other_parts_are_accepted_when_the_old_one_is_gone(fleet: Site, kind: str, listed: str, old: str) -> None:
    look(fleet, facts_of(1), "gpu-01")
    exchange(fleet, kind, old)
    look(fleet, facts_of(1), "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(PartReplacement.accepted_at)).one() is None
    facts = facts_of(1)
    for part in facts[listed]:
        if part["serial_number"] == old:
            part["serial_number"] = "FRESH"
    look(fleet, facts, "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(PartReplacement.found_serial)).one() == "FRESH"
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == f"{kind}.replaced")).one()


def test_a_network_card_that_was_exchanged_boots_by_its_new_address(fleet: Site) -> None:
    exchange(fleet, "nic", "02:00:00:00:00:01")
    look(fleet, bmc_facts(1), "gpu-01", nics=[{"id": "eth0", "mac": "02:00:00:00:0c:0c"}])
    with fleet.database.reading() as session:
        nic = lookup.server(session, "gpu-01").nics[0]
        assert (nic.mac, nic.switch_port) == ("02:00:00:00:0c:0c", "Ethernet1")


@pytest.mark.parametrize(
    ("kind", "old", "new", "code"),
    [
        ("fan", "X", None, "invalid_part"),
        ("gpu", "NOBODYS", None, "unknown_part"),
        ("gpu", "GPU000201", None, "unknown_part"),
        ("gpu", "GPU000101", "GPU000101", "invalid_part"),
        ("gpu", "GPU000101", "GPU000201", "serial_number_taken"),
        ("board", "SN0002", None, "unknown_part"),
        ("board", "SN0001", "SN0002", "serial_number_taken"),
        ("dimm", "NOBODYS", None, "unknown_part"),
    ],
)
def test_an_announcement_that_cannot_be_is_refused(
    fleet: Site, kind: str, old: str, new: str | None, code: str
) -> None:
    look(fleet, facts_of(1), "gpu-01")
    with pytest.raises(errors.FleetError) as caught:
        exchange(fleet, kind, old, new)
    assert caught.value.code == code


def test_a_gpu_of_another_server_is_a_finding_and_no_broken_record(fleet: Site) -> None:
    server = look(fleet, with_gpu(1, 3, "GPU000203"), "gpu-01")
    assert (server.status, server.status_reason) == (
        "quarantined",
        "inspection: GPU 3: the serial number GPU000203 is that of a GPU of gpu-02",
    )
