"""Events of ansible-runner or AWX: the decoration of a workflow's timeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleet import clock
from fleet.models import WorkflowEvent

# larger than this is cut: an event decorates, it is no archive
DATA_LIMIT = 4000


def store(session: Session, workflow_id: str, attempt: int, events: Iterable[dict[str, Any]]) -> int:
    """Write events in bulk; those that are there already (by counter) are left out. Returns how many were new.

    Shape of an event: `{counter, event, host, task, data, at}`; counter and event are needed.
    """
    rows = {int(event["counter"]): event for event in events}
    known = set(
        session.scalars(
            select(WorkflowEvent.counter).where(
                WorkflowEvent.workflow_id == workflow_id,
                WorkflowEvent.attempt == attempt,
                WorkflowEvent.counter.in_(rows),
            )
        )
    )
    moment = clock.utcnow()
    fresh = [
        {
            "workflow_id": workflow_id,
            "attempt": attempt,
            "counter": counter,
            "event": str(event["event"])[:63],
            "host": _cut(event.get("host"), 128),
            "task": _cut(event.get("task"), 255),
            "data": _bounded(event.get("data")),
            "at": event.get("at") or moment,
        }
        for counter, event in sorted(rows.items())
        if counter not in known
    ]
    if fresh:
        session.execute(insert(WorkflowEvent), fresh)
    return len(fresh)


def _cut(text: Any, length: int) -> str | None:
    return str(text)[:length] if text else None


def _bounded(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        return None
    size = len(str(data))
    return data if size <= DATA_LIMIT else {"cut": True, "size": size, "start": str(data)[:DATA_LIMIT]}
