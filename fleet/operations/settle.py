"""What becomes of a workflow whose run ended before its work was done: another try, or an orderly failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet import audit, clock, states
from fleet.actor import SYSTEM, Actor
from fleet.errors import FleetError
from fleet.models import Allocation, AllocationServer, Server, Workflow, WorkflowStep
from fleet.operations import fleetflags, giving_back, lookup, networks, release, reports, workflows
from fleet.settings import get_settings

log = structlog.get_logger(__name__)

# rows one call of reap looks at, of each kind
REAP_LIMIT = 100
# the step that only says that servers are held: it leaves no trace on a machine
HOLDING_STEPS = frozenset({"reserve"})


def job_error(outcome: str, holder: str | None, error: dict[str, Any] | None) -> dict[str, Any]:
    """The error of a run that ended without a word of its own in the ledger; retryable unless it says otherwise."""
    failure = {
        "code": "job_lost" if outcome in ("lost", "killed", "stopped") else "job_incomplete",
        "message": f"the run of {holder or 'an unknown holder'} ended ({outcome}) before its steps were done",
        "retryable": True,
        **(error or {}),
    }
    return {key: value for key, value in failure.items() if value is not None}


def settle(session: Session, workflow: Workflow, actor: Actor, error: dict[str, Any] | None) -> None:
    """Decide about a running workflow none of whose servers can go on.

    The failures that the ledger holds for this attempt decide; `error` is used where it holds none. Every failure
    retryable and every failed step within its `retries`, and `max_attempts` not reached: try again (the service
    later, by hand whenever a hand comes before `resume_by`). Else: fail.
    """
    abandon_running_steps(session, workflow, (error or {}).get("message", "the run ended"))
    failures = _reported_failures(session, workflow)
    reported = [row for row in failures if row.attempt == workflow.attempt]
    decisive = next((row for row in reported if not _may_repeat(workflow, row, failures)), None)
    cause = decisive or (reported[0] if reported else None)
    failure = dict(cause.error or {}) if cause is not None else dict(error or job_error("lost", None, None))
    retry = decisive is None and (bool(reported) or bool(failure.get("retryable", False)))
    if retry and workflow.attempt < get_settings().max_attempts:
        try_again(session, workflow, actor, failure, len({row.attempt for row in failures}))
    else:
        fail(session, workflow, actor, failure)


def _reported_failures(session: Session, workflow: Workflow) -> list[WorkflowStep]:
    """What the playbooks of every attempt reported: a run that was lost says nothing against the step it was in."""
    failed = session.scalars(
        select(WorkflowStep)
        .where(WorkflowStep.workflow_id == workflow.id, WorkflowStep.status == "failed")
        .order_by(WorkflowStep.ended_at, WorkflowStep.id)
    )
    return [row for row in failed if (row.error or {}).get("code") != "job_lost"]


def _may_repeat(workflow: Workflow, row: WorkflowStep, failures: list[WorkflowStep]) -> bool:
    if not (row.error or {}).get("retryable", False):
        return False
    retries = next((int(entry["retries"]) for entry in workflow.steps if entry["name"] == row.step), 0)
    return sum(1 for other in failures if (other.step, other.server_id) == (row.step, row.server_id)) <= retries


def try_again(session: Session, workflow: Workflow, actor: Actor, error: dict[str, Any], failed_attempts: int) -> None:
    """Back into the queue after a pause, or waiting for a hand.

    The pause doubles with every attempt that reported a failure; after a run that was lost it is the shortest one.
    """
    settings = get_settings()
    moment = clock.now(session)
    workflow.error = error
    workflow.error_message = _message(error)
    if workflow.executor == "service":
        doublings = 0 if error.get("code") == "job_lost" else min(max(failed_attempts - 1, 0), 30)
        pause = min(settings.retry_cap_s, settings.retry_base_s * 2**doublings)
        workflow.not_before = moment + timedelta(seconds=pause)
        reason = f"trying again in {pause:g} s after: {_message(error)}"
        states.transition(session, workflow, "pending", actor, reason, workflow.id)
    else:
        workflow.resume_by = moment + timedelta(seconds=settings.resume_by_s)
        reason = f"waiting for a hand until {clock.rfc3339(workflow.resume_by)} after: {_message(error)}"
        states.transition(session, workflow, "waiting", actor, reason, workflow.id)
    audit.record(session, actor, "workflow.retry", workflow.id, {"attempt": workflow.attempt, "error": error})


def fail(session: Session, workflow: Workflow, actor: Actor, error: dict[str, Any], status: str = "failed") -> None:
    """End it: quota is free, servers that were touched are `failed` with the reason, untouched ones are offered again.

    What a touched server still has (its addresses, its place on the tenant network, its GPUs) stays held until it has
    been cleaned: nobody else is put next to a machine nobody has verified.
    """
    workflow.fence += 1
    workflow.error = error
    workflow.error_message = _message(error)
    workflow.completed_at = clock.now(session)
    abandon_running_steps(session, workflow, _message(error))
    reports.close(session, workflow.id)
    states.transition(session, workflow, status, actor, _message(error), workflow.id)
    park_servers(session, workflow, actor, _message(error))
    if workflow.allocation_id is not None:
        allocation = session.get_one(Allocation, workflow.allocation_id)
        if allocation.status not in states.ALLOCATION_ENDED:
            allocation.end_reason = f"{workflow.kind} failed: {_message(error)}"[:1024]
            allocation.end_time = clock.now(session)
            states.transition(session, allocation, "failed", actor, allocation.end_reason, workflow.id)
    audit.record(session, actor, f"workflow.{status}", workflow.id, {"attempt": workflow.attempt, "error": error})
    session.flush()
    if workflow.kind == "allocate":
        _compensate(session, workflow)


def _compensate(session: Session, workflow: Workflow) -> None:
    """Clean the servers that have been in a step whose effect must not outlive the allocation, as the place on the
    tenant's network with somebody's keys; where that cannot be begun the server stays parked for an operator."""
    steps = {entry["name"] for entry in workflow.steps if entry.get("compensation") == "clean"}
    reached = {server_id for step, server_id in workflows.latest_rows(session, workflow.id) if step in steps}
    for server in lookup.workflow_servers(session, workflow):
        if server.id not in reached or server.status != "failed":
            continue
        try:
            with session.begin_nested():
                release.start_clean(session, SYSTEM, server.id)
        except FleetError:
            log.exception("compensation_failed", workflow_id=workflow.id, server=server.name)


def park_servers(session: Session, workflow: Workflow, actor: Actor, reason: str) -> None:
    """Touched servers become `failed`; untouched ones of an allocation go back to the pool."""
    rows = workflows.latest_rows(session, workflow.id)
    for server in lookup.workflow_servers(session, workflow):
        held = session.scalar(
            select(AllocationServer).where(
                AllocationServer.server_id == server.id, AllocationServer.released_at.is_(None)
            )
        )
        if workflow.kind != "allocate" and workflows.server_complete(workflow, rows, server.id):
            continue
        if workflow.kind == "allocate" and not _touched(server, rows):
            states.reach(session, server, "available", actor, "given back untouched", workflow.id)
            networks.return_addresses(session, server.id)
            if held is not None:
                giving_back.give_back(session, held, actor, workflow.id)
            continue
        if states.allowed(server, "failed"):
            states.transition(session, server, "failed", actor, reason, workflow.id)
        if held is not None and states.allowed(held, "failed"):
            states.transition(session, held, "failed", actor, reason, workflow.id)


def _touched(server: Server, rows: dict[tuple[str, str], WorkflowStep]) -> bool:
    return server.status != "reserved" or any(
        server_id == server.id and step not in HOLDING_STEPS for step, server_id in rows
    )


def abandon_running_steps(session: Session, workflow: Workflow, why: str) -> None:
    """Steps that a run left unfinished are failed: nobody will end them any more."""
    for row in session.scalars(
        select(WorkflowStep).where(WorkflowStep.workflow_id == workflow.id, WorkflowStep.status == "running")
    ):
        row.ended_at = clock.now(session)
        row.error = {"code": "job_lost", "message": why, "step": row.step, "retryable": True}
        states.transition(session, row, "failed", SYSTEM, why[:512], workflow.id)
    session.flush()


def unhold(session: Session, actor: Actor) -> int:
    """Put back what was held, as far as its reason is gone. The time it was held does not count against its limits.

    Returns how many.
    """
    if fleetflags.frozen(session) is not None:
        return 0
    moment = clock.now(session)
    count = 0
    for workflow in session.scalars(
        select(Workflow).where(Workflow.status == "held").order_by(Workflow.id).with_for_update()
    ):
        if any(server.hands_off for server in lookup.workflow_servers(session, workflow)):
            continue
        extend(session, workflow, moment - workflow.status_since)
        if workflow.executor == "service":
            workflow.not_before = None
            states.transition(session, workflow, "pending", actor, "no longer held", workflow.id)
        else:
            workflow.resume_by = moment + timedelta(seconds=get_settings().resume_by_s)
            states.transition(session, workflow, "waiting", actor, "no longer held", workflow.id)
        count += 1
    return count


def thaw(session: Session, actor: Actor, frozen_since: datetime) -> int:
    """The freeze is over: put back what it held; nobody's time ran while it lasted. Returns how many were held."""
    moment = clock.now(session)
    waiting = select(Workflow).where(Workflow.status.in_(states.WORKFLOW_OPEN - {"held"})).with_for_update()
    for workflow in session.scalars(waiting):
        extend(session, workflow, moment - max(frozen_since, workflow.created_at))
    return unhold(session, actor)


