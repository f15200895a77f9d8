"""Enrolment over HTTP: the list, the rules, exchanged parts, adoption, cabling."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.api.support import Caller, fleet_document, inspection, problem

RULES = """\
classes: {dgx: {gpus: {count: 8, pcie_width: 16}}}
rules:
  - {name: dgx, when: [{fact: model, matches: DGXH100}, {fact: gpu_count, ge: 8}], set: {model_class: dgx, pool: train}}
"""


@pytest.mark.usefixtures("fleet")
def test_the_list_is_imported_and_held_against_what_was_found(operator: Caller, automation: Caller) -> None:
    machines = [{"serial_number": "SN0000", "rack": "r1"}, {"serial_number": "SN0001", "rack": "r2"},
                {"serial_number": "SN9999"}]  # fmt: skip
    answer = automation.post("/expected-machines", {"machines": machines})
    assert answer.json == {"created": {"machines": 3}, "updated": {}, "unchanged": {}}
    assert [row["serial_number"] for row in operator.get("/expected-machines?rack=r1").json["items"]] == ["SN0000"]  # type: ignore[index]
    found = operator.get("/reconciliation").json
    assert found is not None
    assert found["counts"] == {"present": 1, "differs": 1, "missing": 1, "unexpected": 1}
    (line,) = operator.get("/reconciliation?status=differs").json["items"]  # type: ignore[index]
    assert (line["server"], line["text"]) == ("gpu-01", "is gpu-01: rack r1 instead of r2")
    assert operator.delete("/expected-machines/SN9999").status_code == 204
    assert "missing" not in operator.get("/reconciliation").json["counts"]  # type: ignore[index]
    refused = problem(operator.post("/expected-machines", {"machines": [{"serial_number": "X", "name": "all"}]}), 422)
    assert refused["errors"][0]["pointer"] == "/machines/0"


@pytest.mark.usefixtures("fleet")
def test_rules_are_set_tried_and_explained(operator: Caller, auditor: Caller, automation: Caller) -> None:
    assert auditor.get("/enrolment-rules").json["source"] == "none"  # type: ignore[index]
    assert auditor.get("/enrolment-rules/schema").json["title"] == "Enrolment rules"  # type: ignore[index]
    tried = operator.post("/enrolment-rules/check", {"server": "gpu-00", "content": RULES}).json
    assert tried is not None
    assert (tried["assigned"], tried["by"]) == (
        {"model_class": "dgx", "pool": "train"},
        {"model_class": "dgx", "pool": "dgx"},
    )
    assert [condition["value"] for condition in tried["outcomes"][0]["conditions"]] == ["DGXH100", 8]
    # trying changes nothing
    assert operator.get("/servers/gpu-00").json["pool"] == "spare"  # type: ignore[index]
    problem(operator.put("/enrolment-rules", {"content": "rules: [{name: a}]"}), 422, "invalid_rules")
    stored = operator.put("/enrolment-rules", {"content": RULES}).json
    assert stored is not None and stored["version"] == 1
    automation.put("/servers/gpu-00/inspection", inspection(0))
    assert operator.get("/servers/gpu-00").json["pool"] == "train"  # type: ignore[index]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"id": "A1", "name": "9" * 256}, "dimms"),
        ({"id": "A1", "size_gb": "much"}, "dimms"),
        ({"id": "A1", "width": "x16"}, "links"),
        ({"id": "A1", "generation": []}, "links"),
        ({"mac": "02:00:00:00:00:01", "speed_mbps": "fast"}, "nics"),
    ],
)
def test_what_is_found_of_a_part_is_bounded(automation: Caller, part: dict[str, Any], kind: str) -> None:
    refused = problem(automation.put("/servers/gpu-00/inspection", {"bmc": {**inspection(0), kind: [part]}}), 422)
    assert refused["errors"][0]["pointer"].startswith(f"#/bmc/{kind}/0/")


@pytest.mark.usefixtures("fleet")
def test_a_failing_part_is_shown_and_an_exchange_announced(operator: Caller, automation: Caller) -> None:
    facts = inspection(0)
    facts["gpus"][2]["serial_number"] = "FRESH"
    answer = automation.put("/servers/gpu-00/inspection", {"bmc": facts, "nics": [{"id": "ib0", "mac": "x" * 59}]})
    assert answer.json["state"] == "quarantined"  # type: ignore[index]
    shown = operator.get("/servers/gpu-00").json
    assert shown is not None
    assert shown["findings"] == ["GPU 3: serial number FRESH instead of G00002, and no exchange was announced"]
    assert "no MAC address" in shown["notes"][0] and shown["inspected_at"]
    wish = {"kind": "gpu", "old_serial": "G00002", "reason": "RMA"}
    announced = operator.post("/servers/gpu-00/replace-part", wish).json
    assert announced is not None and announced["accepted_at"] is None
    assert automation.put("/servers/gpu-00/inspection", facts).json["state"] == "available"  # type: ignore[index]
    (row,) = operator.get("/servers/gpu-00/replacements").json["items"]  # type: ignore[index]
    assert (row["found_serial"], row["announced_by"]) == ("FRESH", "operator")
    problem(operator.post("/servers/gpu-00/replace-part", {**wish, "kind": "fan"}), 422, "validation_failed")
    problem(operator.post("/servers/gpu-00/replace-part", wish), 422, "unknown_part")


@pytest.mark.usefixtures("fleet")
def test_a_server_in_use_is_adopted_over_http(
    operator: Caller, admin: Caller, automation: Caller, user: Caller
) -> None:
    document = {"servers": [{"name": "old", "bmc_address": "192.0.2.90", "nics": [{"mac": "02:00:00:00:09:01"}]}]}
    assert automation.post("/servers", document).status_code == 200
    looked = automation.put("/servers/old/inspection", {**inspection(9), "enrol": False}).json
    assert looked is not None and looked["state"] == "enrolled"
    problem(operator.post("/servers/old/adopt", {"user": "user", "waive_quota": True}), 403, "forbidden")
    adopted = operator.post("/servers/old/adopt", {"user": "user"}).json
    assert adopted is not None
    assert (adopted["status"], adopted["template"], adopted["servers"][0]["name"]) == ("active", "adopted", "old")
    assert len(adopted["servers"][0]["gpus"]) == 8
    assert user.get(f"/allocations/{adopted['id']}").status_code == 200
    assert user.delete(f"/allocations/{adopted['id']}").status_code == 202
    problem(operator.post("/servers/old/adopt", {"user": "user"}), 409, "state_conflict")


@pytest.mark.usefixtures("fleet")
def test_maintenance_ends_when_an_operator_says_so(operator: Caller, automation: Caller) -> None:
    for state in ("maintenance", "inspecting"):
        answer = operator.put("/servers/gpu-01/state", {"state": state, "reason": "fan"})
        assert answer.json["state"] == state  # type: ignore[index]
    assert automation.put("/servers/gpu-01/inspection", inspection(1)).json["state"] == "available"  # type: ignore[index]


@pytest.mark.usefixtures("fleet")
def test_cabling_that_contradicts_itself_is_named(operator: Caller, automation: Caller) -> None:
    heard = {"ports": [{"interface": "Ethernet1", "macs": ["02:00:00:00:00:02", "02:00:00:00:00:ee"]}]}
    answer = automation.put("/switches/leaf-1/neighbors", heard)
    assert answer.json == {"stored": 1, "unknown_macs": ["02:00:00:00:00:ee"]}
    found = operator.get("/topology").json
    assert found is not None
    assert found["racks"]["r1"][0] == {"name": "gpu-00", "rack_unit": None}
    assert any("leaf-1 Ethernet1: gpu-01's in the record" in conflict for conflict in found["conflicts"])
    nic = operator.get("/servers/gpu-02").json["nics"][0]  # type: ignore[index]
    assert (nic["switch_port"], nic["lldp_switch"], nic["lldp_port"]) == ("Ethernet2", "leaf-1", "Ethernet1")


def test_an_import_names_every_wrong_entry(automation: Caller) -> None:
    document = fleet_document()
    document["servers"][0]["name"] = "localhost"
    document["servers"][2]["bmc_address"] = "192.0.2.11"
    refused = problem(automation.post("/servers", document), 422, "invalid_import")
    assert [error["pointer"] for error in refused["errors"]] == ["/servers/0", "/servers/2"]
