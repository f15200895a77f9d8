"""Ironic: `openstack baremetal node list --long -f json` (columns by their labels) or `… node show -f json` (by their
names), one node or a list; with ports as `{"nodes": […], "ports": […]}` of `… port list --long -f json`.

Ironic shows passwords as asterisks: they are named as missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from cli.importers.converted import Converted, label, macs, positive, secret, url_parts

# labels of `--long` (python-ironicclient's resource fields)
_LABELS = {
    "UUID": "uuid",
    "Name": "name",
    "Driver": "driver",
    "Driver Info": "driver_info",
    "Properties": "properties",
    "Provisioning State": "provision_state",
    "Instance UUID": "instance_uuid",
    "Resource Class": "resource_class",
    "Address": "address",
    "Node UUID": "node_uuid",
    "PXE boot enabled": "pxe_enabled",
}
_IN_USE = frozenset({"active", "deploying", "wait call-back", "rescue", "rescuing", "unrescuing"})


def convert(content: Any) -> Converted:
    """Nodes as servers; the resource class becomes the pool, ports become NICs."""
    converted = Converted()
    nodes = content["nodes"] if isinstance(content, dict) and "nodes" in content else content
    nodes = [nodes] if isinstance(nodes, dict) else nodes
    ports = _ports(content.get("ports") or []) if isinstance(content, dict) else {}
    for raw in nodes:
        node = _named(raw)
        info, properties = _table(node.get("driver_info")), _table(node.get("properties"))
        name = label(node.get("name") or node.get("uuid"))
        reach = _redfish(info) if "redfish_address" in info else _ipmi(info) if "ipmi_address" in info else None
        if reach is None:
            converted.notes.append(f"{name} left out: driver {node.get('driver')} has no redfish or ipmi address here")
            continue
        before = len(converted.servers)
        converted.add(
            {
                "name": name,
                **reach,
                "pool": node.get("resource_class"),
                "nics": ports.get(node.get("uuid"), []),
                "memory_gb": positive(properties.get("memory_mb"), 1024),
                "storage_gb": positive(properties.get("local_gb")),
            }
        )
        in_use = node.get("instance_uuid") or str(node.get("provision_state", "")).lower() in _IN_USE
        if len(converted.servers) > before and in_use:
            converted.in_use.append(converted.servers[-1]["name"])
    return converted


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {_LABELS.get(key, key): value for key, value in row.items()}


def _table(value: Any) -> dict[str, Any]:
    """A mapping; some versions of the client print it as JSON in a text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _redfish(info: dict[str, Any]) -> dict[str, Any]:
    address, port = url_parts(info["redfish_address"])
    verify = info.get("redfish_verify_ca", True)
    found = {
        "bmc_address": address,
        "bmc_port": port,
        "bmc_protocol": "redfish",
        "bmc_username": info.get("redfish_username"),
        "bmc_password": secret(info.get("redfish_password")),
    }
    if str(verify).lower() in ("false", "0", "no"):
        found["bmc_validate_certs"] = False
    elif isinstance(verify, str) and verify.startswith("/"):
        found["bmc_ca_path"] = verify
    return found


def _ipmi(info: dict[str, Any]) -> dict[str, Any]:
    return {
        "bmc_address": str(info["ipmi_address"] or "") or None,
        "bmc_port": positive(info.get("ipmi_port")),
        "bmc_protocol": "ipmi",
        "bmc_username": info.get("ipmi_username"),
        "bmc_password": secret(info.get("ipmi_password")),
    }


def _ports(rows: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    """MAC addresses by node, those that boot first. The switches are not in the export, so cabling is left to LLDP."""
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        port = _named(row)
        found[port.get("node_uuid")].append(port)
    return {
        node: macs(port.get("address") for port in sorted(ports, key=lambda port: port.get("pxe_enabled") is False))
        for node, ports in found.items()
    }
