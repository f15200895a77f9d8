"""Asking for servers: what is refused, what is held, and that it is everything or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from fleet import db, errors, settings
from fleet.actor import SYSTEM, Actor
from fleet.models import (
    Alert,
    Allocation,
    AllocationServer,
    AuditEntry,
    Event,
    Gpu,
    GpuAllocation,
    IpAddress,
    Network,
    Server,
    Workflow,
)
from fleet.operations import register, users
from fleet.operations.allocate import AllocateRequest, reserve
from tests.component.fleet.support import KEY, Site, bmc_facts, build, fleet_document


def rows(site: Site, *entities: Any) -> list[int]:
    with site.database.reading() as session:
        return [session.scalar(select(func.count()).select_from(entity)) or 0 for entity in entities]


def refused(site: Site, error: type[errors.FleetError], **fields: Any) -> errors.FleetError:
    """The refusal; and that nothing was written."""
    kinds = (Allocation, AllocationServer, GpuAllocation, Workflow, IpAddress, Event, AuditEntry)
    before = rows(site, *kinds)
    with pytest.raises(error) as caught:
        site.reserve(**fields)
    assert rows(site, *kinds) == before
    return caught.value


def test_a_reservation_holds_servers_gpus_networks_and_addresses(fleet: Site) -> None:
    allocation_id = fleet.reserve(gpu_count=16)
    with fleet.database.reading() as session:
        allocation = session.get_one(Allocation, allocation_id)
        assert (allocation.status, allocation.gpu_count, allocation.server_count) == ("reserved", 16, 2)
        assert (allocation.memory_gb, allocation.storage_gb) == (4096, 60000)
        names = [held.server.name for held in allocation.servers]
        assert [held.rank for held in allocation.servers] == [0, 1]
        assert allocation.server_id == allocation.servers[0].server_id
        assert {held.server.status for held in allocation.servers} == {"reserved"}
        assert {gpu.status for held in allocation.servers for gpu in held.server.gpus} == {"reserved"}
        assert len(allocation.gpu_allocations) == 16
        network = session.scalars(select(Network).where(Network.allocation_id == allocation_id)).one()
        addresses = session.execute(
            select(Network.purpose, IpAddress.address)
            .join(Network, Network.id == IpAddress.network_id)
            .order_by(IpAddress.address)
        ).all()
        assert network.purpose == "tenant"
        assert {purpose for purpose, _ in addresses} == {"tenant", "provisioning", "quarantine"}
        assert len({address for _, address in addresses}) == 6
        assert not {"10.10.0.1", "10.20.0.1", network.gateway} & {address for _, address in addresses}
        workflow = session.get_one(Workflow, allocation.workflow_id)
        assert (workflow.kind, workflow.status, workflow.executor, workflow.attempt) == (
            "allocate",
            "pending",
            "service",
            0,
        )
        assert [step["name"] for step in workflow.steps] == [
            "reserve",
            "network_provisioning",
            "provision",
            "hand_over",
        ]
        placement = allocation.placement
        assert placement is not None
        assert [entry["server"] for entry in placement["chosen"]] == names
        assert placement["filters"][0] == {"filter": "fleet", "left": 4, "removed": 0, "why": "servers in the record"}


def test_servers_of_the_fullest_rack_are_taken_first(fleet: Site) -> None:
    # r0: gpu-01; r1: gpu-02, gpu-03; r2: gpu-04
    first, second, third = (fleet.reserve(gpu_count=count) for count in (16, 8, 8))
    with fleet.database.reading() as session:
        racks = [
            {held.server.rack for held in session.get_one(Allocation, identifier).servers}
            for identifier in (first, second, third)
        ]
    assert racks[0] == {"r1"}, "the one rack that holds both"
    assert racks[1] | racks[2] == {"r0", "r2"}


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"gpu_count": 5}, errors.Invalid, "invalid_gpu_count"),
        ({"gpu_count": 0}, errors.Invalid, "invalid_gpu_count"),
        ({"gpu_count": None}, errors.Invalid, "invalid_gpu_count"),
        ({"gpu_count": 8, "server_count": 2}, errors.Invalid, "invalid_gpu_count"),
        ({"gpu_count": None, "server_count": -1}, errors.Invalid, "invalid_server_count"),
        ({"gpu_model": "B200"}, errors.Invalid, "unknown_gpu_model"),
        ({"kind": "shared"}, errors.Invalid, "not_offered"),
        ({"kind": "boat"}, errors.Invalid, "invalid_kind"),
        ({"executor": "cron"}, errors.Invalid, "invalid_executor"),
        ({"executor": "awx"}, errors.Invalid, "not_offered"),
        ({"template": "windows"}, errors.NotFound, "unknown_template"),
        ({"template_version": "99"}, errors.NotFound, "unknown_template"),
        ({"template": "secure-erase"}, errors.NotFound, "unknown_template"),
        ({"parameters": {"timezone": 7}}, errors.Invalid, "invalid_parameters"),
        ({"parameters": {"color": "blue"}}, errors.Invalid, "invalid_parameters"),
        ({"ssh_keys": ["nobody"]}, errors.Invalid, "unknown_ssh_key"),
        ({"ssh_keys": ["ssh-rsa AAAA broken"]}, errors.Invalid, "invalid_ssh_key"),
        ({"start": datetime(2100, 1, 1, tzinfo=UTC)}, errors.Invalid, "not_offered"),
        ({"end": datetime(2001, 1, 1, tzinfo=UTC)}, errors.Invalid, "invalid_end"),
        ({"end": datetime(2100, 1, 1)}, errors.Invalid, "invalid_end"),
        ({"request": "x" * 200}, errors.Invalid, "invalid_request_name"),
        ({"on_behalf_of": "bob"}, errors.Forbidden, "forbidden"),
        ({"gpu_count": 40}, errors.NoCapacity, "no_capacity"),
        ({"gpu_count": 72}, errors.OverQuota, "over_quota"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_and_leaves_nothing(
    fleet: Site, fields: dict[str, Any], error: type[errors.FleetError], code: str
) -> None:
    assert refused(fleet, error, **fields).code == code


def test_a_count_that_is_no_multiple_names_the_nearest_sizes(fleet: Site) -> None:
    assert refused(fleet, errors.Invalid, gpu_count=5).detail["nearest"] == [8]
    error = refused(fleet, errors.Invalid, gpu_count=13)
    assert error.detail["nearest"] == [8, 16]
    assert "8 or 16" in (error.next or "")


def test_servers_can_be_asked_for_instead_of_gpus(fleet: Site) -> None:
    assert fleet.allocation(fleet.reserve(gpu_count=None, server_count=3)).gpu_count == 24


def test_a_part_of_the_model_name_is_enough(fleet: Site) -> None:
    assert fleet.reserve(gpu_model="h100")
    # a wildcard is only a character
    assert refused(fleet, errors.Invalid, gpu_model="%").code == "unknown_gpu_model"


def test_no_capacity_explains_itself(fleet: Site) -> None:
    fleet.reserve(gpu_count=24)
    with fleet.database.transaction() as session:
        register.set_flags(session, SYSTEM, "gpu-01", True, "broken fan")
        register.set_flags(session, SYSTEM, "gpu-04", True, "broken fan")
    error = refused(fleet, errors.NoCapacity, gpu_count=16)
    placement = error.detail["placement"]
    removed = {line["filter"]: line["removed"] for line in placement["filters"]}
    assert removed["state"] == 3
    assert placement["filters"][-1]["left"] < 2
    assert "3 left out because they are not available" in (error.answer or "")


def test_hands_off_servers_are_left_out(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        for number in (1, 2, 3):
            register.set_flags(session, SYSTEM, f"gpu-0{number}", True)
    allocation = fleet.allocation(fleet.reserve())
    with fleet.database.reading() as session:
        assert session.get_one(Server, allocation.server_id).name == "gpu-04"


def test_a_server_that_somebody_still_holds_is_left_out(fleet: Site) -> None:
    fleet.reserve(gpu_count=32)
    with fleet.database.transaction() as session:
        for server in session.scalars(select(Server)).all():
            server.status = "available"
    error = refused(fleet, errors.NoCapacity)
    assert {line["filter"]: line["removed"] for line in error.detail["placement"]["filters"]}["held"] == 4


def test_a_server_with_a_preventing_alert_is_left_out(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        for server in session.scalars(select(Server)).all():
            session.add(
                Alert(
                    server_id=server.id,
                    type="gpu_temperature",
                    severity="critical",
                    message="hot",
                    status="firing",
                    fingerprint=server.id,
                    prevents_allocations=True,
                )
            )
    error = refused(fleet, errors.NoCapacity)
    assert {line["filter"]: line["removed"] for line in error.detail["placement"]["filters"]}["health"] == 4


def cabling(site: Site, server: str, **nic: Any) -> None:
    """Import the server's only interface anew; without anything, that it has none."""
    number = int(server.removeprefix("gpu-"))
    nics = [{"mac": f"02:00:00:00:00:{number:02x}", **nic}] if nic else []
    with site.database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"servers": [{"name": server, "nics": nics}]})


