"""The import document enters the record: networks, switches, servers, by name.

Everything that can be found out without the write lock is: values are checked, rows are looked up and passwords are
sealed first. Then servers are written in transactions of a few hundred, each of a handful of bulk statements, so that
nobody else waits long for the record.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from fleet import addresses, audit, clock, secrets
from fleet.actor import STAFF, Actor
from fleet.db import Database
from fleet.enrolment import values
from fleet.enrolment.values import Errors, wrong
from fleet.errors import Conflict, FleetError, Invalid
from fleet.ids import new_id
from fleet.models import Credential, Event, HardwareProfile, IpAddress, Network, Server, ServerNic, Switch

# servers a transaction: SQLite's write lock is held for some tens of milliseconds
CHUNK = 200
YIELD_S = 0.11
PURPOSES = ("provisioning", "quarantine", "tenant", "management")
BMC_PROTOCOLS = ("auto", "redfish", "ipmi")
NETWORK_FIELDS = frozenset({"name", "purpose", "vlan", "cidr", "gateway", "vni"})
SWITCH_FIELDS = frozenset({"name", "address", "grpc_port", "dialect", "username", "password", "ca_path"})
SERVER_NUMBERS = {
    "bmc_port": 65535,
    "rack_unit": 100,
    "cpu_count": 65536,
    "memory_gb": 2**24,
    "storage_gb": 2**30,
}
SERVER_TEXTS = {
    "bmc_protocol": 16,
    "bmc_username": 128,
    "bmc_ca_path": 1024,
    "bmc_fingerprint": 128,
    "rack": 128,
    "pool": 128,
    "nvlink_domain": 128,
    "model_class": 128,
}
SERVER_FIELDS = frozenset(
    {
        "name", "bmc_address", "bmc_password", "bmc_validate_certs", "nics", "disks", "tags", "hardware_profile",
        *SERVER_NUMBERS, *SERVER_TEXTS,
    }
)  # fmt: skip
# where a BMC answers when the record does not say
_STANDARD_PORTS = {"ipmi": 623}


@dataclass(slots=True)
class Imported:
    """How many rows of each kind (networks, switches, servers) were created, updated, left as they were."""

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)

    def count(self, kind: str, created: bool, changed: bool) -> None:
        """Count one row."""
        counter = self.created if created else self.updated if changed else self.unchanged
        counter[kind] += 1


@dataclass(slots=True)
class NicEntry:
    """One interface of a document's server."""

    mac: str
    switch: str | None
    port: str | None


@dataclass(slots=True)
class ServerEntry:
    """A server of the document whose values are in order. `new_id` is its id if the record has none of that name."""

    pointer: str
    name: str
    values: dict[str, Any]
    nics: list[NicEntry] | None
    profile: dict[str, Any] | None
    password: str | None = field(repr=False)
    new_id: str = field(default_factory=lambda: new_id("srv"))
    sealed: Sealed | None = None


@dataclass(slots=True)
class Sealed:
    """An encrypted password and whose it is, with the mark that tells it when it is imported again; None in `cipher`:
    the record has that one already, or had it before it was rotated."""

    owner: str
    username: str
    mark: str
    cipher: tuple[str, bytes, bytes] | None


@dataclass(slots=True)
class Document:
    """An import document whose values are in order by themselves."""

    networks: list[dict[str, Any]]
    switches: list[dict[str, Any]]
    servers: list[ServerEntry]


def import_fleet(session: Session, actor: Actor, document: dict[str, Any]) -> Imported:
    """Upsert networks, switches and servers by name in the caller's transaction: all of the document, or nothing.

    A field the document leaves out stays as it is. Raises Invalid naming the entries that are wrong; Conflict where it
    would pull the ground from under something in use.
    """
    actor.require(*STAFF)
    prepared = _prepare(document)
    imported = Imported()
    _write_infrastructure(session, prepared, imported)
    _check_servers(session, prepared)
    for chunk in _chunks(prepared.servers):
        _write_servers(session, chunk, _look_up(session, chunk), imported)
    _audit(session, actor, imported)
    session.flush()
    return imported


