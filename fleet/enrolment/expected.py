"""The delivery list held against what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet import audit
from fleet.actor import READERS, STAFF, Actor
from fleet.db import Database
from fleet.enrolment import pieces, values
from fleet.enrolment.pieces import Imported, amend
from fleet.enrolment.values import Errors, wrong
from fleet.errors import Invalid
from fleet.models import ExpectedMachine, Server

KIND = "expected machine"
TEXTS = {"bmc_address": 255, "rack": 128, "pool": 128, "nvlink_domain": 128, "model_class": 128}
FIELDS = frozenset({"serial_number", "name", "rack_unit", "tags", *TEXTS})
# a machine by its serial number, and the columns that the list names
Line = tuple[str, dict[str, Any]]
# what a list and a server both say
COMPARED = ("name", "rack", "rack_unit", "pool", "nvlink_domain", "model_class")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the reconciliation. `status` is present, differs, missing, wrong_serial or unexpected."""

    status: str
    serial_number: str
    text: str
    server: str | None = None
    found_serial: str | None = None
    expected: ExpectedMachine | None = None
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)


def load(database: Database, actor: Actor, machines: list[dict[str, Any]], replace: bool = False) -> Imported:
    """Upsert expected machines by serial number; with `replace` what the list does not name is expected no longer.

    All of the list is checked before anything is written; it is then written piece by piece, and whose the names are is
    asked again with each: another list may have come in meanwhile.
    """
    actor.require(*STAFF)
    with database.reading() as session:
        known = {
            row.serial_number: row.name
            for row in session.execute(select(ExpectedMachine.serial_number, ExpectedMachine.name))
        }
    listed = {str(entry.get("serial_number", "")).strip() for entry in machines} if replace else set(known)
    dropped = [serial for serial in known if serial not in listed]
    lines = _lines(machines, {name: serial for serial, name in known.items() if name and serial in listed})

    def put(session: Session, piece: Sequence[Line], part: Imported) -> None:
        # with the first piece, for that may take the names
        for gone in pieces.of(dropped):
            session.execute(delete(ExpectedMachine).where(ExpectedMachine.serial_number.in_(gone)))
        part.updated += Counter(removed=len(dropped))
        dropped.clear()
        _put(session, piece, part)

    return pieces.write(database, actor, "expected.import", "machines", lines, put)


def _lines(machines: list[dict[str, Any]], names: dict[str, str]) -> list[Line]:
    """The list's lines by serial number; `names` is whose each name is."""
    errors = Errors()
    lines: dict[str, dict[str, Any]] = {}
    for position, entry in enumerate(machines):
        try:
            serial, found = _values(entry)
            if serial in lines:
                raise wrong(KIND, serial, "is listed twice")
            lines[serial] = found
            _expect_name(serial, found, names)
            if found.get("name"):
                names[found["name"]] = serial
        except Invalid as problem:
            errors.add(f"/machines/{position}", problem)
    errors.raise_if_any()
    return list(lines.items())


def _expect_name(serial: str, found: dict[str, Any], names: dict[str, str]) -> None:
    owner = names.get(found.get("name") or "", serial)
    if owner != serial:
        raise wrong(KIND, serial, f"the name {found['name']} is that of {owner}")


def _put(session: Session, lines: Sequence[Line], imported: Imported) -> None:
    wanted = [found["name"] for _serial, found in lines if found.get("name")]
    holders = session.execute(
        select(ExpectedMachine.name, ExpectedMachine.serial_number).where(ExpectedMachine.name.in_(wanted))
    )
    names = {str(row.name): row.serial_number for row in holders}
    for serial, found in lines:
        _expect_name(serial, found, names)
    serials = [serial for serial, _found in lines]
    rows = session.scalars(select(ExpectedMachine).where(ExpectedMachine.serial_number.in_(serials)))
    known = {row.serial_number: row for row in rows}
    for serial, found in lines:
        row = known.get(serial)
        created = row is None
        if row is None:
            row = ExpectedMachine(serial_number=serial)
            session.add(row)
        imported.count("machines", created, amend(row, found))
    session.flush()


def _values(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    serial = str(entry.get("serial_number") or "").strip()
    if not serial or len(serial) > 128:
        raise Invalid(f"{KIND}s: {serial!r} is no serial number", code="invalid_import")
    labelled = {**entry, "name": serial}
    unknown = sorted(set(entry) - FIELDS)
    if unknown:
        raise wrong(KIND, serial, f"unknown fields {', '.join(unknown)}; known: {', '.join(sorted(FIELDS))}")
    found: dict[str, Any] = {
        key: values.text(KIND, labelled, key, limit) for key, limit in TEXTS.items() if key in entry
    }
    if found.get("bmc_address"):
        found["bmc_address"] = values.address(KIND, serial, "bmc_address", found["bmc_address"])
    if "rack_unit" in entry:
        found["rack_unit"] = values.number(KIND, labelled, "rack_unit", 1, 100)
    if entry.get("name"):
        found["name"] = values.name("server", entry["name"])
    tags = entry.get("tags")
    if tags is not None:
        if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 128 for tag in tags):
            raise wrong(KIND, serial, "tags is a list of texts")
        found["tags"] = tags
    return serial, found


