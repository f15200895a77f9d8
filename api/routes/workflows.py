"""Workflows: reading them, claiming one, running it by its document, and writing its step ledger."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import ids, listing, protocol
from api.auth import EVERYBODY, current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, writing
from api.schemas.base import PageQuery
from api.schemas.workflows import (
    ClaimedSchema,
    ClaimSchema,
    ReportSchema,
    RunDocumentSchema,
    StepAnswerSchema,
    StepReportSchema,
    WorkflowDetailSchema,
    WorkflowEventPageSchema,
    WorkflowPageSchema,
    WorkflowQuery,
)
from api.views import workflow_fields
from fleet import rundoc
from fleet.operations import claim as claims
from fleet.operations import ledger, lookup, reports

blp = Blueprint("workflows", __name__, url_prefix="/api/v1", description="Workflows, claims and the step ledger")

RUNNERS = ("operator", "admin", "automation")
ONE = "/workflows/<workflow_id>"


@blp.route("/workflows", "listWorkflows")
@requires(*EVERYBODY, job=True)
@blp.arguments(WorkflowQuery, location="query")
@reading
@blp.response(200, WorkflowPageSchema)
def list_workflows(session: Session, query: dict[str, Any]) -> Any:
    """Workflows of your allocations (all of them for staff and auditors), newest first."""
    return listing.workflows(session, current_actor(), query)


@blp.route(ONE, "getWorkflow")
@requires(*EVERYBODY, job=True)
@reading
@blp.response(200, WorkflowDetailSchema)
def get_workflow(session: Session, workflow_id: str) -> Any:
    """One workflow with its plan and its step ledger."""
    return workflow_fields(session, lookup.workflow(session, current_actor(), ids.require(workflow_id, "wf")))


@blp.route(f"{ONE}/claim", "claimWorkflow", method="POST")
@requires(*RUNNERS, job=True)
@blp.arguments(ClaimSchema)
@writing
@blp.response(200, ClaimedSchema)
def claim(session: Session, body: dict[str, Any], workflow_id: str) -> Any:
    """Claim a workflow to run it by hand; 409 `claim_held` names who holds it and until when.

    Takes no Idempotency-Key: until the first step begins, the same claimant asking again is given its claim with its
    fence again; after that, an answer from before could name a fence that is somebody else's by now.
    """
    protocol.check()
    ids.require(workflow_id, "wf")
    return claims.claim(session, current_actor(), workflow_id, **body)


@blp.route(f"{ONE}/run", "getRunDocument")
@requires(*RUNNERS, job=True)
@reading
@blp.response(200, RunDocumentSchema)
def run_document(session: Session, workflow_id: str) -> Any:
    """Everything a playbook needs to do the workflow's work."""
    return rundoc.build(session, current_actor(), ids.require(workflow_id, "wf"))


@blp.route(f"{ONE}/steps/<step>/servers/<server>/attempts/<int(max=2147483647):attempt>", "reportStep", method="PUT")
@requires(*RUNNERS, job=True)
@blp.arguments(StepReportSchema)
@writing
@blp.response(200, StepAnswerSchema)
def report_step(session: Session, body: dict[str, Any], workflow_id: str, step: str, server: str, attempt: int) -> Any:
    """Begin or end a step on a server; idempotent. 409 `stale_fence`: somebody else holds the workflow now."""
    place = (current_actor(), ids.require(workflow_id, "wf"), step, ids.require_or_name(server, "srv"), attempt)
    if body["phase"] == "begin":
        return ledger.begin(session, *place, body["fence"])
    return ledger.end(session, *place, body["fence"], body["status"], body.get("result"), body.get("error"))


@blp.route(f"{ONE}/events", "listWorkflowEvents")
@requires(*EVERYBODY, job=True)
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, WorkflowEventPageSchema)
def list_events(session: Session, query: dict[str, Any], workflow_id: str) -> Any:
    """What ansible-runner told while it ran: decoration of the ledger, oldest first."""
    return listing.workflow_events(session, current_actor(), ids.require(workflow_id, "wf"), query)


@blp.route(f"{ONE}/reports/<kind>/servers/<server>", "getMachineReport")
@requires(*RUNNERS, job=True)
@reading
@blp.response(200, ReportSchema)
def get_report(session: Session, workflow_id: str, kind: str, server: str) -> Any:
    """What the machine itself reported (`first-boot`, `erase`); 404 until it came."""
    ids.require(workflow_id, "wf")
    return reports.get(session, current_actor(), workflow_id, kind, ids.require_or_name(server, "srv"))
