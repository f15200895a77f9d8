"""Every state and every allowed transition of the record, in one table; a transition that is not in it raises.

`transition` is the only writer of a state: check, set and event happen together, in the caller's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fleet import clock
from fleet.actor import Actor
from fleet.errors import StateConflict
from fleet.models import (
    Alert,
    Allocation,
    AllocationServer,
    Event,
    Gpu,
    GpuAllocation,
    Server,
    Workflow,
    WorkflowStep,
)

Entity = Server | Gpu | Allocation | AllocationServer | GpuAllocation | Workflow | WorkflowStep | Alert
Table = dict[str, frozenset[str]]


def _table(**rows: str) -> Table:
    return {state: frozenset(targets.split()) for state, targets in rows.items()}


# failed, quarantined -> cleaning, maintenance, retired; maintenance -> inspecting (a clean of a server in maintenance
# goes through inspecting); enrolled -> active is "adopt"
SERVER = _table(
    enrolled="inspecting active failed maintenance retired",
    inspecting="available cleaning quarantined failed maintenance",
    available="reserved inspecting quarantined failed maintenance retired",
    reserved="provisioning available cleaning quarantined failed",
    provisioning="active cleaning quarantined failed",
    active="suspended cleaning quarantined failed",
    suspended="active cleaning quarantined failed",
    cleaning="available quarantined failed maintenance",
    quarantined="cleaning maintenance retired",
    failed="cleaning maintenance retired",
    maintenance="inspecting",
    retired="",
)

# suspended: the lease is over, the network closed, the power off, the disks kept
ALLOCATION = _table(
    pending="scheduled reserved rejected cancelled failed",
    scheduled="reserved rejected cancelled failed",
    reserved="provisioning releasing cancelled failed",
    provisioning="active releasing failed",
    active="suspended releasing failed",
    suspended="active releasing failed",
    releasing="released failed",
    released="",
    rejected="",
    failed="",
    cancelled="",
)

ALLOCATION_SERVER = _table(
    reserved="provisioning releasing released failed",
    provisioning="active releasing failed",
    active="suspended releasing failed",
    suspended="active releasing failed",
    releasing="released failed",
    failed="released",
    released="",
)

GPU_ALLOCATION = _table(
    reserved="active releasing released",
    active="releasing",
    releasing="released",
    released="",
)

# running -> pending is a retry by the service, running -> waiting one that waits for a hand
WORKFLOW = _table(
    pending="running held cancelling cancelled failed timed_out",
    running="pending waiting held cancelling succeeded failed cancelled timed_out",
    waiting="running pending held cancelling cancelled failed timed_out",
    held="pending waiting cancelling cancelled failed timed_out",
    cancelling="cancelled failed timed_out",
    succeeded="",
    failed="",
    cancelled="",
    timed_out="",
)

WORKFLOW_STEP = _table(
    pending="running skipped",
    running="waiting succeeded failed skipped",
    waiting="running succeeded failed skipped",
    succeeded="compensated",
    failed="compensated",
    skipped="",
    compensated="",
)

ALERT = _table(pending="firing resolved", firing="resolved", resolved="")

# A GPU follows its server. `absent` is its own: the last inspection did not see it.
GPU_FOLLOWS = {
    "enrolled": "inspecting",
    "inspecting": "inspecting",
    "available": "available",
    "reserved": "reserved",
    "provisioning": "reserved",
    "active": "allocated",
    "suspended": "allocated",
    "cleaning": "cleaning",
    "quarantined": "quarantined",
    "failed": "failed",
    "maintenance": "maintenance",
    "retired": "retired",
}


def _gpu_table() -> Table:
    states = sorted(set(GPU_FOLLOWS.values()))
    table = {state: {"absent"} for state in states if state != "retired"}
    for source, targets in SERVER.items():
        for target in targets:
            if GPU_FOLLOWS[source] != GPU_FOLLOWS[target]:
                table[GPU_FOLLOWS[source]].add(GPU_FOLLOWS[target])
    # a GPU that is seen again takes the state its server has now
    return {
        **{state: frozenset(row) for state, row in table.items()},
        "absent": frozenset(states),
        "retired": frozenset(),
    }


GPU = _gpu_table()

TRANSITIONS: dict[str, Table] = {
    "server": SERVER,
    "gpu": GPU,
    "allocation": ALLOCATION,
    "allocation_server": ALLOCATION_SERVER,
    "gpu_allocation": GPU_ALLOCATION,
    "workflow": WORKFLOW,
    "workflow_step": WORKFLOW_STEP,
    "alert": ALERT,
}

_NAMES: dict[type[Any], str] = {
    Server: "server",
    Gpu: "gpu",
    Allocation: "allocation",
    AllocationServer: "allocation_server",
    GpuAllocation: "gpu_allocation",
    Workflow: "workflow",
    WorkflowStep: "workflow_step",
    Alert: "alert",
}

# Quota counts these; it is freed when a release starts.
QUOTA_STATES = ("pending", "scheduled", "reserved", "provisioning", "active", "suspended")
WORKFLOW_ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})
WORKFLOW_OPEN = frozenset(WORKFLOW) - WORKFLOW_ENDED
# Whoever was in one of these may carry something of a tenant's: only a clean that ended well takes that away.
LEAVES_TRACES = frozenset({"provisioning", "active", "suspended", "cleaning", "failed"})
# Whose figures are collected, kept and judged. Of an enrolled server nobody has seen the GPUs yet, nor whether the
# password opens its BMC (enrolment tries with care for lock-outs); one that is being cleaned is out of its tenant's
# monitoring, and power and passwords change under whoever reads.
WATCHED = frozenset(SERVER) - {"enrolled", "cleaning", "retired"}
# Where an operator may put a server. `inspecting` ends a maintenance: the inspection that follows offers the server
# again; quarantine is left by a clean.
OPERATORS_STATES = ("maintenance", "quarantined", "retired", "inspecting")
ALLOCATION_ENDED = frozenset({"released", "rejected", "failed", "cancelled"})


def entity_name(entity: Entity) -> str:
    """`server`, `workflow_step`, …: as in the table and in event types."""
    return _NAMES[type(entity)]


def state_of(entity: Entity) -> str:
    """The entity's present state."""
    return entity.state if isinstance(entity, AllocationServer) else entity.status


