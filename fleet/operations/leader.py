"""The leader lease: which process runs the periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet import clock
from fleet.models import LeaderLease


def acquire(session: Session, name: str, holder: str, ttl_s: float) -> bool:
    """Take or renew the lease; False while somebody else holds it. Compares the database's clock."""
    moment = clock.now(session)
    until = moment + timedelta(seconds=ttl_s)
    lease = session.get(LeaderLease, name, with_for_update=True, populate_existing=True)
    if lease is None:
        try:
            with session.begin_nested():
                session.add(LeaderLease(name=name, holder=holder, expires_at=until, fence=1))
        except IntegrityError:
            return False
        return True
    if lease.holder != holder:
        if lease.expires_at > moment:
            return False
        lease.holder = holder
        lease.fence += 1
    lease.expires_at = until
    return True


def release(session: Session, name: str, holder: str) -> None:
    """Let go, so that another process need not wait for the lease to end."""
    lease = session.get(LeaderLease, name, with_for_update=True, populate_existing=True)
    if lease is not None and lease.holder == holder:
        lease.expires_at = clock.now(session)
