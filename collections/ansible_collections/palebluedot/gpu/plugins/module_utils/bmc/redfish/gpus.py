# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The GPUs that a Redfish service knows of, wherever the vendor put them."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Gpu, Link
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.parts import pcie_link
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.registry import Reader
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    leaf,
    link,
    marketed_memory_gb,
    number,
    table,
    text,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import links as member_links
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import Profile

SYSTEMS = "/redfish/v1/Systems"
CHASSIS = "/redfish/v1/Chassis"
_GPU_NAME = re.compile(r"^(HGX_)?GPU[_0-9]|^OAM_\d", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


# a GPU and the resource that tells of it
Found = tuple[Gpu, dict[str, Any]]


def inventory(reader: Reader, profile: Profile, deadline: Deadline) -> list[Gpu]:
    """The server's GPUs in slot order: Processors of type GPU in any System, else the vendor's own list of cards, else
    PCIe devices, else chassis."""
    return [gpu for gpu, _resource in found(reader, profile, deadline)]


def found(reader: Reader, profile: Profile, deadline: Deadline) -> list[Found]:
    """The same with the resource of each."""
    gpus = (
        _processors(reader, profile, deadline)
        or _cards(reader, profile, deadline)
        or _pcie_devices(reader, deadline)
        or _chassis(reader, deadline)
    )
    return sorted(gpus, key=lambda pair: slot_order(pair[0].id))


def links(gpus: list[Found]) -> list[Link]:
    """The PCIe links that the GPUs' resources report: a Processor's SystemInterface, a PCIeDevice's PCIeInterface."""
    pairs = [
        (gpu, table(dig(resource, "SystemInterface", "PCIe")) or table(resource.get("PCIeInterface")))
        for gpu, resource in gpus
    ]
    return [known for gpu, interface in pairs if (known := pcie_link(gpu.id, "gpu", interface)) is not None]


def slot_order(name: str) -> tuple[int, str]:
    """Sorts GPU_SXM_2 before GPU_SXM_10."""
    number_in_name = _LAST_NUMBER.search(name)
    return (int(number_in_name.group(1)) if number_in_name else 0, name)


def _processors(reader: Reader, profile: Profile, deadline: Deadline) -> list[Found]:
    if profile.gpu_systems:
        systems = [f"{SYSTEMS}/{name}" for name in profile.gpu_systems]
    else:
        systems = reader.members(SYSTEMS, deadline)
    found = []
    for system in systems:
        for path in reader.members(f"{system}/Processors", deadline):
            if profile.gpu_processors and not re.fullmatch(profile.gpu_processors, leaf(path)):
                continue
            processor = reader.get_optional(path, deadline) or {}
            if processor.get("ProcessorType") == "GPU":
                found.append(_gpu(reader, path, processor, "processor", deadline))
    return found


def _gpu(reader: Reader, path: str, resource: dict[str, Any], source: str, deadline: Deadline) -> Found:
    model = text(resource.get("Model"))
    memory_gb = marketed_memory_gb(model, number(dig(resource, "MemorySummary", "TotalMemorySizeMiB")))
    if memory_gb is None:
        sizes = [
            number(dig(reader.get_optional(memory, deadline), "CapacityMiB"))
            for memory in member_links(resource, "Links", "Memory")[:16]
        ]
        memory_gb = marketed_memory_gb(None, sum(size for size in sizes if size))
    gpu = Gpu(text(resource.get("Id")) or leaf(path), model, text(resource.get("SerialNumber")), memory_gb, source)
    return gpu, resource


def _cards(reader: Reader, profile: Profile, deadline: Deadline) -> list[Found]:
    """HPE's iLO lists all cards, each with its DeviceType. Its PCIe devices have numbers for Ids and part numbers for
    Models, so that nothing tells a GPU there."""
    if not profile.chassis_cards:
        return []
    cards = [
        (path, card)
        for chassis in reader.members(CHASSIS, deadline)
        for path in reader.members(link(reader.get_optional(chassis, deadline), *profile.chassis_cards), deadline)
        if (card := reader.get_optional(path, deadline) or {}).get("DeviceType") == "GPU"
        and dig(card, "Status", "State") != "Absent"
    ]
    slots = [text(card.get("Location")) for _path, card in cards]
    found = []
    for (path, card), slot in zip(cards, slots, strict=True):
        # the Id is a number that changes when cards are put in
        id = slot if slot is not None and slots.count(slot) == 1 else card.get("Id")
        found.append(_gpu(reader, path, {**card, "Id": id, "Model": card.get("Name")}, "card", deadline))
    return found


def _pcie_devices(reader: Reader, deadline: Deadline) -> list[Found]:
    """Supermicro's HGX shows its GPUs as PCIe devices GPU1..GPU8 of a chassis and as nothing else."""
    found = []
    for chassis in reader.members(CHASSIS, deadline):
        for path in reader.members(f"{chassis}/PCIeDevices", deadline):
            if _GPU_NAME.match(leaf(path)):
                device = reader.get_optional(path, deadline) or {}
                found.append(_gpu(reader, path, device, "pcie_device", deadline))
    return found


def _chassis(reader: Reader, deadline: Deadline) -> list[Found]:
    found = []
    for path in reader.members(CHASSIS, deadline):
        if _GPU_NAME.match(leaf(path)):
            chassis = reader.get_optional(path, deadline) or {}
            found.append(_gpu(reader, path, chassis, "chassis", deadline))
    return found
