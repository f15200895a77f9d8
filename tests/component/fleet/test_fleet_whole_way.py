"""One allocation and one release through the record, on both databases."""

from __future__ import annotations

from sqlalchemy import func, select

from fleet.models import Event, GpuAllocation, IpAddress, Network
from fleet.operations import release
from tests.component.fleet.support import Site


def test_allocate_and_release_leave_the_fleet_as_it_was(fleet: Site) -> None:
    allocation_id = fleet.reserve(request="mine")
    assert fleet.allocation(allocation_id).status == "reserved"
    workflow = fleet.claim_next()
    for step in ("reserve", "network_provisioning", "provision"):
        assert fleet.step(workflow, step).action == "run"
    assert fleet.allocation(allocation_id).status == "provisioning"
    assert fleet.server_states()["gpu-01"] == "provisioning"
    fleet.step(workflow, "hand_over", result={"ssh_port": 2222, "ssh_user": "ubuntu", "motd": "hello"})

    with fleet.database.reading() as session:
        allocation = session.get_one(type(fleet.allocation(allocation_id)), allocation_id)
        held = allocation.servers[0]
        assert (allocation.status, held.state, held.ssh_port, held.ssh_user) == ("active", "active", 2222, "ubuntu")
        assert held.address == "127.30.0.2"
        assert held.hand_over == {"ssh_port": 2222, "ssh_user": "ubuntu", "motd": "hello"}
        assert {gpu.status for gpu in held.server.gpus} == {"allocated"}
        assert {gpu.status for gpu in allocation.gpu_allocations} == {"active"}
    assert fleet.workflow(workflow.id).status == "succeeded"

    with fleet.database.transaction() as session:
        cleaning = release.start_release(session, fleet.ada, allocation_id).id
    assert fleet.allocation(allocation_id).status == "releasing"
    # the finished job's claim is still there until its process has given it back
    from fleet.operations import claim

    with fleet.database.transaction() as session:
        claim.surrender(session, workflow.id, workflow.fence, "ended")
    job = fleet.claim_next()
    assert job.id == cleaning
    fleet.finish(job)

    assert fleet.allocation(allocation_id).status == "released"
    assert set(fleet.server_states().values()) == {"available"}
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(IpAddress.id))) == 0
        assert session.scalar(select(func.count(Network.id)).where(Network.allocation_id.is_not(None))) == 0
        assert session.scalar(select(func.count(GpuAllocation.id)).where(GpuAllocation.released_at.is_(None))) == 0
        seen = session.scalars(select(Event.type).where(Event.subject == allocation_id).order_by(Event.seq)).all()
    assert [kind.split(".")[2] for kind in seen] == ["reserved", "provisioning", "active", "releasing", "released"]
