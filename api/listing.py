"""Lists: what there is, as far as the actor may see it, a page at a time. Reading only; the rules are in `fleet`.

Every function answers ``{"items": [...], "next_cursor": id or None}``. Pages are cut by keyset: ids are UUIDv7, so that
their order is the order of birth and pages stay right while rows come and go. The cursor is the id of the last item.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload, selectinload

from api.problems import ApiError
from api.views import gpu_fields
from fleet.actor import READERS, Actor
from fleet.models import (
    Alert,
    Allocation,
    AllocationServer,
    ApiToken,
    ExpectedMachine,
    Gpu,
    GpuAllocation,
    Image,
    MonitoringData,
    Network,
    Server,
    ServerNic,
    SshKey,
    Template,
    Workflow,
    WorkflowEvent,
)
from fleet.operations import lookup
from fleet.placement.filters import offered

Page = dict[str, Any]
Filters = dict[str, Any]

_CURSOR = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")


def _page(
    session: Session,
    query: Select[Any],
    key: InstrumentedAttribute[str],
    filters: Filters,
    *,
    newest_first: bool = False,
) -> Page:
    cursor, limit = filters.get("cursor"), filters["limit"]
    if cursor is not None:
        if not _CURSOR.fullmatch(cursor):
            raise ApiError(
                "validation_failed",
                "The cursor is not one that this service gave.",
                next="Start again without cursor; then pass next_cursor as it came.",
                errors=[{"field": "cursor", "pointer": "query:cursor", "detail": "Not a cursor."}],
            )
        query = query.where(key < cursor if newest_first else key > cursor)
    rows = list(session.scalars(query.order_by(key.desc() if newest_first else key).limit(limit + 1)).unique())
    items = rows[:limit]
    return {"items": items, "next_cursor": getattr(items[-1], key.key) if len(rows) > limit else None}


def _having(column: InstrumentedAttribute[Any], part: str) -> ColumnElement[bool]:
    """The column holds that text, in any case; ``%`` and ``_`` of the caller mean themselves."""
    return func.lower(column).contains(part.lower(), autoescape=True)


def allocations(session: Session, actor: Actor, filters: Filters) -> Page:
    """Newest first; users see their own, a job's token that of its workflow."""
    query = select(Allocation).options(
        joinedload(Allocation.user),
        joinedload(Allocation.template),
        selectinload(Allocation.servers).joinedload(AllocationServer.server),
        selectinload(Allocation.gpu_allocations),
    )
    if actor.workflow_id is not None:
        query = query.where(Allocation.id == _allocation_of(actor))
    elif actor.role not in READERS:
        query = query.where(Allocation.user_id == actor.id)
    for name in ("status", "request"):
        if name in filters:
            query = query.where(getattr(Allocation, name) == filters[name])
    return _page(session, query, Allocation.id, filters, newest_first=True)


def workflows(session: Session, actor: Actor, filters: Filters) -> Page:
    """Newest first; users see those of their own allocations, a job's token its own."""
    query = select(Workflow)
    if actor.workflow_id is not None:
        query = query.where(Workflow.id == actor.workflow_id)
    elif actor.role not in READERS:
        own = select(Allocation.id).where(Allocation.user_id == actor.id)
        query = query.where(Workflow.allocation_id.in_(own))
    for name in ("status", "kind", "allocation_id"):
        if name in filters:
            query = query.where(getattr(Workflow, name) == filters[name])
    return _page(session, query, Workflow.id, filters, newest_first=True)


def _allocation_of(actor: Actor) -> Any:
    return select(Workflow.allocation_id).where(Workflow.id == actor.workflow_id).scalar_subquery()


def workflow_events(session: Session, actor: Actor, workflow_id: str, filters: Filters) -> Page:
    """Oldest first, of a workflow that the actor may see."""
    found = lookup.workflow(session, actor, workflow_id)
    query = select(WorkflowEvent).where(WorkflowEvent.workflow_id == found.id)
    return _page(session, query, WorkflowEvent.id, filters)


