"""Exchanged parts: an operator announces the exchange, the next inspection accepts exactly that one.

Without an announcement another serial number in a GPU's slot is a finding (and quarantines the server), and another
serial number of the machine itself is refused: it may be another machine.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, clock, states
from fleet.actor import OPERATORS, READERS, Actor
from fleet.enrolment import bom, values
from fleet.errors import Conflict, Invalid
from fleet.models import (
    AllocationServer,
    Gpu,
    GpuAllocation,
    HardwareConfig,
    PartReplacement,
    Server,
    ServerNic,
)
from fleet.operations import lookup

KINDS = ("gpu", "board", "dimm", "drive", "nic")
# where the facts of bmc_info list a kind
LISTED = {"dimm": "dimms", "drive": "drives", "nic": "adapters"}
# how a quarantine that an inspection began is told from an operator's
INSPECTION = "inspection: "
COUNTS_FOR = timedelta(days=14)


def announce(
    session: Session,
    actor: Actor,
    server: str,
    kind: str,
    old_serial: str,
    new_serial: str | None,
    reason: str,
) -> PartReplacement:
    """Say that a part is (or will be) exchanged. Announced again, the same announcement changes. It counts for
    `COUNTS_FOR`: a forgotten one must not let a part in that nobody expects.

    A server that an inspection has quarantined goes into maintenance, and is offered again by the inspection that sees
    the exchange and finds nothing else. Raises Conflict `held_by_allocation` for a GPU or board that somebody uses.
    """
    actor.require(*OPERATORS)
    row = lookup.server(session, server, lock=True)
    if kind not in KINDS:
        raise Invalid(f"kind {kind!r} is not one of {', '.join(KINDS)}", code="invalid_part", host=row.name)
    old_serial, new_serial = old_serial.strip(), (new_serial or "").strip() or None
    if new_serial == old_serial:
        raise Invalid("the new part has the serial number of the old one", code="invalid_part", host=row.name)
    if row.status == "retired":
        raise Conflict(f"{row.name} is retired", host=row.name)
    gpu = _expect_part(session, row, kind, old_serial)
    _expect_unused(session, row, kind, new_serial)
    found = session.scalar(
        select(PartReplacement).where(
            PartReplacement.server_id == row.id,
            PartReplacement.kind == kind,
            PartReplacement.old_serial == old_serial,
            PartReplacement.accepted_at.is_(None),
        )
    )
    if found is None:
        found = PartReplacement(server_id=row.id, kind=kind, old_serial=old_serial)
        session.add(found)
    found.gpu_id = gpu.id if gpu is not None else None
    found.new_serial = new_serial
    found.reason = reason[:1024]
    found.announced_by = actor.username
    found.created_at = clock.now(session)
    if row.status == "quarantined" and (row.status_reason or "").startswith(INSPECTION):
        found.resume = True
        states.transition(session, row, "maintenance", actor, f"{kind} {old_serial} is being replaced: {reason}")
    audit.record(
        session,
        actor,
        "server.replace_part",
        row.id,
        {"server": row.name, "kind": kind, "old_serial": old_serial, "new_serial": new_serial, "reason": reason},
    )
    session.flush()
    return found


def _expect_part(session: Session, server: Server, kind: str, old_serial: str) -> Gpu | None:
    """The old part is one of this server's, and nobody uses it."""
    if kind == "gpu":
        gpu = next((gpu for gpu in server.gpus if gpu.serial_number == old_serial), None)
        if gpu is None:
            known = ", ".join(gpu.serial_number for gpu in server.gpus if gpu.serial_number) or "none"
            raise _unknown_part(server, "GPU", old_serial, known)
        if held(session, gpu):
            raise _held(server, f"GPU {gpu.slot}")
        return gpu
    if kind == "board":
        if server.serial_number != old_serial:
            raise _unknown_part(server, "board", old_serial, server.serial_number or "unknown")
        holder = session.scalar(
            select(AllocationServer.id).where(
                AllocationServer.server_id == server.id, AllocationServer.released_at.is_(None)
            )
        )
        if holder is not None:
            raise _held(server, "board")
        return None
    known_serials = _serials(_facts(session, server), kind)
    if kind == "nic" and values.mac(old_serial) in {nic.mac for nic in server.nics}:
        return None
    if known_serials is not None and old_serial not in known_serials:
        raise _unknown_part(server, kind, old_serial, ", ".join(sorted(known_serials)) or "none")
    return None


def _unknown_part(server: Server, kind: str, serial: str, known: str) -> Invalid:
    return Invalid(
        f"{server.name} has no {kind} with the serial number {serial}",
        code="unknown_part",
        host=server.name,
        answer=f"known: {known}"[:1024],
        next="give the serial number that the record has; GET /api/v1/servers/{name} shows it",
    )


def _held(server: Server, what: str) -> Conflict:
    return Conflict(
        f"{what} of {server.name} is held by an allocation",
        code="held_by_allocation",
        host=server.name,
        next="release the allocation first",
    )


