"""The step ledger: the playbook asks before a step and reports after it, synchronously, with its fence.

Both calls may be repeated (an answer may get lost): the same call gets the same answer and changes nothing again.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import clock, states
from fleet.actor import Actor
from fleet.errors import Invalid, NotFound, StaleFence, StateConflict
from fleet.models import Allocation, AllocationServer, Server, Workflow, WorkflowStep
from fleet.operations import fleetflags, giving_back, lookup, networks, reports, settle, telemetry, workflows
from fleet.settings import get_settings

Action = Literal["run", "skip", "stop"]
END_STATUSES = ("succeeded", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """`previous` is the latest earlier attempt at this step that ended well, or else the latest one: `{status, result,
    attempt}` or None."""

    action: Action
    reason: str | None = None
    previous: dict[str, Any] | None = None


def begin(
    session: Session, actor: Actor, workflow_id: str, step: str, server: str, attempt: int, fence: int
) -> StepAnswer:
    """May this step be done on this server now?

    `run`: do it (again, when asked again). `skip`: it ended well in this attempt, or the server has all its steps
    behind it. `stop`: do nothing more (cancelled, held, frozen, hands off, failed in this attempt).
    Raises StaleFence, StateConflict (a needed step has not ended well), NotFound, Forbidden.
    """
    workflow, row, target, entry = _find(session, actor, workflow_id, step, server, attempt, fence)
    if workflow.status != "running":
        _free_idle_claim(session, workflow)
        return StepAnswer("stop", _not_running(workflow))
    if row is not None and row.status in workflows.DONE:
        return StepAnswer("skip", f"{step} has {row.status} in this attempt", _view(row))
    if row is not None and row.status == "failed":
        return StepAnswer("stop", f"{step} has failed on {target.name} in this attempt", _view(row))

    rows = workflows.latest_rows(session, workflow.id)
    earlier = _earlier(session, workflow, step, target, attempt)
    if row is None:
        if workflows.server_complete(workflow, rows, target.id):
            # it may have been handed on already: a resumed run must not touch it again
            return StepAnswer("skip", f"{target.name} has all its steps behind it", earlier)
        _check_needs(workflow, entry, target, rows)
        obstacle = _obstacle(session, target) if entry["destructive"] else None
        if obstacle is not None:
            states.transition(session, workflow, "held", actor, obstacle, workflow.id)
            _free_idle_claim(session, workflow)
            return StepAnswer("stop", obstacle, earlier)
        if entry["begin"]:
            states.reach(session, target, entry["begin"], actor, f"{step} begins", workflow.id)
        _allocation_begins(session, workflow, target, actor)
        row = WorkflowStep(
            workflow_id=workflow.id, step=step, server_id=target.id, attempt=attempt, fence=fence, status="pending"
        )
        session.add(row)
        session.flush()
        row.started_at = clock.now(session)
        states.transition(session, row, "running", actor, None, workflow.id)
    _extend_external(session, workflow, get_settings().external_grace_s + float(entry["timeout_s"]))
    session.flush()
    return StepAnswer("run", None, earlier)


def end(
    session: Session,
    actor: Actor,
    workflow_id: str,
    step: str,
    server: str,
    attempt: int,
    fence: int,
    status: str,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> StepAnswer:
    """How the step ended: `succeeded`, `skipped` (the check found it done) or `failed` with its `error`.

    The answer is `run` (go on) or `stop`. Raises StaleFence, StateConflict (never begun, or ended differently before),
    Invalid, NotFound, Forbidden.
    """
    if status not in END_STATUSES:
        raise Invalid(f"status {status!r} is not one of {', '.join(END_STATUSES)}", code="invalid_status", step=step)
    workflow, row, target, entry = _find(session, actor, workflow_id, step, server, attempt, fence)
    if row is None:
        raise StateConflict(
            f"{step} was never begun on {target.name} in attempt {attempt}", host=target.name, step=step,
            next="begin it first",
        )  # fmt: skip
    if row.status != "running":
        if row.status == status:
            return _after(workflow, row)
        raise StateConflict(
            f"{step} on {target.name} has ended before: {row.status}, not {status}", host=target.name, step=step
        )
    row.result = result
    row.error = _failure(error, target, step) if status == "failed" else None
    row.ended_at = clock.now(session)
    states.transition(session, row, status, actor, row.error["message"][:512] if row.error else None, workflow.id)
    session.flush()

    cancelled = workflow.status in states.WORKFLOW_ENDED
    if status in workflows.DONE and not cancelled:
        rows = workflows.latest_rows(session, workflow.id)
        if entry["end"]:
            _server_reaches(session, workflow, target, entry["end"], actor, step, rows)
        if workflows.server_complete(workflow, rows, target.id):
            _server_done(session, workflow, target, actor, rows)
        servers = lookup.workflow_servers(session, workflow)
        if all(workflows.server_complete(workflow, rows, other.id) for other in servers):
            _workflow_done(session, workflow, servers, actor)
    elif status == "failed" and workflow.status == "running" and _nothing_left(session, workflow):
        settle.settle(session, workflow, actor, None)
    _extend_external(session, workflow, get_settings().external_idle_ttl_s)
    if workflow.status != "running":
        _free_idle_claim(session, workflow)
    session.flush()
    return _after(workflow, row)


def _find(
    session: Session, actor: Actor, workflow_id: str, step: str, server: str, attempt: int, fence: int
) -> tuple[Workflow, WorkflowStep | None, Server, dict[str, Any]]:
    """The rows a call speaks of; the fence is checked first, because with a stale one nothing else matters."""
    workflow = lookup.driven_workflow(session, actor, workflow_id)
    # after a cancellation the fence is ahead of the claim: its holder is told to stop, everybody else is stale
    if fence != workflow.claim_fence:
        raise StaleFence(
            f"fence {fence} is stale: {workflow.id} has {workflow.fence} now, {_holder(workflow)}",
            host=server,
            step=step,
            next="stop this run; whoever holds the claim goes on",
        )
    if attempt != workflow.attempt:
        raise StaleFence(
            f"attempt {attempt} is over: {workflow.id} is at attempt {workflow.attempt}",
            host=server,
            step=step,
            next="stop this run",
        )
    entry = next((entry for entry in workflow.steps if entry["name"] == step), None)
    if entry is None:
        raise NotFound(
            f"{workflow.id} has no step {step}",
            step=step,
            answer=f"steps: {', '.join(e['name'] for e in workflow.steps)}",
        )
    target = next((one for one in lookup.workflow_servers(session, workflow) if server in (one.id, one.name)), None)
    if target is None:
        raise NotFound(f"{workflow.id} does not work on a server {server}", host=server, step=step)
    row = session.scalar(
        select(WorkflowStep).where(
            WorkflowStep.workflow_id == workflow.id,
            WorkflowStep.step == step,
            WorkflowStep.server_id == target.id,
            WorkflowStep.attempt == attempt,
        )
    )
    return workflow, row, target, entry


def _holder(workflow: Workflow) -> str:
    return f"held by {workflow.claimed_by}" if workflow.claimed_by else "held by nobody"


def _not_running(workflow: Workflow) -> str:
    reason = f": {workflow.status_reason}" if workflow.status_reason else ""
    return f"the workflow is {workflow.status}{reason}"


def _view(row: WorkflowStep) -> dict[str, Any]:
    return {"status": row.status, "result": row.result, "attempt": row.attempt}


def _earlier(session: Session, workflow: Workflow, step: str, server: Server, attempt: int) -> dict[str, Any] | None:
    """The latest attempt that ended well, or else the latest: a lost or failed try does not undo what was done."""
    row = session.scalar(
        select(WorkflowStep)
        .where(
            WorkflowStep.workflow_id == workflow.id,
            WorkflowStep.step == step,
            WorkflowStep.server_id == server.id,
            WorkflowStep.attempt < attempt,
        )
        .order_by(WorkflowStep.status.in_(workflows.DONE).desc(), WorkflowStep.attempt.desc())
        .limit(1)
    )
    return _view(row) if row is not None else None


def _check_needs(
    workflow: Workflow, entry: dict[str, Any], server: Server, rows: dict[tuple[str, str], WorkflowStep]
) -> None:
    for need in entry["needs"]:
        row = rows.get((need, server.id))
        if row is None or row.status not in workflows.DONE:
            raise StateConflict(
                f"{entry['name']} needs {need}, which has not ended well on {server.name}",
                answer=f"{need} is {row.status if row else 'not begun'}",
                next=f"do {need} first",
                host=server.name,
                step=entry["name"],
            )


def _obstacle(session: Session, server: Server) -> str | None:
    freeze = fleetflags.frozen(session)
    if freeze is not None:
        return f"the fleet is frozen: {freeze.reason or 'no reason given'}"
    if server.hands_off:
        return f"hands off {server.name}: {server.hands_off_reason or 'no reason given'}"
    return None


def _allocation_begins(session: Session, workflow: Workflow, server: Server, actor: Actor) -> None:
    if workflow.kind != "allocate":
        return
    allocation = session.get_one(Allocation, workflow.allocation_id)
    if allocation.status == "reserved":
        states.transition(session, allocation, "provisioning", actor, "the first step begins", workflow.id)
    held = _held(session, workflow, server)
    if held is not None and held.state == "reserved" and server.status == "provisioning":
        states.transition(session, held, "provisioning", actor, None, workflow.id)


def _held(session: Session, workflow: Workflow, server: Server) -> AllocationServer | None:
    query = select(AllocationServer).where(
        AllocationServer.server_id == server.id, AllocationServer.released_at.is_(None)
    )
    if workflow.allocation_id is not None:
        query = query.where(AllocationServer.allocation_id == workflow.allocation_id)
    return session.scalar(query)


def _failure(error: dict[str, Any] | None, server: Server, step: str) -> dict[str, Any]:
    """The error as it is kept: with host, step and a message, whatever the playbook left out."""
    said = {key: value for key, value in (error or {}).items() if value is not None}
    failure = {"code": "step_failed", "host": server.name, "retryable": False, **said}
    failure |= {"server": server.name, "step": step, "code": str(failure["code"]), "host": str(failure["host"])}
    failure["message"] = str(failure.get("message") or failure.get("answer") or f"{step} failed without a message")
    return failure


def _address(value: Any) -> str | None:
    """An address that a step reported. Raises Invalid for anything else."""
    if value in (None, ""):
        return None
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError as error:
        raise Invalid(f"{value!r} is no address", code="invalid_result", step="hand_over") from error


def _port(value: Any) -> int | None:
    """A port that a step reported. Raises Invalid for anything else."""
    if value in (None, ""):
        return None
    if not str(value).isdecimal() or not 1 <= int(str(value)[:10]) <= 65535:
        raise Invalid(f"{value!r} is no port", code="invalid_result", step="hand_over")
    return int(value)


def _server_reaches(
    session: Session,
    workflow: Workflow,
    server: Server,
    state: str,
    actor: Actor,
    step: str,
    rows: dict[tuple[str, str], WorkflowStep],
) -> None:
    """The state that a step's end stands for; a server is offered only when its whole plan has ended well."""
    if state == "available" and not workflows.server_complete(workflow, rows, server.id):
        open_steps = [
            entry["name"]
            for entry in workflow.steps
            if (row := rows.get((entry["name"], server.id))) is None or row.status not in workflows.DONE
        ]
        raise StateConflict(
            f"{server.name} cannot be offered: not done on it: {', '.join(open_steps)}", host=server.name, step=step
        )
    states.reach(session, server, state, actor, f"{step} ended", workflow.id)


