"""Audit rows: who did what to which thing, in the transaction it speaks of."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fleet import clock
from fleet.actor import Actor
from fleet.models import AuditEntry


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject: str | None = None,
    detail: dict[str, Any] | None = None,
    outcome: str = "ok",
) -> None:
    """Write one entry. `action` is `<operation>.<verb>`; `detail` must not hold secrets."""
    session.add(
        AuditEntry(
            at=clock.utcnow(),
            actor_id=actor.id,
            actor_username=actor.username,
            actor_role=actor.role,
            action=action,
            subject=subject,
            outcome=outcome,
            detail=detail,
            workflow_id=actor.workflow_id,
            remote_addr=actor.remote_addr,
            request_id=actor.request_id,
        )
    )
