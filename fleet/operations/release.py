"""Giving servers back, and cleaning those that went wrong."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, clock, states
from fleet.actor import OPERATORS, STAFF, Actor
from fleet.errors import Forbidden, Invalid, StateConflict
from fleet.models import Allocation, AllocationServer, GpuAllocation, Server, Workflow
from fleet.operations import lookup, networks, reports, templates, workflows
from fleet.settings import get_settings

RELEASABLE = ("reserved", "provisioning", "active", "suspended")


def _take_over_unclaimed(session: Session, workflow: Workflow, actor: Actor) -> None:
    """A release that waits for a hand which does not come is the service's, when somebody asks the service for it."""
    if workflow.executor == "service" or workflow.claimed_by is not None:
        return
    if workflow.status not in ("pending", "waiting"):
        return
    workflow.executor = "service"
    workflow.resume_by = None
    workflow.not_before = None
    states.reach(session, workflow, "pending", actor, "the service was asked for it", workflow.id)


def start_release(
    session: Session, actor: Actor, identifier: str, executor: str = "service", reason: str = "released by request"
) -> Workflow:
    """Start giving back an allocation; repeated, the same workflow comes back.

    Quota is free from this moment on; GPUs are offered again when `return_to_pool` has ended. An allocate workflow
    under way is cancelled by raising its fence; the release may not be claimed while the old claim lives.
    `identifier` is an `alloc_…`; a `gpu_…` of bare metal is Invalid: a server goes back whole.
    """
    if identifier.startswith("gpu_"):
        raise _partial(session, actor, identifier)
    allocation = lookup.allocation(session, actor, identifier, lock=True)
    if actor.workflow_id is not None:
        raise Forbidden("a job's token may not release", next="use a user's or an operator's account")
    if allocation.user_id != actor.id and actor.role not in STAFF:
        raise Forbidden(f"{allocation.id} belongs to somebody else", next="ask its owner or an operator to release it")
    if executor != "service":
        # whoever may not run it by hand would only park the servers
        actor.require(*STAFF)
    running = session.scalar(
        select(Workflow).where(Workflow.allocation_id == allocation.id, Workflow.kind == "release")
    )
    if running is not None:
        if executor == "service":
            _take_over_unclaimed(session, running, actor)
        return running
    if allocation.status not in RELEASABLE:
        raise StateConflict(
            f"{allocation.id} is {allocation.status}: there is nothing to release",
            answer=allocation.end_reason,
            next="servers that failed are cleaned by an operator: POST /api/v1/servers/{name}/clean",
        )
    old = _cancel_current(session, actor, allocation, reason)
    template = templates.find(session, get_settings().erase_template, kind="erase")
    workflow = workflows.create(
        session,
        actor,
        "release",
        template,
        executor,
        lookup.allocation_servers(session, allocation.id),
        allocation_id=allocation.id,
        after_id=old.id if old is not None else None,
    )
    allocation.workflow_id = workflow.id
    allocation.end_reason = reason
    states.transition(session, allocation, "releasing", actor, reason, workflow.id)
    for held in allocation.servers:
        states.transition(session, held, "releasing", actor, reason, workflow.id)
    for gpu in allocation.gpu_allocations:
        states.transition(session, gpu, "releasing", actor, reason, workflow.id)
    audit.record(session, actor, "allocation.release", allocation.id, {"reason": reason, "executor": executor})
    session.flush()
    return workflow


def start_clean(session: Session, actor: Actor, server: str, executor: str = "service") -> Workflow:
    """Clean a server that is failed, quarantined or in maintenance, so that it can be offered again.

    Operators and administrators only; repeated while the cleaning is under way, the same workflow comes back.
    """
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    running = session.scalar(
        select(Workflow).where(
            Workflow.server_id == row.id, Workflow.kind == "clean", Workflow.status.in_(states.WORKFLOW_OPEN)
        )
    )
    if running is not None:
        return running
    if row.status not in ("failed", "quarantined", "maintenance"):
        raise StateConflict(
            f"{row.name} is {row.status}: only failed, quarantined and maintenance servers are cleaned",
            host=row.name,
            next="release its allocation first" if row.status in ("active", "suspended") else "look at its state",
        )
    open_workflow = _open_workflow_on(session, row)
    if open_workflow is not None:
        raise StateConflict(
            f"{open_workflow.kind} workflow {open_workflow.id} still works on {row.name}",
            host=row.name,
            next="wait until it has ended",
        )
    held_by = lookup.holder(session, row)
    networks.take_service_addresses(session, [row], held_by)
    template = templates.find(session, get_settings().erase_template, kind="erase")
    workflow = workflows.create(
        session,
        actor,
        "clean",
        template,
        executor,
        [row],
        server_id=row.id,
        after_id=_predecessor(session, row, held_by),
    )
    if row.status == "maintenance":
        states.transition(session, row, "inspecting", actor, "cleaning asked for", workflow.id)
    audit.record(session, actor, "server.clean", row.id, {"server": row.name})
    session.flush()
    return workflow


def _predecessor(session: Session, server: Server, allocation_id: str | None) -> str | None:
    """The workflow to wait for: one of the server's own or of the allocation that holds it whose claim lives, or else
    the latest."""
    mine = Workflow.server_id == server.id
    if allocation_id is not None:
        mine |= Workflow.allocation_id == allocation_id
    live = Workflow.claimed_by.is_not(None) & (Workflow.claim_expires_at > clock.now(session))
    return session.scalar(select(Workflow.id).where(mine).order_by(live.desc(), Workflow.id.desc()).limit(1))


def _open_workflow_on(session: Session, server: Server) -> Workflow | None:
    return session.scalar(
        select(Workflow)
        .join(AllocationServer, AllocationServer.allocation_id == Workflow.allocation_id)
        .where(
            AllocationServer.server_id == server.id,
            AllocationServer.released_at.is_(None),
            Workflow.status.in_(states.WORKFLOW_OPEN),
        )
        .limit(1)
    )


def _cancel_current(session: Session, actor: Actor, allocation: Allocation, reason: str) -> Workflow | None:
    """Stop the workflow under way: with a higher fence none of its calls is answered with `run` any more.

    Its claim is left as it is, so that the release can see when whoever holds it has stopped.
    """
    if allocation.workflow_id is None:
        return None
    workflow = session.get(Workflow, allocation.workflow_id, with_for_update=True, populate_existing=True)
    if workflow is None or workflow.status in states.WORKFLOW_ENDED:
        return workflow
    workflow.fence += 1
    workflow.completed_at = clock.now(session)
    reports.close(session, workflow.id)
    states.transition(session, workflow, "cancelled", actor, reason, workflow.id)
    return workflow


def _partial(session: Session, actor: Actor, gpu_id: str) -> Invalid:
    gpu = lookup.gpu(session, gpu_id)
    allocation_id = session.scalar(
        select(GpuAllocation.allocation_id).where(GpuAllocation.gpu_id == gpu.id, GpuAllocation.released_at.is_(None))
    )
    allocation = session.get(Allocation, allocation_id) if allocation_id else None
    if allocation is None or not lookup.may_see(session, actor, allocation):
        raise lookup.missing("GPU of yours", gpu_id)
    return Invalid(
        "a bare-metal server is given back whole: one GPU of it cannot be released",
        code="partial_release",
        tried=f"release {gpu_id}",
        answer=f"it belongs to {allocation.id}, which holds {allocation.gpu_count} GPUs",
        next=f"release the allocation: DELETE /api/v1/gpu/{allocation.id}/release",
        detail={"allocation_id": allocation.id},
    )
