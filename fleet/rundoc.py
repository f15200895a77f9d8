"""The run document: everything a playbook needs to walk a workflow's steps, in one answer. Shape: ARCHITECTURE.md."""

from __future__ import annotations

import ipaddress
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import rendering, template_document
from fleet.actor import STAFF, Actor
from fleet.errors import StateConflict
from fleet.models import (
    Allocation,
    AllocationServer,
    IpAddress,
    Network,
    Server,
    Template,
    User,
    Workflow,
    WorkflowStep,
)
from fleet.operations import lookup, networks, reports, workflows
from fleet.settings import get_settings
from fleet.template_document import TemplateDocument

LEASE_TIME_S = 86400
NetworkFacts = dict[str, Any]


def build(session: Session, actor: Actor, workflow_id: str) -> dict[str, Any]:
    """The document of one workflow, for those who may run it. Reads only; asked again it is the same document."""
    actor.require(*STAFF)
    actor.require_workflow(workflow_id)
    workflow = lookup.workflow(session, actor, workflow_id)
    template = session.get_one(Template, workflow.template_id)
    document = template_document.parse(template.content)
    allocation = session.get(Allocation, workflow.allocation_id) if workflow.allocation_id else None
    holder = session.get_one(User, allocation.user_id) if allocation is not None else None
    servers = workflows.open_servers(session, workflow)
    ranks = _ranks(session, allocation)
    return {
        "workflow": {
            "id": workflow.id,
            "kind": workflow.kind,
            "attempt": workflow.attempt,
            "fence": workflow.fence,
            "executor": workflow.executor,
            "status": workflow.status,
        },
        "allocation": _allocation(session, allocation, holder),
        "steps": [
            {key: entry[key] for key in ("name", "needs", "destructive", "timeout_s")} for entry in workflow.steps
        ],
        "servers": [
            _server(session, workflow, server, ranks.get(server.id, 0), document, allocation, holder)
            for server in servers
        ],
    }


def _ranks(session: Session, allocation: Allocation | None) -> dict[str, int]:
    if allocation is None:
        return {}
    rows = session.execute(
        select(AllocationServer.server_id, AllocationServer.rank).where(AllocationServer.allocation_id == allocation.id)
    )
    return {row.server_id: row.rank for row in rows}


def _allocation(session: Session, allocation: Allocation | None, holder: User | None) -> dict[str, Any] | None:
    if allocation is None or holder is None:
        return None
    template = session.get_one(Template, allocation.template_id)
    return {
        "id": allocation.id,
        "request": allocation.request,
        "user": holder.username,
        "gpu_count": allocation.gpu_count,
        "template": template.name,
        "template_version": template.version,
    }


def _server(
    session: Session,
    workflow: Workflow,
    server: Server,
    rank: int,
    document: TemplateDocument,
    allocation: Allocation | None,
    holder: User | None,
) -> dict[str, Any]:
    settings = get_settings()
    facts = {
        purpose: network_facts(network, address)
        for purpose, (network, address) in networks.of_server(session, server).items()
    }
    profile = server.hardware_profile
    return {
        "id": server.id,
        "name": server.name,
        "rank": rank,
        "state": server.status,
        "steps_done": _steps_done(session, workflow, server),
        "model": server.model,
        "serial_number": server.serial_number,
        "bmc_address": server.bmc_ip,
        "bmc_port": server.bmc_port,
        "bmc_protocol": server.bmc_protocol,
        "bmc_validate_certs": server.bmc_validate_certs,
        "bmc_ca_path": server.bmc_ca_path,
        "bmc_fingerprint": server.bmc_fingerprint,
        "bmc_credential": f"service:{server.name}",
        "nics": [
            {
                "mac": nic.mac,
                "switch_port": nic.switch_port,
                "switch": {
                    "name": nic.switch.name,
                    "switch_address": nic.switch.address,
                    "switch_grpc_port": nic.switch.grpc_port,
                    "switch_dialect": nic.switch.dialect,
                    "switch_ca_path": nic.switch.ca_path,
                    "credential": f"service:switch/{nic.switch.name}",
                }
                if nic.switch is not None
                else None,
            }
            for nic in server.nics
        ],
        "networks": facts,
        "disks": list(server.disks),
        "gpus": [
            {
                "id": gpu.id,
                "slot": gpu.slot,
                "serial_number": gpu.serial_number,
                "model": gpu.model,
                "memory_gb": gpu.memory_gb,
            }
            for gpu in server.gpus
            if gpu.kind == "gpu" and gpu.status != "absent"
        ],
        "hardware_profile": {
            "bios": dict(profile.bios) if profile is not None else {},
            "boot_order": list(profile.boot_order) if profile is not None else [],
        },
        "ssh_port": settings.ssh_port,
        "ssh_user": document.ssh_user or settings.ssh_user,
        "tinkerbell": _tinkerbell(session, workflow, server, rank, document, allocation, holder, facts),
    }


def _steps_done(session: Session, workflow: Workflow, server: Server) -> list[str]:
    """The steps that have ended well on this server, in whichever attempt: a later try that was lost undoes nothing."""
    done = set(
        session.scalars(
            select(WorkflowStep.step).where(
                WorkflowStep.workflow_id == workflow.id,
                WorkflowStep.server_id == server.id,
                WorkflowStep.status.in_(workflows.DONE),
            )
        )
    )
    return [entry["name"] for entry in workflow.steps if entry["name"] in done]


def network_facts(network: Network, address: IpAddress) -> NetworkFacts:
    """`{name, vlan, cidr, prefix, netmask, gateway, address}` of an address that a server holds."""
    parsed = ipaddress.ip_network(network.cidr)
    return {
        "name": network.name,
        "vlan": network.vlan,
        "cidr": network.cidr,
        "prefix": parsed.prefixlen,
        "netmask": str(parsed.netmask),
        "gateway": network.gateway,
        "address": address.address,
    }


