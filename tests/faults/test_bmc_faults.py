"""A BMC that hangs, refuses, drops the line or answers nonsense: a typed error, the quota back."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support.site import Json, Site

pytestmark = pytest.mark.faults
BMC_TIMEOUT_S = 3
# what a task and two calls to the ledger may take besides; in all less than the default of 30 s
AROUND_S = 20
SITE = {"servers": 2, "quota": 8, "environment": {"PALEBLUEDOT_BMC_TIMEOUT": str(BMC_TIMEOUT_S)}}

ATTEMPTS = 3  # the first and the `retries` of roles/hardware_check/meta/step.yml
REQUEST = {"gpu_count": 8, "template": "ubuntu-24.04"}


def server_named(site: Site, name: str) -> Json:
    return site.client.server(name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("hang", {"deadline_exceeded"}),
        ("refuse", {"unreachable"}),
        ("drop", {"unreachable", "connection_dropped"}),
        ("garbage", {"bad_answer", "not_json"}),
    ],
)
def test_a_sick_bmc_fails_the_server_and_gives_the_quota_back(site: Site, kind: str, codes: set[str]) -> None:
    site.lab("POST", "/faults", {"machine": "*", "layer": "redfish", "match": "* *", "kind": kind, "count": None})
    try:
        asked = site.user.allocate(REQUEST, request=f"sick-{kind}")
        workflow = site.wait(asked["workflow_id"], 200)
    finally:
        site.lab("DELETE", "/faults")
    allocation = site.user.allocation(asked["allocation_id"])
    name = allocation["servers"][0]["name"]
    assert workflow["status"] == "failed"
    assert allocation["status"] == "failed"
    server = server_named(site, name)
    # a run that was lost says nothing about the BMC, and costs no attempt
    failed = [step for step in workflow["steps"] if step["status"] == "failed" and step["error"]["code"] != "job_lost"]
    assert len(failed) == ATTEMPTS
    for row in failed:
        error = row["error"]
        assert (row["step"], error["step"], error["server"]) == ("hardware_check", "hardware_check", name)
        assert error["host"] == f"{server['bmc_address']}:{server['bmc_port']}"
        assert error["code"] in codes
        assert error["tried"]
        took = datetime.fromisoformat(row["ended_at"]) - datetime.fromisoformat(row["started_at"])
        assert took.total_seconds() < BMC_TIMEOUT_S + AROUND_S, row
    # the quota is whole again, the server is out of the pool and says why
    assert site.user.quota()["used_gpu_count"] == 0
    assert server["state"] == "failed"
    assert "hardware_check" in server["state_reason"]
    assert all(gpu["server"] != name for gpu in site.client.gpus_available()["items"])
    # it comes back only through a cleaning that proves itself
    cleaning = site.client.clean_server(name)
    assert site.wait(cleaning["workflow_id"], 120)["status"] == "succeeded"
    assert server_named(site, name)["state"] == "available"


@pytest.mark.timeout(300)
def test_a_bmc_that_is_busy_for_a_moment_costs_a_retry_and_no_more(site: Site) -> None:
    site.lab(
        "POST",
        "/faults",
        {"machine": "*", "layer": "redfish", "match": "* *", "kind": "status", "value": 503, "count": 2},
    )
    asked = site.user.allocate(REQUEST, request="busy-for-a-moment")
    workflow = site.wait(asked["workflow_id"], 200)
    site.lab("DELETE", "/faults")
    assert workflow["status"] == "succeeded"
    assert site.wait(site.user.release(asked["allocation_id"])["workflow_id"], 120)["status"] == "succeeded"


@pytest.mark.timeout(300)
def test_a_wipe_without_proof_is_never_offered_again(site: Site) -> None:
    asked = site.user.allocate(REQUEST, request="no-proof")
    assert site.wait(asked["workflow_id"], 120)["status"] == "succeeded"
    name = site.user.allocation(asked["allocation_id"])["servers"][0]["name"]
    site.lab(
        "POST",
        "/faults",
        {
            "machine": name,
            "layer": "agent",
            "match": "*",
            "kind": "fail_action",
            "value": "secure-erase",
            "count": None,
        },
    )
    try:
        workflow = site.wait(site.user.release(asked["allocation_id"])["workflow_id"], 240)
    finally:
        site.lab("DELETE", "/faults")
    assert workflow["status"] == "failed"
    assert server_named(site, name)["state"] == "failed"
    assert site.user.quota()["used_gpu_count"] == 0
    assert all(gpu["server"] != name for gpu in site.client.gpus_available()["items"])


@pytest.mark.timeout(300)
def test_a_server_whose_gpus_are_not_connected_is_not_handed_over(site: Site) -> None:
    fault = {"machine": "*", "layer": "machine", "match": "*", "kind": "fabric_down", "count": None}
    site.lab("POST", "/faults", fault)
    try:
        asked = site.user.allocate(REQUEST, request="fabric-down")
        workflow = site.wait(asked["workflow_id"], 240)
    finally:
        site.lab("DELETE", "/faults")
    assert workflow["status"] == "failed"
    failed = [step for step in workflow["steps"] if step["status"] == "failed"][-1]
    # hardware_check meets it where the server was on, and gpu_health in any case
    assert failed["step"] in ("hardware_check", "gpu_health")
    assert "fabric_manager_down" in failed["error"]["message"] and "UnavailableOffline" in failed["error"]["message"]
    assert site.user.quota()["used_gpu_count"] == 0
