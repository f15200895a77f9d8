"""One clock. Leases and deadlines compare the database's own time, so that machines with skewed clocks agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

_offset = timedelta(0)


def utcnow() -> datetime:
    """This process's time, for rows' created_at and the like; never for leases."""
    return datetime.now(UTC) + _offset


def now(session: Session) -> datetime:
    """The database's time, UTC and aware, to the millisecond."""
    if session.get_bind().dialect.name == "sqlite":
        # a SQLite file lives on this machine: its clock is ours, and strftime() only has milliseconds
        return utcnow()
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC) + _offset


@contextmanager
def travel(delta: timedelta) -> Iterator[None]:
    """For tests: inside the block every clock of this process is `delta` ahead; blocks nest."""
    global _offset
    _offset += delta
    try:
        yield
    finally:
        _offset -= delta


def rfc3339(moment: datetime | None) -> str | None:
    """`2026-08-01T12:00:00.000Z`, or None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
