"""The import document enters the record: networks, switches, servers, by name.

Everything that can be found out without the write lock is: values are checked, rows are looked up and passwords are
sealed first. Then entries are written in transactions of a few hundred, each of a handful of bulk statements, so that
nobody else waits long for the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from fleet import clock
from fleet.actor import STAFF, Actor
from fleet.db import Database
from fleet.enrolment import infrastructure, passwords, pieces, values
from fleet.enrolment.document import Document, ServerEntry, bmc_place, prepare, same_bmc
from fleet.enrolment.pieces import Imported, amend
from fleet.enrolment.values import Errors, wrong
from fleet.errors import Invalid
from fleet.ids import new_id
from fleet.models import Credential, Event, HardwareProfile, Server, ServerNic, Switch

ACTION = "fleet.import"


def import_fleet(session: Session, actor: Actor, document: dict[str, Any]) -> Imported:
    """Upsert networks, switches and servers by name in the caller's transaction: all of the document, or nothing.

    A field the document leaves out stays as it is. Raises Invalid naming the entries that are wrong; Conflict where it
    would pull the ground from under something in use.
    """
    actor.require(*STAFF)
    return _import(session, actor, prepare(document))


def import_document(database: Database, actor: Actor, document: dict[str, Any]) -> Imported:
    """The same in transactions of its own, for documents of thousands of entries.

    All of the document is checked against the record before anything is written, so that one wrong entry imports
    nothing. Should somebody else change the same rows meanwhile, the error says how much is in.
    """
    actor.require(*STAFF)
    prepared = prepare(document)
    if len(prepared) <= pieces.CHUNK:
        with database.reading() as session:
            _seal(session, prepared.servers)
        with database.transaction() as session:
            return _import(session, actor, prepared)
    with database.reading() as session:
        infrastructure.rehearse(session, prepared)
        _check_servers(session, prepared)
    fresh = {entry["name"] for _pointer, entry in prepared.switches}

    def put_servers(session: Session, piece: Sequence[ServerEntry], part: Imported) -> None:
        known = _look_up(session, piece)
        _check_chunk(piece, known, fresh).raise_if_any()
        _write_servers(session, piece, known, part)

    imported = Imported()
    write = partial(pieces.write, database, actor, ACTION, written=Counter())
    if prepared.networks:
        imported.add(write("networks", prepared.networks, infrastructure.write_networks))
    if prepared.switches:
        imported.add(write("switches", prepared.switches, infrastructure.write_switches))
    if prepared.servers:
        imported.add(write("servers", prepared.servers, put_servers))
    return imported


def _import(session: Session, actor: Actor, prepared: Document) -> Imported:
    imported = Imported()
    infrastructure.write_networks(session, prepared.networks, imported)
    infrastructure.write_switches(session, prepared.switches, imported)
    session.flush()
    _check_servers(session, prepared)
    for chunk in pieces.of(prepared.servers):
        _write_servers(session, chunk, _look_up(session, chunk), imported)
    imported.audit(session, actor, ACTION)
    session.flush()
    return imported


# -- servers against the record ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """What the record has of a chunk's servers, and who holds what the chunk wants."""

    servers: dict[str, Server]
    credentials: dict[str, Credential]
    profiles: dict[str, HardwareProfile]
    switches: dict[str, str]
    macs: dict[str, str]
    ports: dict[tuple[str, str], list[tuple[str, str]]]
    bmcs: dict[tuple[str, int], str]
    # interfaces of retired servers that the chunk has now: a machine, or its place in the rack, is used again
    retired: list[str] = field(default_factory=list)
    # MAC addresses of retired servers on which somebody may have left something
    unclean: set[str] = field(default_factory=set)