def import_document(database: Database, actor: Actor, document: dict[str, Any]) -> Imported:
    """The same in transactions of its own, for documents of thousands of servers.

    All of the document is checked against the record before anything is written, so that one wrong entry imports
    nothing. Should somebody else change the same rows meanwhile, the error says how many servers are in.
    """
    actor.require(*STAFF)
    prepared = _prepare(document)
    if len(prepared.servers) <= CHUNK:
        with database.reading() as session:
            _seal(session, prepared.servers)
        with database.transaction() as session:
            imported = Imported()
            _write_infrastructure(session, prepared, imported)
            _check_servers(session, prepared)
            _write_servers(session, prepared.servers, _look_up(session, prepared.servers), imported)
            _audit(session, actor, imported)
        return imported
    with database.reading() as session:
        _check_servers(session, prepared)
    imported = Imported()
    with database.transaction() as session:
        _write_infrastructure(session, prepared, imported)
        _audit(session, actor, imported)
    written = 0
    fresh = {entry["name"] for entry in prepared.switches}
    for chunk in _chunks(prepared.servers):
        part = Imported()
        if written:
            # SQLite's waiters do not queue: they look again, at the longest after 100 ms
            time.sleep(YIELD_S)
        try:
            with database.transaction() as session:
                known = _look_up(session, chunk)
                _check_chunk(chunk, known, fresh).raise_if_any()
                _write_servers(session, chunk, known, part)
                _audit(session, actor, part)
        except FleetError as error:
            error.detail = {**error.detail, "servers_written": written}
            error.next = f"{written} servers are in the record; mend this and import the document again"
            raise
        written += len(chunk)
        imported.created += part.created
        imported.updated += part.updated
        imported.unchanged += part.unchanged
    return imported


def _audit(session: Session, actor: Actor, imported: Imported) -> None:
    detail = {"created": dict(imported.created), "updated": dict(imported.updated)}
    audit.record(session, actor, "fleet.import", None, detail)


def _chunks(entries: Sequence[ServerEntry]) -> Iterator[Sequence[ServerEntry]]:
    for start in range(0, len(entries), CHUNK):
        yield entries[start : start + CHUNK]


# -- what can be said of the document by itself ------------------------------------------------------------------------


def _prepare(document: dict[str, Any]) -> Document:
    unknown = sorted(set(document) - {"networks", "switches", "servers"})
    if unknown:
        raise Invalid(f"unknown parts of the document: {', '.join(unknown)}", code="invalid_import")
    errors = Errors()
    lists = {kind: _entries(document, kind, errors) for kind in ("networks", "switches", "servers")}
    servers = []
    for position, entry in lists["servers"]:
        pointer = f"/servers/{position}"
        try:
            servers.append(_server_entry(pointer, entry))
        except Invalid as problem:
            errors.add(pointer, problem)
    _apart(servers, errors)
    for position, entry in lists["switches"]:
        try:
            _switch_values(entry)
        except Invalid as problem:
            errors.add(f"/switches/{position}", problem)
    errors.raise_if_any()
    return Document(
        [entry for _position, entry in lists["networks"]], [entry for _position, entry in lists["switches"]], servers
    )


def _entries(document: dict[str, Any], kind: str, errors: Errors) -> list[tuple[int, dict[str, Any]]]:
    """The entries of one kind whose names are in order and not yet taken in the document."""
    entries = document.get(kind)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Invalid(f"{kind} is a list of mappings", code="invalid_import")
    fields = {"networks": NETWORK_FIELDS, "switches": SWITCH_FIELDS, "servers": SERVER_FIELDS}[kind]
    singular = {"networks": "network", "switches": "switch", "servers": "server"}[kind]
    seen: set[str] = set()
    good = []
    for position, entry in enumerate(entries):
        try:
            name = values.name(singular, entry.get("name", ""))
            if name in seen:
                raise Invalid(f"{kind}: {name} is listed twice", code="invalid_import")
            seen.add(name)
            values.only(singular, entry, fields)
        except Invalid as problem:
            errors.add(f"/{kind}/{position}", problem)
        else:
            good.append((position, entry))
    return good


def _switch_values(entry: dict[str, Any]) -> dict[str, Any]:
    limits = {"address": 255, "dialect": 32, "username": 128, "ca_path": 1024}
    texts = {key: values.text("switch", entry, key, limit) for key, limit in limits.items()}
    found: dict[str, Any] = {key: value for key, value in texts.items() if value is not None}
    if "address" in found:
        found["address"] = values.address("switch", entry["name"], "address", found["address"])
    port = values.number("switch", entry, "grpc_port", 1, 65535)
    if port is not None:
        found["grpc_port"] = port
    values.text("switch", entry, "password", 1024)
    return found


