"""The relay of the outbox: unpublished rows are handed on, at least once, and marked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet import clock
from fleet.models import Event

SOURCE = "palebluedot"


def cloud_event(event: Event) -> dict[str, Any]:
    """The row as a CloudEvents 1.0 JSON event; `data` is `{id, state, previous, reason, actor, workflow_id, seq}`."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": event.type,
        "subject": event.subject,
        "time": clock.rfc3339(event.time),
        "datacontenttype": "application/json",
        "data": {**event.data, "seq": event.seq},
    }


def relay(session: Session, publish: Callable[[dict[str, Any]], None], limit: int = 200) -> int:
    """Hand up to `limit` unpublished events to `publish`, oldest first, and mark those that it took.

    An exception of `publish` ends the round: the events before it are marked, it and the later ones stay for the next.
    Returns how many were published.
    """
    waiting = session.scalars(
        select(Event)
        .where(Event.published_at.is_(None))
        .order_by(Event.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    published = 0
    moment = clock.now(session)
    for event in waiting:
        try:
            publish(cloud_event(event))
        except Exception:
            if published == 0:
                raise
            break
        event.published_at = moment
        published += 1
    return published


def prune(session: Session, older_than: timedelta, limit: int = 5000) -> int:
    """Delete published events older than this; returns how many."""
    old = select(Event.seq).where(Event.published_at < clock.now(session) - older_than).limit(limit)
    gone = session.scalars(old).all()
    if gone:
        session.execute(delete(Event).where(Event.seq.in_(gone)))
    return len(gone)