def _look_up(session: Session, chunk: Sequence[ServerEntry]) -> _Known:
    """Seven queries for the whole chunk."""
    names = [entry.name for entry in chunk]
    servers = {
        server.name: server
        for server in session.scalars(
            select(Server)
            .where(Server.name.in_(names))
            .options(selectinload(Server.nics).selectinload(ServerNic.switch))
            .execution_options(populate_existing=True)
        )
    }
    identifiers = [server.id for server in servers.values()]
    credentials = {
        str(row.server_id): row
        for row in session.scalars(select(Credential).where(Credential.server_id.in_(identifiers)))
    }
    wanted_profiles = [_profile_name(entry) for entry in chunk if entry.profile]
    profiles = {
        row.name: row
        for row in session.scalars(select(HardwareProfile).where(HardwareProfile.name.in_(wanted_profiles)))
    }
    switches = {row.name: row.id for row in session.execute(select(Switch.name, Switch.id))}
    macs = [nic.mac for entry in chunk for nic in entry.nics or ()]
    # every switch has the same names of ports: asked for by both, or all of the fleet's cabling would come
    places = {(nic.switch, nic.port) for entry in chunk for nic in entry.nics or () if nic.switch and nic.port}
    at_switches = {switches[switch] for switch, _port in places if switch in switches}
    ports = {port for _switch, port in places}
    holders = session.execute(
        select(
            ServerNic.id,
            ServerNic.mac,
            ServerNic.switch_id,
            ServerNic.switch_port,
            Server.name,
            Server.status,
            Server.needs_clean,
        )
        .join(Server, Server.id == ServerNic.server_id)
        .where(ServerNic.mac.in_(macs) | (ServerNic.switch_id.in_(at_switches) & ServerNic.switch_port.in_(ports)))
    ).all()
    retired = [row for row in holders if row.status == "retired" and row.name not in names]
    there = [row for row in holders if row.status != "retired" or row.name in names]
    by_port: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in there:
        if row.switch_id and row.switch_port:
            by_port.setdefault((row.switch_id, row.switch_port), []).append((row.mac, row.name))
    bmc_ips = {entry.values["bmc_ip"] for entry in chunk if "bmc_ip" in entry.values}
    bmcs = session.execute(
        select(Server.name, Server.bmc_ip, Server.bmc_port, Server.bmc_protocol).where(
            Server.bmc_ip.in_(bmc_ips), Server.status != "retired"
        )
    ).all()
    return _Known(
        servers,
        credentials,
        profiles,
        switches,
        {row.mac: row.name for row in there},
        by_port,
        {bmc_place(row.bmc_ip, row.bmc_port, row.bmc_protocol): row.name for row in bmcs},
        [row.id for row in retired],
        {row.mac for row in retired if row.needs_clean},
    )


def _profile_name(entry: ServerEntry) -> str:
    """A profile that is written at the server is its own."""
    return f"server-{entry.name}"


def _check_servers(session: Session, prepared: Document) -> None:
    """All servers of the document against the record; passwords are sealed on the way."""
    errors = Errors()
    fresh = {entry["name"] for _pointer, entry in prepared.switches}
    for chunk in pieces.of(prepared.servers):
        found = _check_chunk(chunk, _look_up(session, chunk), fresh)
        errors.count += found.count
        errors.found = [*errors.found, *found.found][: values.MOST_ERRORS]
    errors.raise_if_any()


def _check_chunk(chunk: Sequence[ServerEntry], known: _Known, fresh_switches: set[str]) -> Errors:
    _seal_chunk(chunk, known)
    errors = Errors()
    # what the chunk itself gives up may be taken by another of its servers
    moving = {entry.name for entry in chunk if entry.nics is not None}
    readdressed = {entry.name for entry in chunk if "bmc_ip" in entry.values}
    for entry in chunk:
        try:
            _check_server(entry, known, fresh_switches, moving, readdressed)
        except Invalid as problem:
            errors.add(entry.pointer, problem)
    return errors


def _check_server(
    entry: ServerEntry, known: _Known, fresh_switches: set[str], moving: set[str], readdressed: set[str]
) -> None:
    row = known.servers.get(entry.name)
    if row is None and "bmc_ip" not in entry.values:
        raise wrong("server", entry.name, "bmc_address missing")
    if entry.password and not (entry.values.get("bmc_username") or (row is not None and row.bmc_username)):
        raise wrong("server", entry.name, "bmc_password without bmc_username")
    if "bmc_ip" in entry.values:
        port = entry.values.get("bmc_port", row.bmc_port if row is not None else None)
        place = bmc_place(entry.values["bmc_ip"], port, entry.values.get("bmc_protocol"))
        owner = known.bmcs.get(place)
        if owner is not None and owner != entry.name and owner not in readdressed:
            raise same_bmc(entry.name, place, owner)
    for nic in entry.nics or ():
        if nic.switch and nic.switch not in known.switches and nic.switch not in fresh_switches:
            raise wrong(
                "server", entry.name, f"the switch {nic.switch} is not in the record: import its `switches` entry too"
            )
        holder = known.macs.get(nic.mac)
        if holder is not None and holder != entry.name and holder not in moving:
            raise wrong("server", entry.name, f"the MAC address {nic.mac} is that of {holder}")
        place_id = known.switches.get(nic.switch or "")
        for mac, owner in known.ports.get((place_id or "", nic.port or ""), ()):
            if mac != nic.mac and owner not in moving:
                raise wrong("server", entry.name, f"{nic.switch} port {nic.port} is cabled to {owner}")


def _seal(session: Session, entries: Sequence[ServerEntry]) -> None:
    """Encrypt the passwords that are new, before anybody waits for a lock."""
    for chunk in pieces.of(entries):
        names = [entry.name for entry in chunk if entry.password]
        servers = {row.name: row for row in session.scalars(select(Server).where(Server.name.in_(names)))}
        stored = session.scalars(
            select(Credential).where(Credential.server_id.in_([row.id for row in servers.values()]))
        )
        _seal_chunk(chunk, _Known(servers, {str(row.server_id): row for row in stored}, {}, {}, {}, {}, {}))