def chosen(site: Site, **fields: Any) -> list[str]:
    with site.database.reading() as session:
        held = session.get_one(Allocation, site.reserve(**fields)).servers
        return [row.server.name for row in held]


def test_servers_whose_port_nobody_could_move_are_left_out(fleet: Site) -> None:
    cabling(fleet, "gpu-01")
    cabling(fleet, "gpu-02", switch=None)
    cabling(fleet, "gpu-03", switch="leaf-1")
    assert fleet.server_states()["gpu-01"] == "available"
    assert chosen(fleet) == ["gpu-04"]
    error = refused(fleet, errors.NoCapacity)
    assert {line["filter"]: line["removed"] for line in error.detail["placement"]["filters"]}["network"] == 3
    assert "3 left out because no switch port is on record for their boot interface" in (error.answer or "")


def test_a_second_interface_does_not_stand_in_for_the_one_that_boots(fleet: Site) -> None:
    nics = [{"mac": "02:00:00:00:0c:01"}, {"mac": "02:00:00:00:0c:02", "switch": "leaf-1", "port": "Ethernet1"}]
    with fleet.database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"servers": [{"name": "gpu-01", "nics": nics}]})
    error = refused(fleet, errors.NoCapacity, gpu_count=32)
    assert {line["filter"]: line["removed"] for line in error.detail["placement"]["filters"]}["network"] == 1