def _server_done(
    session: Session, workflow: Workflow, server: Server, actor: Actor, rows: dict[tuple[str, str], WorkflowStep]
) -> None:
    """The last step of a server: it is handed over, or it is back in the pool."""
    held = _held(session, workflow, server)
    if workflow.kind == "allocate":
        assert held is not None
        facts: dict[str, Any] = {}
        for entry in workflow.steps:
            row = rows[entry["name"], server.id]
            if entry["name"] == "hand_over" and row.result:
                facts.update(row.result)
        held.hand_over = facts
        settings = get_settings()
        held.address = _address(facts.get("address")) or held.address
        held.ssh_port = _port(facts.get("ssh_port")) or held.ssh_port or settings.ssh_port
        held.ssh_user = str(facts.get("ssh_user") or held.ssh_user or settings.ssh_user)[:64]
        states.reach(session, server, "active", actor, "handed over", workflow.id)
        states.reach(session, held, "active", actor, None, workflow.id)
        return
    states.reach(session, server, "available", actor, "clean", workflow.id)
    telemetry.cooled_by_clean(session, server, actor, workflow.id)
    networks.return_addresses(session, server.id)
    if held is not None:
        giving_back.give_back(session, held, actor, workflow.id)


def _workflow_done(session: Session, workflow: Workflow, servers: list[Server], actor: Actor) -> None:
    if workflow.status == "held":
        # what held it came too late to hold anything
        return _finish_held(session, workflow, servers, actor)
    moment = clock.now(session)
    workflow.completed_at = moment
    workflow.error = None
    workflow.error_message = None
    reports.close(session, workflow.id)
    states.transition(session, workflow, "succeeded", actor, None, workflow.id)
    if workflow.allocation_id is None:
        return None
    allocation = session.get_one(Allocation, workflow.allocation_id)
    if workflow.kind == "allocate":
        for gpu in allocation.gpu_allocations:
            states.reach(session, gpu, "active", actor, None, workflow.id)
        states.transition(session, allocation, "active", actor, "handed over", workflow.id)
    elif workflow.kind == "release":
        allocation.end_time = moment
        states.transition(session, allocation, "released", actor, allocation.end_reason, workflow.id)
    return None


