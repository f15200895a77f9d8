"""An inspection enters the record: facts, GPUs, cabling; then the delivery list, the rules and the bill of materials
say what becomes of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from fleet import audit, clock, states
from fleet.actor import READERS, STAFF, Actor
from fleet.enrolment import bom, expected, parts, rules, topology, values
from fleet.enrolment.rules import Verdict
from fleet.enrolment.values import DEVICE
from fleet.errors import Conflict, Invalid
from fleet.models import Allocation, Gpu, GpuAllocation, HardwareConfig, HardwareProfile, PartReplacement, Server
from fleet.operations import lookup, workflows

# states in which a finding takes a server out of the pool; what somebody uses is only reported
STOPPABLE = frozenset({"inspecting", "available"})
# why nobody moves on a server that was inspected with `enrol: false`: adopting it takes that away, or `server flags`
WAITS = "in use: waits to be adopted"
# states in which another serial number is another machine, whatever was announced
IN_USE = frozenset({"reserved", "provisioning", "active", "suspended"})
PART_LISTS = ("dimms", "drives", "adapters", "links", "nics")
MOST_PARTS = 1024
MOST_GPUS = 128
# of those that a BMC shows, in a note
SHOWN_MACS = 8
GPU_TEXTS = {"id": 100, "model": 128, "serial_number": 128, "pci_address": 32, "uuid": 64}


def record_inspection(session: Session, actor: Actor, server: str, facts: dict[str, Any]) -> Server:
    """What an inspection saw: the `bmc` of `bmc_info` (as it is, or under the key `bmc`) and `nics`
    `[{mac, neighbor, …}]`.

    An enrolled server is available afterwards, or quarantined with the reason: what a rule says against it, the parts
    that are not as its class has them, or that it was in use and has not been cleaned since. With `enrol: false` it
    stays enrolled with hands off, until it is adopted or a hand lifts that. One in another state gets newer facts; an
    available one that fails is quarantined, one that somebody uses is only reported. A server in maintenance stays
    there, unless the part was seen that an announcement had sent it there for.

    Unknown (null) never overwrites known. Raises Conflict when the serial number is another machine's, or changed
    without an announced exchange of the board.
    """
    actor.require(*STAFF)
    row = lookup.server(session, server, lock=True)
    workflows.require_own_server(session, actor, row)
    bmc = facts.get("bmc", facts)
    if not isinstance(bmc, dict):
        raise Invalid(f"{row.name}: the facts of an inspection are a mapping", code="invalid_inspection", host=row.name)
    if row.status == "retired":
        raise Conflict(
            f"{row.name} is retired",
            host=row.name,
            next="a machine that comes back is imported under another name: its serial number goes with it",
        )
    nics = facts["nics"] if isinstance(facts.get("nics"), list) else bmc.get("nics")
    _check_facts(row, bmc)
    config = _config(session, row, bmc)
    before = dict(config.facts or {})
    replaced = _accept_board(session, actor, row, bmc.get("serial_number"))
    _come_back(session, actor, row, bmc)
    _check_serial(session, row, bmc.get("serial_number"))
    if row.status == "enrolled":
        if facts.get("enrol") is False:
            if not row.hands_off:
                row.hands_off, row.hands_off_reason = True, WAITS
        elif not row.hands_off:
            states.transition(session, row, "inspecting", actor, "inspected")
    _identity(row, bmc)
    notes: list[str] = []
    findings: list[str] = []
    seen = _interfaces(session, actor, row, config, nics, notes)
    if not row.nics:
        notes.append(_without_interfaces(seen))
    if isinstance(bmc.get("gpus"), list):
        findings += _gpus(session, row, actor, bmc["gpus"], replaced)
        _count_new_gpus(session, row, actor, notes)
    current = {**bmc, **({"nics": seen} if seen is not None else {})}
    replaced += parts.accept_listed(session, actor, row, current, before)
    config.facts = {**before, **{key: value for key, value in current.items() if value is not None and key != "enrol"}}
    session.flush()
    findings += _judge(session, row, config.facts, current, before, notes)
    config.findings, config.notes = findings, notes
    _settle_state(session, actor, row, findings, replaced)
    detail = {"server": row.name, "serial_number": row.serial_number, **({"findings": findings} if findings else {})}
    audit.record(session, actor, "server.inspect", row.id, detail)
    session.flush()
    return row


def _identity(row: Server, bmc: dict[str, Any]) -> None:
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


def _accept_board(session: Session, actor: Actor, server: Server, serial: str | None) -> list[PartReplacement]:
    """Another serial number of the machine, where an exchange of its board was announced and nobody uses it."""
    if not serial or server.serial_number in (None, serial):
        return []
    if server.status in IN_USE or lookup.holder(session, server) is not None:
        return []
    found = parts.announced(session, server, "board", server.serial_number, serial)
    if found is None:
        return []
    _take_over(session, actor, server, serial)
    _expect_no_twin(session, server, serial)
    parts.accept(session, actor, server, found, serial)
    server.serial_number = serial
    return [found]


def _come_back(session: Session, actor: Actor, server: Server, bmc: dict[str, Any]) -> None:
    """What a retired server had and this one is seen to have: the machine, or GPUs of it, came back under this name."""
    serial = bmc.get("serial_number")
    if serial and server.serial_number is None:
        _take_over(session, actor, server, serial)
    gpus = bmc["gpus"] if isinstance(bmc.get("gpus"), list) else []
    serials = [gpu["serial_number"] for gpu in gpus if gpu.get("serial_number")]
    for gpu in session.scalars(
        select(Gpu).where(Gpu.serial_number.in_(serials), Gpu.server_id.in_(_gone(server).with_only_columns(Server.id)))
    ):
        gpu.serial_number = None
    session.flush()


def _take_over(session: Session, actor: Actor, server: Server, serial: str) -> None:
    """The serial number of a retired server is this one's now.

    Only one entry can have a serial number; the old one keeps it in its facts and in the audit. Whatever a tenant may
    have left on the machine came along.
    """
    old = session.scalar(_gone(server).where(Server.serial_number == serial))
    if old is None:
        return
    old.serial_number = None
    server.needs_clean = server.needs_clean or old.needs_clean
    detail = {"server": server.name, "was": old.name, "serial_number": serial}
    audit.record(session, actor, "server.return", server.id, detail)
    session.flush()


def _gone(server: Server) -> Select[Server]:
    return select(Server).where(Server.status == "retired", Server.id != server.id)


def _settle_state(
    session: Session, actor: Actor, row: Server, findings: list[str], replaced: list[PartReplacement]
) -> None:
    if row.status == "maintenance" and any(found.resume for found in replaced):
        states.transition(session, row, "inspecting", actor, "the replaced part was seen")
    if row.status == "inspecting" and workflows.open_on_server(session, row):
        # a clean of a server that was in maintenance goes through this state: it is the workflow's
        return
    if row.status not in STOPPABLE:
        return
    unclean = _unclean(session, row)
    if findings:
        reason = f"{parts.INSPECTION}{'; '.join([*findings, *unclean])}"
        states.transition(session, row, "quarantined", actor, reason)
    elif unclean:
        # no finding of the hardware: an exchanged part does not lift this one
        states.transition(session, row, "quarantined", actor, unclean[0])
    elif row.status == "inspecting":
        states.transition(session, row, "available", actor, "inspected")


def _unclean(session: Session, row: Server) -> list[str]:
    """Why the server cannot be offered whatever its parts are: somebody holds it, or it was not cleaned since."""
    holder = lookup.holder(session, row)
    if holder is None and not row.needs_clean:
        return []
    why = f"{holder} still holds it" if holder is not None else "it was in use and has not been cleaned since"
    return [f"{why}: palebluedot server clean {row.name}"]


# -- the list, the rules, the class ------------------------------------------------------------------------------------


def describe(session: Session, server: Server, facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that rules ask for: what the BMC said, what the record has, and what the delivery list says."""
    gpus = bom.parts(facts, "gpus") or []
    dimms = bom.parts(facts, "dimms")
    drives = bom.parts(facts, "drives")
    adapters = bom.parts(facts, "adapters")
    mine, place = expected.of_server(session, server)
    known: dict[str, Any] = {
        "name": server.name,
        "manufacturer": server.manufacturer,
        "model": server.model,
        "serial_number": server.serial_number,
        "bmc_address": server.bmc_ip,
        "bmc_protocol": server.bmc_protocol,
        "rack": server.rack,
        "rack_unit": server.rack_unit,
        "pool": server.pool,
        "nvlink_domain": server.nvlink_domain,
        "tags": server.tags,
        "cpu_count": server.cpu_count,
        "memory_gb": server.memory_gb,
        "storage_gb": server.storage_gb,
        "gpu_count": server.gpu_count,
        "gpu_model": server.gpu_model,
        "gpu_memory_gb": server.gpu_memory_gb,
        "gpu_models": sorted({gpu["model"] for gpu in gpus if gpu.get("model")}) or None,
        "vendor": (server.capabilities or {}).get("vendor"),
        "dimm_count": None if dimms is None else len(dimms),
        "drive_count": None if drives is None else len(drives),
        "nic_count": None if adapters is None else len(adapters),
        "expected": None if expected.is_empty(session) else mine is not None,
        "expected_serial_number": place.serial_number if place is not None else None,
    }
    return {**facts, **{key: value for key, value in known.items() if value is not None}}


