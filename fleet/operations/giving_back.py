"""The end of holding: a server, its GPUs and at last the tenant network are nobody's any more."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import clock, states
from fleet.actor import Actor
from fleet.models import AllocationServer, GpuAllocation
from fleet.operations import networks


def give_back(session: Session, held: AllocationServer, actor: Actor, workflow_id: str | None) -> None:
    """The server and its GPUs are nobody's any more; with the last one the tenant network is free."""
    moment = clock.now(session)
    states.reach(session, held, "released", actor, None, workflow_id)
    held.released_at = moment
    for gpu in session.scalars(
        select(GpuAllocation).where(
            GpuAllocation.allocation_id == held.allocation_id,
            GpuAllocation.released_at.is_(None),
            GpuAllocation.gpu_id.in_([gpu.id for gpu in held.server.gpus]),
        )
    ):
        if gpu.status == "active":
            states.transition(session, gpu, "releasing", actor, None, workflow_id)
        states.reach(session, gpu, "released", actor, None, workflow_id)
        gpu.released_at = moment
    session.flush()
    others = session.scalar(
        select(AllocationServer.id)
        .where(AllocationServer.allocation_id == held.allocation_id, AllocationServer.released_at.is_(None))
        .limit(1)
    )
    if others is None:
        networks.return_tenant_network(session, held.allocation_id)
