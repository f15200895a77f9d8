"""One workflow, one claim. Whoever lost it stops.

A claim is a compare-and-swap on the workflow's row that raises `fence` and `attempt`; all times are the database's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from fleet import audit, clock, states
from fleet.actor import SYSTEM, Actor
from fleet.errors import ClaimHeld, Frozen, StaleFence, StateConflict
from fleet.models import Workflow
from fleet.operations import fleetflags, lookup, settle, workflows
from fleet.settings import get_settings

Outcome = Literal["ended", "succeeded", "failed", "stopped", "cancelled", "lost", "killed", "timed_out"]


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """`run` False: end the job now, for `reason`."""

    run: bool
    reason: str | None = None


def claim(
    session: Session,
    actor: Actor,
    workflow_id: str,
    claimant: str,
    takeover_fence: int | None = None,
    playbook_commit: str | None = None,
) -> Workflow:
    """Claim an external (or AWX) workflow by hand; operators, administrators, automation.

    `playbook_commit` says which playbooks will run, where that is known; each claim says it anew.
    `takeover_fence` takes a live claim away from its holder: it must be the fence that the refusal named, so that two
    who take over at once do not both win. The same claimant asking again before it began a step gets its claim again.
    Raises ClaimHeld (`detail`: holder, claim_expires_at, fence), Frozen, StateConflict, NotFound, Forbidden.
    """
    workflow = lookup.driven_workflow(session, actor, workflow_id)
    moment = clock.now(session)
    if workflow.executor == "service":
        raise StateConflict(
            f"{workflow.id} is run by the service itself",
            answer=f"it is {workflow.status}",
            next="ask for executor `external` when a request is to be run by hand",
        )
    live = workflows.claim_is_live(workflow, moment)
    if live and takeover_fence is None:
        if (
            workflow.claimed_by == claimant
            and workflow.claim_fence == workflow.fence
            and not _has_begun(session, workflow)
        ):
            return workflow
        raise held_error(workflow)
    if workflow.status in states.WORKFLOW_ENDED:
        raise StateConflict(
            f"{workflow.id} has ended: it is {workflow.status}",
            answer=workflow.error_message,
            next="a new request name makes a new allocation",
        )
    if workflow.status == "held":
        raise StateConflict(
            f"{workflow.id} is held: {workflow.status_reason}", next="claim it when the reason is gone", code="held"
        )
    freeze = fleetflags.frozen(session)
    if freeze is not None:
        raise Frozen(f"the fleet is frozen: {freeze.reason or 'no reason given'}", next="claim it when it is lifted")
    if takeover_fence is not None and takeover_fence != workflow.fence:
        raise (
            held_error(workflow)
            if live
            else StaleFence(
                f"{workflow.id} has the fence {workflow.fence}, not {takeover_fence}", next="look at it again"
            )
        )
    if takeover_fence is None:
        _check_predecessor(session, workflow, moment)
    if workflow.status == "running":
        # taken over, or its claim is over and nobody has settled that yet
        why = f"{workflow.claimed_by} lost the claim to {claimant}"
        settle.abandon_running_steps(session, workflow, why)
        states.transition(session, workflow, "waiting", actor, why, workflow.id)
    _take(session, workflow, claimant, timedelta(seconds=get_settings().external_idle_ttl_s), moment, actor)
    workflow.playbook_commit = playbook_commit
    audit.record(session, actor, "workflow.claim", workflow.id, {"claimant": claimant, "fence": workflow.fence})
    session.flush()
    return workflow


def held_error(workflow: Workflow) -> ClaimHeld:
    """Who holds it, until when, and how to take it over."""
    return ClaimHeld(
        f"{workflow.id} is claimed by {workflow.claimed_by}",
        answer=f"until {clock.rfc3339(workflow.claim_expires_at)}, fence {workflow.fence}",
        next=f"wait until then, or, when that run is known to be dead, take over with fence {workflow.fence}",
        detail={
            "holder": workflow.claimed_by,
            "claim_expires_at": clock.rfc3339(workflow.claim_expires_at),
            "fence": workflow.fence,
        },
    )


def claim_next(
    session: Session, claimant: str, ttl_s: float | None = None, playbook_commit: str | None = None
) -> Workflow | None:
    """The oldest service workflow that may run now, claimed; None when there is none or the fleet is frozen."""
    if fleetflags.frozen(session) is not None:
        return None
    moment = clock.now(session)
    before = aliased(Workflow)
    blocked = (
        select(before.id)
        .where(before.id == Workflow.after_id, before.claimed_by.is_not(None), before.claim_expires_at > moment)
        .exists()
    )
    workflow = session.scalar(
        select(Workflow)
        .where(
            Workflow.executor == "service",
            Workflow.status == "pending",
            or_(Workflow.not_before.is_(None), Workflow.not_before <= moment),
            or_(Workflow.claimed_by.is_(None), Workflow.claim_expires_at <= moment),
            ~blocked,
        )
        .order_by(Workflow.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Workflow)
        .execution_options(populate_existing=True)
    )
    if workflow is None:
        return None
    ttl = timedelta(seconds=ttl_s if ttl_s is not None else get_settings().claim_ttl_s)
    _take(session, workflow, claimant, ttl, moment, SYSTEM)
    workflow.playbook_commit = playbook_commit
    session.flush()
    return workflow


def heartbeat(session: Session, workflow_id: str, fence: int, ttl_s: float | None = None) -> ClaimAnswer:
    """The job still lives: its claim is renewed. `run` False when the claim was lost or the workflow was cancelled."""
    workflow = session.get(Workflow, workflow_id, with_for_update=True, populate_existing=True)
    if workflow is None:
        return ClaimAnswer(False, "there is no such workflow")
    if workflow.status in ("cancelled", "cancelling") and workflow.claim_fence == fence:
        return ClaimAnswer(False, f"cancelled: {workflow.status_reason}")
    if workflow.fence != fence or workflow.claim_fence != fence or workflow.claimed_by is None:
        return ClaimAnswer(False, f"the claim was lost: fence {fence} is stale, it is {workflow.fence} now")
    moment = clock.now(session)
    workflow.heartbeat_at = moment
    ttl = timedelta(seconds=ttl_s if ttl_s is not None else get_settings().claim_ttl_s)
    workflow.claim_expires_at = max(moment + ttl, workflow.claim_expires_at or moment)
    if workflow.status in states.WORKFLOW_ENDED:
        return ClaimAnswer(False, f"the workflow is {workflow.status}")
    # while it is held the job may finish the step it is in; begin stops it before the next
    return ClaimAnswer(True, workflow.status_reason if workflow.status == "held" else None)


def surrender(
    session: Session, workflow_id: str, fence: int, outcome: Outcome, error: dict[str, Any] | None = None
) -> None:
    """A job has ended and gives its claim back; what is not settled yet is settled now.

    With a fence that was superseded nothing happens. `error` is the job's own (`{code, message, retryable, …}`),
    used where the ledger holds none.
    """
    workflow = session.get(Workflow, workflow_id, with_for_update=True, populate_existing=True)
    if workflow is None or workflow.claim_fence != fence or workflow.claimed_by is None:
        return
    holder = workflow.claimed_by
    workflows.drop_claim(workflow)
    if workflow.status == "running":
        settle.settle(session, workflow, SYSTEM, settle.job_error(outcome, holder, error))
    elif workflow.status == "cancelling":
        workflow.completed_at = clock.now(session)
        states.transition(session, workflow, "cancelled", SYSTEM, workflow.status_reason, workflow.id)
    settle.abandon_running_steps(session, workflow, f"the job ended ({outcome})")
    audit.record(session, SYSTEM, "workflow.surrender", workflow.id, {"outcome": outcome, "holder": holder})
    session.flush()


def cancel(session: Session, actor: Actor, workflow_id: str, reason: str) -> Workflow:
    """Stop a clean workflow that is under way; allocations are stopped by releasing them."""
    workflow = lookup.driven_workflow(session, actor, workflow_id)
    if workflow.status in states.WORKFLOW_ENDED:
        return workflow
    if workflow.kind != "clean":
        raise StateConflict(
            f"{workflow.id} is an {workflow.kind} workflow",
            next="release its allocation" if workflow.kind == "allocate" else "let the release come to its end",
        )
    workflow.fence += 1
    settle.park_servers(session, workflow, actor, reason)
    workflow.completed_at = clock.now(session)
    states.transition(session, workflow, "cancelled", actor, reason, workflow.id)
    audit.record(session, actor, "workflow.cancel", workflow.id, {"reason": reason})
    return workflow


def _take(session: Session, workflow: Workflow, claimant: str, ttl: timedelta, moment: datetime, actor: Actor) -> None:
    workflow.fence += 1
    workflow.attempt += 1
    workflow.claimed_by = claimant[:255]
    workflow.claim_fence = workflow.fence
    workflow.claim_expires_at = moment + ttl
    workflow.heartbeat_at = moment
    workflow.not_before = None
    workflow.started_at = workflow.started_at or moment
    states.transition(session, workflow, "running", actor, f"claimed by {claimant}", workflow.id)


def _check_predecessor(session: Session, workflow: Workflow, moment: datetime) -> None:
    if workflow.after_id is None:
        return
    before = session.get_one(Workflow, workflow.after_id)
    if workflows.claim_is_live(before, moment):
        raise ClaimHeld(
            f"{workflow.id} may not begin while {before.claimed_by} is still at {before.id}",
            answer=f"that claim ends at {clock.rfc3339(before.claim_expires_at)} at the latest",
            next=f"wait, or, when that run is known to be dead, take over with fence {workflow.fence}",
            detail={
                "holder": before.claimed_by,
                "claim_expires_at": clock.rfc3339(before.claim_expires_at),
                "fence": workflow.fence,
            },
        )


def _has_begun(session: Session, workflow: Workflow) -> bool:
    return any(row.attempt == workflow.attempt for row in workflows.latest_rows(session, workflow.id).values())