def _judge(
    session: Session,
    row: Server,
    facts: dict[str, Any],
    current: dict[str, Any],
    before: dict[str, Any],
    notes: list[str],
) -> list[str]:
    """Set what the list and the rules say; what speaks against the server."""
    listed, _place = expected.of_server(session, row)
    if listed is not None:
        for key in ("rack", "rack_unit", "nvlink_domain"):
            if getattr(row, key) is None and getattr(listed, key) is not None:
                setattr(row, key, getattr(listed, key))
    ruleset = rules.current(session)
    verdict = rules.evaluate(ruleset, describe(session, row, facts))
    wanted = dict(verdict.assigned)
    if listed is not None:
        # what was ordered for this very machine goes before what holds for its kind
        wanted |= {key: getattr(listed, key) for key in ("model_class", "pool") if getattr(listed, key) is not None}
        wanted["tags"] = [*wanted.get("tags", []), *(listed.tags or [])]
    for key in ("model_class", "pool"):
        if key in wanted:
            setattr(row, key, wanted[key])
    if wanted.get("tags"):
        row.tags = list(dict.fromkeys([*(row.tags or []), *wanted["tags"]]))
    if "hardware_profile" in wanted:
        _profile(session, row, wanted["hardware_profile"], ruleset, notes)
    findings = _against_class(row, ruleset, current, before, notes)
    if "quarantine" in verdict.assigned:
        findings.append(_said(verdict))
    return findings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the rules (and the class that they set) make of a server's last inspection."""

    server: str
    assigned: dict[str, Any]
    by: dict[str, str]
    outcomes: list[rules.Outcome]
    findings: list[str]
    notes: list[str]


