"""Reading the fleet's switches."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fleet.models import FleetFlag

FROZEN = "frozen"


def frozen(session: Session) -> FleetFlag | None:
    """The freeze, when it is on."""
    flag = session.get(FleetFlag, FROZEN)
    return flag if flag is not None and flag.value else None
