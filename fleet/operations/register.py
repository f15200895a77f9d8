"""Flags and states stop what must be stopped; the doors to import and inspection (`fleet.enrolment`) stand here too."""

from __future__ import annotations

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from fleet import audit, clock, states
from fleet.actor import OPERATORS, STAFF, Actor
from fleet.enrolment import parts
from fleet.enrolment.importing import import_document, import_fleet
from fleet.enrolment.inspection import record_inspection
from fleet.enrolment.pieces import Imported
from fleet.errors import Forbidden, HandsOffHeld, Invalid
from fleet.models import FleetFlag, Server
from fleet.operations import fleetflags, lookup, settle

__all__ = [
    "Imported",
    "import_document",
    "import_fleet",
    "record_inspection",
    "set_flags",
    "set_freeze",
    "set_state",
]


def set_flags(
    session: Session,
    actor: Actor,
    server: str,
    hands_off: bool,
    reason: str | None = None,
    owner: str | None = None,
) -> Server:
    """Hands off: no destructive step is begun on the server, whichever door asks. Lifting it puts held work back.

    :param owner: how the caller's own reasons begin; without one anybody's flag is replaced, which is for operators.
    :raises HandsOffHeld: hands are off for a reason that begins otherwise.
    """
    actor.require(*STAFF)
    if not owner and actor.role not in OPERATORS:
        raise Forbidden(
            f"{actor.username} has {actor.role}, which sets and lifts only flags of its own",
            next="say owner, how your own reasons begin, or ask an operator",
        )
    if owner and hands_off and not (reason or "").startswith(owner):
        raise Invalid(
            f"the reason does not begin with its owner {owner!r}",
            code="invalid_reason",
            next="begin it so, or leave owner out",
        )
    row = lookup.server(session, server, lock=True)
    if owner and row.hands_off and not (row.hands_off_reason or "").startswith(owner):
        raise HandsOffHeld(
            f"hands are off {row.name}, and not by {owner}",
            host=row.name,
            answer=row.hands_off_reason or "no reason given",
            next="Ask whoever set the flag to lift it; an operator's request without owner replaces it all the same.",
        )
    row.hands_off = hands_off
    row.hands_off_reason = reason[:1024] if hands_off and reason else None
    audit.record(session, actor, "server.flags", row.id, {"server": row.name, "hands_off": hands_off, "reason": reason})
    session.flush()
    if not hands_off:
        settle.unhold(session, actor)
    return row


def set_freeze(session: Session, actor: Actor, frozen: bool, reason: str | None = None) -> FleetFlag:
    """Freeze the fleet: no new allocation, no destructive step, through whichever door. Lifting puts held work back."""
    actor.require(*OPERATORS)
    flag = session.get(FleetFlag, fleetflags.FROZEN, with_for_update=True, populate_existing=True)
    if flag is None:
        flag = FleetFlag(name=fleetflags.FROZEN, value=False)
        session.add(flag)
    # updated_at tells since when: another reason for the same freeze does not begin it anew
    since = flag.updated_at if flag.value else clock.now(session)
    thawing = bool(flag.value) and not frozen
    flag.value = frozen
    flag.reason = reason[:1024] if frozen and reason else None
    flag.set_by = actor.username
    flag.updated_at = since if frozen else clock.now(session)
    # an unchanged value would not be written, and `onupdate` would write the present time instead
    flag_modified(flag, "updated_at")
    audit.record(session, actor, "fleet.freeze", None, {"frozen": frozen, "reason": reason})
    session.flush()
    if thawing:
        settle.thaw(session, actor, since)
    return flag


def set_state(session: Session, actor: Actor, server: str, to: str, reason: str) -> Server:
    """An operator takes a server out (maintenance, quarantined, retired), or says that its maintenance is over
    (inspecting): the next inspection then offers it again."""
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    if to not in states.OPERATORS_STATES:
        known = ", ".join(states.OPERATORS_STATES)
        raise Invalid(f"{to!r} is not one of {known}", code="invalid_state", host=row.name)
    states.transition(session, row, to, actor, reason)
    parts.decided_by_hand(session, row)
    audit.record(session, actor, "server.state", row.id, {"server": row.name, "state": to, "reason": reason})
    session.flush()
    return row