def explain(session: Session, actor: Actor, server: str, content: str | None = None) -> Explanation:
    """Ask the rules in force, or those of a file that is tried, about a server; changes nothing.

    Raises Conflict `not_inspected` where there are no facts to ask about.
    """
    actor.require(*READERS)
    row = lookup.server(session, server)
    config = session.scalar(select(HardwareConfig).where(HardwareConfig.server_id == row.id))
    if config is None or not config.facts:
        raise Conflict(
            f"{row.name} was not inspected yet",
            code="not_inspected",
            host=row.name,
            next="ansible-playbook playbooks/discover.yml",
        )
    ruleset = rules.current(session) if content is None else rules.parse(content)
    verdict = rules.evaluate(ruleset, describe(session, row, config.facts))
    findings: list[str] = []
    notes: list[str] = []
    bill = ruleset.classes.get(verdict.assigned.get("model_class", row.model_class) or "")
    if bill is not None:
        findings, notes = bom.check(bill, {**config.facts, "cpu_count": row.cpu_count}, {})
    return Explanation(row.name, verdict.assigned, verdict.by, verdict.outcomes, findings, notes)


def _said(verdict: Verdict) -> str:
    return f"{verdict.assigned['quarantine']} (rule {verdict.by['quarantine']})"


def _profile(session: Session, row: Server, name: str, ruleset: rules.Ruleset, notes: list[str]) -> None:
    """The profile of a rule; one that an import wrote at the server itself stays."""
    own = row.hardware_profile
    if own is not None and own.name == f"server-{row.name}":
        notes.append(f"hardware profile {name} of the rules not set: the import gave the server its own")
        return
    wanted = ruleset.profiles[name]
    found = session.scalar(select(HardwareProfile).where(HardwareProfile.name == f"rules-{name}"))
    if found is None:
        found = HardwareProfile(name=f"rules-{name}", bios={}, boot_order=[])
        session.add(found)
    found.bios, found.boot_order = wanted.get("bios") or {}, wanted.get("boot_order") or []
    session.flush()
    row.hardware_profile_id = found.id
    session.expire(row, ["hardware_profile"])


