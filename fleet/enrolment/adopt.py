"""Servers that are in use already become somebody's allocation, without a step, a power command or a boot setting."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import addresses, audit, clock, states
from fleet.actor import OPERATORS, Actor
from fleet.enrolment.inspection import WAITS
from fleet.errors import Conflict, Forbidden, Frozen, Invalid, StateConflict
from fleet.models import (
    Allocation,
    AllocationServer,
    Gpu,
    GpuAllocation,
    IpAddress,
    Network,
    Server,
    Template,
)
from fleet.operations import fleetflags, lookup, networks, templates
from fleet.operations.allocate import check_quota
from fleet.operations.users import quota_row
from fleet.settings import get_settings

# what stands for the system of an adopted server where nobody names a template: nobody here installed it
TEMPLATE = "adopted"


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """`network` and `address` say where the server is on the tenants' side, as far as the record manages that."""

    user: str
    template: str | None = None
    template_version: str | None = None
    network: str | None = None
    address: str | None = None
    end: datetime | None = None
    waive_quota: bool = False


def adopt(session: Session, actor: Actor, server: str, request: AdoptRequest) -> Allocation:
    """An enrolled server becomes `active`, its GPUs held by an active allocation of the user. Nothing is done to it.

    Its release works as any other: the server is wiped and verified. Raises StateConflict for a server that is not
    `enrolled`, Conflict `not_inspected` while its GPUs are not known, OverQuota unless an administrator waives it.
    """
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    user = lookup.user(session, request.user)
    if user.disabled:
        raise Invalid(f"the account of {user.username} is disabled", code="user_disabled")
    if request.waive_quota and actor.role != "admin":
        raise Forbidden(
            f"only an administrator waives a quota; {actor.username} has {actor.role}",
            next="ask an administrator to adopt it, or to raise the quota",
        )
    freeze = fleetflags.frozen(session)
    if freeze is not None:
        raise Frozen(
            f"the fleet is frozen: {freeze.reason or 'no reason given'}", next="ask again when the freeze is lifted"
        )
    moment = clock.now(session)
    if request.end is not None and request.end <= moment:
        raise Invalid("the lease would be over already", code="invalid_end", next="give an `end` in the future")
    gpus = _expect_adoptable(session, row)
    quota = quota_row(session, user.id, lock=True)
    wanted = {"gpu_count": len(gpus), "memory_gb": row.memory_gb or 0, "storage_gb": row.storage_gb or 0}
    if not request.waive_quota:
        check_quota(session, user, quota, wanted)
    template = _template(session, request)
    allocation = Allocation(
        user_id=user.id,
        template_id=template.id,
        status="pending",
        status_since=moment,
        start_time=moment,
        end_time=request.end,
        requested_by=actor.id,
        executor="external",
        kind="server",
        gpu_model=row.gpu_model,
        server_count=1,
        parameters={},
        ssh_keys=[],
        placement={"adopted": True, "by": actor.username, "quota_waived": request.waive_quota},
        server_id=row.id,
        **wanted,
    )
    session.add(allocation)
    session.flush()
    address = _network(session, row, allocation, request)
    # what its release will boot from
    networks.take_service_addresses(session, [row], allocation.id)
    reason = f"adopted for {user.username}"
    for state in ("reserved", "provisioning", "active"):
        states.transition(session, allocation, state, actor, reason)
    session.add(
        AllocationServer(
            allocation_id=allocation.id,
            server_id=row.id,
            rank=0,
            state="active",
            address=address,
            ssh_port=get_settings().ssh_port,
        )
    )
    states.transition(session, row, "active", actor, f"{reason}: {allocation.id}")
    if row.hands_off_reason == WAITS:
        row.hands_off, row.hands_off_reason = False, None
    for gpu in gpus:
        session.add(GpuAllocation(allocation_id=allocation.id, gpu_id=gpu.id, status="active", allocated_at=moment))
    audit.record(
        session,
        actor,
        "server.adopt",
        row.id,
        {"server": row.name, "user": user.username, "allocation": allocation.id, "quota_waived": request.waive_quota},
    )
    session.flush()
    return allocation


def _expect_adoptable(session: Session, row: Server) -> list[Gpu]:
    if row.status != "enrolled":
        raise StateConflict(
            f"{row.name} is {row.status}: only enrolled servers are adopted",
            host=row.name,
            next="a server that nobody uses is allocated; one that is in use is imported anew and inspected with "
            "enrol=false",
        )
    held = lookup.holder(session, row)
    if held is not None:
        raise Conflict(f"{row.name} is held by {held}", host=row.name)
    gpus = [gpu for gpu in row.gpus if gpu.kind == "gpu" and gpu.status != "absent"]
    if not gpus:
        raise Conflict(
            f"the GPUs of {row.name} are not known",
            code="not_inspected",
            host=row.name,
            next="inspect it without offering it: ansible-playbook playbooks/discover.yml -e enrol=false",
        )
    return gpus


def _template(session: Session, request: AdoptRequest) -> Template:
    if request.template is not None:
        return templates.find(session, request.template, request.template_version, kind="os")
    found = session.scalar(select(Template).where(Template.name == TEMPLATE, Template.kind == TEMPLATE))
    if found is None:
        found = templates.placeholder(session, TEMPLATE, "A system that was there before this service")
    return found


def _network(session: Session, row: Server, allocation: Allocation, request: AdoptRequest) -> str | None:
    """The tenant network that the server is on becomes the allocation's, so that nobody else is put there."""
    if request.network is None:
        if request.address is not None:
            raise Invalid("an address needs its network", code="invalid_address", host=row.name)
        return None
    network = session.scalar(
        select(Network)
        .where(Network.name == request.network, Network.purpose == "tenant")
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if network is None:
        raise lookup.missing("tenant network", request.network)
    if network.allocation_id is not None:
        raise Conflict(
            f"the network {network.name} belongs to {network.allocation_id}",
            code="in_use",
            host=row.name,
            next="name the network that the server is on",
        )
    network.allocation_id = allocation.id
    if request.address is None:
        return networks.take_address(session, network, row, allocation.id).address
    return _take(session, network, row, allocation, request.address)


def _take(session: Session, network: Network, row: Server, allocation: Allocation, address: str) -> str:
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError as error:
        raise Invalid(f"{address!r} is no address", code="invalid_address", host=row.name) from error
    usable = ipaddress.ip_network(network.cidr)
    if wanted not in usable or str(wanted) == network.gateway or not _is_host(wanted, usable):
        raise Invalid(
            f"{address} is no address of a host in {network.name} ({network.cidr})",
            code="invalid_address",
            host=row.name,
        )
    taken = session.scalar(
        select(IpAddress.id).where(IpAddress.network_id == network.id, IpAddress.address == str(wanted))
    )
    if taken is not None:
        raise Conflict(f"{address} is taken in {network.name}", code="in_use", host=row.name)
    session.add(IpAddress(network_id=network.id, address=str(wanted), server_id=row.id, allocation_id=allocation.id))
    return str(wanted)


def _is_host(address: Any, network: addresses.IpNetwork) -> bool:
    if network.version == 6 or network.prefixlen >= 31:
        return True
    return address not in (network.network_address, network.broadcast_address)
