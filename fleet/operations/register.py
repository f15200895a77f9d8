"""Inspections fill servers in; flags and states stop what must be stopped."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from fleet import audit, clock, states
from fleet.actor import OPERATORS, STAFF, Actor
from fleet.enrolment.importing import Imported, import_document, import_fleet
from fleet.enrolment.values import DEVICE
from fleet.errors import Conflict, Invalid
from fleet.models import FleetFlag, Gpu, HardwareConfig, Server
from fleet.operations import fleetflags, lookup, settle, workflows

__all__ = [
    "Imported",
    "import_document",
    "import_fleet",
    "record_inspection",
    "set_flags",
    "set_freeze",
    "set_state",
]

MOST_GPUS = 128
GPU_TEXTS = {"id": 100, "model": 128, "serial_number": 128, "pci_address": 32, "uuid": 64}


def record_inspection(session: Session, actor: Actor, server: str, facts: dict[str, Any]) -> Server:
    """What an inspection saw: the `bmc` of `bmc_info` (as it is, or under the key `bmc`) and `nics`
    `[{mac, neighbor, …}]`. An enrolled server is available afterwards; one in another state only gets newer facts.

    Unknown (null) never overwrites known. Raises Conflict when the serial number is another machine's, or changed.
    """
    actor.require(*STAFF)
    row = lookup.server(session, server, lock=True)
    workflows.require_own_server(session, actor, row)
    nics = facts.get("nics")
    bmc = facts.get("bmc", facts)
    if not isinstance(bmc, dict):
        raise Invalid(f"{row.name}: the facts of an inspection are a mapping", code="invalid_inspection", host=row.name)
    if row.status == "retired":
        raise Conflict(f"{row.name} is retired", host=row.name)
    _check_facts(row, bmc)
    _check_serial(session, row, bmc.get("serial_number"))
    if row.status in ("enrolled", "maintenance"):
        states.transition(session, row, "inspecting", actor, "inspected")
    for key in ("manufacturer", "model", "serial_number", "cpu_count", "memory_gb", "storage_gb", "capabilities"):
        if bmc.get(key) is not None:
            setattr(row, key, bmc[key])
    if bmc.get("protocol") in ("redfish", "ipmi") and row.bmc_protocol == "auto":
        row.bmc_protocol = bmc["protocol"]
    if bmc.get("disks") and not row.disks:
        named = [
            str(disk["device"] if isinstance(disk, dict) and disk.get("device") else disk) for disk in bmc["disks"]
        ]
        row.disks = [device for device in named if DEVICE.fullmatch(device)]
    _config(session, row, bmc, nics)
    if isinstance(bmc.get("gpus"), list):
        _gpus(session, row, actor, bmc["gpus"])
    session.flush()
    if row.status == "inspecting":
        states.transition(session, row, "available", actor, "inspected")
    audit.record(session, actor, "server.inspect", row.id, {"server": row.name, "serial_number": row.serial_number})
    session.flush()
    return row


def _check_facts(server: Server, bmc: dict[str, Any]) -> None:
    """Raise Invalid for facts that are not of the kind that bmc_info gives."""

    def wrong(key: str, what: str) -> Invalid:
        return Invalid(f"{server.name}: {key} is {what}", code="invalid_inspection", host=server.name)

    for key in ("manufacturer", "model", "serial_number", "bios_version", "bmc_firmware_version", "protocol"):
        if bmc.get(key) is not None and not (isinstance(bmc[key], str) and len(bmc[key]) <= 128):
            raise wrong(key, "a text of at most 128 characters")
    for key in ("cpu_count", "memory_gb", "storage_gb"):
        if bmc.get(key) is not None and not _is_count(bmc[key]):
            raise wrong(key, "a whole number")
    for key in ("capabilities", "bios_attributes", "raid_config"):
        if bmc.get(key) is not None and not isinstance(bmc[key], dict):
            raise wrong(key, "a mapping")
    if not isinstance(bmc.get("disks") or [], list):
        raise wrong("disks", "a list")
    gpus = bmc.get("gpus")
    if gpus is None:
        return
    if not isinstance(gpus, list) or len(gpus) > MOST_GPUS or not all(isinstance(gpu, dict) for gpu in gpus):
        raise wrong("gpus", f"a list of at most {MOST_GPUS} mappings")
    for gpu in gpus:
        for key, limit in GPU_TEXTS.items():
            if gpu.get(key) is not None and not (isinstance(gpu[key], str) and len(gpu[key]) <= limit):
                raise wrong(f"gpus: {key}", f"a text of at most {limit} characters")
        if gpu.get("memory_gb") is not None and not _is_count(gpu["memory_gb"]):
            raise wrong("gpus: memory_gb", "a whole number")
    for key in ("id", "serial_number"):
        named = [gpu[key] for gpu in gpus if gpu.get(key)]
        if len(named) != len(set(named)):
            raise wrong("gpus", f"a list in which no {key} stands twice")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _check_serial(session: Session, server: Server, serial: str | None) -> None:
    if not serial:
        return
    if server.serial_number is not None and server.serial_number != serial:
        raise Conflict(
            f"{server.name} answers with the serial number {serial}, the record says {server.serial_number}",
            code="serial_number_changed",
            host=server.name,
            next="another machine sits behind this BMC address: correct the address, or retire the old server",
        )
    twin = session.scalar(select(Server.name).where(Server.serial_number == serial, Server.id != server.id))
    if twin is not None:
        raise Conflict(
            f"{server.name} answers with the serial number {serial}, which is that of {twin}",
            code="serial_number_changed",
            host=server.name,
            next="two entries lead to one machine: correct the BMC address of one of them",
        )


def _config(session: Session, server: Server, bmc: dict[str, Any], nics: Any) -> None:
    row = session.scalar(select(HardwareConfig).where(HardwareConfig.server_id == server.id))
    if row is None:
        row = HardwareConfig(server_id=server.id)
        session.add(row)
    for key in ("bios_version", "bmc_firmware_version", "bios_attributes", "raid_config"):
        if bmc.get(key) is not None:
            setattr(row, key, bmc[key])
    row.observed_at = clock.now(session)
    if not isinstance(nics, list):
        return
    row.network_config = {"nics": nics}
    seen = {str(nic.get("mac", "")).lower(): nic for nic in nics if isinstance(nic, dict)}
    for nic in server.nics:
        if nic.mac in seen:
            nic.observed = seen[nic.mac]


def _gpus(session: Session, server: Server, actor: Actor, found: list[dict[str, Any]]) -> None:
    """GPUs by serial number, else by slot; one that is not seen any more is absent."""
    rows = list(server.gpus)
    by_serial = {gpu.serial_number: gpu for gpu in rows if gpu.serial_number}
    by_slot = {gpu.slot: gpu for gpu in rows}
    follows = states.GPU_FOLLOWS[server.status]
    seen: list[Gpu] = []
    for position, facts in enumerate(found):
        slot = str(facts.get("id") or f"GPU{position}")
        serial = facts.get("serial_number") or None
        gpu = by_serial.get(serial) if serial else None
        if gpu is None:
            candidate = by_slot.get(slot)
            # another serial number in the slot is another board
            if candidate is not None and (not serial or candidate.serial_number in (None, serial)):
                gpu = candidate
        if gpu is None:
            occupant = by_slot.pop(slot, None)
            if occupant is not None:
                occupant.slot = f"{slot}!{occupant.id[-8:]}"
                session.flush()
            gpu = Gpu(server_id=server.id, slot=slot, status=follows, status_since=clock.now(session), kind="gpu")
            session.add(gpu)
        elif gpu.status == "absent":
            states.transition(session, gpu, follows, actor, "seen again")
        if gpu.slot != slot and by_slot.get(slot) in (None, gpu):
            gpu.slot = slot
        gpu.position = position
        for key in ("model", "serial_number", "memory_gb", "pci_address", "uuid"):
            if facts.get(key) is not None:
                setattr(gpu, key, facts[key])
        seen.append(gpu)
        session.flush()
    for gpu in rows:
        if gpu not in seen and gpu.kind == "gpu" and states.allowed(gpu, "absent"):
            states.transition(session, gpu, "absent", actor, "not seen by the last inspection")
    session.flush()
    session.expire(server, ["gpus"])
    server.gpu_count = len(seen)
    models = {gpu.model for gpu in seen if gpu.model}
    server.gpu_model = models.pop() if len(models) == 1 else server.gpu_model
    memories = {gpu.memory_gb for gpu in seen if gpu.memory_gb}
    server.gpu_memory_gb = min(memories) if memories else server.gpu_memory_gb


def set_flags(session: Session, actor: Actor, server: str, hands_off: bool, reason: str | None = None) -> Server:
    """Hands off: no destructive step is begun on the server, whichever door asks. Lifting it puts held work back."""
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    row.hands_off = hands_off
    row.hands_off_reason = reason[:1024] if hands_off and reason else None
    audit.record(session, actor, "server.flags", row.id, {"server": row.name, "hands_off": hands_off, "reason": reason})
    session.flush()
    if not hands_off:
        settle.unhold(session, actor)
    return row


def set_freeze(session: Session, actor: Actor, frozen: bool, reason: str | None = None) -> FleetFlag:
    """Freeze the fleet: no new allocation, no destructive step, through whichever door. Lifting puts held work back."""
    actor.require(*OPERATORS)
    flag = session.get(FleetFlag, fleetflags.FROZEN, with_for_update=True, populate_existing=True)
    if flag is None:
        flag = FleetFlag(name=fleetflags.FROZEN, value=False)
        session.add(flag)
    # updated_at tells since when: another reason for the same freeze does not begin it anew
    since = flag.updated_at if flag.value else clock.now(session)
    thawing = bool(flag.value) and not frozen
    flag.value = frozen
    flag.reason = reason[:1024] if frozen and reason else None
    flag.set_by = actor.username
    flag.updated_at = since if frozen else clock.now(session)
    # an unchanged value would not be written, and `onupdate` would write the present time instead
    flag_modified(flag, "updated_at")
    audit.record(session, actor, "fleet.freeze", None, {"frozen": frozen, "reason": reason})
    session.flush()
    if thawing:
        settle.thaw(session, actor, since)
    return flag


def set_state(session: Session, actor: Actor, server: str, to: str, reason: str) -> Server:
    """An operator takes a server out (maintenance, quarantined, retired)."""
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    if to not in states.OUT_OF_USE:
        raise Invalid(f"{to!r} is not one of {', '.join(states.OUT_OF_USE)}", code="invalid_state", host=row.name)
    states.transition(session, row, to, actor, reason)
    audit.record(session, actor, "server.state", row.id, {"server": row.name, "state": to, "reason": reason})
    session.flush()
    return row
