"""How entities look from outside, where that is more than their columns."""

from __future__ import annotations

from typing import Any

from flask import url_for
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from fleet import rundoc, states
from fleet.models import Allocation, Base, Gpu, GpuAllocation, HardwareConfig, Server, Workflow
from fleet.operations import lookup


def accepted(allocation: Allocation, *, workflow_id: str | None = None) -> dict[str, Any]:
    """The answer to a request that started a workflow."""
    return started(workflow_id or allocation.workflow_id, allocation.id, allocation.status)


def started(workflow_id: str | None, allocation_id: str | None, status: str) -> dict[str, Any]:
    """The same from its parts: ``{allocation_id, workflow_id, status, links}``."""
    links: dict[str, str] = {}
    if allocation_id is not None:
        links["allocation"] = url_for("allocations.getAllocation", allocation_id=allocation_id)
    if workflow_id is not None:
        links["workflow"] = url_for("workflows.getWorkflow", workflow_id=workflow_id)
        links["events"] = url_for("workflows.listWorkflowEvents", workflow_id=workflow_id)
    return {"allocation_id": allocation_id, "workflow_id": workflow_id, "status": status, "links": links}


def allocation_fields(allocation: Allocation) -> dict[str, Any]:
    """An allocation with its user's and template's names, and its servers with the GPUs held on each."""
    return {
        **_columns(allocation),
        "username": allocation.user.username,
        "template": allocation.template.name,
        "template_version": allocation.template.version,
        "servers": [
            {
                "id": held.server_id,
                "name": held.server.name,
                "rank": held.rank,
                "state": held.state,
                "address": held.address,
                "ssh_port": held.ssh_port,
                "ssh_user": held.ssh_user,
                "gpus": _gpus(allocation.gpu_allocations, {gpu.id for gpu in held.server.gpus}),
            }
            for held in allocation.servers
        ],
    }


def _gpus(held: list[GpuAllocation], of_server: set[str]) -> list[str]:
    return sorted(row.gpu_id for row in held if row.gpu_id in of_server)


def server_fields(server: Server) -> dict[str, Any]:
    """A server with its wanted profile, its NICs and GPUs."""
    return {
        **_columns(server),
        "watched": server.status in states.WATCHED,
        "hardware_profile": server.hardware_profile,
        "nics": [{**_columns(nic), "switch": nic.switch.name if nic.switch else None} for nic in server.nics],
        "gpus": [gpu_fields(gpu, server.name) for gpu in server.gpus],
    }


def server_detail(session: Session, server: Server) -> dict[str, Any]:
    """The same with what its last inspection found, and what Tinkerbell is told of it while it is idle."""
    config = session.scalar(select(HardwareConfig).where(HardwareConfig.server_id == server.id))
    return {
        **server_fields(server),
        "inspected_at": config.observed_at if config is not None else None,
        "findings": (config.findings if config is not None else None) or [],
        "notes": (config.notes if config is not None else None) or [],
        "tinkerbell": rundoc.enrolled_hardware(server),
    }


def gpu_fields(gpu: Gpu, server: str) -> dict[str, Any]:
    """A GPU and the name of its server."""
    return {**_columns(gpu), "server": server}


def workflow_fields(session: Session, workflow: Workflow) -> dict[str, Any]:
    """A workflow with its plan and its ledger, oldest entry first."""
    names = {server.id: server.name for server in lookup.workflow_servers(session, workflow)}
    return {
        **_columns(workflow),
        "plan": [entry["name"] for entry in workflow.steps],
        "steps": [{**_columns(row), "server": names.get(row.server_id, row.server_id)} for row in workflow.ledger],
    }


def _columns(row: Base) -> dict[str, Any]:
    return {attribute.key: getattr(row, attribute.key) for attribute in inspect(row).mapper.column_attrs}