def _finish_held(session: Session, workflow: Workflow, servers: list[Server], actor: Actor) -> None:
    states.transition(session, workflow, "pending", actor, "all steps are done", workflow.id)
    states.transition(session, workflow, "running", actor, "all steps are done", workflow.id)
    _workflow_done(session, workflow, servers, actor)


def _nothing_left(session: Session, workflow: Workflow) -> bool:
    """Whether no server of this attempt has anything left to do: each is complete or has a failed step."""
    rows = workflows.latest_rows(session, workflow.id)
    for server in lookup.workflow_servers(session, workflow):
        failed = any(
            row.status == "failed" and row.attempt == workflow.attempt
            for (_, server_id), row in rows.items()
            if server_id == server.id
        )
        if not failed and not workflows.server_complete(workflow, rows, server.id):
            return False
    return True


def _after(workflow: Workflow, row: WorkflowStep) -> StepAnswer:
    if workflow.status == "running" and row.status in workflows.DONE:
        return StepAnswer("run")
    if workflow.status == "succeeded":
        return StepAnswer("run", "the workflow has succeeded")
    if row.status == "failed" and workflow.status == "running":
        return StepAnswer("stop", "this server's part has failed; what comes of it is settled when the others are done")
    return StepAnswer("stop", _not_running(workflow))


