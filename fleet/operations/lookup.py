"""Finding rows that an actor may see; a row that must not be seen is as absent as one that does not exist."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet.actor import READERS, STAFF, Actor
from fleet.errors import NotFound
from fleet.models import Allocation, AllocationServer, Gpu, Server, User, Workflow


def missing(what: str, identifier: str) -> NotFound:
    """The error for something that is not there or not to be seen."""
    return NotFound(f"there is no {what} {identifier}, or none that you may see", next="look at the list")


def server(session: Session, reference: str, lock: bool = False) -> Server:
    """By id or name."""
    query = select(Server).where(or_(Server.id == reference, Server.name == reference))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise missing("server", reference)
    return found


def holder(session: Session, server: Server) -> str | None:
    """The allocation that has not given the server back yet."""
    return session.scalar(
        select(AllocationServer.allocation_id).where(
            AllocationServer.server_id == server.id, AllocationServer.released_at.is_(None)
        )
    )


def allocation(session: Session, actor: Actor, identifier: str, lock: bool = False) -> Allocation:
    """By id; users see their own, a job's token that of its workflow."""
    found = session.get(Allocation, identifier, with_for_update=lock or None, populate_existing=lock)
    if found is None or not may_see(session, actor, found):
        raise missing("allocation", identifier)
    return found


def may_see(session: Session, actor: Actor, allocation: Allocation) -> bool:
    """Whether the actor may read this allocation."""
    if actor.workflow_id is not None:
        return session.scalar(select(Workflow.allocation_id).where(Workflow.id == actor.workflow_id)) == allocation.id
    return actor.role in READERS or allocation.user_id == actor.id


def workflow(session: Session, actor: Actor, identifier: str, lock: bool = False) -> Workflow:
    """By id, as far as the actor may read it: users those of their own allocations."""
    found = session.get(Workflow, identifier, with_for_update=lock or None, populate_existing=lock)
    if found is None:
        raise missing("workflow", identifier)
    if actor.workflow_id is not None:
        if actor.workflow_id != found.id:
            raise missing("workflow", identifier)
    elif actor.role not in READERS:
        owner = session.get(Allocation, found.allocation_id) if found.allocation_id else None
        if owner is None or owner.user_id != actor.id:
            raise missing("workflow", identifier)
    return found


def driven_workflow(session: Session, actor: Actor, identifier: str) -> Workflow:
    """Like `workflow`, locked, for those who may run it: operators, administrators, automation."""
    actor.require(*STAFF)
    actor.require_workflow(identifier)
    return workflow(session, actor, identifier, lock=True)


def workflow_servers(session: Session, workflow: Workflow) -> list[Server]:
    """The servers a workflow works on, in order of rank."""
    if workflow.server_id is not None:
        return [session.get_one(Server, workflow.server_id)]
    return allocation_servers(session, workflow.allocation_id) if workflow.allocation_id is not None else []


def allocation_servers(session: Session, allocation_id: str) -> list[Server]:
    """The servers of an allocation, in order of rank."""
    return list(
        session.scalars(
            select(Server)
            .join(AllocationServer, AllocationServer.server_id == Server.id)
            .where(AllocationServer.allocation_id == allocation_id)
            .order_by(AllocationServer.rank)
        )
    )


def user(session: Session, reference: str) -> User:
    """By id or username."""
    found = session.scalar(select(User).where(or_(User.id == reference, User.username == reference)))
    if found is None:
        raise missing("user", reference)
    return found


def gpu(session: Session, identifier: str) -> Gpu:
    """By id."""
    found = session.get(Gpu, identifier)
    if found is None:
        raise missing("GPU", identifier)
    return found