def _seal_chunk(chunk: Sequence[ServerEntry], known: _Known) -> None:
    for entry in chunk:
        row = known.servers.get(entry.name)
        username = entry.values.get("bmc_username") or (row.bmc_username if row is not None else None)
        if not entry.password or not username:
            continue
        owner = row.id if row is not None else entry.new_id
        stored = known.credentials.get(owner)
        if entry.sealed is not None and entry.sealed.owner == owner and entry.sealed.username == username:
            continue
        entry.sealed = passwords.seal(owner, username, entry.password, stored)


# -- servers into the record -------------------------------------------------------------------------------------------


def _write_servers(session: Session, chunk: Sequence[ServerEntry], known: _Known, imported: Imported) -> None:
    moment = clock.now(session)
    changed = dict.fromkeys((entry.name for entry in chunk), False)
    rows: dict[str, Server] = {}
    fresh: set[str] = set()
    with session.no_autoflush:
        _write_profiles(session, chunk, known, changed)
        for entry in chunk:
            row = known.servers.get(entry.name)
            if row is None:
                row = Server(id=entry.new_id, name=entry.name, status="enrolled", status_since=moment, disks=[])
                # its BMC may name no serial number by which an inspection would know the machine again
                row.needs_clean = any(nic.mac in known.unclean for nic in entry.nics or ())
                session.add(row)
                fresh.add(entry.name)
            changed[entry.name] |= amend(row, entry.values)
            if entry.profile is not None:
                changed[entry.name] |= amend(row, {"hardware_profile_id": known.profiles[_profile_name(entry)].id})
            rows[entry.name] = row
        session.flush()
        _seal_chunk(chunk, known)
        _write_nics(session, chunk, known, rows, changed)
        for entry in chunk:
            changed[entry.name] |= _write_credential(session, entry, rows[entry.name], known, moment)
            if entry.name in fresh:
                session.add(_enrolled_event(rows[entry.name]))
        session.flush()
    for entry in chunk:
        imported.count("servers", entry.name in fresh, changed[entry.name])


def _write_profiles(session: Session, chunk: Sequence[ServerEntry], known: _Known, changed: dict[str, bool]) -> None:
    for entry in chunk:
        if entry.profile is None:
            continue
        row = known.profiles.get(_profile_name(entry))
        if row is None:
            row = HardwareProfile(id=new_id("hwp"), name=_profile_name(entry), bios={}, boot_order=[])
            known.profiles[row.name] = row
            session.add(row)
        changed[entry.name] |= amend(row, entry.profile)
    session.flush()


def _write_nics(
    session: Session,
    chunk: Sequence[ServerEntry],
    known: _Known,
    rows: dict[str, Server],
    changed: dict[str, bool],
) -> None:
    """What is given up goes first, so that another server of the chunk may take the MAC address or the port."""
    taken_away = list(known.retired)
    unplugged: list[str] = []
    for entry in chunk:
        row = known.servers.get(entry.name)
        if entry.nics is None or row is None:
            continue
        wanted = {nic.mac: nic for nic in entry.nics}
        for old in row.nics:
            target = wanted.get(old.mac)
            if target is None:
                taken_away.append(old.id)
                changed[entry.name] = True
            elif old.switch_id and (old.switch.name if old.switch else None, old.switch_port) != (
                target.switch,
                target.port,
            ):
                unplugged.append(old.id)
    if taken_away:
        session.execute(delete(ServerNic).where(ServerNic.id.in_(taken_away)))
    if unplugged:
        session.execute(update(ServerNic).where(ServerNic.id.in_(unplugged)).values(switch_port=None))
    for entry in chunk:
        if entry.nics is None:
            continue
        server = rows[entry.name]
        have = {nic.mac: nic for nic in server.nics} if entry.name in known.servers else {}
        for position, nic in enumerate(entry.nics):
            found = have.get(nic.mac)
            if found is None:
                found = ServerNic(server_id=server.id, mac=nic.mac)
                session.add(found)
                changed[entry.name] = True
            place = {
                "position": position,
                "switch_id": known.switches.get(nic.switch) if nic.switch else None,
                "switch_port": nic.port,
            }
            changed[entry.name] |= amend(found, place)
    session.flush()
    for entry in chunk:
        if entry.nics is not None:
            session.expire(rows[entry.name], ["nics"])


def _write_credential(session: Session, entry: ServerEntry, row: Server, known: _Known, moment: Any) -> bool:
    sealed = entry.sealed
    if sealed is None:
        return False
    stored = known.credentials.get(row.id)
    if sealed.owner != row.id or (sealed.cipher is None and stored is None):
        # somebody else made or removed the row since it was looked up
        assert entry.password is not None
        sealed = passwords.seal(row.id, sealed.username, entry.password, stored)
    if sealed.cipher is None:
        return False
    session.add(passwords.store(stored or Credential(server_id=row.id), sealed, moment if stored is not None else None))
    return True


def _enrolled_event(server: Server) -> Event:
    """The event of a server that is new in the record."""
    return Event(
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