def test_a_site_without_managed_switches_lends_servers_without_a_port_and_none_without_an_interface(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALEBLUEDOT_UNMANAGED_PORTS", "true")
    settings.get_settings.cache_clear()
    cabling(fleet, "gpu-01")
    for number in (2, 3, 4):
        cabling(fleet, f"gpu-0{number}", switch=None)
    assert sorted(chosen(fleet, gpu_count=24)) == ["gpu-02", "gpu-03", "gpu-04"]
    assert "no boot interface is on record for them" in (refused(fleet, errors.NoCapacity).answer or "")


def test_a_frozen_fleet_takes_nothing_new_but_still_knows_old_requests(fleet: Site) -> None:
    earlier = fleet.reserve(request="before")
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "power works")
    assert "power works" in refused(fleet, errors.Frozen, request="after").message
    assert fleet.reserve(request="before") == earlier


def test_the_same_name_is_the_same_allocation(fleet: Site) -> None:
    first = fleet.reserve(request="mine", parameters={"timezone": "Europe/Berlin"})
    before = rows(fleet, Allocation, Workflow, Event)
    assert fleet.reserve(request="mine", parameters={"timezone": "Europe/Berlin"}) == first
    # who executes it and for whom is no part of what is asked for
    assert fleet.reserve(request="mine", parameters={"timezone": "Europe/Berlin"}, executor="external") == first
    assert rows(fleet, Allocation, Workflow, Event) == before
    error = refused(fleet, errors.IdempotencyMismatch, request="mine", gpu_count=16)
    assert error.detail["allocation_id"] == first
    # another user's name is another name
    assert fleet.reserve(fleet.bob, request="mine") != first


def test_without_a_name_every_request_is_new(fleet: Site) -> None:
    assert fleet.reserve() != fleet.reserve()


@pytest.mark.parametrize(
    ("quota", "figure"),
    [
        ({"max_gpu_count": 15}, "gpu_count"),
        ({"max_memory_gb": 4095}, "memory_gb"),
        ({"max_storage_gb": 59999}, "storage_gb"),
    ],
)
def test_every_ceiling_counts_what_is_held(fleet: Site, quota: dict[str, int], figure: str) -> None:
    with fleet.database.transaction() as session:
        users.set_quota(session, SYSTEM, "ada", **quota)
    fleet.reserve()
    over = refused(fleet, errors.OverQuota).detail["quota"]
    assert set(over) == {figure}
    assert over[figure]["used"] == over[figure]["requested"]
    assert over[figure]["used"] + over[figure]["requested"] == over[figure]["limit"] + 1