def extend(session: Session, workflow: Workflow, by: timedelta) -> None:
    """Move a workflow's limits, and those of the reports it expects."""
    if by <= timedelta(0):
        return
    if workflow.deadline_at is not None:
        workflow.deadline_at += by
    if workflow.resume_by is not None:
        workflow.resume_by += by
    reports.extend(session, workflow.id, by)


@dataclass(slots=True)
class Reaped:
    """What one round of `reap` did."""

    claims: int = 0
    waits: int = 0
    deadlines: int = 0
    leases: int = 0
    errors: int = 0


def reap(session: Session) -> dict[str, int]:
    """Settle what nobody settles: claims whose holder died, waits nobody came for, deadlines, leases that are over.

    Bounded per call; one row that cannot be settled does not keep the others. Returns counts: `claims`, `waits`,
    `deadlines`, `leases`, `errors`, and how many entities are `overdue` (`overdue()` lists them).
    """
    reaped = Reaped()
    for workflow in _due_claims(session):
        reaped.claims += _guarded(session, reaped, workflow.id, partial(_claim_died, session, workflow))
    if fleetflags.frozen(session) is None:
        # nothing can be done in time while everything is stopped
        for workflow in _due_deadlines(session):
            reaped.deadlines += _guarded(session, reaped, workflow.id, partial(_deadline_passed, session, workflow))
        for workflow in _due_waits(session):
            reaped.waits += _guarded(session, reaped, workflow.id, partial(_wait_over, session, workflow))
    reaped.leases = _end_leases(session, reaped)
    return {**asdict(reaped), "overdue": len(overdue(session))}