def allowed(entity: Entity, to: str) -> bool:
    """Whether the table has this transition from the present state."""
    return to in TRANSITIONS[entity_name(entity)][state_of(entity)]


def transition(
    session: Session, entity: Entity, to: str, actor: Actor, reason: str | None = None, workflow_id: str | None = None
) -> None:
    """Check against the table, set, and write the event row: all in the caller's transaction.

    Raises StateConflict for a transition that is not in the table.
    """
    name = entity_name(entity)
    previous = state_of(entity)
    if to not in TRANSITIONS[name]:
        raise StateConflict(f"{to} is no state of a {name}", answer=f"known states: {', '.join(TRANSITIONS[name])}")
    if to not in TRANSITIONS[name][previous]:
        targets = ", ".join(sorted(TRANSITIONS[name][previous])) or "none: it is an end state"
        raise StateConflict(
            f"{name} {entity.id} is {previous} and cannot become {to}",
            tried=f"{previous} -> {to}",
            answer=f"allowed from {previous}: {targets}",
            next="look at its present state; it may have moved on in the meantime",
            host=entity.name if isinstance(entity, Server) else None,
        )
    if isinstance(entity, AllocationServer):
        entity.state = to
    else:
        entity.status = to
    if isinstance(entity, Server | Gpu | Allocation | Workflow | Alert):
        entity.status_since = clock.now(session)
    if isinstance(entity, Server | Workflow):
        entity.status_reason = reason[:1024] if reason else None
    session.add(
        Event(
            type=f"palebluedot.{name}.{to}.v1",
            subject=entity.id,
            time=clock.utcnow(),
            data={
                "id": entity.id,
                "state": to,
                "previous": previous,
                "reason": reason,
                "actor": actor.username,
                "workflow_id": workflow_id,
            },
        )
    )
    if isinstance(entity, Server):
        if to in LEAVES_TRACES:
            entity.needs_clean = True
        elif (previous, to) == ("cleaning", "available"):
            entity.needs_clean = False
        _gpus_follow(session, entity, actor, reason, workflow_id)


def reach(
    session: Session, entity: Entity, to: str, actor: Actor, reason: str | None = None, workflow_id: str | None = None
) -> bool:
    """Like `transition`, but nothing happens (and False comes back) when the entity is there already."""
    if state_of(entity) == to:
        return False
    transition(session, entity, to, actor, reason, workflow_id)
    return True


def _gpus_follow(session: Session, server: Server, actor: Actor, reason: str | None, workflow_id: str | None) -> None:
    target = GPU_FOLLOWS[server.status]
    for gpu in server.gpus:
        if gpu.status not in (target, "absent", "retired"):
            transition(session, gpu, target, actor, reason, workflow_id)
