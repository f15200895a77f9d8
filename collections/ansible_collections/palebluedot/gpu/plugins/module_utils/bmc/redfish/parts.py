# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a server as Redfish lists them: DIMMs, drives, network cards and interfaces, PCIe links.

Each function answers None where the BMC has no such list: nothing is known then, which is not the same as none there.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Adapter, Dimm, Drive, Link, Nic
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.registry import Reader
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    integer,
    leaf,
    link,
    links,
    number,
    table,
    tables,
    text,
)

_GENERATION = re.compile(r"Gen(\d)")
# a GPU's own memory stands in some Systems' lists too
_NOT_A_DIMM = frozenset({"HBM", "HBM2", "HBM2E", "HBM3", "GDDR", "GDDR6"})


def dimms(reader: Reader, system: dict[str, Any], deadline: Deadline) -> list[Dimm] | None:
    """Memory sockets of the host, empty ones with the state Absent."""
    path = link(system, "Memory")
    if path is None:
        return None
    found = []
    for member in reader.members(path, deadline):
        module = reader.get_optional(member, deadline) or {}
        if module.get("MemoryDeviceType") in _NOT_A_DIMM:
            continue
        size = number(module.get("CapacityMiB"))
        found.append(
            Dimm(
                id=text(module.get("Id")) or leaf(member),
                name=text(module.get("DeviceLocator")),
                size_gb=round(size / 1024) if size else None,
                serial_number=text(module.get("SerialNumber")),
                part_number=text(module.get("PartNumber")),
                **_status(module),
            )
        )
    return found


def drives(reader: Reader, system: dict[str, Any], deadline: Deadline) -> list[Drive] | None:
    """Drives of all storage units of the host; sizes in decimal gigabytes, as they are sold.

    AMI's firmware has storage units that list nothing, and the drives at the chassis.
    """
    path = link(system, "Storage")
    if path is None:
        return None
    members: dict[str, None] = {}
    units = reader.members(path, deadline)
    for unit in units:
        members |= dict.fromkeys(links(reader.get_optional(unit, deadline), "Drives"))
    if not members:
        for chassis in links(system, "Links", "Chassis")[:4]:
            members |= dict.fromkeys(links(reader.get_optional(chassis, deadline), "Links", "Drives"))
    if not members and not units:
        return None
    return [_drive(member, reader.get_optional(member, deadline) or {}) for member in members]


def _drive(path: str, drive: dict[str, Any]) -> Drive:
    size = number(drive.get("CapacityBytes"))
    protocol = text(drive.get("Protocol"))
    return Drive(
        id=text(drive.get("Id")) or leaf(path),
        name=text(dig(drive, "PhysicalLocation", "PartLocation", "ServiceLabel")),
        model=text(drive.get("Model")),
        serial_number=text(drive.get("SerialNumber")),
        size_gb=round(size / 1e9) if size else None,
        # iDRAC says PCIe of an NVMe drive
        protocol="NVMe" if protocol == "PCIe" else protocol,
        **_status(drive),
    )


def nics(reader: Reader, system: dict[str, Any], deadline: Deadline) -> list[Nic] | None:
    """Network interfaces of the host with the MAC address as the BMC writes it (InfiniBand's has 20 octets)."""
    path = link(system, "EthernetInterfaces")
    if path is None:
        return None
    found = []
    for member in reader.members(path, deadline):
        interface = reader.get_optional(member, deadline) or {}
        status = text(interface.get("LinkStatus"))
        speed = integer(interface.get("SpeedMbps"))
        found.append(
            Nic(
                id=text(interface.get("Id")) or leaf(member),
                mac=(text(interface.get("PermanentMACAddress")) or text(interface.get("MACAddress")) or "").lower()
                or None,
                speed_mbps=speed or None,
                link_up=None if status is None else status == "LinkUp",
            )
        )
    return found


def adapters(reader: Reader, system: dict[str, Any], deadline: Deadline) -> tuple[list[Adapter] | None, list[Link]]:
    """Network cards of the chassis that the host is in, and the PCIe links that they report."""
    chassis = [reader.get_optional(path, deadline) for path in links(system, "Links", "Chassis")[:4]]
    collections = [path for path in (link(resource, "NetworkAdapters") for resource in chassis) if path is not None]
    if not collections:
        return None, []
    cards, found_links = [], []
    for collection in collections:
        for member in reader.members(collection, deadline):
            card = reader.get_optional(member, deadline) or {}
            name = text(card.get("Id")) or leaf(member)
            cards.append(
                Adapter(
                    id=name,
                    model=text(card.get("Model")) or text(card.get("Name")),
                    manufacturer=text(card.get("Manufacturer")),
                    serial_number=text(card.get("SerialNumber")),
                    part_number=text(card.get("PartNumber")),
                    **_status(card),
                )
            )
            for controller in tables(card.get("Controllers")):
                found = pcie_link(name, "nic", table(controller.get("PCIeInterface")))
                if found is not None:
                    found_links.append(found)
                    break
    return cards, found_links


def pcie_link(name: str, kind: str, interface: dict[str, Any]) -> Link | None:
    """A PCIeInterface (DSP0268); None where it tells no width: one that is off says 0 lanes."""
    width = integer(interface.get("LanesInUse"))
    if not width:
        return None
    return Link(
        id=name,
        kind=kind,
        width=width,
        max_width=integer(interface.get("MaxLanes")) or None,
        generation=_generation(interface.get("PCIeType")),
        max_generation=_generation(interface.get("MaxPCIeType")),
    )


def _generation(value: Any) -> int | None:
    found = _GENERATION.fullmatch(text(value) or "")
    return int(found.group(1)) if found else None


def _status(resource: dict[str, Any]) -> dict[str, str | None]:
    status = table(resource.get("Status"))
    return {"state": text(status.get("State")), "health": text(status.get("Health"))}
