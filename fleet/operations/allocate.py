"""Asking for servers: one transaction that holds everything, or nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, clock, placement, states, template_document
from fleet.actor import STAFF, Actor
from fleet.errors import Forbidden, Frozen, IdempotencyMismatch, Invalid, OverQuota
from fleet.models import Allocation, AllocationServer, Gpu, GpuAllocation, Server, SshKey, User, UserQuota
from fleet.operations import fleetflags, lookup, networks, templates, workflows
from fleet.operations.users import check_public_key, quota_row, quota_used

# a `start` this close to now is now
START_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AllocateRequest:
    """What is asked for. `gpu_count` is the total; `ssh_keys` are ids or names of the user's keys, or public keys as
    they stand; without any, all keys of the user are used. `request` names it: repeating the name gives the same
    allocation."""

    template: str
    gpu_count: int | None = None
    gpu_model: str | None = None
    kind: str = "server"
    server_count: int | None = None
    template_version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    ssh_keys: list[str] = field(default_factory=list)
    start: datetime | None = None
    end: datetime | None = None
    request: str | None = None
    on_behalf_of: str | None = None
    executor: str = "service"

    def content_hash(self) -> str:
        """What makes two requests of one name the same: all but the name, for whom, and who executes."""
        content = {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in asdict(self).items()
            if key not in ("request", "on_behalf_of", "executor") and value not in (None, [], {})
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def reserve(session: Session, actor: Actor, request: AllocateRequest) -> Allocation:
    """Hold servers, GPUs, a tenant network and addresses for a user, and leave a workflow for whoever executes it.

    Idempotent on (user, request). Raises Invalid (field values, sizes, parameters), NotFound (template, user, key),
    Forbidden, IdempotencyMismatch, Frozen, OverQuota, NoCapacity; then nothing is written.
    """
    user = _holder(session, actor, request)
    # reservations of one user queue here: quota and request names are then counted without a race
    quota = quota_row(session, user.id, lock=True)
    if request.request is not None:
        earlier = session.scalar(
            select(Allocation).where(Allocation.user_id == user.id, Allocation.request == request.request)
        )
        if earlier is not None:
            return _same(earlier, request)

    moment = clock.now(session)
    _check_fields(request, moment)
    freeze = fleetflags.frozen(session)
    if freeze is not None:
        raise Frozen(
            f"the fleet is frozen: {freeze.reason or 'no reason given'}", next="ask again when the freeze is lifted"
        )
    template = templates.find(session, request.template, request.template_version, kind="os")
    parameters = template_document.parse(template.content).fill(request.parameters)
    keys = _public_keys(session, user, request.ssh_keys)

    ways = placement.shape(session, request.gpu_count, request.server_count, request.gpu_model)
    check_quota(session, user, quota, {"gpu_count": min(count * size for count, size in ways)})
    servers, size, explanation = placement.choose(session, ways, request.gpu_model)
    wanted = {
        "gpu_count": size * len(servers),
        "memory_gb": sum(server.memory_gb or 0 for server in servers),
        "storage_gb": sum(server.storage_gb or 0 for server in servers),
    }
    check_quota(session, user, quota, wanted)

    allocation = Allocation(
        user_id=user.id,
        template_id=template.id,
        status="pending",
        status_since=moment,
        start_time=moment,
        end_time=request.end,
        request=request.request,
        request_hash=request.content_hash() if request.request is not None else None,
        requested_by=actor.id,
        executor=request.executor,
        kind=request.kind,
        gpu_model=request.gpu_model,
        server_count=len(servers),
        parameters=parameters,
        ssh_keys=keys,
        placement=explanation,
        server_id=servers[0].id,
        **wanted,
    )
    session.add(allocation)
    session.flush()
    workflow = workflows.create(
        session, actor, "allocate", template, request.executor, servers, allocation_id=allocation.id
    )
    allocation.workflow_id = workflow.id
    states.transition(session, allocation, "reserved", actor, "servers held", workflow.id)
    _hold(session, actor, allocation, servers, moment)
    audit.record(
        session,
        actor,
        "allocation.reserve",
        allocation.id,
        {"user": user.username, "servers": [server.name for server in servers], "request": request.request, **wanted},
    )
    session.flush()
    return allocation


def _holder(session: Session, actor: Actor, request: AllocateRequest) -> User:
    """The user who will hold it. Only operators, administrators and automation ask for somebody else."""
    if actor.role == "auditor" or actor.workflow_id is not None:
        raise Forbidden(f"{actor.username} may not allocate", next="use a user's own account or token")
    if request.on_behalf_of is None or request.on_behalf_of in (actor.id, actor.username):
        return lookup.user(session, actor.id)
    actor.require(*STAFF)
    user = lookup.user(session, request.on_behalf_of)
    if user.disabled:
        raise Invalid(f"the account of {user.username} is disabled", code="user_disabled")
    return user


def _same(earlier: Allocation, request: AllocateRequest) -> Allocation:
    if earlier.request_hash == request.content_hash():
        return earlier
    raise IdempotencyMismatch(
        f"the request {request.request!r} was made before with other content",
        answer=f"it made {earlier.id} ({earlier.status})",
        next="repeat it unchanged, or choose another name for a new request",
        detail={"allocation_id": earlier.id},
    )


def _check_fields(request: AllocateRequest, moment: datetime) -> None:
    if request.kind == "shared":
        raise Invalid("shared servers are not offered yet", code="not_offered", next="ask for kind `server`")
    if request.kind != "server":
        raise Invalid(f"kind {request.kind!r} is not one of server, shared", code="invalid_kind")
    for name in ("start", "end"):
        value = getattr(request, name)
        if value is not None and value.tzinfo is None:
            raise Invalid(
                f"{name} has no time zone", code=f"invalid_{name}", next="write RFC 3339, e.g. 2026-08-01T12:00:00Z"
            )
    if request.start is not None and request.start > moment + START_SLACK:
        raise Invalid("reservations that start later are not offered yet", code="not_offered", next="leave `start` out")
    if request.end is not None and request.end <= moment:
        raise Invalid(
            "the lease would be over before it begins", code="invalid_end", next="give an `end` in the future"
        )
    if request.request is not None and not 1 <= len(request.request) <= 128:
        raise Invalid("a request's name has 1 to 128 characters", code="invalid_request_name")


def _public_keys(session: Session, user: User, wanted: list[str]) -> list[str]:
    own = session.scalars(select(SshKey).where(SshKey.user_id == user.id).order_by(SshKey.created_at)).all()
    if not wanted:
        return [key.public_key for key in own]
    known = {name: key.public_key for key in own for name in (key.id, key.name)}
    keys = []
    for entry in wanted:
        if entry in known:
            keys.append(known[entry])
        elif " " in entry.strip():
            keys.append(check_public_key(entry)[0])
        else:
            raise Invalid(
                f"{user.username} has no SSH key {entry}",
                code="unknown_ssh_key",
                answer=f"keys: {', '.join(key.name for key in own) or 'none'}",
                next="add it with POST /api/v1/ssh-keys, or give the public key itself",
            )
    return list(dict.fromkeys(keys))


def check_quota(session: Session, user: User, quota: UserQuota, wanted: dict[str, int]) -> None:
    """Raise OverQuota, naming each figure that `wanted` would take over its limit."""
    used = quota_used(session, user.id)
    over = {}
    for figure, amount in wanted.items():
        limit: int | None = getattr(quota, f"max_{figure}")
        if limit is not None and used[figure] + amount > limit:
            over[figure] = {"limit": limit, "used": used[figure], "requested": amount}
    if over:
        words = "; ".join(
            f"{figure}: {f['used']} used + {f['requested']} asked for > {f['limit']}" for figure, f in over.items()
        )
        raise OverQuota(
            f"over the quota of {user.username}: {words}",
            next="release something, ask for less, or ask an administrator for more",
            detail={"quota": over},
        )


def _hold(session: Session, actor: Actor, allocation: Allocation, servers: list[Server], moment: datetime) -> None:
    assert allocation.workflow_id is not None
    network = networks.take_tenant_network(session, allocation.id, len(servers))
    networks.take_service_addresses(session, servers, allocation.id)
    gpus = session.scalars(
        select(Gpu)
        .where(Gpu.server_id.in_([server.id for server in servers]), Gpu.status == "available", Gpu.kind == "gpu")
        .order_by(Gpu.server_id, Gpu.position)
    ).all()
    for rank, server in enumerate(servers):
        address = networks.take_address(session, network, server, allocation.id)
        session.add(
            AllocationServer(
                allocation_id=allocation.id,
                server_id=server.id,
                rank=rank,
                state="reserved",
                address=address.address,
            )
        )
        states.transition(session, server, "reserved", actor, f"held for {allocation.id}", allocation.workflow_id)
    for gpu in gpus:
        session.add(GpuAllocation(allocation_id=allocation.id, gpu_id=gpu.id, status="reserved", allocated_at=moment))
    session.flush()
