"""Where things stand and how they are cabled: racks, NVLink domains, switch ports by LLDP; and what contradicts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from fleet import audit, clock
from fleet.actor import READERS, STAFF, Actor
from fleet.enrolment import values
from fleet.models import Server, ServerNic, Switch
from fleet.operations import lookup

# states in which nobody but this service speaks on a server's ports (one that was used needs a clean first)
FILLED = frozenset({"enrolled", "inspecting", "available"})


@dataclass(slots=True)
class Port:
    """A switch port and the interface at its other end. `source` is recorded, lldp or both."""

    switch: str
    port: str
    server: str
    mac: str
    source: str


@dataclass(slots=True)
class Topology:
    """`racks` and `nvlink_domains` map a name to its servers (by rack unit, then name)."""

    racks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    nvlink_domains: dict[str, list[str]] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def hear(
    session: Session, actor: Actor, server: Server, nic: ServerNic, switch: str, port: str | None, sure: bool = True
) -> None:
    """What LLDP says of one interface's other end; fills in the cabling where the record has none and the port is free.

    A contradiction stays one: `read` names it, a person decides. Nothing is filled in of a server that somebody uses
    or used (its tenant can say what it likes on the wire), nor of an interface that was heard elsewhere or (not
    `sure`) on several ports.
    """
    elsewhere = nic.lldp_port is not None and (nic.lldp_switch, nic.lldp_port) != (switch, port)
    nic.lldp_switch = switch[:128]
    nic.lldp_port = port[:128] if port else None
    nic.lldp_seen_at = clock.now(session)
    if nic.switch_id is not None or port is None or elsewhere or not sure:
        return
    if server.status not in FILLED or server.needs_clean:
        return
    known = session.scalar(select(Switch).where(Switch.name == switch))
    if known is None:
        return
    with session.no_autoflush:
        taken = session.scalar(
            select(ServerNic.id).where(ServerNic.switch_id == known.id, ServerNic.switch_port == port).limit(1)
        )
    if taken is None:
        nic.switch_id = known.id
        nic.switch_port = nic.lldp_port
        detail = {"server": server.name, "mac": nic.mac, "switch": known.name, "port": nic.switch_port}
        audit.record(session, actor, "topology.filled", nic.id, detail)
        session.flush()


def neighbour(nic: dict[str, Any]) -> tuple[str, str | None] | None:
    """`(switch, port)` out of an inspection's interface: `neighbor` is a name or `{system_name, port}`."""
    found = nic.get("neighbor")
    if isinstance(found, dict):
        name = found.get("system_name") or found.get("switch") or found.get("name")
        port = found.get("port") or found.get("port_id") or found.get("interface")
    else:
        name, port = found, nic.get("neighbor_port")
    if not isinstance(name, str) or not name.strip():
        return None
    return name.strip(), port.strip() if isinstance(port, str) and port.strip() else None


def heard_by_switch(session: Session, actor: Actor, switch: str, ports: list[dict[str, Any]]) -> dict[str, Any]:
    """What a switch hears on its ports: `[{interface, macs: […]}]`; answers `{stored, unknown_macs}`."""
    actor.require(*STAFF)
    row = session.scalar(select(Switch).where((Switch.name == switch) | (Switch.id == switch)))
    if row is None:
        raise lookup.missing("switch", switch)
    stored, unknown = 0, []
    heard_on: dict[str | None, set[str]] = defaultdict(set)
    for entry in ports:
        for raw in entry["macs"]:
            heard_on[values.mac(raw)].add(entry["interface"])
    for entry in ports:
        for raw in entry["macs"]:
            mac = values.mac(raw)
            nic = session.scalar(select(ServerNic).where(ServerNic.mac == mac)) if mac is not None else None
            if nic is None:
                unknown.append(str(raw))
                continue
            server = session.get_one(Server, nic.server_id)
            hear(session, actor, server, nic, row.name, entry["interface"], sure=len(heard_on[mac]) == 1)
            stored += 1
    audit.record(session, actor, "topology.heard", row.id, {"switch": row.name, "stored": stored})
    session.flush()
    return {"stored": stored, "unknown_macs": unknown}


def read(session: Session, actor: Actor) -> Topology:
    """The whole of it."""
    actor.require(*READERS)
    servers = session.scalars(
        select(Server)
        .where(Server.status != "retired")
        .order_by(Server.name)
        .options(selectinload(Server.nics).selectinload(ServerNic.switch))
    ).all()
    found = Topology()
    racks: dict[str, list[Server]] = defaultdict(list)
    domains: dict[str, list[str]] = defaultdict(list)
    for server in servers:
        if server.rack:
            racks[server.rack].append(server)
        if server.nvlink_domain:
            domains[server.nvlink_domain].append(server.name)
    for rack, members in sorted(racks.items()):
        members.sort(key=lambda server: (server.rack_unit or 0, server.name))
        found.racks[rack] = [{"name": server.name, "rack_unit": server.rack_unit} for server in members]
        found.conflicts += _same_unit(rack, members)
    found.nvlink_domains = dict(sorted(domains.items()))
    pairs = [(server, nic) for server in servers for nic in server.nics]
    found.ports = _ports(pairs)
    found.conflicts += _cabling(pairs)
    return found


def _same_unit(rack: str, members: Iterable[Server]) -> list[str]:
    units: dict[int, list[str]] = defaultdict(list)
    for server in members:
        if server.rack_unit is not None:
            units[server.rack_unit].append(server.name)
    return [
        f"rack {rack} unit {unit}: {' and '.join(names)} stand there in the record"
        for unit, names in sorted(units.items())
        if len(names) > 1
    ]


def _recorded(nic: ServerNic) -> tuple[str, str] | None:
    return (nic.switch.name, nic.switch_port) if nic.switch is not None and nic.switch_port else None


def _heard(nic: ServerNic) -> tuple[str, str] | None:
    return (nic.lldp_switch, nic.lldp_port) if nic.lldp_switch and nic.lldp_port else None


def _ports(pairs: list[tuple[Server, ServerNic]]) -> list[Port]:
    found = []
    for server, nic in pairs:
        recorded, heard = _recorded(nic), _heard(nic)
        if recorded is not None:
            source = "both" if recorded == heard else "recorded"
            found.append(Port(recorded[0], recorded[1], server.name, nic.mac, source))
        if heard is not None and heard != recorded:
            found.append(Port(heard[0], heard[1], server.name, nic.mac, "lldp"))
    return sorted(found, key=lambda port: (port.switch, port.port, port.server))


def _cabling(pairs: list[tuple[Server, ServerNic]]) -> list[str]:
    conflicts = []
    heard_at: dict[tuple[str, str], list[str]] = defaultdict(list)
    owner = {place: server.name for server, nic in pairs if (place := _recorded(nic)) is not None}
    for server, nic in pairs:
        recorded, heard = _recorded(nic), _heard(nic)
        if heard is None:
            continue
        heard_at[heard].append(f"{server.name} ({nic.mac})")
        if recorded is not None and recorded != heard:
            conflicts.append(
                f"{server.name} {nic.mac}: cabled to {' '.join(recorded)} in the record, LLDP hears {' '.join(heard)}"
            )
        if owner.get(heard, server.name) != server.name:
            conflicts.append(
                f"{' '.join(heard)}: {owner[heard]}'s in the record, LLDP hears {server.name} ({nic.mac}) there"
            )
    conflicts += [
        f"{' '.join(place)}: LLDP hears {' and '.join(who)}" for place, who in sorted(heard_at.items()) if len(who) > 1
    ]
    return conflicts