def _against_class(
    row: Server, ruleset: rules.Ruleset, current: dict[str, Any], before: dict[str, Any], notes: list[str]
) -> list[str]:
    if row.model_class is None:
        return []
    bill = ruleset.classes.get(row.model_class)
    if bill is None:
        if ruleset.classes:
            notes.append(f"class {row.model_class} is not in the rules: nothing was checked against it")
        return []
    findings, more = bom.check(bill, {**current, "cpu_count": row.cpu_count}, before)
    notes += more
    return findings


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
    for key in PART_LISTS:
        listed = bmc.get(key)
        if listed is not None and not (
            isinstance(listed, list) and len(listed) <= MOST_PARTS and all(isinstance(part, dict) for part in listed)
        ):
            raise wrong(key, f"a list of at most {MOST_PARTS} mappings")
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
            next="another machine sits behind this BMC address: correct the address, or retire the old server; "
            "a board that was exchanged is announced: palebluedot server replace-part",
        )
    _expect_no_twin(session, server, serial)


def _expect_no_twin(session: Session, server: Server, serial: str) -> None:
    twin = session.scalar(select(Server.name).where(Server.serial_number == serial, Server.id != server.id))
    if twin is not None:
        raise Conflict(
            f"{server.name} answers with the serial number {serial}, which is that of {twin}",
            code="serial_number_changed",
            host=server.name,
            next="two entries lead to one machine: correct the BMC address of one of them",
        )


def _config(session: Session, server: Server, bmc: dict[str, Any]) -> HardwareConfig:
    row = session.scalar(select(HardwareConfig).where(HardwareConfig.server_id == server.id))
    if row is None:
        row = HardwareConfig(server_id=server.id)
        session.add(row)
    for key in ("bios_version", "bmc_firmware_version", "bios_attributes", "raid_config"):
        if bmc.get(key) is not None:
            setattr(row, key, bmc[key])
    row.observed_at = clock.now(session)
    return row


def _interfaces(
    session: Session, actor: Actor, server: Server, config: HardwareConfig, nics: Any, notes: list[str]
) -> list[dict[str, Any]] | None:
    """What the interfaces saw, without those whose MAC address is none; a BMC's nonsense is noted and costs nothing."""
    if not isinstance(nics, list):
        return None
    seen: dict[str, dict[str, Any]] = {}
    good = []
    for nic in nics:
        if not isinstance(nic, dict):
            continue
        raw, mac = nic.get("mac"), values.mac(nic.get("mac"))
        if raw and mac is None:
            notes.append(f"interface {nic.get('id') or 'without a name'} left out: {str(raw)[:64]!r} is no MAC address")
            continue
        good.append(nic)
        if mac is not None:
            seen[mac] = nic
    config.network_config = {"nics": good}
    for row in server.nics:
        if row.mac in seen:
            row.observed = seen[row.mac]
            place = topology.neighbour(seen[row.mac])
            if place is not None:
                topology.hear(session, actor, server, row, *place)
    return good


def _without_interfaces(seen: list[dict[str, Any]] | None) -> str:
    """A BMC shows which interfaces there are and not which of them boots, so that none is taken for the record."""
    macs = [mac for mac in (values.mac(nic.get("mac")) for nic in seen or ()) if mac is not None]
    shown = f" (its BMC shows {', '.join(macs[:SHOWN_MACS])}{' and more' if len(macs) > SHOWN_MACS else ''})"
    return (
        f"no network interface on record{shown if macs else ''}: nobody is given this server until an import says its "
        "nics, the one that boots first"
    )