def test_exactly_the_quota_is_allowed(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        users.set_quota(session, SYSTEM, "ada", max_gpu_count=16, max_memory_gb=4096, max_storage_gb=60000)
    fleet.reserve(gpu_count=16)
    with fleet.database.reading() as session:
        usage = users.quota_usage(session, fleet.ada)
        assert (usage.used_gpu_count, usage.used_memory_gb, usage.used_storage_gb) == (16, 4096, 60000)


def test_staff_reserve_for_others_and_their_quota_counts(fleet: Site) -> None:
    operator = Actor(fleet.admin.id, "root", "operator")
    allocation = fleet.allocation(fleet.reserve(operator, on_behalf_of="bob"))
    assert (allocation.user_id, allocation.requested_by) == (fleet.bob.id, fleet.admin.id)
    with fleet.database.reading() as session:
        assert users.quota_usage(session, fleet.bob).used_gpu_count == 8
        assert users.quota_usage(session, fleet.admin).used_gpu_count == 0


@pytest.mark.parametrize("actor", [Actor("usr_x", "eve", "auditor"), Actor("usr_x", "job", "automation", "wf_1")])
def test_auditors_and_jobs_do_not_allocate(fleet: Site, actor: Actor) -> None:
    with pytest.raises(errors.Forbidden):
        fleet.reserve(actor)


def test_keys_by_name_id_and_text_are_kept_with_the_allocation(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        key = users.add_ssh_key(session, fleet.ada, "laptop", KEY)
    for wanted in (["laptop"], [key.id], [KEY], ["laptop", key.id], []):
        assert fleet.allocation(fleet.reserve(ssh_keys=wanted, gpu_count=8)).ssh_keys == [KEY]
        with fleet.database.transaction() as session:
            held = session.scalars(select(Server).where(Server.status == "reserved")).all()
            for server in held:
                server.status = "available"
            for table in (AllocationServer, GpuAllocation):
                for row in session.scalars(select(table)):
                    row.released_at = row.created_at
            for gpu in session.scalars(select(Gpu)):
                gpu.status = "available"


def test_parameters_get_their_defaults(fleet: Site) -> None:
    assert fleet.allocation(fleet.reserve()).parameters == {"timezone": "Etc/UTC", "packages": []}


def test_the_lease_is_kept(fleet: Site) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    assert fleet.allocation(fleet.reserve(end=end)).end_time == end


def test_without_a_free_tenant_network_nothing_is_held(database: db.Database) -> None:
    site = build(database, servers=3, tenants=1)
    site.reserve()
    error = refused(site, errors.NoCapacity)
    assert "tenant network" in error.message
    assert list(site.server_states().values()).count("available") == 2


def test_a_full_service_network_refuses(database: db.Database) -> None:
    site = build(database, servers=2)
    with database.transaction() as session:
        document = fleet_document(0)
        document["networks"][0] |= {"cidr": "10.10.0.0/30"}
        register.import_fleet(session, SYSTEM, {"networks": document["networks"][:1]})
    site.reserve()
    assert "10.10.0.0/30" in refused(site, errors.NoCapacity).message


def test_an_empty_fleet_says_so(database: db.Database) -> None:
    site = build(database, servers=2, inspect=False)
    assert "no inspected servers" in refused(site, errors.NoCapacity).message


def test_servers_of_two_sizes_serve_what_divides(database: db.Database) -> None:
    site = build(database, servers=3)
    with database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"servers": [fleet_document(4)["servers"][3]]})
        register.record_inspection(session, SYSTEM, "gpu-04", bmc_facts(4, gpus=4))
    allocation = site.allocation(site.reserve(gpu_count=4))
    with database.reading() as session:
        assert session.get_one(Server, allocation.server_id).name == "gpu-04"
    assert refused(site, errors.Invalid, gpu_count=6).detail["nearest"] == [4, 8]


def test_the_database_itself_refuses_a_gpu_held_twice(fleet: Site) -> None:
    first = fleet.reserve()
    with pytest.raises(errors.Conflict) as caught, fleet.database.transaction() as session:
        held = session.scalars(select(GpuAllocation).where(GpuAllocation.allocation_id == first).limit(1)).one()
        session.add(GpuAllocation(allocation_id=first, gpu_id=held.gpu_id))
    assert isinstance(caught.value.__cause__, IntegrityError)
    with pytest.raises(errors.Conflict), fleet.database.transaction() as session:
        server = session.scalars(select(AllocationServer)).one()
        session.add(AllocationServer(allocation_id=first, server_id=server.server_id, rank=7))


def test_a_released_gpu_may_be_held_again(fleet: Site) -> None:
    first = fleet.reserve()
    with fleet.database.transaction() as session:
        held = session.scalars(select(GpuAllocation).where(GpuAllocation.allocation_id == first).limit(1)).one()
        held.released_at = held.allocated_at
        session.flush()
        session.add(GpuAllocation(allocation_id=first, gpu_id=held.gpu_id))


def test_the_reservation_is_audited_with_its_actor(fleet: Site) -> None:
    actor = Actor(fleet.ada.id, "ada", "user", None, "192.0.2.77", "req-1")
    with fleet.database.transaction() as session:
        allocation = reserve(session, actor, AllocateRequest(template="ubuntu-24.04", gpu_count=8))
    with fleet.database.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "allocation.reserve")).one()
        assert (entry.subject, entry.actor_username, entry.remote_addr, entry.request_id) == (
            allocation.id,
            "ada",
            "192.0.2.77",
            "req-1",
        )