def _guarded(session: Session, reaped: Reaped, subject: str, handle: Callable[[], object]) -> int:
    """1 when it could be done; whatever goes wrong is undone, logged and counted, and keeps nobody else waiting."""
    try:
        with session.begin_nested():
            handle()
    except Exception:
        log.exception("reap_failed", subject=subject)
        reaped.errors += 1
        return 0
    return 1


def _due(session: Session, *conditions: Any) -> list[Workflow]:
    query = (
        select(Workflow)
        .where(*conditions)
        .order_by(Workflow.id)
        .limit(REAP_LIMIT)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def _due_claims(session: Session) -> list[Workflow]:
    return _due(session, Workflow.claimed_by.is_not(None), Workflow.claim_expires_at <= clock.now(session))


def _claim_died(session: Session, workflow: Workflow) -> None:
    holder = workflow.claimed_by
    workflows.void_claim(workflow)
    if workflow.status == "running":
        settle(session, workflow, SYSTEM, job_error("lost", holder, None))
    elif workflow.status == "cancelling":
        workflow.completed_at = clock.now(session)
        states.transition(session, workflow, "cancelled", SYSTEM, workflow.status_reason, workflow.id)
    abandon_running_steps(session, workflow, f"the run of {holder} was lost")


def _due_deadlines(session: Session) -> list[Workflow]:
    # what is held waits for people, as long as they need
    running = states.WORKFLOW_OPEN - {"held"}
    return _due(session, Workflow.status.in_(running), Workflow.deadline_at <= clock.now(session))


def _deadline_passed(session: Session, workflow: Workflow) -> None:
    error = {
        "code": "workflow_deadline",
        "message": f"not done within its time limit (attempt {workflow.attempt}, {workflow.status})",
        "retryable": False,
    }
    if workflow.error_message:
        error["answer"] = workflow.error_message
    fail(session, workflow, SYSTEM, error, "timed_out")


def _due_waits(session: Session) -> list[Workflow]:
    return _due(
        session,
        Workflow.executor != "service",
        or_(Workflow.status == "waiting", Workflow.status == "pending"),
        Workflow.resume_by <= clock.now(session),
    )


def _wait_over(session: Session, workflow: Workflow) -> None:
    error = {
        "code": "nobody_came",
        "message": f"nobody ran it before {clock.rfc3339(workflow.resume_by)}",
        "retryable": False,
    }
    if workflow.error_message:
        error["answer"] = workflow.error_message
    fail(session, workflow, SYSTEM, error, "timed_out")


def _end_leases(session: Session, reaped: Reaped) -> int:
    over = session.scalars(
        select(Allocation.id)
        .where(Allocation.status == "active", Allocation.end_time <= clock.now(session))
        .order_by(Allocation.id)
        .limit(REAP_LIMIT)
    ).all()
    return sum(
        _guarded(
            session,
            reaped,
            identifier,
            partial(release.start_release, session, SYSTEM, identifier, reason="the lease is over"),
        )
        for identifier in over
    )


def overdue(session: Session) -> list[dict[str, Any]]:
    """What stays longer in a state than `state_limits_s` allows: `[{entity, id, state, seconds}]`."""
    moment = clock.now(session)
    late: list[dict[str, Any]] = []
    entities: dict[str, type[Server] | type[Allocation] | type[Workflow]] = {
        "server": Server,
        "allocation": Allocation,
        "workflow": Workflow,
    }
    for key, limit in get_settings().state_limits_s.items():
        name, _, state = key.partition("/")
        entity = entities[name]
        rows = session.execute(
            select(entity.id, entity.status_since)
            .where(entity.status == state, entity.status_since < moment - timedelta(seconds=limit))
            .limit(REAP_LIMIT)
        )
        late += [
            {"entity": name, "id": row.id, "state": state, "seconds": (moment - row.status_since).total_seconds()}
            for row in rows
        ]
    return late


def _message(error: dict[str, Any]) -> str:
    where = " on ".join(str(error[key]) for key in ("step", "host") if error.get(key))
    text = str(error.get("message") or error.get("code") or "failed")
    return (f"{where}: {text}" if where and where not in text else text)[:1000]
