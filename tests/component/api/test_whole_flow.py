"""Log in, allocate, write the ledger over HTTP, be active, release, be available again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.component.api.support import PASSWORD, WISH, Caller, Runner, problem


@pytest.fixture
def person(anybody: Caller) -> Caller:
    """The user, logged in with the password."""
    answer = anybody.post("/auth/login", {"username": "user", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None and answer.json["token_type"] == "Bearer" and answer.json["expires_in"] == 900
    return Caller(anybody.client, answer.json["access_token"])


def body(response: Any, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json
    return found


def test_from_login_to_available_again(person: Caller, automation: Caller, operator: Caller, fleet: list[str]) -> None:
    assert len(body(person.get("/gpu/available?limit=200"))["items"]) == 24

    accepted = body(person.post("/gpu/allocate", {**WISH, "executor": "external"}), 202)
    allocation_id, workflow_id = accepted["allocation_id"], accepted["workflow_id"]
    assert accepted["status"] == "reserved"
    assert accepted["links"]["allocation"] == f"/api/v1/allocations/{allocation_id}"

    reserved = body(person.get(accepted["links"]["allocation"]))
    assert reserved["username"] == "user" and reserved["template"] == "ubuntu-24.04"
    assert len(reserved["servers"]) == 1 and len(reserved["servers"][0]["gpus"]) == 8
    assert body(person.get("/users/quota"))["used_gpu_count"] == 8
    assert len(body(person.get("/gpu/available?limit=200"))["items"]) == 16

    runner = Runner.claim(automation, workflow_id)
    document = runner.document()
    server = document["servers"][0]["name"]
    assert document["allocation"]["id"] == allocation_id
    credential = body(automation.get(f"/servers/{server}/credential"))
    assert (credential["username"], credential["password"]) == ("root", f"bmc-password-{int(server[-2:])}")
    assert credential["proposed_password"] is None
    ran = runner.run_all({"hand_over": {"address": "127.0.0.9", "ssh_port": 2222, "ssh_user": "ubuntu"}})
    assert ran[0].startswith("reserve@") and ran[-1].startswith("hand_over@")

    active = body(person.get(f"/allocations/{allocation_id}"))
    assert active["status"] == "active"
    shown = active["servers"][0]
    assert (shown["address"], shown["ssh_port"], shown["ssh_user"], shown["state"]) == (
        "127.0.0.9", 2222, "ubuntu", "active",
    )  # fmt: skip
    workflow = body(person.get(f"/workflows/{workflow_id}"))
    assert workflow["status"] == "succeeded"
    assert [step["step"] for step in workflow["steps"]] == workflow["plan"]
    assert {step["server"] for step in workflow["steps"]} == {server}
    gpu = body(person.get(f"/gpu/{shown['gpus'][0]}/status"))
    assert (gpu["status"], gpu["server"], gpu["allocation_id"]) == ("allocated", server, allocation_id)

    # only staff may take a release into their own hands; a user asks the service
    assert person.delete(f"/gpu/{allocation_id}/release?executor=external").status_code == 403
    released = body(automation.delete(f"/gpu/{allocation_id}/release?executor=external"), 202)
    assert released["status"] == "releasing" and released["workflow_id"] != workflow_id
    assert body(person.get("/users/quota"))["used_gpu_count"] == 0
    runner = Runner.claim(automation, released["workflow_id"])
    assert body(person.delete(f"/allocations/{allocation_id}"), 202)["workflow_id"] == released["workflow_id"]
    runner.run_all()

    assert body(person.get(f"/allocations/{allocation_id}"))["status"] == "released"
    assert len(body(person.get("/gpu/available?limit=200"))["items"]) == 24
    states = {item["name"]: item["state"] for item in body(operator.get("/hardware/servers"))["items"]}
    assert states == dict.fromkeys(fleet, "available")


def test_a_wait_ends_when_the_release_has_ended(user: Caller, automation: Caller, fleet: list[str]) -> None:
    import threading

    accepted = body(user.post("/allocations", {**WISH, "executor": "external"}), 202)
    Runner.claim(automation, accepted["workflow_id"]).run_all()
    release = f"/gpu/{accepted['allocation_id']}"
    still = automation.delete(f"{release}?executor=external", headers={"Prefer": "wait=1"})
    assert body(still, 202)["status"] == "releasing"
    assert still.headers["Preference-Applied"] == "wait=1"

    runner = Runner.claim(
        Caller(automation.client.application.test_client(), automation.token), body(still, 202)["workflow_id"]
    )
    worker = threading.Thread(target=runner.run_all)
    worker.start()
    done = user.delete(release, headers={"Prefer": "respond-async, wait=30"})
    worker.join(30)
    assert body(done)["status"] == "released"


def test_a_release_that_failed_is_no_release_however_long_one_would_wait(
    user: Caller, automation: Caller, fleet: list[str]
) -> None:
    accepted = body(user.post("/allocations", {**WISH, "executor": "external"}), 202)
    Runner.claim(automation, accepted["workflow_id"]).run_all()
    release = f"/gpu/{accepted['allocation_id']}/release"
    runner = Runner.claim(automation, body(automation.delete(f"{release}?executor=external"), 202)["workflow_id"])
    step, server = runner.document()["steps"][0]["name"], runner.document()["servers"][0]["name"]
    runner.step(step, server, "begin")
    error = {"code": "authentication_failed", "message": "the BMC refuses the password", "retryable": False}
    runner.step(step, server, "end", status="failed", error=error)
    assert body(automation.get(f"/workflows/{runner.workflow_id}"))["status"] == "failed"

    began = time.monotonic()
    failed = automation.delete(f"{release}?executor=external", headers={"Prefer": "wait=50"})
    assert body(failed, 202)["status"] == "failed"
    assert time.monotonic() - began < 20


def test_repeating_a_request_gives_the_same_allocation(user: Caller, fleet: list[str]) -> None:
    first = body(user.post("/gpu/allocate", WISH, headers={"Idempotency-Key": "mine"}), 202)
    again = body(user.post("/gpu/allocate", WISH, headers={"Idempotency-Key": "mine"}), 202)
    named = body(user.post("/gpu/allocate", {**WISH, "request": "mine"}, headers={"Idempotency-Key": "other"}), 202)
    assert first["allocation_id"] == again["allocation_id"] == named["allocation_id"]
    other = user.post("/gpu/allocate", {**WISH, "gpu_model": "H100"}, headers={"Idempotency-Key": "mine"})
    assert problem(other, 409, "idempotency_mismatch")["allocation_id"] == first["allocation_id"]
    listed = body(user.get("/allocations?request=mine"))["items"]
    assert [item["id"] for item in listed] == [first["allocation_id"]]


def test_null_is_absent_in_a_request(user: Caller, fleet: list[str]) -> None:
    wish = {
        **WISH,
        "gpu_model": None,
        "server_count": None,
        "parameters": None,
        "ssh_keys": None,
        "start": None,
        "end": None,
    }
    assert user.post("/gpu/allocate", wish).status_code == 202


def test_a_claim_that_is_held_says_by_whom_and_a_lost_one_stops(
    user: Caller, automation: Caller, operator: Caller, fleet: list[str]
) -> None:
    accepted = body(user.post("/gpu/allocate", {**WISH, "executor": "external"}), 202)
    runner = Runner.claim(automation, accepted["workflow_id"])
    server = runner.document()["servers"][0]["name"]
    assert body(runner.step("reserve", server, "begin"))["action"] == "run"

    claim = f"/workflows/{accepted['workflow_id']}/claim"
    held = problem(operator.post(claim, {"claimant": "me"}), 409, "claim_held")
    assert held["holder"] == "tests" and held["fence"] == runner.fence and held["claim_expires_at"]
    taken = body(operator.post(claim, {"claimant": "me", "takeover_fence": held["fence"]}))
    assert taken["fence"] > runner.fence and taken["attempt"] == runner.attempt + 1
    stale = problem(runner.step("reserve", server, "end", status="succeeded"), 409, "stale_fence")
    assert (stale["host"], stale["step"]) == (server, "reserve") and stale["next"]


def test_an_old_playbook_is_refused_at_reserve_and_at_claim(user: Caller, operator: Caller, fleet: list[str]) -> None:
    newer = {"X-Palebluedot-Protocol": "2"}
    answer = user.post("/gpu/allocate", WISH, headers=newer)
    problem(answer, 409, "protocol_unsupported")
    assert answer.headers["X-Palebluedot-Protocol"] == "1"
    assert body(user.get("/allocations"))["items"] == []
    accepted = body(user.post("/gpu/allocate", {**WISH, "executor": "external"}), 202)
    claim = f"/workflows/{accepted['workflow_id']}/claim"
    problem(operator.post(claim, {"claimant": "me"}, headers=newer), 409, "protocol_unsupported")


def test_a_failed_step_fails_the_allocation_and_says_why(user: Caller, automation: Caller, fleet: list[str]) -> None:
    accepted = body(user.post("/gpu/allocate", {**WISH, "executor": "external"}), 202)
    runner = Runner.claim(automation, accepted["workflow_id"])
    server = runner.document()["servers"][0]["name"]
    runner.step("reserve", server, "begin")
    error = {
        "code": "bmc_timeout",
        "message": "no answer",
        "host": server,
        "tried": "GET /redfish/v1",
        "retryable": False,
    }
    assert body(runner.step("reserve", server, "end", status="failed", error=error))["action"] == "stop"
    workflow = body(user.get(f"/workflows/{accepted['workflow_id']}"))
    assert workflow["status"] == "failed" and workflow["error"]["code"] == "bmc_timeout"
    assert workflow["steps"][0]["error"]["tried"] == "GET /redfish/v1"
    allocation = body(user.get(f"/allocations/{accepted['allocation_id']}"))
    assert allocation["status"] == "failed" and "no answer" in str(allocation["end_reason"])


def test_a_machine_reports_with_the_token_it_was_given(
    user: Caller, automation: Caller, anybody: Caller, fleet: list[str]
) -> None:
    accepted = body(user.post("/gpu/allocate", {**WISH, "executor": "external"}), 202)
    runner = Runner.claim(automation, accepted["workflow_id"])
    server = runner.document()["servers"][0]
    assert runner.document() == runner.document()
    place = f"/workflows/{accepted['workflow_id']}/reports/first-boot/servers/{server['name']}"
    problem(automation.get(place), 404, "report_not_received")
    url = _report_url(server)
    unasked = problem(anybody.post("/ingest/first-boot/nonsense", {}), 404, "report_not_expected")
    assert "workflow" in unasked["next"]
    assert (
        anybody.post(url, data={"hostname": server["name"], "pub_key_ed25519": "ssh-ed25519 AAAA"}).status_code == 204
    )
    report = body(automation.get(place))
    assert report["body"]["hostname"] == server["name"] and report["received_at"]
    problem(user.get(place), 403, "role_not_allowed")


def _report_url(server: dict[str, Any]) -> str:
    import json
    import re

    match = re.search(r"/api/v1/ingest/first-boot/[A-Za-z0-9_-]+", json.dumps(server["tinkerbell"]))
    assert match is not None
    return match.group(0)