def _server_entry(pointer: str, entry: dict[str, Any]) -> ServerEntry:
    name = entry["name"]
    found: dict[str, Any] = {}
    for key, high in SERVER_NUMBERS.items():
        number = values.number("server", entry, key, 1, high)
        if number is not None:
            found[key] = number
    for key, limit in SERVER_TEXTS.items():
        text = values.text("server", entry, key, limit)
        if text is not None:
            found[key] = text
    address = values.text("server", entry, "bmc_address", 255)
    if address:
        found["bmc_ip"] = values.address("server", name, "bmc_address", address)
    if found.get("bmc_protocol", "auto") not in BMC_PROTOCOLS:
        raise wrong("server", name, f"bmc_protocol is one of {', '.join(BMC_PROTOCOLS)}")
    if entry.get("bmc_validate_certs") not in (None, ""):
        found["bmc_validate_certs"] = values.boolean("server", entry, "bmc_validate_certs")
    for key, check in (("disks", _disks), ("tags", _tags)):
        if entry.get(key) not in (None, ""):
            found[key] = check(name, entry[key])
    return ServerEntry(
        pointer,
        name,
        found,
        _nic_entries(name, entry["nics"]) if entry.get("nics") is not None else None,
        _profile_values(name, entry.get("hardware_profile")),
        values.text("server", entry, "bmc_password", 1024),
    )


def _disks(name: str, disks: Any) -> list[str]:
    if isinstance(disks, str):
        disks = disks.split()
    if not isinstance(disks, list) or not all(isinstance(disk, str) for disk in disks):
        raise wrong("server", name, "disks is a list of device paths")
    for disk in disks:
        if not values.DEVICE.fullmatch(disk):
            raise wrong("server", name, f"{disk!r} is no device path such as /dev/nvme0n1")
    return disks


def _tags(name: str, tags: Any) -> list[str]:
    if isinstance(tags, str):
        tags = tags.split()
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 128 for tag in tags):
        raise wrong("server", name, "tags is a list of texts")
    return list(dict.fromkeys(tags))


def _profile_values(name: str, wanted: Any) -> dict[str, Any] | None:
    if not wanted:
        return None
    if (
        not isinstance(wanted, dict)
        or set(wanted) - {"bios", "boot_order"}
        or not isinstance(wanted.get("bios") or {}, dict)
        or not isinstance(wanted.get("boot_order") or [], list)
    ):
        raise wrong("server", name, "hardware_profile is {bios, boot_order}")
    return {"bios": wanted.get("bios") or {}, "boot_order": wanted.get("boot_order") or []}


def _nic_entries(name: str, nics: Any) -> list[NicEntry]:
    if not isinstance(nics, list) or not all(isinstance(nic, dict) for nic in nics):
        raise wrong("server", name, "nics is a list of {mac, switch, port}")
    return [
        NicEntry(
            values.expect_mac("server", name, nic.get("mac")),
            str(nic["switch"]) if nic.get("switch") else None,
            str(nic["port"])[:128] if nic.get("port") else None,
        )
        for nic in nics
    ]


def _apart(servers: Iterable[ServerEntry], errors: Errors) -> None:
    """What two servers of one document may not share: MAC addresses, switch ports, BMC addresses."""
    macs: dict[str, str] = {}
    ports: dict[tuple[str, str], str] = {}
    bmcs: dict[tuple[str, int], str] = {}
    for entry in servers:
        for nic in entry.nics or ():
            if (
                macs.setdefault(nic.mac, entry.name) != entry.name
                or [n.mac for n in entry.nics or ()].count(nic.mac) > 1
            ):
                errors.add(
                    entry.pointer, wrong("server", entry.name, f"the MAC address {nic.mac} is that of {macs[nic.mac]}")
                )
            if nic.switch and nic.port:
                owner = ports.setdefault((nic.switch, nic.port), nic.mac)
                if owner != nic.mac:
                    what = f"{nic.switch} port {nic.port} is cabled to {macs[owner]}"
                    errors.add(entry.pointer, wrong("server", entry.name, what))
        if "bmc_ip" in entry.values:
            place = _bmc_place(entry.values["bmc_ip"], entry.values.get("bmc_port"), entry.values.get("bmc_protocol"))
            owner = bmcs.setdefault(place, entry.name)
            if owner != entry.name:
                errors.add(entry.pointer, _same_bmc(entry.name, place, owner))


