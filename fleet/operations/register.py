"""Servers, switches and networks enter the record; inspections fill them in; flags stop what must be stopped."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from fleet import addresses, audit, clock, secrets, states
from fleet.actor import OPERATORS, STAFF, Actor
from fleet.errors import Conflict, Invalid
from fleet.models import (
    Credential,
    Event,
    FleetFlag,
    Gpu,
    HardwareConfig,
    HardwareProfile,
    IpAddress,
    Network,
    Server,
    ServerNic,
    Switch,
)
from fleet.operations import fleetflags, lookup, settle, workflows

MOST_GPUS = 128
GPU_TEXTS = {"id": 100, "model": 128, "serial_number": 128, "pci_address": 32, "uuid": 64}
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# goes into Tinkerbell templates as it is
DEVICE = re.compile(r"/dev/[A-Za-z0-9/_.:-]{1,120}")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
PURPOSES = ("provisioning", "quarantine", "tenant", "management")
BMC_PROTOCOLS = ("auto", "redfish", "ipmi")
NETWORK_FIELDS = frozenset({"name", "purpose", "vlan", "cidr", "gateway", "vni"})
SWITCH_FIELDS = frozenset({"name", "address", "grpc_port", "dialect", "username", "password", "ca_path"})
PLAIN_SERVER_FIELDS = (
    "bmc_port",
    "bmc_protocol",
    "bmc_username",
    "bmc_ca_path",
    "bmc_fingerprint",
    "bmc_validate_certs",
    "rack",
    "pool",
    "nvlink_domain",
    "cpu_count",
    "memory_gb",
    "storage_gb",
    "disks",
)
SERVER_TEXTS = {
    "bmc_protocol": 16,
    "bmc_username": 128,
    "bmc_ca_path": 1024,
    "bmc_fingerprint": 128,
    "rack": 128,
    "pool": 128,
    "nvlink_domain": 128,
}
SERVER_FIELDS = frozenset({"name", "bmc_address", "bmc_password", "nics", "hardware_profile", *PLAIN_SERVER_FIELDS})


@dataclass(slots=True)
class Imported:
    """How many rows of each kind (networks, switches, servers) were created, updated, left as they were."""

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)


def import_fleet(session: Session, actor: Actor, document: dict[str, Any]) -> Imported:
    """Upsert networks, switches and servers by name: all of the document, or nothing.

    A field the document leaves out stays as it is. Raises Invalid naming the entry that is wrong; Conflict where it
    would pull the ground from under something in use.
    """
    actor.require(*STAFF)
    unknown = sorted(set(document) - {"networks", "switches", "servers"})
    if unknown:
        raise Invalid(f"unknown parts of the document: {', '.join(unknown)}", code="invalid_import")
    imported = Imported()
    for kind, upsert in (("networks", _network), ("switches", _switch), ("servers", _server)):
        entries = document.get(kind)
        if entries is None:
            continue
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Invalid(f"{kind} is a list of mappings", code="invalid_import")
        seen: set[str] = set()
        for entry in entries:
            name = str(entry.get("name", ""))
            if not DNS_LABEL.fullmatch(name):
                raise Invalid(
                    f"{kind}: {name!r} is no DNS label",
                    code="invalid_import",
                    next="1 to 63 of a-z, 0-9 and -, not at the ends",
                )
            if name in seen:
                raise Invalid(f"{kind}: {name} is listed twice", code="invalid_import")
            seen.add(name)
            created, changed = upsert(session, entry)
            counter = imported.created if created else imported.updated if changed else imported.unchanged
            counter[kind] += 1
            session.flush()
    audit.record(
        session,
        actor,
        "fleet.import",
        None,
        {"created": dict(imported.created), "updated": dict(imported.updated)},
    )
    session.flush()
    return imported


def _only(kind: str, entry: dict[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise Invalid(
            f"{kind} {entry['name']}: unknown fields {', '.join(unknown)}",
            code="invalid_import",
            answer=f"known: {', '.join(sorted(known))}",
        )


def _wrong(kind: str, entry: dict[str, Any], what: str) -> Invalid:
    return Invalid(f"{kind} {entry['name']}: {what}", code="invalid_import")


def _number(kind: str, entry: dict[str, Any], key: str, low: int, high: int) -> int | None:
    value = entry.get(key)
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise _wrong(kind, entry, f"{key} {value!r} is no number") from None
    if not low <= number <= high:
        raise _wrong(kind, entry, f"{key} {number} is not within {low} to {high}")
    return number


def _text(kind: str, entry: dict[str, Any], key: str, limit: int = 128) -> str | None:
    value = entry.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > limit:
        raise _wrong(kind, entry, f"{key} is a text of at most {limit} characters")
    return str(value)


def _put(row: Any, values: dict[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    changed = False
    for key, value in values.items():
        if getattr(row, key) != value:
            setattr(row, key, value)
            changed = True
    return changed


def _must_stand_alone(session: Session, entry: dict[str, Any], cidr: str | None) -> None:
    """Refuse addresses that another network hands out too: two tenants would get the same one."""
    if cidr is None:
        return
    mine = ipaddress.ip_network(cidr)
    if mine.is_multicast or mine.is_unspecified or mine.prefixlen == 0:
        raise _wrong("network", entry, f"{cidr} holds no addresses for servers")
    others = session.execute(select(Network.name, Network.cidr).where(Network.name != entry["name"]))
    for name, other in others:
        if other is None:
            continue
        theirs = ipaddress.ip_network(other)
        if mine.version == theirs.version and mine.overlaps(theirs):
            raise _wrong("network", entry, f"{cidr} overlaps {other} of the network {name}")


def _network(session: Session, entry: dict[str, Any]) -> tuple[bool, bool]:
    _only("network", entry, NETWORK_FIELDS)
    row = session.scalar(select(Network).where(Network.name == entry["name"]))
    created = row is None
    if row is None:
        missing = [key for key in ("purpose", "vlan", "cidr") if entry.get(key) in (None, "")]
        if missing:
            raise _wrong("network", entry, f"{', '.join(missing)} missing")
        row = Network(name=entry["name"])
    purpose = entry.get("purpose", row.purpose)
    if purpose not in PURPOSES:
        raise _wrong("network", entry, f"purpose {purpose!r} is not one of {', '.join(PURPOSES)}")
    values: dict[str, Any] = {
        "purpose": purpose,
        "vlan": _number("network", entry, "vlan", 1, 4094) or row.vlan,
        "vni": _number("network", entry, "vni", 1, 2**24 - 1) or row.vni,
        "cidr": _text("network", entry, "cidr", 64) or row.cidr,
        "gateway": _text("network", entry, "gateway", 64) if "gateway" in entry else row.gateway,
    }
    values["capacity"] = addresses.capacity(values["cidr"], values["gateway"])
    twin = session.scalar(select(Network.name).where(Network.vlan == values["vlan"], Network.name != entry["name"]))
    if twin is not None:
        raise _wrong("network", entry, f"VLAN {values['vlan']} is that of {twin}")
    _must_stand_alone(session, entry, values["cidr"])
    if not created and any(getattr(row, key) != values[key] for key in ("purpose", "vlan", "cidr", "gateway")):
        used = session.scalar(select(IpAddress.id).where(IpAddress.network_id == row.id).limit(1))
        if used is not None or row.allocation_id is not None:
            raise Conflict(
                f"network {row.name} is in use: its purpose, VLAN, addresses and gateway cannot be changed now",
                code="in_use",
                next="import it again when nothing holds an address of it, or import a new network",
            )
    changed = _put(row, values)
    session.add(row)
    return created, changed


def _switch(session: Session, entry: dict[str, Any]) -> tuple[bool, bool]:
    _only("switch", entry, SWITCH_FIELDS)
    row = session.scalar(select(Switch).where(Switch.name == entry["name"]))
    created = row is None
    if row is None:
        if not entry.get("address"):
            raise _wrong("switch", entry, "address missing")
        row = Switch(name=entry["name"])
    limits = {"address": 255, "dialect": 32, "username": 128, "ca_path": 1024}
    texts = {key: _text("switch", entry, key, limit) for key, limit in limits.items()}
    values: dict[str, Any] = {key: value for key, value in texts.items() if value is not None}
    port = _number("switch", entry, "grpc_port", 1, 65535)
    if port is not None:
        values["grpc_port"] = port
    changed = _put(row, values)
    session.add(row)
    session.flush()
    password = _text("switch", entry, "password", 1024)
    changed |= _credential(session, values.get("username"), password, switch=row)
    return created, changed


def _server(session: Session, entry: dict[str, Any]) -> tuple[bool, bool]:
    _only("server", entry, SERVER_FIELDS)
    row = session.scalar(select(Server).where(Server.name == entry["name"]))
    created = row is None
    if row is None:
        if not entry.get("bmc_address"):
            raise _wrong("server", entry, "bmc_address missing")
        row = Server(name=entry["name"], status="enrolled", status_since=clock.now(session), disks=[])
    values: dict[str, Any] = {key: entry[key] for key in PLAIN_SERVER_FIELDS if entry.get(key) not in (None, "")}
    for key, high in (("bmc_port", 65535), ("cpu_count", 65536), ("memory_gb", 2**24), ("storage_gb", 2**30)):
        if key in values:
            values[key] = _number("server", entry, key, 1, high)
    for key, limit in SERVER_TEXTS.items():
        if key in values:
            values[key] = _text("server", entry, key, limit)
    address = _text("server", entry, "bmc_address", 255)
    if address:
        values["bmc_ip"] = address.strip("[]")
    if values.get("bmc_protocol", "auto") not in BMC_PROTOCOLS:
        raise _wrong("server", entry, f"bmc_protocol is one of {', '.join(BMC_PROTOCOLS)}")
    if "bmc_validate_certs" in values:
        values["bmc_validate_certs"] = _boolean(entry, "bmc_validate_certs")
    disks = values.get("disks")
    if isinstance(disks, str):
        values["disks"] = disks = disks.split()
    if disks is not None and not (isinstance(disks, list) and all(isinstance(disk, str) for disk in disks)):
        raise _wrong("server", entry, "disks is a list of device paths")
    for disk in disks or []:
        if not DEVICE.fullmatch(disk):
            raise _wrong("server", entry, f"{disk!r} is no device path such as /dev/nvme0n1")
    changed = _put(row, values)
    session.add(row)
    session.flush()
    password = _text("server", entry, "bmc_password", 1024)
    changed |= _credential(session, values.get("bmc_username"), password, server=row)
    changed |= _profile(session, row, entry.get("hardware_profile"))
    if entry.get("nics") is not None:
        changed |= _nics(session, row, entry)
    if created:
        _enrolled_event(session, row)
    return created, changed


def _enrolled_event(session: Session, server: Server) -> None:
    """The event of a server that is new in the record."""
    session.add(
        Event(
            type="palebluedot.server.enrolled.v1",
            subject=server.id,
            time=clock.utcnow(),
            data={
                "id": server.id,
                "state": "enrolled",
                "previous": None,
                "reason": "imported",
                "actor": None,
                "workflow_id": None,
            },
        )
    )


def _boolean(entry: dict[str, Any], key: str) -> bool:
    value = entry[key]
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "yes", "1", "on"):
        return True
    if text in ("false", "no", "0", "off"):
        return False
    raise _wrong("server", entry, f"{key} {value!r} is neither true nor false")


def _credential(
    session: Session,
    username: str | None,
    password: str | None,
    server: Server | None = None,
    switch: Switch | None = None,
) -> bool:
    """Store a password, encrypted, when it is not the one that is stored.

    One that came with an earlier import and has been rotated since is old news, not a change.
    """
    if not username or not password:
        return False
    owner = server or switch
    assert owner is not None
    column = Credential.server_id if server is not None else Credential.switch_id
    row = session.scalar(select(Credential).where(column == owner.id))
    mark = secrets.fingerprint(f"{username}:{password}", owner.id)
    if row is None:
        row = Credential(server_id=server.id if server else None, switch_id=switch.id if switch else None)
    elif row.imported == mark or (row.username, _opened(row, owner.id)) == (username, password):
        return False
    else:
        row.rotated_at = clock.now(session)
    row.username = username
    row.imported = mark
    row.key_id, row.nonce, row.ciphertext = secrets.encrypt(password, owner.id)
    session.add(row)
    return True


def _opened(row: Credential, owner: str) -> str:
    return secrets.decrypt(row.key_id, row.nonce, row.ciphertext, owner)


def _profile(session: Session, server: Server, wanted: Any) -> bool:
    """A profile that is written at the server is its own (`server-<name>`)."""
    if not wanted:
        return False
    if (
        not isinstance(wanted, dict)
        or set(wanted) - {"bios", "boot_order"}
        or not isinstance(wanted.get("bios") or {}, dict)
        or not isinstance(wanted.get("boot_order") or [], list)
    ):
        raise Invalid(f"server {server.name}: hardware_profile is {{bios, boot_order}}", code="invalid_import")
    name = f"server-{server.name}"
    row = session.scalar(select(HardwareProfile).where(HardwareProfile.name == name))
    if row is None:
        row = HardwareProfile(name=name, bios={}, boot_order=[])
        session.add(row)
    changed = _put(row, {"bios": wanted.get("bios") or {}, "boot_order": wanted.get("boot_order") or []})
    session.flush()
    return _put(server, {"hardware_profile_id": row.id}) or changed


def _nics(session: Session, server: Server, entry: dict[str, Any]) -> bool:
    changed = False
    wanted: list[str] = []
    if not isinstance(entry["nics"], list) or not all(isinstance(nic, dict) for nic in entry["nics"]):
        raise _wrong("server", entry, "nics is a list of {mac, switch, port}")
    for position, nic in enumerate(entry["nics"]):
        mac = str(nic.get("mac", "")).lower().replace("-", ":")
        if not MAC.fullmatch(mac):
            raise _wrong("server", entry, f"{nic.get('mac')!r} is no MAC address")
        switch_id = None
        if nic.get("switch"):
            switch = session.scalar(select(Switch).where(Switch.name == str(nic["switch"])))
            if switch is None:
                raise _wrong(
                    "server",
                    entry,
                    f"the switch {nic['switch']} is not in the record: import its `switches` entry too",
                )
            switch_id = switch.id
        port = str(nic["port"])[:128] if nic.get("port") else None
        row = session.scalar(select(ServerNic).where(ServerNic.mac == mac))
        if row is not None and row.server_id != server.id:
            other = session.get_one(Server, row.server_id)
            raise _wrong("server", entry, f"the MAC address {mac} is that of {other.name}")
        if port is not None and switch_id is not None:
            taken = session.scalar(
                select(Server.name)
                .join(ServerNic, ServerNic.server_id == Server.id)
                .where(ServerNic.switch_id == switch_id, ServerNic.switch_port == port, ServerNic.mac != mac)
            )
            if taken is not None:
                raise _wrong("server", entry, f"{nic['switch']} port {port} is cabled to {taken}")
        if row is None:
            row = ServerNic(server_id=server.id, mac=mac)
            session.add(row)
            changed = True
        changed |= _put(row, {"position": position, "switch_id": switch_id, "switch_port": port})
        wanted.append(mac)
        session.flush()
    for row in session.scalars(select(ServerNic).where(ServerNic.server_id == server.id)).all():
        if row.mac not in wanted:
            session.delete(row)
            changed = True
    session.flush()
    session.expire(server, ["nics"])
    return changed


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
    if to not in ("maintenance", "quarantined", "retired"):
        raise Invalid(f"{to!r} is not one of maintenance, quarantined, retired", code="invalid_state", host=row.name)
    states.transition(session, row, to, actor, reason)
    audit.record(session, actor, "server.state", row.id, {"server": row.name, "state": to, "reason": reason})
    session.flush()
    return row
