"""What the rules and its class make of a machine that was inspected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet import errors, settings
from fleet.enrolment import bom, rules
from fleet.operations import lookup, register, release
from tests.component.fleet.enrolled import OPERATOR, RULES, config, facts_of, look
from tests.component.fleet.support import Site, bmc_facts

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
