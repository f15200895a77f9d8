"""Making workflows, and the facts that several operations ask of one."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import clock, states, template_document
from fleet.actor import Actor
from fleet.errors import Forbidden, Invalid
from fleet.ids import short
from fleet.models import Event, Server, Template, Workflow, WorkflowStep
from fleet.operations import lookup, reports
from fleet.settings import get_settings

EXECUTORS = ("service", "external", "awx")
# steps that ended well
DONE = ("succeeded", "skipped")
# a Kubernetes name is a DNS label of 63; the collection appends `-<n>` to a workflow's name when it runs it again
NAME_LIMIT = 57
JOBS_REACH = "use a user's token: a job's token reaches only its own workflow"


def create(
    session: Session,
    actor: Actor,
    kind: str,
    template: Template,
    executor: str,
    servers: list[Server],
    *,
    allocation_id: str | None = None,
    server_id: str | None = None,
    after_id: str | None = None,
) -> Workflow:
    """A pending workflow with its plan and the reports its machines will post. An external one waits for a hand."""
    if executor not in EXECUTORS:
        raise Invalid(f"executor {executor!r} is not one of {', '.join(EXECUTORS)}", code="invalid_executor")
    if executor == "awx":
        raise Invalid(
            "the service does not launch jobs of AWX yet",
            code="not_offered",
            next="ask for executor `external`, then launch the job template in AWX with the name of the request",
        )
    settings = get_settings()
    moment = clock.now(session)
    workflow = Workflow(
        kind=kind,
        template_id=template.id,
        executor=executor,
        allocation_id=allocation_id,
        server_id=server_id,
        after_id=after_id,
        status="pending",
        status_since=moment,
        steps=template_document.plan(template_document.parse(template.content)),
        requested_by=actor.id,
        deadline_at=moment + timedelta(seconds=settings.workflow_deadline_s),
        resume_by=None if executor == "service" else moment + timedelta(seconds=settings.resume_by_s),
    )
    session.add(workflow)
    session.flush()
    if servers:
        workflow.tinkerbell_id = object_name(workflow, servers[0])
    reports.expect(session, workflow, servers)
    session.add(
        Event(
            type="palebluedot.workflow.pending.v1",
            subject=workflow.id,
            time=clock.utcnow(),
            data={
                "id": workflow.id,
                "state": "pending",
                "previous": None,
                "reason": f"{kind} asked for",
                "actor": actor.username,
                "workflow_id": workflow.id,
            },
        )
    )
    return workflow


def claim_is_live(workflow: Workflow, moment: datetime) -> bool:
    """Whether somebody holds it now."""
    return (
        workflow.claimed_by is not None and workflow.claim_expires_at is not None and workflow.claim_expires_at > moment
    )


def drop_claim(workflow: Workflow) -> None:
    """The holder has given it back. `claim_fence` stays: a repeated call of that holder still gets its answer."""
    workflow.claimed_by = None
    workflow.claim_expires_at = None


def void_claim(workflow: Workflow) -> None:
    """The holder lost it: from now on its fence is stale."""
    drop_claim(workflow)
    workflow.claim_fence = None


def latest_rows(session: Session, workflow_id: str) -> dict[tuple[str, str], WorkflowStep]:
    """(step, server id) -> the row of its latest attempt."""
    rows = session.scalars(
        select(WorkflowStep).where(WorkflowStep.workflow_id == workflow_id).order_by(WorkflowStep.attempt)
    )
    return {(row.step, row.server_id): row for row in rows}


def server_complete(workflow: Workflow, rows: dict[tuple[str, str], WorkflowStep], server_id: str) -> bool:
    """Whether every step of the plan has ended well on this server."""
    return all(
        (row := rows.get((entry["name"], server_id))) is not None and row.status in DONE for entry in workflow.steps
    )


def open_servers(session: Session, workflow: Workflow) -> list[Server]:
    """The servers that there is still work on. One that a release has finished with is back in the pool, perhaps
    somebody else's by now: a resumed run does not even hear of it."""
    servers = lookup.workflow_servers(session, workflow)
    if workflow.kind == "allocate":
        return servers
    rows = latest_rows(session, workflow.id)
    return [server for server in servers if not server_complete(workflow, rows, server.id)]


def jobs_servers(session: Session, workflow_id: str) -> list[Server]:
    """The servers that a job's token reaches now: none when its workflow has ended."""
    workflow = session.get(Workflow, workflow_id)
    if workflow is None or workflow.status in states.WORKFLOW_ENDED:
        return []
    return open_servers(session, workflow)


def require_own_server(session: Session, actor: Actor, server: Server) -> None:
    """Raise Forbidden when a job's token is used for a server that its workflow does not, or no longer, work on."""
    if actor.workflow_id is None:
        return
    if all(other.id != server.id for other in jobs_servers(session, actor.workflow_id)):
        raise Forbidden(
            f"this token belongs to {actor.workflow_id}, which does not work on {server.name}", next=JOBS_REACH
        )


def open_on_server(session: Session, server: Server) -> bool:
    """Whether a workflow of the server's own (a clean) has not ended."""
    mine = select(Workflow.id).where(Workflow.server_id == server.id, Workflow.status.in_(states.WORKFLOW_OPEN))
    return session.scalar(mine.limit(1)) is not None


def object_name(workflow: Workflow, server: Server) -> str:
    """Name of the Tinkerbell Template and Workflow of one server: a DNS label that is the same in every attempt."""
    return dns_label(workflow.kind, short(workflow.id), server.name)


def dns_label(*parts: str) -> str:
    """The parts joined with dashes; what is too long is cut and made unique by a digest."""
    name = "-".join(parts).lower()
    if len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: NAME_LIMIT - 9].rstrip('-')}-{digest}"