def servers(session: Session, actor: Actor, filters: Filters) -> Page:
    """In order of enrolment; a job's token sees the servers of its workflow."""
    query = select(Server).options(
        joinedload(Server.hardware_profile),
        selectinload(Server.gpus),
        selectinload(Server.nics).joinedload(ServerNic.switch),
    )
    if actor.workflow_id is not None:
        own = lookup.workflow_servers(session, session.get_one(Workflow, actor.workflow_id))
        query = query.where(Server.id.in_([server.id for server in own]))
    if "state" in filters:
        query = query.where(Server.status == filters["state"])
    for name in ("pool", "rack"):
        if name in filters:
            query = query.where(getattr(Server, name) == filters[name])
    if "model" in filters:
        query = query.where(_having(Server.model, filters["model"]))
    return _page(session, query, Server.id, filters)


def available_gpus(session: Session, filters: Filters) -> Page:
    """GPUs that a request could get now: placement decides of which servers."""
    query = (
        select(Gpu, Server.name)
        .join(Server, Server.id == Gpu.server_id)
        .where(Gpu.status == "available", *(entry.condition for entry in offered()))
    )
    if "model" in filters:
        query = query.where(_having(Gpu.model, filters["model"]))
    if "pool" in filters:
        query = query.where(Server.pool == filters["pool"])
    page = _page(session, query.with_only_columns(Gpu), Gpu.id, filters)
    names = _server_names(session, {gpu.server_id for gpu in page["items"]})
    return {**page, "items": [gpu_fields(gpu, names[gpu.server_id]) for gpu in page["items"]]}


def _server_names(session: Session, identifiers: set[str]) -> dict[str, str]:
    rows = session.execute(select(Server.id, Server.name).where(Server.id.in_(identifiers)))
    return dict(rows.all())


def gpu_status(session: Session, actor: Actor, gpu_id: str) -> dict[str, Any]:
    """One GPU with its server, its state, who holds it (as far as the actor may know) and its latest figures."""
    gpu = lookup.gpu(session, gpu_id)
    server = session.get_one(Server, gpu.server_id)
    held = session.scalar(
        select(Allocation)
        .join(GpuAllocation, GpuAllocation.allocation_id == Allocation.id)
        .where(GpuAllocation.gpu_id == gpu.id, GpuAllocation.released_at.is_(None))
    )
    figures = session.scalar(
        select(MonitoringData)
        .where(MonitoringData.server_id == gpu.server_id, MonitoringData.gpu_id == gpu.id)
        .order_by(MonitoringData.timestamp.desc())
        .limit(1)
    )
    return {
        **gpu_fields(gpu, server.name),
        "server_status": server.status,
        "allocation_id": held.id if held is not None and lookup.may_see(session, actor, held) else None,
        "figures": figures,
    }


def ssh_keys(session: Session, actor: Actor, filters: Filters) -> Page:
    """The actor's own."""
    return _page(session, select(SshKey).where(SshKey.user_id == actor.id), SshKey.id, filters)


def tokens(session: Session, actor: Actor, filters: Filters) -> Page:
    """The actor's own that are not revoked, without their secrets; a job's token is no API token."""
    query = select(ApiToken).where(
        ApiToken.user_id == actor.id, ApiToken.revoked_at.is_(None), ApiToken.workflow_id.is_(None)
    )
    return _page(session, query, ApiToken.id, filters)


def alerts(session: Session, filters: Filters) -> Page:
    """Newest first; those that are not resolved, unless a state is asked for."""
    status = filters.get("status")
    wanted = Alert.status == status if status else Alert.status != "resolved"
    return _page(session, select(Alert).where(wanted), Alert.id, filters, newest_first=True)


def expected_machines(session: Session, filters: Filters) -> Page:
    """The delivery list, in the order in which it came."""
    query = select(ExpectedMachine)
    if "rack" in filters:
        query = query.where(ExpectedMachine.rack == filters["rack"])
    return _page(session, query, ExpectedMachine.id, filters)


def templates(session: Session, filters: Filters) -> Page:
    return _page(session, select(Template), Template.id, filters)


def images(session: Session, filters: Filters) -> Page:
    return _page(session, select(Image), Image.id, filters)


def networks(session: Session, filters: Filters) -> Page:
    return _page(session, select(Network), Network.id, filters)


def workflows_by_status(session: Session) -> dict[str, int]:
    """How many workflows are in each state."""
    rows = session.execute(select(Workflow.status, func.count()).group_by(Workflow.status))
    return dict(rows.all())


def servers_by_status(session: Session) -> dict[str, int]:
    """How many servers are in each state."""
    rows = session.execute(select(Server.status, func.count()).group_by(Server.status))
    return dict(rows.all())