def remove(session: Session, actor: Actor, serial_number: str) -> None:
    """Expect a machine no longer."""
    actor.require(*STAFF)
    session.execute(delete(ExpectedMachine).where(ExpectedMachine.serial_number == serial_number))
    audit.record(session, actor, "expected.remove", None, {"serial_number": serial_number})


def of_server(session: Session, server: Server) -> tuple[ExpectedMachine | None, ExpectedMachine | None]:
    """`(the line of its serial number, the line of its place where that is another)`."""
    mine = None
    if server.serial_number is not None:
        mine = session.scalar(select(ExpectedMachine).where(ExpectedMachine.serial_number == server.serial_number))
    if mine is not None:
        return mine, None
    place = _at_place(session.scalars(select(ExpectedMachine)).all(), server)
    return None, place


def _at_place(machines: Sequence[ExpectedMachine], server: Server) -> ExpectedMachine | None:
    for machine in machines:
        if _same_place(machine, server):
            return machine
    return None


def _same_place(machine: ExpectedMachine, server: Server) -> bool:
    if machine.name is not None and machine.name == server.name:
        return True
    if machine.bmc_address is not None and machine.bmc_address.lower() == server.bmc_ip.lower():
        return True
    return (
        machine.rack is not None
        and machine.rack_unit is not None
        and (machine.rack, machine.rack_unit) == (server.rack, server.rack_unit)
    )


def is_empty(session: Session) -> bool:
    """Whether nobody gave a list: then nothing is unexpected."""
    return session.scalar(select(ExpectedMachine.id).limit(1)) is None


def reconcile(session: Session, actor: Actor) -> list[Finding]:
    """Every expected machine, and every server that is in the record and on no list."""
    actor.require(*READERS)
    machines = session.scalars(select(ExpectedMachine).order_by(ExpectedMachine.rack, ExpectedMachine.rack_unit)).all()
    servers = session.scalars(select(Server).where(Server.status != "retired").order_by(Server.name)).all()
    by_serial = {server.serial_number: server for server in servers if server.serial_number}
    by_name = {server.name: server for server in servers}
    by_address = {server.bmc_ip.lower(): server for server in servers}
    by_unit: dict[tuple[str | None, int | None], Server] = {
        (server.rack, server.rack_unit): server for server in servers if server.rack and server.rack_unit
    }
    listed = {machine.serial_number for machine in machines}
    found: list[Finding] = []
    explained: set[str] = set()
    for machine in machines:
        server = by_serial.get(machine.serial_number)
        if server is not None:
            found.append(_present(machine, server))
            continue
        places = (
            by_name.get(machine.name or ""),
            by_address.get((machine.bmc_address or "").lower()),
            by_unit.get((machine.rack, machine.rack_unit)),
        )
        there = next((server for server in places if server is not None and server.serial_number not in listed), None)
        if there is not None and there.serial_number:
            explained.add(there.id)
        found.append(_not_present(machine, there))
    if machines:
        found += [
            Finding(
                "unexpected",
                server.serial_number,
                f"{server.name} ({server.serial_number}) is on no list",
                server.name,
                server.serial_number,
            )
            for server in servers
            if server.serial_number and server.serial_number not in listed and server.id not in explained
        ]
    return found


def _present(machine: ExpectedMachine, server: Server) -> Finding:
    differences = {
        key: {"expected": getattr(machine, key), "found": getattr(server, key)}
        for key in COMPARED
        if getattr(machine, key) is not None and getattr(machine, key) != getattr(server, key)
    }
    if not differences:
        return Finding(
            "present", machine.serial_number, f"is {server.name}", server.name, machine.serial_number, machine
        )
    words = ", ".join(
        f"{key} {pair['found'] if pair['found'] is not None else 'unknown'} instead of {pair['expected']}"
        for key, pair in differences.items()
    )
    return Finding(
        "differs",
        machine.serial_number,
        f"is {server.name}: {words}",
        server.name,
        machine.serial_number,
        machine,
        differences,
    )


def _not_present(machine: ExpectedMachine, there: Server | None) -> Finding:
    if there is None:
        return Finding("missing", machine.serial_number, "was not found anywhere", expected=machine)
    if not there.serial_number:
        what = f"was not found; {there.name}, which stands in its place, has not been inspected yet"
        return Finding("missing", machine.serial_number, what, there.name, expected=machine)
    return Finding(
        "wrong_serial",
        machine.serial_number,
        f"is not at its place: {there.name} there has the serial number {there.serial_number}",
        there.name,
        there.serial_number,
        machine,
    )
