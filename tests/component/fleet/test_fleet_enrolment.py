"""What becomes of a machine that was inspected: the delivery list, the rules, its class; exchanged parts; adoption."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fleet import clock, errors, settings, states
from fleet.actor import SYSTEM, Actor
from fleet.enrolment import adopt, bom, expected, inspection, parts, rules, topology
from fleet.enrolment.adopt import AdoptRequest
from fleet.models import (
    Allocation,
    AuditEntry,
    Gpu,
    GpuAllocation,
    HardwareConfig,
    Network,
    PartReplacement,
    Server,
    ServerNic,
)
from fleet.operations import claim, lookup, register, release, users
from fleet.rundoc import build
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


@pytest.fixture
def site_with(fleet: Site) -> Callable[..., Site]:
    """A new enrolled server `new` (rack r9, unit 10), with rules and a delivery list where wanted."""

    def make(content: str | None = RULES, machines: list[dict[str, Any]] | None = None) -> Site:
        with fleet.database.transaction() as session:
            register.import_fleet(
                session,
                SYSTEM,
                {
                    "servers": [
                        {"name": "new", "bmc_address": "192.0.2.99", "rack": "r9", "rack_unit": 10, "memory_gb": 2048,
                         "nics": [{"mac": "02:00:00:00:0b:01"}], "disks": ["/dev/nvme0n1"]}
                    ]
                },
            )  # fmt: skip
            if content is not None:
                rules.store(session, OPERATOR, content)
        if machines is not None:
            expected.load(fleet.database, SYSTEM, machines)
        return fleet

    return make


def look(site: Site, facts: dict[str, Any], server: str = "new", **top: Any) -> Server:
    with site.database.transaction() as session:
        return inspection.record_inspection(session, SYSTEM, server, {"bmc": facts, **top})


def server_of(site: Site, name: str = "new") -> Server:
    with site.database.reading() as session:
        return lookup.server(session, name)


def config(site: Site, server: str = "new") -> HardwareConfig:
    with site.database.reading() as session:
        return session.scalars(select(HardwareConfig).join(Server).where(Server.name == server)).one()


# -- rules


def test_a_rule_sets_class_pool_tags_and_profile(site_with: Callable[..., Site]) -> None:
    site = site_with()
    server = look(site, facts_of(9))
    assert (server.status, server.model_class, server.pool, server.tags) == (
        "available",
        "dgx-h100",
        "training",
        ["nvlink"],
    )
    with site.database.reading() as session:
        profile = lookup.server(session, "new").hardware_profile
        assert profile is not None
        assert (profile.name, profile.bios, profile.boot_order) == (
            "rules-training",
            {"SriovEnable": "Enabled"},
            ["pxe", "hdd"],
        )
    assert config(site).findings == []


def test_a_profile_that_was_imported_stays(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        rules.store(session, OPERATOR, RULES)
    look(fleet, facts_of(1), "gpu-01")
    with fleet.database.reading() as session:
        profile = lookup.server(session, "gpu-01").hardware_profile
        assert profile is not None and profile.name == "server-gpu-01"
    assert any("profile training of the rules not set" in note for note in config(fleet, "gpu-01").notes or [])


def test_a_machine_that_nobody_ordered_is_quarantined_with_the_reason(site_with: Callable[..., Site]) -> None:
    site = site_with(machines=[{"serial_number": "SN7777"}])
    server = look(site, facts_of(9))
    assert server.status == "quarantined"
    assert server.status_reason == "inspection: not on the delivery list (rule not-ordered)"
    assert {gpu.status for gpu in server.gpus} == {"quarantined"}


def test_first_stops_and_all_goes_on(site_with: Callable[..., Site]) -> None:
    both = """
rules:
  - {name: a, when: [{fact: gpu_count, ge: 1}], set: {pool: one, tags: [x]}}
  - {name: b, when: [{fact: capabilities.metric_report, eq: true}], set: {pool: two, tags: [y], quarantine: why}}
  - {name: c, when: [{fact: gpus.0.memory_gb, in: [80, 141]}, {fact: rack, exists: true}], set: {quarantine: too}}
  - {name: d, when: [{fact: nowhere, le: 5}], set: {pool: never}}