def _bmc_place(address: str, port: int | None, protocol: str | None) -> tuple[str, int]:
    return address.lower(), port or _STANDARD_PORTS.get(protocol or "auto", 443)


def _same_bmc(name: str, place: tuple[str, int], owner: str) -> Invalid:
    return wrong("server", name, f"the BMC address {place[0]} port {place[1]} is that of {owner}")


# -- networks and switches ---------------------------------------------------------------------------------------------


def _write_infrastructure(session: Session, prepared: Document, imported: Imported) -> None:
    errors = Errors()
    if prepared.networks:
        known = {network.name: network for network in session.scalars(select(Network))}
        for position, entry in enumerate(prepared.networks):
            try:
                imported.count("networks", *_network(session, entry, known))
            except Invalid as problem:
                errors.add(f"/networks/{position}", problem)
    errors.raise_if_any()
    for entry in prepared.switches:
        imported.count("switches", *_switch(session, entry))
    session.flush()


def _must_stand_alone(entry: dict[str, Any], cidr: str, known: dict[str, Network]) -> None:
    """Refuse addresses that another network hands out too: two tenants would get the same one."""
    mine = ipaddress.ip_network(cidr)
    if mine.is_multicast or mine.is_unspecified or mine.prefixlen == 0:
        raise wrong("network", entry["name"], f"{cidr} holds no addresses for servers")
    for other in known.values():
        if other.name == entry["name"] or other.cidr is None:
            continue
        theirs = ipaddress.ip_network(other.cidr)
        if mine.version == theirs.version and mine.overlaps(theirs):
            raise wrong("network", entry["name"], f"{cidr} overlaps {other.cidr} of the network {other.name}")


def _network(session: Session, entry: dict[str, Any], known: dict[str, Network]) -> tuple[bool, bool]:
    row = known.get(entry["name"])
    created = row is None
    if row is None:
        missing = [key for key in ("purpose", "vlan", "cidr") if entry.get(key) in (None, "")]
        if missing:
            raise wrong("network", entry["name"], f"{', '.join(missing)} missing")
        row = Network(name=entry["name"])
    purpose = entry.get("purpose", row.purpose)
    if purpose not in PURPOSES:
        raise wrong("network", entry["name"], f"purpose {purpose!r} is not one of {', '.join(PURPOSES)}")
    wanted: dict[str, Any] = {
        "purpose": purpose,
        "vlan": values.number("network", entry, "vlan", 1, 4094) or row.vlan,
        "vni": values.number("network", entry, "vni", 1, 2**24 - 1) or row.vni,
        "cidr": values.text("network", entry, "cidr", 64) or row.cidr,
        "gateway": values.text("network", entry, "gateway", 64) if "gateway" in entry else row.gateway,
    }
    wanted["capacity"] = addresses.capacity(wanted["cidr"], wanted["gateway"])
    for other in known.values():
        if other.name == entry["name"]:
            continue
        if other.vlan == wanted["vlan"]:
            raise wrong("network", entry["name"], f"VLAN {wanted['vlan']} is that of {other.name}")
        if wanted["vni"] is not None and other.vni == wanted["vni"]:
            raise wrong("network", entry["name"], f"VNI {wanted['vni']} is that of {other.name}")
    _must_stand_alone(entry, wanted["cidr"], known)
    if not created and any(getattr(row, key) != wanted[key] for key in ("purpose", "vlan", "cidr", "gateway")):
        used = session.scalar(select(IpAddress.id).where(IpAddress.network_id == row.id).limit(1))
        if used is not None or row.allocation_id is not None:
            raise Conflict(
                f"network {row.name} is in use: its purpose, VLAN, addresses and gateway cannot be changed now",
                code="in_use",
                next="import it again when nothing holds an address of it, or import a new network",
            )
    changed = _put(row, wanted)
    session.add(row)
    known[row.name] = row
    return created, changed