def _extend_external(session: Session, workflow: Workflow, seconds: float) -> None:
    """A run by hand has no heartbeat: its claim lives as long as the step it is in may take, and a pause after it."""
    if workflow.executor == "service" or workflow.claimed_by is None:
        return
    moment = clock.now(session)
    workflow.heartbeat_at = moment
    until = moment + timedelta(seconds=seconds)
    running = _running_until(session, workflow)
    workflow.claim_expires_at = max(until, running) if running is not None else until


def _running_until(session: Session, workflow: Workflow) -> datetime | None:
    """When the last of the steps that run now would be over its time."""
    limits = {entry["name"]: float(entry["timeout_s"]) for entry in workflow.steps}
    grace = get_settings().external_grace_s
    ends = [
        row.started_at + timedelta(seconds=limits[row.step] + grace)
        for row in _running(session, workflow)
        if row.started_at is not None
    ]
    return max(ends, default=None)


def _running(session: Session, workflow: Workflow) -> list[WorkflowStep]:
    query = select(WorkflowStep).where(
        WorkflowStep.workflow_id == workflow.id,
        WorkflowStep.attempt == workflow.attempt,
        WorkflowStep.status == "running",
    )
    return list(session.scalars(query))


def _free_idle_claim(session: Session, workflow: Workflow) -> None:
    """A run by hand that was told to stop, and is in no step any more, does not have to be waited for.

    A service's job gives its claim back itself, when its process has ended.
    """
    if workflow.executor != "service" and not _running(session, workflow):
        workflows.drop_claim(workflow)