def _gpus(
    session: Session, server: Server, actor: Actor, found: list[dict[str, Any]], replaced: list[PartReplacement]
) -> list[str]:
    """GPUs by serial number, else by slot; one that is not seen any more is absent.

    Another serial number in a slot is the same GPU where its exchange was announced; else it is a finding, and the
    record keeps the one it knows. Answers the findings, and adds the exchanges that were seen to `replaced`.
    """
    rows = list(server.gpus)
    by_serial = {gpu.serial_number: gpu for gpu in rows if gpu.serial_number}
    by_slot = {gpu.slot: gpu for gpu in rows}
    serials = {facts["serial_number"] for facts in found if facts.get("serial_number")}
    follows = states.GPU_FOLLOWS[server.status]
    seen: list[Gpu] = []
    findings: list[str] = []
    elsewhere = _serials_elsewhere(session, server, found)
    for position, facts in enumerate(found):
        slot = str(facts.get("id") or f"GPU{position}")
        serial = facts.get("serial_number") or None
        gpu = by_serial.get(serial) if serial else None
        known = facts
        if serial in elsewhere:
            findings.append(
                f"{bom.gpu_label(slot)}: the serial number {serial} is that of a GPU of {elsewhere[serial]}"
            )
            known = {**facts, "serial_number": None}
            serial = None
        if gpu is None:
            candidate = by_slot.get(slot)
            if candidate is not None and (not serial or candidate.serial_number in (None, serial)):
                gpu = candidate
            elif candidate is not None and serial and candidate.serial_number not in serials:
                exchange = _exchange(session, server, candidate, serial)
                if exchange is not None:
                    parts.accept(session, actor, server, exchange, serial, slot=slot)
                    replaced.append(exchange)
                    candidate.uuid = None
                else:
                    findings.append(
                        f"{bom.gpu_label(slot)}: serial number {serial} instead of {candidate.serial_number}, "
                        "and no exchange was announced"
                    )
                    known = {}
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
            if known.get(key) is not None:
                setattr(gpu, key, known[key])
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
    return findings


def _count_new_gpus(session: Session, server: Server, actor: Actor, notes: list[str]) -> None:
    """Whoever holds the server has its GPUs too, and they count, those that were not seen when it was taken too."""
    holder = lookup.holder(session, server)
    if holder is None:
        return
    allocation = session.get_one(Allocation, holder, with_for_update=True, populate_existing=True)
    status = {"active": "active", "suspended": "active", "reserved": "reserved", "provisioning": "reserved"}
    for gpu in server.gpus:
        if gpu.kind != "gpu" or gpu.status in ("absent", "retired") or parts.held(session, gpu):
            continue
        session.add(
            GpuAllocation(
                allocation_id=allocation.id,
                gpu_id=gpu.id,
                status=status.get(allocation.status, "releasing"),
                allocated_at=clock.now(session),
            )
        )
        allocation.gpu_count = (allocation.gpu_count or 0) + 1
        notes.append(f"{bom.gpu_label(gpu.slot)}: first seen while {holder} holds the server, counted as its own")
        detail = {"server": server.name, "gpu": gpu.id, "slot": gpu.slot}
        audit.record(session, actor, "allocation.gpu_found", allocation.id, detail)
    session.flush()


def _exchange(session: Session, server: Server, gpu: Gpu, serial: str) -> PartReplacement | None:
    """The announced exchange of a GPU that nobody uses meanwhile."""
    if parts.held(session, gpu):
        return None
    return parts.announced(session, server, "gpu", gpu.serial_number, serial)


def _serials_elsewhere(session: Session, server: Server, found: list[dict[str, Any]]) -> dict[str, str]:
    """Serial number -> server, of those that the record has in another server."""
    serials = [facts["serial_number"] for facts in found if facts.get("serial_number")]
    rows = session.execute(
        select(Gpu.serial_number, Server.name)
        .join(Server, Server.id == Gpu.server_id)
        .where(Gpu.serial_number.in_(serials), Gpu.server_id != server.id)
    )
    return {str(row.serial_number): row.name for row in rows}