def _switch(session: Session, entry: dict[str, Any]) -> tuple[bool, bool]:
    row = session.scalar(select(Switch).where(Switch.name == entry["name"]))
    created = row is None
    if row is None:
        if not entry.get("address"):
            raise wrong("switch", entry["name"], "address missing")
        row = Switch(name=entry["name"])
    wanted = _switch_values(entry)
    changed = _put(row, wanted)
    session.add(row)
    session.flush()
    password = values.text("switch", entry, "password", 1024)
    if password and wanted.get("username"):
        stored = session.scalar(select(Credential).where(Credential.switch_id == row.id))
        sealed = _sealed(row.id, wanted["username"], password, stored)
        if sealed.cipher is not None:
            changed = True
            session.add(_stored(stored or Credential(switch_id=row.id), sealed, clock.now(session) if stored else None))
    return created, changed


def _put(row: Any, wanted: dict[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    changed = False
    for key, value in wanted.items():
        if getattr(row, key) != value:
            setattr(row, key, value)
            changed = True
    return changed


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
    ports = {nic.port for entry in chunk for nic in entry.nics or () if nic.switch and nic.port}
    holders = session.execute(
        select(ServerNic.mac, ServerNic.switch_id, ServerNic.switch_port, Server.name)
        .join(Server, Server.id == ServerNic.server_id)
        .where(ServerNic.mac.in_(macs) | ServerNic.switch_port.in_(ports))
    ).all()
    by_port: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in holders:
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
        {row.mac: row.name for row in holders},
        by_port,
        {_bmc_place(row.bmc_ip, row.bmc_port, row.bmc_protocol): row.name for row in bmcs},
    )


def _profile_name(entry: ServerEntry) -> str:
    """A profile that is written at the server is its own."""
    return f"server-{entry.name}"


def _check_servers(session: Session, prepared: Document) -> None:
    """All servers of the document against the record; passwords are sealed on the way."""
    errors = Errors()
    fresh = {entry["name"] for entry in prepared.switches}
    for chunk in _chunks(prepared.servers):
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
        place = _bmc_place(entry.values["bmc_ip"], port, entry.values.get("bmc_protocol"))
        owner = known.bmcs.get(place)
        if owner is not None and owner != entry.name and owner not in readdressed:
            raise _same_bmc(entry.name, place, owner)
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
    for chunk in _chunks(entries):
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
        entry.sealed = _sealed(owner, username, entry.password, stored)


def _sealed(owner: str, username: str, password: str, stored: Credential | None) -> Sealed:
    mark = secrets.fingerprint(f"{username}:{password}", owner)
    if stored is not None and (stored.imported == mark or _is(stored, owner, username, password)):
        return Sealed(owner, username, mark, None)
    return Sealed(owner, username, mark, secrets.encrypt(password, owner))


def _is(stored: Credential, owner: str, username: str, password: str) -> bool:
    if stored.username != username:
        return False
    try:
        return secrets.decrypt(stored.key_id, stored.nonce, stored.ciphertext, owner) == password
    except secrets.SecretError:
        # a row that does not open any more is what a new import mends
        return False


def _stored(row: Credential, sealed: Sealed, rotated_at: Any) -> Credential:
    assert sealed.cipher is not None
    row.username = sealed.username
    row.imported = sealed.mark
    row.key_id, row.nonce, row.ciphertext = sealed.cipher
    if rotated_at is not None:
        row.rotated_at = rotated_at
    return row


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
                session.add(row)
                fresh.add(entry.name)
            changed[entry.name] |= _put(row, entry.values)
            if entry.profile is not None:
                changed[entry.name] |= _put(row, {"hardware_profile_id": known.profiles[_profile_name(entry)].id})
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
        changed[entry.name] |= _put(row, entry.profile)
    session.flush()


def _write_nics(
    session: Session,
    chunk: Sequence[ServerEntry],
    known: _Known,
    rows: dict[str, Server],
    changed: dict[str, bool],
) -> None:
    """What is given up goes first, so that another server of the chunk may take the MAC address or the port."""
    taken_away: list[str] = []
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
            changed[entry.name] |= _put(found, place)
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
        sealed = _sealed(row.id, sealed.username, entry.password, stored)
    if sealed.cipher is None:
        return False
    session.add(_stored(stored or Credential(server_id=row.id), sealed, moment if stored is not None else None))
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
