"""What machines report about themselves: first boot and erasure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, clock, secrets
from fleet.actor import STAFF, SYSTEM, Actor
from fleet.errors import NotFound
from fleet.models import MachineReport, Server, Workflow
from fleet.operations import lookup

KINDS = ("first-boot", "erase")
# values that a report must never bring into the record, however it is spelt
_SECRET_KEYS = ("password", "token", "secret", "private")


def kind_of(workflow: Workflow) -> str:
    """Which report the machines of a workflow post."""
    return "first-boot" if workflow.kind == "allocate" else "erase"


def token(workflow: Workflow, server: Server, kind: str) -> str:
    """The token with which this one machine may post this one report.

    It is derived, not stored: asked again, the same token comes back, and the record keeps only its hash.
    """
    return secrets.derive(f"report:{workflow.id}:{server.id}:{kind}")


def expect(session: Session, workflow: Workflow, servers: list[Server]) -> None:
    """From now on the workflow's machines may post their report, as long as the workflow may take."""
    kind = kind_of(workflow)
    for server in servers:
        session.add(
            MachineReport(
                workflow_id=workflow.id,
                server_id=server.id,
                kind=kind,
                token_hash=secrets.token_hash(token(workflow, server, kind)),
                expires_at=workflow.deadline_at or clock.now(session),
            )
        )
    session.flush()


def receive(
    session: Session, kind: str, token: str, body: dict[str, Any], remote_addr: str | None = None
) -> MachineReport:
    """Keep a report. The first one counts: a machine that posts again is answered well, and nothing changes.

    Raises NotFound for a token that is unknown, of another kind, or expired.
    """
    row = session.scalar(
        select(MachineReport)
        .where(MachineReport.token_hash == secrets.token_hash(token), MachineReport.kind == kind)
        .with_for_update()
    )
    moment = clock.now(session)
    if row is None or row.expires_at <= moment:
        raise NotFound(
            "no report is expected here",
            code="report_not_expected",
            next="see whether its workflow has ended: reports are taken until then, at the address it was given",
        )
    if row.received_at is None:
        row.received_at = moment
        row.body = {key: _clean(key, value) for key, value in body.items()}
        row.remote_addr = remote_addr
        audit.record(session, SYSTEM, f"report.{kind}", row.server_id, {"workflow_id": row.workflow_id})
        session.flush()
    return row


def get(session: Session, actor: Actor, workflow_id: str, kind: str, server: str) -> MachineReport:
    """A report that came. Raises NotFound until it has."""
    actor.require(*STAFF, "auditor")
    workflow = lookup.workflow(session, actor, workflow_id)
    target = lookup.server(session, server)
    row = _row(session, workflow.id, target.id, kind)
    if row is None or row.received_at is None:
        raise NotFound(
            f"{target.name} has not sent its {kind} report yet",
            code="report_not_received",
            host=target.name,
            answer="it is expected" if row is not None else "none is expected from it in this workflow",
            next="ask again later",
        )
    return row


def close(session: Session, workflow_id: str) -> None:
    """The workflow has ended: no report of it is taken any more."""
    moment = clock.now(session)
    for row in session.scalars(select(MachineReport).where(MachineReport.workflow_id == workflow_id)):
        if row.expires_at > moment:
            row.expires_at = moment
    session.flush()


def extend(session: Session, workflow_id: str, by: timedelta) -> None:
    """Reports may come later by this much."""
    for row in session.scalars(select(MachineReport).where(MachineReport.workflow_id == workflow_id)):
        row.expires_at += by
    session.flush()


def _row(session: Session, workflow_id: str, server_id: str, kind: str) -> MachineReport | None:
    return session.scalar(
        select(MachineReport).where(
            MachineReport.workflow_id == workflow_id,
            MachineReport.server_id == server_id,
            MachineReport.kind == kind,
        )
    )


def _clean(key: str, value: Any) -> Any:
    if any(part in key.lower() for part in _SECRET_KEYS):
        return "***"
    if isinstance(value, dict):
        return {name: _clean(str(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean("", item) for item in value]
    return value
