"""MAAS: `maas $PROFILE machines read`, and where it is at hand `maas $PROFILE machines power-parameters`.

`machines read` holds no power parameters: give them as `{"machines": […], "power_parameters": {system_id: {…}}}`, or
merged into each machine as `power_parameters`.
"""

from __future__ import annotations

from typing import Any

from cli.importers.converted import Converted, label, macs, positive, secret, url_parts

_PROTOCOLS = {"redfish": "redfish", "ipmi": "ipmi"}
_IN_USE = frozenset({"allocated", "deploying", "deployed", "rescue mode"})


def convert(content: Any) -> Converted:
    """Machines as servers; pool, tags and the boot interface's MAC address first."""
    converted = Converted()
    machines = content["machines"] if isinstance(content, dict) else content
    powers = content.get("power_parameters", {}) if isinstance(content, dict) else {}
    for machine in machines:
        power = machine.get("power_parameters") or powers.get(machine.get("system_id")) or {}
        kind = machine.get("power_type")
        name = label(machine.get("hostname") or machine.get("fqdn"))
        if kind not in _PROTOCOLS:
            converted.notes.append(f"{name} left out: its power type is {kind or 'not set'}, not redfish or ipmi")
            continue
        if not power.get("power_address"):
            converted.notes.append(f"{name} left out: no power_address; add `machines power-parameters` to the export")
            continue
        address, port = url_parts(power["power_address"])
        before = len(converted.servers)
        converted.add(
            {
                "name": name,
                "bmc_address": address,
                "bmc_port": port,
                "bmc_protocol": _PROTOCOLS[kind],
                "bmc_username": power.get("power_user"),
                "bmc_password": secret(power.get("power_pass")),
                "pool": (machine.get("pool") or {}).get("name"),
                "tags": machine.get("tag_names"),
                "nics": _nics(machine),
                "disks": _disks(machine),
                "memory_gb": positive(machine.get("memory"), 1024),
                # MAAS counts in megabytes of 10^6
                "storage_gb": positive(machine.get("storage"), 1000),
            }
        )
        if len(converted.servers) > before and str(machine.get("status_name", "")).lower() in _IN_USE:
            converted.in_use.append(converted.servers[-1]["name"])
    return converted


def _nics(machine: dict[str, Any]) -> list[dict[str, Any]]:
    boot = (machine.get("boot_interface") or {}).get("mac_address")
    physical = [nic for nic in machine.get("interface_set") or [] if nic.get("type", "physical") == "physical"]
    return macs([boot, *(nic.get("mac_address") for nic in physical)])


def _disks(machine: dict[str, Any]) -> list[str]:
    return [f"/dev/{disk['name']}" for disk in machine.get("physicalblockdevice_set") or [] if disk.get("name")]