"""
    facts = {"gpu_count": 8, "capabilities": {"metric_report": True}, "gpus": [{"memory_gb": 80}], "rack": "r1"}
    first = rules.evaluate(rules.parse("mode: first" + both), facts)
    assert (first.assigned, first.by["pool"]) == ({"pool": "one", "tags": ["x"]}, "a")
    assert [outcome.looked_at for outcome in first.outcomes] == [True, False, False, False]
    whole = rules.evaluate(rules.parse("mode: all" + both), facts)
    assert whole.assigned == {"pool": "two", "tags": ["x", "y"], "quarantine": "why; too"}
    assert (whole.by["pool"], [outcome.fired for outcome in whole.outcomes]) == ("b", [True, True, True, False])


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"eq": "x"}, "x", True),
        ({"eq": True}, 1, False),
        ({"eq": 1}, True, False),
        ({"matches": "^DGX"}, "DGXH100", True),
        ({"matches": "H100$"}, "DGXH100-B", False),
        ({"matches": "1"}, 1, False),
        ({"in": ["a", "b"]}, "b", True),
        ({"in": ["a", "b"]}, ["c", "b"], True),
        ({"ge": 8}, 8, True),
        ({"ge": 8}, "9", False),
        ({"le": 8}, 8.5, False),
        ({"ge": 2, "le": 4}, 3, True),
        ({"exists": False}, None, True),
        ({"exists": True}, 0, True),
        ({"eq": 0}, None, False),
    ],
)
def test_conditions(condition: dict[str, Any], value: Any, holds: bool) -> None:
    ruleset = rules.Ruleset(
        "first", {}, {}, [{"name": "r", "when": [{"fact": "f", **condition}], "set": {"pool": "p"}}]
    )
    verdict = rules.evaluate(ruleset, {} if value is None else {"f": value})
    assert verdict.outcomes[0].fired is holds
    assert verdict.outcomes[0].conditions[0].value == value


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("rules: [", "no YAML"),
        ("[]", "object"),
        ("mode: some", "mode"),
        ("rules: [{name: a, set: {colour: red}}]", "rules/0/set"),
        ("rules: [{name: a, when: [{fact: x}], set: {pool: p}}]", "rules/0/when/0"),
        ("rules: [{name: a, when: [{fact: x, gt: 1}], set: {pool: p}}]", "gt"),
        ("rules: [{name: a, set: {pool: p}}, {name: a, set: {pool: q}}]", "twice"),
        ("rules: [{name: a, when: [{fact: x, matches: '('}], set: {pool: p}}]", "regular expression"),
        ("{classes: {b: {}}, rules: [{name: a, set: {model_class: c}}]}", "no class c"),
        ("rules: [{name: a, set: {hardware_profile: c}}]", "no profile c"),
        ("classes: {b: {gpus: {pcie_width: 3}}}", "pcie_width"),
        ("rules: [{name: a, set: &x {pool: p}}, {name: b, set: *x}]", "aliases"),
        ("classes: {b: {gpus: {memory_gb: .inf}}}", "JSON"),
        ("profiles: {b: {bios: {Date: 2026-01-01}}}", "JSON"),
        ("profiles: {b: {bios: {Date: 2026-99-01}}}", "no YAML"),
        ("rules: [{name: a, when: [{fact: x, matches: '(a+)+$'}], set: {pool: p}}]", "repeats what repeats"),
        ("rules: [{name: a, when: [{fact: x, matches: '((a*b){2,})*'}], set: {pool: p}}]", "repeats what repeats"),
        (f"rules: [{{name: a, when: [{{fact: x, matches: '{'a' * 201}'}}], set: {{pool: p}}}}]", "too long"),
        (f"rules: [{{name: a, set: {{tags: [{', '.join(f't{n}' for n in range(101))}]}}}}]", "too long"),
        (f"rules: [{{name: a, when: [{{fact: x, in: {list(range(101))}}}], set: {{pool: p}}}}]", "too long"),
        (f"classes: {{b: {{links: [{', '.join(['{match: x}'] * 101)}]}}}}", "classes/b/links: "),
    ],
)
def test_a_wrong_rule_file_is_refused_with_the_place(content: str, what: str) -> None:
    with pytest.raises(errors.Invalid, match=what) as caught:
        rules.parse(content)
    assert caught.value.code == "invalid_rules"


def test_a_pattern_sees_the_beginning_of_a_fact() -> None:
    ruleset = rules.parse("rules: [{name: a, when: [{fact: x, matches: b}], set: {pool: p}}]")
    assert rules.evaluate(ruleset, {"x": "a" * 127 + "b"}).assigned == {"pool": "p"}
    assert rules.evaluate(ruleset, {"x": "a" * 128 + "b"}).assigned == {}


def test_figures_that_are_none_are_unknown_and_names_are_bounded() -> None:
    bill = {
        "gpus": {"memory_gb": 80, "pcie_width": 16},
        "dimms": {"size_gb": 64},
        "drives": {"count": 1, "size_gb": 960},
        "interfaces": {"speed_gbps": 100},
        "links": [{"match": "NIC", "width": 16}],
    }
    facts: dict[str, Any] = {
        "gpus": [{"id": "GPU1", "memory_gb": "80"}],
        "dimms": [{"id": "A1", "size_gb": "64"}],
        "drives": [{"id": "nvme0", "size_gb": 10**400}],
        "nics": [{"id": "eth0", "link_up": True, "speed_mbps": "fast"}],
        "links": [{"id": "NIC1", "width": "x16"}, {"id": "GPU1", "width": {}, "generation": True}],
    }
    assert bom.check(bill, facts, {}) == ([], [])
    names = [{"id": "G" + "9" * 5000}, {"id": "G" + "9" * 5000}]
    found, _notes = bom.check({"gpus": {"count": 3}}, {"gpus": names}, {})
    assert found == ["GPUs: 2 instead of 3"]


def test_rules_are_kept_version_by_version(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        assert rules.current(session).rules == []
        assert rules.store(session, OPERATOR, RULES).version == 1
        assert rules.store(session, OPERATOR, RULES).version == 1
        assert rules.store(session, OPERATOR, "rules: []").version == 2
        assert (rules.current(session).version, rules.current(session).rules) == (2, [])
        with pytest.raises(errors.Forbidden):
            rules.store(session, fleet.ada, RULES)


def test_rules_come_from_a_file_while_the_record_has_none(
    fleet: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    monkeypatch.setenv("PALEBLUEDOT_ENROLMENT_RULES_FILE", str(file))
    settings.get_settings.cache_clear()
    with fleet.database.transaction() as session:
        assert len(rules.current(session).rules) == 3
        file.unlink()
        with pytest.raises(errors.Invalid, match="cannot be read"):
            rules.current(session)
        rules.store(session, OPERATOR, "rules: []")
        assert rules.current(session).rules == []


# -- the bill of materials


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda facts: facts["gpus"].pop(4), "GPU 5: missing"),
        (lambda facts: facts["gpus"][4].update(model="NVIDIA A100"), "GPU 5: model NVIDIA A100 instead of H100"),
        (lambda facts: facts["gpus"][4].update(memory_gb=96), "GPU 5: 96 GB instead of 80 GB"),
        (lambda facts: facts["links"][4].update(width=8), "GPU 5: PCIe x8 instead of x16"),
        (lambda facts: facts["dimms"][2].update(state="Absent", size_gb=None), "DIMM A3: missing"),
        (lambda facts: facts["dimms"].pop(2), "DIMM A3: missing"),
        (lambda facts: facts["dimms"][2].update(size_gb=32), "DIMM A3: 32 GB instead of 64 GB"),
        (lambda facts: facts["dimms"][2].update(health="Critical"), "DIMM A3: its health is Critical"),
        (lambda facts: facts["drives"].pop(0), "drives of 3840 GB NVMe: 1 instead of 2"),
        (lambda facts: facts["drives"][0].update(size_gb=960), "drive nvme0: unknown model, 960 GB, is in no group"),
        (lambda facts: facts["adapters"].clear(), "NICs: 0 instead of 1"),
        (lambda facts: facts.update(cpu_count=1), "CPUs: 1 instead of 2"),
    ],
)
def test_a_part_that_is_not_as_the_class_has_it_quarantines_by_name(
    site_with: Callable[..., Site], change: Callable[[dict[str, Any]], Any], finding: str
) -> None:
    # the rule asks for a class whatever the count of GPUs
    site = site_with(RULES.replace(", {fact: gpu_count, ge: 8}", ""))
    facts = facts_of(9)
    change(facts)
    server = look(site, facts)
    assert server.status == "quarantined"
    assert finding in (server.status_reason or "")
    assert any(found.startswith(finding) for found in config(site).findings or [])


def test_what_the_inspection_did_not_read_is_a_note_and_no_finding(site_with: Callable[..., Site]) -> None:
    site = site_with()
    assert look(site, {**bmc_facts(9), "cpu_count": 2}).status == "available"
    found = config(site)
    assert found.findings == []
    assert found.notes == [
        f"{part} not checked: the inspection did not read them" for part in ("dimms", "drives", "nics")
    ]


def test_drives_of_which_nothing_is_known_are_only_counted(site_with: Callable[..., Site]) -> None:
    site = site_with()
    facts = facts_of(9, drives=[{"id": f"nvme{slot}", "size_gb": None, "protocol": None} for slot in range(2)])
    assert look(site, facts).status == "available"
    facts["drives"].pop()
    assert "drive nvme1: missing" in (look(site, facts).status_reason or "")


def test_a_part_that_was_there_before_is_missed_by_name(site_with: Callable[..., Site]) -> None:
    site = site_with()
    assert look(site, facts_of(9)).status == "available"
    facts = facts_of(9)
    facts["drives"].pop(1)
    assert "drive nvme1: missing" in (look(site, facts).status_reason or "")


def test_a_server_in_use_is_only_reported(fleet: Site) -> None:
    fleet.reserve()
    with fleet.database.transaction() as session:
        rules.store(session, OPERATOR, RULES)
    facts = facts_of(1)
    facts["dimms"].pop(0)
    assert look(fleet, facts, "gpu-01").status == "reserved"
    assert config(fleet, "gpu-01").findings == ["DIMM A1: missing"]


def test_an_available_server_that_lost_a_part_leaves_the_pool(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        rules.store(session, OPERATOR, RULES)
    assert look(fleet, facts_of(2), "gpu-02").status == "available"
    facts = facts_of(2)
    facts["links"][0]["width"] = 8
    assert look(fleet, facts, "gpu-02").status_reason == "inspection: GPU 1: PCIe x8 instead of x16"


# -- what a BMC may say


def test_a_bmcs_nonsense_mac_is_left_out_and_noted(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    infiniband = ":".join(["02"] * 20)
    nics = [{"id": "ib0", "mac": infiniband}, {"id": "eth0", "mac": "02:00:00:00:0B:01", "speed_mbps": 100000}]
    assert look(site, facts_of(9), nics=nics).status == "available"
    found = config(site)
    assert found.notes == [f"interface ib0 left out: {infiniband[:64]!r} is no MAC address"]
    assert found.network_config == {"nics": nics[1:]}


def test_a_clean_of_a_server_in_maintenance_is_not_cut_short(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, OPERATOR, "gpu-01", "maintenance", "new board")
        release.start_clean(session, OPERATOR, "gpu-01")
    # the clean went maintenance -> inspecting; looking at the server does not offer it before it is clean
    assert look(fleet, bmc_facts(1), "gpu-01").status == "inspecting"


# -- the delivery list


def test_the_list_is_held_against_what_was_found(site_with: Callable[..., Site]) -> None:
    site = site_with(
        None,
        [
            {"serial_number": "SN0001", "name": "gpu-01", "rack": "r0"},
            {"serial_number": "SN0002", "rack": "r7", "pool": "default"},
            {"serial_number": "SN5555", "bmc_address": "192.0.2.13"},
            {"serial_number": "SN6666", "rack": "r9", "rack_unit": 10},
            {"serial_number": "SN7777"},
        ],
    )
    with site.database.reading() as session:
        found = {line.serial_number: line for line in expected.reconcile(session, OPERATOR)}
    assert {serial: line.status for serial, line in found.items()} == {
        "SN0001": "present",
        "SN0002": "differs",
        "SN5555": "wrong_serial",
        "SN6666": "missing",
        "SN7777": "missing",
        "SN0004": "unexpected",
    }
    assert found["SN0002"].differences == {"rack": {"expected": "r7", "found": "r1"}}
    assert (found["SN5555"].server, found["SN5555"].found_serial) == ("gpu-03", "SN0003")
    assert "new, which stands in its place, has not been inspected" in found["SN6666"].text
    look(site, facts_of(8))
    with site.database.reading() as session:
        found = {line.serial_number: line for line in expected.reconcile(session, OPERATOR)}
    assert (found["SN6666"].status, found["SN6666"].found_serial) == ("wrong_serial", "SN0008")


def test_without_a_list_nothing_is_unexpected(fleet: Site) -> None:
    with fleet.database.reading() as session:
        assert expected.reconcile(session, OPERATOR) == []
        with pytest.raises(errors.Forbidden):
            expected.reconcile(session, fleet.ada)


def test_the_list_fills_in_and_goes_before_the_rules(site_with: Callable[..., Site]) -> None:
    site = site_with(
        machines=[{"serial_number": "SN0009", "rack": "r1", "nvlink_domain": "nv3", "pool": "reserve", "tags": ["vip"]}]
    )
    server = look(site, facts_of(9))
    assert (server.rack, server.nvlink_domain, server.pool, server.tags) == ("r9", "nv3", "reserve", ["nvlink", "vip"])


def test_the_list_is_upserted_and_can_be_replaced(fleet: Site) -> None:
    expected.load(fleet.database, SYSTEM, [{"serial_number": "A", "rack": "r1"}, {"serial_number": "B"}])
    again = expected.load(fleet.database, SYSTEM, [{"serial_number": "A", "rack": "r2"}])
    assert (dict(again.created), dict(again.updated)) == ({}, {"machines": 1})
    less = expected.load(fleet.database, SYSTEM, [{"serial_number": "A"}], replace=True)
    assert dict(less.updated) == {"removed": 1}
    with fleet.database.reading() as session:
        listed = expected.reconcile(session, OPERATOR)[0]
        assert (listed.serial_number, listed.status) == ("A", "missing")
    for entry, what in (
        ({"serial_number": ""}, "no serial number"),
        ({"serial_number": "C", "colour": 1}, "unknown fields colour"),
        ({"serial_number": "C", "rack_unit": 400}, "not within"),
        ({"serial_number": "C", "bmc_address": "a b"}, "neither an address"),
        ({"serial_number": "C", "name": "all"}, "Ansible"),
    ):
        with pytest.raises(errors.Invalid, match=what):
            expected.load(fleet.database, SYSTEM, [entry])


# -- machines that come back


def bring_back(site: Site, number: int, **entry: Any) -> None:
    """Machine `number`, with its own network card and in its old place, under the name `back`."""
    nic = {"mac": f"02:00:00:00:00:{number:02x}", "switch": "leaf-1", "port": f"Ethernet{number}"}
    with site.database.transaction() as session:
        document = {"name": "back", "bmc_address": f"192.0.2.{10 + number}", "nics": [nic], **entry}
        register.import_fleet(session, SYSTEM, {"servers": [document]})


def test_a_retired_machine_comes_back_under_another_name(fleet: Site) -> None:
    with pytest.raises(errors.Invalid, match="is that of gpu-01"):
        bring_back(fleet, 1)
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "retired", "sold")
    with pytest.raises(errors.Conflict, match="gpu-01 is retired") as caught:
        look(fleet, bmc_facts(1), server="gpu-01")
    assert "under another name" in (caught.value.next or "")
    bring_back(fleet, 1)
    back = look(fleet, bmc_facts(1), server="back")
    assert (back.status, back.serial_number, back.gpu_count) == ("available", bmc_facts(1)["serial_number"], 8)
    with fleet.database.reading() as session:
        old = lookup.server(session, "gpu-01")
        assert (old.status, old.serial_number, old.nics) == ("retired", None, [])
        assert [nic.switch_port for nic in lookup.server(session, "back").nics] == ["Ethernet1"]
        assert {gpu.serial_number for gpu in lookup.server(session, "back").gpus} == {
            gpu["serial_number"] for gpu in bmc_facts(1)["gpus"]
        }
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "server.return")).one()
        assert entry.detail == {"server": "back", "was": "gpu-01", "serial_number": back.serial_number}
    # and it is one machine: nobody else is
    assert look(fleet, bmc_facts(1), server="back").status == "available"


def test_what_was_left_on_a_retired_machine_comes_back_with_it(fleet: Site) -> None:
    fleet.reserve()
    with fleet.database.transaction() as session:
        used = session.scalars(select(Server).where(Server.status == "reserved")).one()
        number = int(used.name[-2:])
        for state in ("provisioning", "failed", "retired"):
            states.transition(session, used, state, SYSTEM)
    bring_back(fleet, number)
    back = look(fleet, bmc_facts(number), server="back")
    assert (back.status, back.needs_clean) == ("quarantined", True)
    assert "has not been cleaned since" in (back.status_reason or "")


def test_a_place_in_the_rack_and_a_gpu_of_a_retired_server_are_used_again(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "retired", "burnt")
    bring_back(fleet, 1, nics=[{"mac": "02:00:00:00:0c:01", "switch": "leaf-1", "port": "Ethernet1"}])
    facts = bmc_facts(9)
    facts["gpus"][3]["serial_number"] = bmc_facts(1)["gpus"][3]["serial_number"]
    assert look(fleet, facts, server="back").status == "available"
    with fleet.database.reading() as session:
        assert lookup.server(session, "gpu-01").serial_number == bmc_facts(1)["serial_number"], "that machine is gone"


# -- exchanged parts


def exchange(site: Site, kind: str, old: str, new: str | None = None, server: str = "gpu-01") -> PartReplacement:
    with site.database.transaction() as session:
        return parts.announce(session, OPERATOR, server, kind, old, new, "RMA 7")


def with_gpu(number: int, slot: int, serial: str) -> dict[str, Any]:
    facts = bmc_facts(number)
    facts["gpus"][slot - 1]["serial_number"] = serial
    return facts


def test_an_announced_gpu_is_the_same_row_with_another_serial(fleet: Site) -> None:
    with fleet.database.reading() as session:
        before = session.scalars(select(Gpu).where(Gpu.serial_number == "GPU000103")).one().id
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    server = look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01")
    assert (server.status, server.gpu_count) == ("available", 8)
    with fleet.database.reading() as session:
        gpu = session.get_one(Gpu, before)
        assert (gpu.serial_number, gpu.slot, gpu.status) == ("NEW3", "GPU_SXM_3", "available")
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "gpu.replaced"))
        assert entry.subject == before
        assert entry.detail is not None
        assert (entry.detail["old_serial"], entry.detail["new_serial"], entry.detail["announced_by"]) == (
            "GPU000103",
            "NEW3",
            "olga",
        )
        found = session.scalars(select(PartReplacement)).one()
        assert found.accepted_at is not None and found.found_serial == "NEW3"


def test_exactly_the_announced_exchange_is_accepted(fleet: Site) -> None:
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    server = look(fleet, with_gpu(1, 3, "OTHER"), "gpu-01")
    assert server.status == "quarantined"
    assert "GPU 3: serial number OTHER instead of GPU000103" in (server.status_reason or "")
    server = look(fleet, with_gpu(1, 4, "NEW3"), "gpu-01")
    assert "GPU 4: serial number NEW3 instead of GPU000104" in str(config(fleet, "gpu-01").findings)


def test_a_quarantined_server_comes_back_when_the_exchange_is_told_of(fleet: Site) -> None:
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    exchange(fleet, "gpu", "GPU000103", None)
    assert fleet.server_states()["gpu-01"] == "maintenance"
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "available"
    # the announcement is used up
    assert look(fleet, with_gpu(1, 3, "NEXT"), "gpu-01").status == "quarantined"


def test_an_operators_quarantine_is_not_lifted_by_an_exchange(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, OPERATOR, "gpu-01", "quarantined", "smells of smoke")
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    with fleet.database.reading() as session:
        assert session.scalars(select(Gpu.id).where(Gpu.serial_number == "NEW3")).one()


def test_a_gpu_that_somebody_holds_is_not_exchanged(fleet: Site) -> None:
    exchange(fleet, "gpu", "GPU000102", "NEW2")
    fleet.reserve()
    for kind, old in (("gpu", "GPU000103"), ("board", "SN0001")):
        with pytest.raises(errors.Conflict, match="held by an allocation") as caught:
            exchange(fleet, kind, old)
        assert caught.value.code == "held_by_allocation"
    # announced before, held since: the record does not follow
    look(fleet, with_gpu(1, 2, "NEW2"), "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(Gpu.id).where(Gpu.serial_number == "GPU000102")).one()


def test_an_announced_board_is_the_same_server(fleet: Site) -> None:
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")
    exchange(fleet, "board", "SN0001", "BOARD2")
    server = look(fleet, facts, "gpu-01")
    assert (server.serial_number, server.status) == ("BOARD2", "available")
    with pytest.raises(errors.Conflict):
        look(fleet, {**bmc_facts(1), "serial_number": "BOARD3"}, "gpu-01")


def test_an_announced_board_is_not_let_in_while_somebody_has_the_server(fleet: Site) -> None:
    exchange(fleet, "board", "SN0001", "BOARD2")
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    fleet.reserve()
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")
    fleet.finish(fleet.claim_next())
    with pytest.raises(errors.Conflict, match="the record says SN0001"):
        look(fleet, facts, "gpu-01")


def test_an_announcement_counts_for_two_weeks(fleet: Site) -> None:
    facts = {**bmc_facts(1), "serial_number": "BOARD2"}
    exchange(fleet, "board", "SN0001", "BOARD2")
    with clock.travel(timedelta(days=15)):
        with pytest.raises(errors.Conflict, match="the record says SN0001"):
            look(fleet, facts, "gpu-01")
        exchange(fleet, "board", "SN0001", "BOARD2")
        assert look(fleet, facts, "gpu-01").serial_number == "BOARD2"


def test_what_a_hand_decides_is_not_undone_by_an_exchange(fleet: Site) -> None:
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"
    exchange(fleet, "gpu", "GPU000103", None)
    with fleet.database.transaction() as session:
        register.set_state(session, OPERATOR, "gpu-01", "inspecting", "done")
        register.set_state(session, OPERATOR, "gpu-01", "maintenance", "the fans too")
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "maintenance"


@pytest.mark.parametrize(
    ("kind", "listed", "old"), [("dimm", "dimms", "D12"), ("drive", "drives", "V11"), ("nic", "adapters", "N1")]
)
def test_other_parts_are_accepted_when_the_old_one_is_gone(fleet: Site, kind: str, listed: str, old: str) -> None:
    look(fleet, facts_of(1), "gpu-01")
    exchange(fleet, kind, old)
    look(fleet, facts_of(1), "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(PartReplacement.accepted_at)).one() is None
    facts = facts_of(1)
    for part in facts[listed]:
        if part["serial_number"] == old:
            part["serial_number"] = "FRESH"
    look(fleet, facts, "gpu-01")
    with fleet.database.reading() as session:
        assert session.scalars(select(PartReplacement.found_serial)).one() == "FRESH"
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == f"{kind}.replaced")).one()


def test_a_network_card_that_was_exchanged_boots_by_its_new_address(fleet: Site) -> None:
    exchange(fleet, "nic", "02:00:00:00:00:01")
    look(fleet, bmc_facts(1), "gpu-01", nics=[{"id": "eth0", "mac": "02:00:00:00:0c:0c"}])
    with fleet.database.reading() as session:
        nic = lookup.server(session, "gpu-01").nics[0]
        assert (nic.mac, nic.switch_port) == ("02:00:00:00:0c:0c", "Ethernet1")


@pytest.mark.parametrize(
    ("kind", "old", "new", "code"),
    [
        ("fan", "X", None, "invalid_part"),
        ("gpu", "NOBODYS", None, "unknown_part"),
        ("gpu", "GPU000201", None, "unknown_part"),
        ("gpu", "GPU000101", "GPU000101", "invalid_part"),
        ("gpu", "GPU000101", "GPU000201", "serial_number_taken"),
        ("board", "SN0002", None, "unknown_part"),
        ("board", "SN0001", "SN0002", "serial_number_taken"),
        ("dimm", "NOBODYS", None, "unknown_part"),
    ],
)
def test_an_announcement_that_cannot_be_is_refused(
    fleet: Site, kind: str, old: str, new: str | None, code: str
) -> None:
    look(fleet, facts_of(1), "gpu-01")
    with pytest.raises(errors.FleetError) as caught:
        exchange(fleet, kind, old, new)
    assert caught.value.code == code


def test_a_gpu_of_another_server_is_a_finding_and_no_broken_record(fleet: Site) -> None:
    server = look(fleet, with_gpu(1, 3, "GPU000203"), "gpu-01")
    assert (server.status, server.status_reason) == (
        "quarantined",
        "inspection: GPU 3: the serial number GPU000203 is that of a GPU of gpu-02",
    )


# -- adoption


def adopt_new(site: Site, actor: Actor | None = None, **request: Any) -> Allocation:
    with site.database.transaction() as session:
        return adopt.adopt(session, actor or site.admin, "new", AdoptRequest(**{"user": "ada", **request}))


def test_a_server_in_use_is_adopted_and_released_as_any_other(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    with pytest.raises(errors.Conflict) as caught:
        adopt_new(site)
    assert caught.value.code == "not_inspected"
    assert look(site, facts_of(9), enrol=False).status == "enrolled"
    allocation = adopt_new(site, network="tenant-3", address="127.30.3.9")
    with site.database.reading() as session:
        found = session.get_one(Allocation, allocation.id)
        server = lookup.server(session, "new")
        assert (found.status, found.gpu_count, found.workflow_id, found.template.name) == ("active", 8, None, "adopted")
        assert (server.status, {gpu.status for gpu in server.gpus}) == ("active", {"allocated"})
        held = found.servers[0]
        assert (held.state, held.address) == ("active", "127.30.3.9")
        assert (
            session.scalars(select(GpuAllocation.status).where(GpuAllocation.allocation_id == found.id)).all()
            == ["active"] * 8
        )
        quota = users.quota_used(session, site.ada.id)
        assert quota["gpu_count"] == 8
    with site.database.transaction() as session:
        workflow = release.start_release(session, site.ada, allocation.id).id
    job = site.claim_next()
    assert job.id == workflow
    with site.database.reading() as session:
        document = build(session, SYSTEM, workflow)
        assert document["servers"][0]["networks"]["tenant"]["name"] == "tenant-3"
        assert document["servers"][0]["networks"]["quarantine"]["address"]
    site.finish(job)
    with site.database.reading() as session:
        assert session.get_one(Allocation, allocation.id).status == "released"
        assert lookup.server(session, "new").status == "available"
        assert users.quota_used(session, site.ada.id)["gpu_count"] == 0


def test_a_wipe_that_failed_is_not_skipped_by_maintenance_and_an_inspection(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), enrol=False)
    allocation = adopt_new(site)
    with site.database.transaction() as session:
        release.start_release(session, site.ada, allocation.id)
    job = site.claim_next()
    site.step(job, "stop_monitoring", "new")
    site.step(job, "secure_erase", "new", status="failed", error={"message": "the disk does not answer"})
    with site.database.transaction() as session:
        claim.surrender(session, job.id, job.fence, "ended")
    assert (server_of(site).status, server_of(site).needs_clean) == ("failed", True)
    for state in ("maintenance", "inspecting"):
        with site.database.transaction() as session:
            register.set_state(session, OPERATOR, "new", state, "another disk")
    server = look(site, facts_of(9))
    assert (server.status, server.status_reason) == (
        "quarantined",
        f"{allocation.id} still holds it: palebluedot server clean new",
    )
    assert config(site).facts is not None and config(site).findings == []
    with site.database.transaction() as session:
        release.start_clean(session, OPERATOR, "new")
    site.finish(site.claim_next())
    assert (server_of(site).status, server_of(site).needs_clean) == ("available", False)
    with site.database.transaction() as session:
        register.set_state(session, OPERATOR, "new", "maintenance", "another fan")
        register.set_state(session, OPERATOR, "new", "inspecting", "done")
    assert look(site, facts_of(9)).status == "available"


def test_a_server_that_was_in_use_and_is_nobodys_now_waits_for_its_clean(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        row = lookup.server(session, "gpu-01")
        for state in ("reserved", "provisioning", "failed", "maintenance", "inspecting"):
            states.transition(session, row, state, SYSTEM)
    server = look(fleet, bmc_facts(1), "gpu-01")
    assert (server.status, server.status_reason) == (
        "quarantined",
        "it was in use and has not been cleaned since: palebluedot server clean gpu-01",
    )


def test_an_exchanged_part_does_not_offer_a_server_that_was_not_cleaned(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        row = lookup.server(session, "gpu-01")
        for state in ("reserved", "provisioning", "failed", "maintenance", "inspecting"):
            states.transition(session, row, state, SYSTEM)
    server = look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01")
    assert (server.status_reason or "").startswith("inspection: GPU 3")
    exchange(fleet, "gpu", "GPU000103", "NEW3")
    assert look(fleet, with_gpu(1, 3, "NEW3"), "gpu-01").status == "quarantined"


def test_a_frozen_fleet_adopts_nothing(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), enrol=False)
    with site.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "power works")
    with pytest.raises(errors.Frozen, match="power works"):
        adopt_new(site)


def test_a_gpu_that_is_first_seen_after_the_adoption_counts(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    few = facts_of(9)
    few["gpus"] = few["gpus"][:4]
    look(site, few, enrol=False)
    allocation = adopt_new(site)
    for _ in range(2):
        look(site, facts_of(9))
    with site.database.reading() as session:
        found = session.get_one(Allocation, allocation.id)
        assert [gpu.status for gpu in found.gpu_allocations] == ["active"] * 8
        assert (found.gpu_count, users.quota_used(session, site.ada.id)["gpu_count"]) == (8, 8)
    with site.database.transaction() as session:
        release.start_release(session, site.ada, allocation.id)
    site.finish(site.claim_next())
    with site.database.reading() as session:
        assert not session.scalars(select(GpuAllocation).where(GpuAllocation.released_at.is_(None))).all()


def test_a_server_that_waits_to_be_adopted_is_not_offered_by_another_inspection(
    site_with: Callable[..., Site],
) -> None:
    site = site_with(None)
    server = look(site, facts_of(9), enrol=False)
    assert (server.hands_off, server.hands_off_reason) == (True, "in use: waits to be adopted")
    assert look(site, facts_of(9)).status == "enrolled"
    adopt_new(site)
    assert (server_of(site).hands_off, server_of(site).hands_off_reason) == (False, None)


def test_a_server_that_is_in_use_no_more_is_offered_when_a_hand_says_so(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), enrol=False)
    with site.database.transaction() as session:
        register.set_flags(session, OPERATOR, "new", False)
    assert look(site, facts_of(9)).status == "available"


def test_quota_holds_for_adoption_unless_an_administrator_waives_it(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), enrol=False)
    with site.database.transaction() as session:
        users.quota_row(session, site.ada.id).max_gpu_count = 15
    site.reserve()
    with pytest.raises(errors.OverQuota, match="8 used \\+ 8 asked for > 15"):
        adopt_new(site)
    with pytest.raises(errors.Forbidden):
        adopt_new(site, OPERATOR, waive_quota=True)
    found = adopt_new(site, waive_quota=True)
    assert found.placement is not None and found.placement["quota_waived"] is True


def test_what_cannot_be_adopted(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), enrol=False)
    site.reserve(site.bob)
    with site.database.reading() as session:
        taken = session.scalars(select(Allocation)).one()
        network = next(row.name for row in session.scalars(select(Network)) if row.allocation_id == taken.id)
    for request, kind in (
        ({"user": "nobody"}, errors.NotFound),
        ({"template": "windows"}, errors.NotFound),
        ({"network": "nowhere"}, errors.NotFound),
        ({"network": network}, errors.Conflict),
        ({"network": "tenant-7", "address": "127.30.7.15"}, errors.Invalid),
        ({"network": "tenant-7", "address": "127.30.7.1"}, errors.Invalid),
        ({"network": "tenant-7", "address": "192.0.2.1"}, errors.Invalid),
        ({"address": "127.30.7.9"}, errors.Invalid),
    ):
        with pytest.raises(kind):
            adopt_new(site, **request)
    with pytest.raises(errors.StateConflict), site.database.transaction() as session:
        adopt.adopt(session, site.admin, "gpu-02", AdoptRequest("ada"))
    with pytest.raises(errors.Forbidden), site.database.transaction() as session:
        adopt.adopt(session, site.ada, "new", AdoptRequest("ada"))
    assert adopt_new(site, template="ubuntu-24.04").id


# -- topology


def test_cabling_by_lldp_fills_gaps_and_names_contradictions(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    look(site, facts_of(9), nics=[{"mac": "02:00:00:00:0b:01", "neighbor": {"system_name": "leaf-1", "port": "E9"}}])
    with site.database.reading() as session:
        nic = session.scalars(select(ServerNic).where(ServerNic.mac == "02:00:00:00:0b:01")).one()
        assert (nic.switch.name if nic.switch else None, nic.switch_port, nic.lldp_port) == ("leaf-1", "E9", "E9")
        assert topology.read(session, OPERATOR).conflicts == []
    look(site, bmc_facts(1), "gpu-01", nics=[{"mac": "02:00:00:00:00:01", "neighbor": "leaf-1", "neighbor_port": "E9"}])
    with site.database.reading() as session:
        found = topology.read(session, OPERATOR)
        # the record's cabling is not overwritten
        assert lookup.server(session, "gpu-01").nics[0].switch_port == "Ethernet1"
    assert found.conflicts == [
        "gpu-01 02:00:00:00:00:01: cabled to leaf-1 Ethernet1 in the record, LLDP hears leaf-1 E9",
        "leaf-1 E9: new's in the record, LLDP hears gpu-01 (02:00:00:00:00:01) there",
        "leaf-1 E9: LLDP hears gpu-01 (02:00:00:00:00:01) and new (02:00:00:00:0b:01)",
    ]
    assert found.racks["r0"] == [{"name": "gpu-01", "rack_unit": None}]
    assert {(port.server, port.port, port.source) for port in found.ports} >= {
        ("new", "E9", "both"),
        ("gpu-01", "Ethernet1", "recorded"),
        ("gpu-01", "E9", "lldp"),
    }


def test_what_a_switch_hears_is_stored_at_the_interfaces(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        answer = topology.heard_by_switch(
            session,
            SYSTEM,
            "leaf-1",
            [{"interface": "Ethernet3", "macs": ["02-00-00-00-00-02", "nonsense", "02:99:00:00:00:00"]}],
        )
        assert answer == {"stored": 1, "unknown_macs": ["nonsense", "02:99:00:00:00:00"]}
        assert topology.read(session, OPERATOR).conflicts[0].startswith("gpu-02 02:00:00:00:00:02: cabled to leaf-1")
        with pytest.raises(errors.NotFound):
            topology.heard_by_switch(session, SYSTEM, "leaf-9", [])


def without_cabling(site: Site, server: str) -> None:
    with site.database.transaction() as session:
        nic = lookup.server(session, server).nics[0]
        nic.switch_id = nic.switch_port = None


def heard(site: Site, *ports: tuple[str, str]) -> None:
    with site.database.transaction() as session:
        topology.heard_by_switch(session, SYSTEM, "leaf-1", [{"interface": on, "macs": [mac]} for on, mac in ports])


def cabled_to(site: Site, server: str) -> str | None:
    return server_nic(site, server).switch_port


def server_nic(site: Site, server: str) -> ServerNic:
    with site.database.reading() as session:
        return lookup.server(session, server).nics[0]


def test_lldp_does_not_cable_a_server_that_is_in_use(fleet: Site) -> None:
    fleet.active()
    without_cabling(fleet, "gpu-01")
    heard(fleet, ("Ethernet1", "02:00:00:00:00:01"))
    assert cabled_to(fleet, "gpu-01") is None and server_nic(fleet, "gpu-01").lldp_port == "Ethernet1"
    nics = [{"mac": "02:00:00:00:00:01", "neighbor": "leaf-1", "neighbor_port": "Ethernet1"}]
    look(fleet, bmc_facts(1), "gpu-01", nics=nics)
    assert cabled_to(fleet, "gpu-01") is None


def test_lldp_cables_a_new_server_from_one_port_only_and_says_so(site_with: Callable[..., Site]) -> None:
    site = site_with(None)
    heard(site, ("E8", "02:00:00:00:0b:01"), ("E9", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") is None
    # the port it is heard on now is not the one before
    heard(site, ("E8", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") is None
    heard(site, ("E8", "02:00:00:00:0b:01"))
    assert cabled_to(site, "new") == "E8"
    with site.database.reading() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "topology.filled"))
    assert entry.detail == {"server": "new", "mac": "02:00:00:00:0b:01", "switch": "leaf-1", "port": "E8"}


def test_two_servers_in_one_rack_unit_are_named(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        places = [{"name": name, "rack": "r5", "rack_unit": 7} for name in ("gpu-01", "gpu-02")]
        register.import_fleet(session, SYSTEM, {"servers": places})
        assert topology.read(session, OPERATOR).conflicts == [
            "rack r5 unit 7: gpu-01 and gpu-02 stand there in the record"
        ]