def _tinkerbell(
    session: Session,
    workflow: Workflow,
    server: Server,
    rank: int,
    document: TemplateDocument,
    allocation: Allocation | None,
    holder: User | None,
    facts: dict[str, NetworkFacts],
) -> dict[str, Any]:
    settings = get_settings()
    allocating = workflow.kind == "allocate"
    mac = server.nics[0].mac if server.nics else None
    boot_network = facts.get("provisioning" if allocating else "quarantine")
    if mac is None or boot_network is None:
        raise StateConflict(
            f"{server.name} cannot boot from the network",
            code="server_incomplete",
            host=server.name,
            answer="it has no network interface in the record" if mac is None else "it holds no address to boot with",
            next="import the server again with its nics" if mac is None else "clean the server anew",
        )
    kind = reports.kind_of(workflow)
    token = reports.token(workflow, server, kind)
    variables: dict[str, Any] = {
        "server": {
            "id": server.id,
            "name": server.name,
            "serial_number": server.serial_number,
            "model": server.model,
            "mac": mac,
            "disks": list(server.disks),
            "gpu_count": server.gpu_count,
            "rank": rank,
        },
        "allocation": {
            "id": allocation.id,
            "user": holder.username if holder is not None else None,
            "request": allocation.request,
            "gpu_count": allocation.gpu_count,
        }
        if allocation is not None
        else None,
        "network": facts.get("tenant") if allocating else boot_network,
        "networks": facts,
        "ssh_keys": list(allocation.ssh_keys) if allocating and allocation is not None else [],
        "ssh_user": document.ssh_user or settings.ssh_user,
        "parameters": dict(allocation.parameters) if allocating and allocation is not None else document.fill({}),
        "image": document.image or {},
        "report_url": f"{settings.public_url.rstrip('/')}/api/v1/ingest/{kind}/{token}",
        "metadata_url": settings.metadata_url,
        "workflow": {"id": workflow.id, "kind": workflow.kind},
    }
    label = f"template {document.name} {document.version}"
    user_data = None
    if allocating and document.user_data:
        user_data = rendering.render(document.user_data, variables, f"{label}, user_data")
    labels = {"palebluedot.io/workflow": workflow.id, "palebluedot.io/server": server.name}
    if allocation is not None:
        labels["palebluedot.io/allocation"] = allocation.id
    spec = hardware_spec(workflow, server, mac, boot_network, document, user_data)
    return {
        "namespace": settings.tinkerbell_namespace,
        "hardware": server.name,
        "hardware_spec": spec,
        "closed_spec": closed(spec),
        "idle_spec": enrolled_hardware(server)["hardware_spec"],
        "template_name": workflows.object_name(workflow, server),
        "template_data": rendering.render(document.tinkerbell, variables, f"{label}, tinkerbell"),
        "workflow_name": workflows.object_name(workflow, server),
        "hardware_map": {"device_1": mac},
        "labels": labels,
    }


def closed(spec: dict[str, Any]) -> dict[str, Any]:
    """The Hardware spec of a machine that has been installed: no network boot, no workflows, no user data.

    User data holds keys, and the metadata service gives them to whoever has the address.
    """
    shut = {"allowPXE": False, "allowWorkflow": False}
    return {
        **spec,
        "userData": "",
        "interfaces": [{**interface, "netboot": {**interface["netboot"], **shut}} for interface in spec["interfaces"]],
    }


def enrolled_hardware(server: Server) -> dict[str, Any]:
    """`{namespace, hardware, hardware_spec}` of an idle server: Tinkerbell knows it and serves it nothing."""
    return {
        "namespace": get_settings().tinkerbell_namespace,
        "hardware": server.name,
        "hardware_spec": {
            "metadata": {"instance": {"id": server.id, "hostname": server.name}},
            "interfaces": [
                {
                    "dhcp": {"mac": nic.mac, "hostname": server.name, "arch": "x86_64", "uefi": True},
                    "netboot": {"allowPXE": False, "allowWorkflow": False},
                }
                for nic in server.nics
            ],
            "disks": [{"device": disk} for disk in server.disks],
        },
    }


def hardware_spec(
    workflow: Workflow,
    server: Server,
    mac: str,
    network: NetworkFacts,
    document: TemplateDocument,
    user_data: str | None,
) -> dict[str, Any]:
    """`spec` of Tinkerbell's Hardware (tinkerbell.org/v1alpha1), in its own field names.

    The instance id changes with the workflow, so that cloud-init takes every allocation for a new machine. User data
    is there while an allocation needs it and in no other workflow.
    """
    family = ipaddress.ip_address(network["address"]).version
    address: dict[str, Any] = {
        "address": network["address"],
        "netmask": network["netmask"],
        "family": family,
    }
    if network["gateway"]:
        address["gateway"] = network["gateway"]
    instance: dict[str, Any] = {"id": f"{workflow.id}-{server.name}", "hostname": server.name}
    if workflow.kind == "allocate" and document.operating_system:
        instance["operating_system"] = document.operating_system
    spec: dict[str, Any] = {
        "metadata": {"instance": instance},
        "interfaces": [
            {
                "dhcp": {
                    "mac": mac,
                    "hostname": server.name,
                    "ip": address,
                    "arch": "x86_64",
                    "uefi": True,
                    "lease_time": LEASE_TIME_S,
                },
                "netboot": {"allowPXE": True, "allowWorkflow": True},
            }
        ],
        "disks": [{"device": disk} for disk in server.disks],
    }
    if user_data is not None:
        spec["userData"] = user_data
    return spec
