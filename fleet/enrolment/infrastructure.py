"""Networks and switches of an import document enter the record."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import addresses, clock
from fleet.enrolment import passwords, values
from fleet.enrolment.document import Document, Placed, switch_values
from fleet.enrolment.pieces import Imported, amend
from fleet.enrolment.values import Errors, wrong
from fleet.errors import Conflict, Invalid
from fleet.models import Credential, IpAddress, Network, Switch

PURPOSES = ("provisioning", "quarantine", "tenant", "management")


def rehearse(session: Session, document: Document) -> None:
    """All of the document's networks and switches against the record, in a session that writes nothing."""
    write_networks(session, document.networks, Imported())
    _switches(session, document.switches)


def write_networks(session: Session, entries: Sequence[Placed], imported: Imported) -> None:
    """Upsert networks by name. Raises Invalid naming the entries that are wrong, Conflict where one is in use."""
    errors = Errors()
    taken = _taken(session)
    names = [entry["name"] for _pointer, entry in entries]
    known = {row.name: row for row in session.scalars(select(Network).where(Network.name.in_(names)))}
    for pointer, entry in entries:
        try:
            imported.count("networks", *_network(session, entry, known.get(entry["name"]), taken))
        except Invalid as problem:
            errors.add(pointer, problem)
    errors.raise_if_any()


@dataclass(frozen=True, slots=True)
class _Held:
    """What belongs to one network alone."""

    vlan: int
    vni: int | None
    cidr: str
    version: int
    first: int
    last: int

    @classmethod
    def by(cls, vlan: int, vni: int | None, cidr: str) -> _Held:
        network = ipaddress.ip_network(cidr)
        return cls(vlan, vni, cidr, network.version, int(network.network_address), int(network.broadcast_address))


def _taken(session: Session) -> dict[str, _Held]:
    rows: Iterable[Any] = session.execute(select(Network.name, Network.vlan, Network.vni, Network.cidr))
    return {row.name: _Held.by(row.vlan, row.vni, row.cidr) for row in rows}


def _must_stand_alone(name: str, mine: _Held, taken: dict[str, _Held]) -> None:
    """Refuse what another network has: two tenants would get the same addresses, or meet."""
    for other, theirs in taken.items():
        if other == name:
            continue
        if theirs.vlan == mine.vlan:
            raise wrong("network", name, f"VLAN {mine.vlan} is that of {other}")
        if mine.vni is not None and theirs.vni == mine.vni:
            raise wrong("network", name, f"VNI {mine.vni} is that of {other}")
        if theirs.version == mine.version and theirs.first <= mine.last and mine.first <= theirs.last:
            raise wrong("network", name, f"{mine.cidr} overlaps {theirs.cidr} of the network {other}")


def _network(
    session: Session, entry: dict[str, Any], row: Network | None, taken: dict[str, _Held]
) -> tuple[bool, bool]:
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
    network = ipaddress.ip_network(wanted["cidr"])
    if network.is_multicast or network.is_unspecified or network.prefixlen == 0:
        raise wrong("network", entry["name"], f"{wanted['cidr']} holds no addresses for servers")
    mine = _Held.by(wanted["vlan"], wanted["vni"], wanted["cidr"])
    _must_stand_alone(entry["name"], mine, taken)
    if not created and any(getattr(row, key) != wanted[key] for key in ("purpose", "vlan", "cidr", "gateway")):
        used = session.scalar(select(IpAddress.id).where(IpAddress.network_id == row.id).limit(1))
        if used is not None or row.allocation_id is not None:
            raise Conflict(
                f"network {row.name} is in use: its purpose, VLAN, addresses and gateway cannot be changed now",
                code="in_use",
                next="import it again when nothing holds an address of it, or import a new network",
            )
    changed = amend(row, wanted)
    session.add(row)
    taken[row.name] = mine
    return created, changed


def write_switches(session: Session, entries: Sequence[Placed], imported: Imported) -> None:
    """Upsert switches by name, with their passwords."""
    rows = _switches(session, entries)
    session.flush()
    identifiers = [row.id for _entry, row, _created, _changed in rows]
    stored = session.scalars(select(Credential).where(Credential.switch_id.in_(identifiers)))
    credentials = {str(credential.switch_id): credential for credential in stored}
    for entry, row, created, changed in rows:
        password = values.text("switch", entry, "password", 1024)
        if password and entry.get("username"):
            old = credentials.get(row.id)
            sealed = passwords.seal(row.id, str(row.username), password, old)
            if sealed.cipher is not None:
                changed = True
                new = old or Credential(switch_id=row.id)
                session.add(passwords.store(new, sealed, clock.now(session) if old else None))
        imported.count("switches", created, changed)


def _switches(session: Session, entries: Sequence[Placed]) -> list[tuple[dict[str, Any], Switch, bool, bool]]:
    """`(entry, row, created, changed)` of each."""
    names = [entry["name"] for _pointer, entry in entries]
    known = {row.name: row for row in session.scalars(select(Switch).where(Switch.name.in_(names)))}
    rows = []
    for _pointer, entry in entries:
        row = known.get(entry["name"])
        created = row is None
        if row is None:
            if not entry.get("address"):
                raise wrong("switch", entry["name"], "address missing")
            row = Switch(name=entry["name"])
        changed = amend(row, switch_values(entry))
        session.add(row)
        rows.append((entry, row, created, changed))
    return rows
