"""Workflows, their claim, their step ledger and what machines report."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validates_schema

from api.schemas.base import Answer, PageQuery, Request, choice, count, page_of, text
from fleet.states import WORKFLOW

OUTCOMES = ("succeeded", "failed", "skipped")


class WorkflowQuery(PageQuery):
    status = choice(WORKFLOW, "Only workflows in this state.")
    kind = choice(("allocate", "release", "clean"), "Only workflows of this kind.")
    allocation_id = text("Only workflows of this allocation.", length=64)


class StepSchema(Answer):
    step = fields.String(required=True)
    server = fields.String(required=True, metadata={"description": "The server's name."})
    attempt = fields.Integer(required=True)
    status = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True)


class WorkflowSchema(Answer):
    id = fields.String(required=True)
    kind = fields.String(required=True)
    status = fields.String(required=True)
    status_reason = fields.String(required=True, allow_none=True)
    allocation_id = fields.String(required=True, allow_none=True)
    server_id = fields.String(required=True, allow_none=True, metadata={"description": "Of a clean workflow."})
    executor = fields.String(required=True)
    attempt = fields.Integer(required=True)
    fence = fields.Integer(required=True)
    claimed_by = fields.String(required=True, allow_none=True)
    claim_expires_at = fields.AwareDateTime(required=True, allow_none=True)
    not_before = fields.AwareDateTime(required=True, allow_none=True)
    resume_by = fields.AwareDateTime(required=True, allow_none=True)
    deadline_at = fields.AwareDateTime(required=True, allow_none=True)
    playbook_commit = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Which playbooks the last claim ran: a git commit, or the installed version."},
    )
    tinkerbell_id = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    completed_at = fields.AwareDateTime(required=True, allow_none=True)


class WorkflowDetailSchema(WorkflowSchema):
    plan = fields.List(
        fields.String(), required=True, metadata={"description": "Names of the steps, in the order of the template."}
    )
    steps = fields.List(fields.Nested(StepSchema), required=True, metadata={"description": "The ledger."})


class ClaimSchema(Request):
    claimant = text("Who will run it: host, process, job; shown to whoever finds it claimed.", required=True)
    takeover_fence = count("Take over a live claim of exactly this fence.", at_least=0)
    playbook_commit = text("The git commit of the playbooks that will run.", length=64, allow_none=True)


class ClaimedSchema(Answer):
    workflow_id = fields.String(required=True, attribute="id")
    fence = fields.Integer(required=True)
    attempt = fields.Integer(required=True)


class StepReportSchema(Request):
    phase = choice(("begin", "end"), "Before the step, or after it.", required=True)
    fence = count("The claim's fence.", required=True)
    status = choice(OUTCOMES, "How it ended (phase end).")
    result = fields.Dict(keys=fields.String(), metadata={"description": "What the step found or did."}, allow_none=True)
    error = fields.Dict(
        keys=fields.String(),
        metadata={"description": "`{code, host, step, tried, answer, next, retryable}` of a failure."},
        allow_none=True,
    )

    @validates_schema
    def _end_says_how(self, data: dict[str, object], **_: object) -> None:
        if data.get("phase") == "end" and "status" not in data:
            raise ValidationError(f"Say how the step ended: {', '.join(OUTCOMES)}.", "status")
        if data.get("phase") == "begin" and {"status", "result", "error"} & data.keys():
            raise ValidationError("status, result and error belong to phase end.", "phase")


class StepAnswerSchema(Answer):
    action = fields.String(required=True, metadata={"description": "run, skip or stop."})
    reason = fields.String(required=True, allow_none=True)
    previous = fields.Dict(
        required=True, allow_none=True, metadata={"description": "What the ledger knows of an earlier attempt."}
    )


class WorkflowEventSchema(Answer):
    id = fields.String(required=True)
    attempt = fields.Integer(required=True)
    counter = fields.Integer(required=True)
    event = fields.String(required=True)
    host = fields.String(required=True, allow_none=True)
    task = fields.String(required=True, allow_none=True)
    data = fields.Dict(required=True, allow_none=True)
    at = fields.AwareDateTime(required=True)


class ReportSchema(Answer):
    received_at = fields.AwareDateTime(required=True)
    body = fields.Dict(required=True)


class RunDocumentSchema(Answer):
    """Everything a playbook needs to run a workflow: see ARCHITECTURE.md, "The run document"."""

    workflow = fields.Dict(required=True)
    allocation = fields.Dict(required=True, allow_none=True)
    steps = fields.List(fields.Dict(), required=True)
    servers = fields.List(fields.Dict(), required=True)


WorkflowPageSchema = page_of(WorkflowSchema, "WorkflowPage")
WorkflowEventPageSchema = page_of(WorkflowEventSchema, "WorkflowEventPage")
