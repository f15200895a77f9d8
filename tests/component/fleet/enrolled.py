"""A new server with rules and a delivery list, and what its inspection finds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from fleet.actor import SYSTEM, Actor
from fleet.enrolment import inspection, parts
from fleet.models import (
    HardwareConfig,
    PartReplacement,
    Server,
)
from fleet.operations import lookup
from tests.component.fleet.support import Site, bmc_facts

OPERATOR = Actor("usr_op", "olga", "operator")
RULES = """\
mode: first
classes:
  dgx-h100:
    gpus: {count: 8, model: H100, memory_gb: 80, pcie_width: 16}
    cpus: {count: 2}
    dimms: {count: 4, size_gb: 64}
    drives: [{count: 2, size_gb: 3840, protocol: NVMe}]
    nics: {count: 1}
profiles:
  training: {bios: {SriovEnable: Enabled}, boot_order: [pxe, hdd]}
rules:
  - name: not-ordered
    when: [{fact: expected, eq: false}]
    set: {quarantine: not on the delivery list}
  - name: dgx
    when: [{fact: model, matches: ^DGXH100}, {fact: gpu_count, ge: 8}]
    set: {model_class: dgx-h100, pool: training, tags: [nvlink], hardware_profile: training}
  - name: rest
    set: {pool: unsorted}
"""


def facts_of(number: int, **change: Any) -> dict[str, Any]:
    """What bmc_info says with all subsets."""
    return {
        **bmc_facts(number),
        "cpu_count": 2,
        "dimms": [
            {"id": f"DIMM.Socket.A{slot}", "size_gb": 64, "serial_number": f"D{number}{slot}", "state": "Enabled"}
            for slot in range(1, 5)
        ],
        "drives": [
            {"id": f"nvme{slot}", "size_gb": 3841, "protocol": "NVMe", "serial_number": f"V{number}{slot}"}
            for slot in range(2)
        ],
        "adapters": [{"id": "NIC.Slot.1", "model": "ConnectX-7", "serial_number": f"N{number}"}],
        "links": [{"id": f"GPU_SXM_{slot}", "kind": "gpu", "width": 16, "generation": 5} for slot in range(1, 9)],
        **change,
    }


def look(site: Site, facts: dict[str, Any], server: str = "new", **top: Any) -> Server:
    with site.database.transaction() as session:
        return inspection.record_inspection(session, SYSTEM, server, {"bmc": facts, **top})


def server_of(site: Site, name: str = "new") -> Server:
    with site.database.reading() as session:
        return lookup.server(session, name)


def config(site: Site, server: str = "new") -> HardwareConfig:
    with site.database.reading() as session:
        return session.scalars(select(HardwareConfig).join(Server).where(Server.name == server)).one()


def exchange(site: Site, kind: str, old: str, new: str | None = None, server: str = "gpu-01") -> PartReplacement:
    with site.database.transaction() as session:
        return parts.announce(session, OPERATOR, server, kind, old, new, "RMA 7")


def with_gpu(number: int, slot: int, serial: str) -> dict[str, Any]:
    facts = bmc_facts(number)
    facts["gpus"][slot - 1]["serial_number"] = serial
    return facts