def held(session: Session, gpu: Gpu) -> bool:
    """Whether an allocation holds the GPU."""
    query = select(GpuAllocation.id).where(GpuAllocation.gpu_id == gpu.id, GpuAllocation.released_at.is_(None))
    return session.scalar(query.limit(1)) is not None


def _expect_unused(session: Session, server: Server, kind: str, new_serial: str | None) -> None:
    if new_serial is None or kind not in ("gpu", "board"):
        return
    owner: str | None
    if kind == "gpu":
        owner = session.scalar(
            select(Server.name).join(Gpu, Gpu.server_id == Server.id).where(Gpu.serial_number == new_serial)
        )
    else:
        owner = session.scalar(select(Server.name).where(Server.serial_number == new_serial))
    if owner is not None:
        raise Conflict(
            f"the serial number {new_serial} is that of a {kind} of {owner}",
            code="serial_number_taken",
            host=server.name,
            next="check the serial number, or leave new_serial out and let the inspection find it",
        )


def _facts(session: Session, server: Server) -> dict[str, Any]:
    config = session.scalar(select(HardwareConfig).where(HardwareConfig.server_id == server.id))
    return (config.facts or {}) if config is not None else {}


def _serials(facts: dict[str, Any], kind: str) -> set[str] | None:
    have = bom.parts(facts, LISTED[kind])
    return None if have is None else {str(part["serial_number"]) for part in have if part.get("serial_number")}


def of_server(session: Session, actor: Actor, server: str) -> list[PartReplacement]:
    """Announced exchanges, newest first."""
    actor.require(*READERS)
    row = lookup.server(session, server)
    query = select(PartReplacement).where(PartReplacement.server_id == row.id).order_by(PartReplacement.id.desc())
    return list(session.scalars(query))


# -- what an inspection sees -------------------------------------------------------------------------------------------


def open_ones(session: Session, server: Server, *kinds: str) -> list[PartReplacement]:
    """What was announced lately and was not seen yet, oldest first."""
    return list(
        session.scalars(
            select(PartReplacement)
            .where(
                PartReplacement.server_id == server.id,
                PartReplacement.kind.in_(kinds),
                PartReplacement.accepted_at.is_(None),
                PartReplacement.created_at > clock.now(session) - COUNTS_FOR,
            )
            .order_by(PartReplacement.id)
        )
    )


def decided_by_hand(session: Session, server: Server) -> None:
    """Somebody put the server where it is: no announcement takes it out of there any more."""
    for found in open_ones(session, server, *KINDS):
        found.resume = False


def announced(session: Session, server: Server, kind: str, old: str | None, new: str) -> PartReplacement | None:
    """The announcement that this very exchange fits."""
    for found in open_ones(session, server, kind):
        if found.old_serial == old and found.new_serial in (None, new):
            return found
    return None


def accept(session: Session, actor: Actor, server: Server, found: PartReplacement, new: str, **detail: Any) -> None:
    """The exchange was seen: note it, and leave a trace of both serial numbers."""
    found.found_serial = new
    found.accepted_at = clock.now(session)
    audit.record(
        session,
        actor,
        f"{found.kind}.replaced",
        found.gpu_id or server.id,
        {
            "server": server.name,
            "old_serial": found.old_serial,
            "new_serial": new,
            "reason": found.reason,
            "announced_by": found.announced_by,
            **detail,
        },
    )


def accept_listed(
    session: Session, actor: Actor, server: Server, facts: dict[str, Any], before: dict[str, Any]
) -> list[PartReplacement]:
    """Exchanges of DIMMs, drives and NICs: the old serial number is gone and the new one is there."""
    done = []
    for found in open_ones(session, server, *LISTED):
        if found.kind == "nic" and values.mac(found.old_serial):
            new = _mac_replaced(session, server, facts, found)
        else:
            new = _listed_replaced(facts, before, found)
        if new is not None:
            accept(session, actor, server, found, new)
            done.append(found)
    return done


def _listed_replaced(facts: dict[str, Any], before: dict[str, Any], found: PartReplacement) -> str | None:
    now = _serials(facts, found.kind)
    if now is None or found.old_serial in now:
        return None
    if found.new_serial is not None:
        return found.new_serial if found.new_serial in now else None
    fresh = sorted(now - (_serials(before, found.kind) or set()))
    return fresh[0] if len(fresh) == 1 else None


def _mac_replaced(session: Session, server: Server, facts: dict[str, Any], found: PartReplacement) -> str | None:
    """A network card known by its MAC address: the record's interface gets the new one, so that it boots again."""
    listed = bom.parts(facts, "nics")
    if listed is None:
        return None
    now = {mac for mac in (values.mac(nic.get("mac")) for nic in listed) if mac is not None}
    old = values.mac(found.old_serial)
    row = next((nic for nic in server.nics if nic.mac == old), None)
    fresh = sorted(now - {nic.mac for nic in server.nics})
    new = values.mac(found.new_serial) if found.new_serial else (fresh[0] if len(fresh) == 1 else None)
    if old in now or row is None or new is None or new not in now:
        return None
    if session.scalar(select(ServerNic.id).where(ServerNic.mac == new)) is not None:
        return None
    row.mac = new
    session.flush()
    return new
