"""allocation, workflow_step, server and reports as conversations with the service."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors, notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import (
    allocation,
    claimant,
    reports,
    server,
    step,
)

V1 = "/api/v1"
ME = {"id": "usr_1", "username": "ada"}


def an_allocation(status: str = "reserved", **more: Any) -> dict[str, Any]:
    return {
        "id": "alloc_1",
        "request": "mine",
        "status": status,
        "end_reason": None,
        "user_id": "usr_1",
        "username": "ada",
        "gpu_count": 8,
        "gpu_model": "NVIDIA H100 80GB HBM3",
        "template": "ubuntu-24.04",
        "workflow_id": "wf_1",
        "servers": [],
        **more,
    }


def a_workflow(status: str = "pending", **more: Any) -> dict[str, Any]:
    return {
        "id": "wf_1",
        "kind": "allocate",
        "status": status,
        "allocation_id": "alloc_1",
        "attempt": 1,
        "fence": 3,
        "claimed_by": None,
        "steps": [],
        **more,
    }


DOCUMENT = {"workflow": {"id": "wf_1", "fence": 3, "attempt": 1}, "servers": []}


def page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": None}


def wish(talk: Any, **more: Any) -> dict[str, Any]:
    return talk.params(
        **{"state": "present", "request": "mine", "claim": True, "claimant": "external:here:1:x", **more}
    )


def found(talk: Any, *allocations: Any) -> None:
    talk.expect("GET", f"{V1}/allocations?request=mine", answer=page(*allocations))
    if allocations:
        talk.expect("GET", f"{V1}/users/profile", answer=ME)


def claimed(talk: Any, **claim: Any) -> Any:
    asked = talk.expect("POST", f"{V1}/workflows/wf_1/claim", answer={"workflow_id": "wf_1", "fence": 3, "attempt": 1})
    talk.expect("GET", f"{V1}/workflows/wf_1/run", answer=DOCUMENT)
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("running"))
    talk.expect("GET", f"{V1}/allocations/alloc_1", answer=an_allocation("provisioning"))
    return asked


# -- reserve and find ------------------------------------------------------------------------------------------------


def test_a_new_name_is_reserved_and_claimed(talk: Any) -> None:
    found(talk)
    made = talk.expect("POST", f"{V1}/gpu/allocate", 202, {"allocation_id": "alloc_1", "workflow_id": "wf_1"})
    talk.expect("GET", f"{V1}/allocations/alloc_1", answer=an_allocation())
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow())
    claim = claimed(talk)
    result = allocation.run(wish(talk, gpu_count=8, template="ubuntu-24.04", parameters={"a": 1}), False)
    assert made.body == {
        "gpu_count": 8,
        "template": "ubuntu-24.04",
        "parameters": {"a": 1},
        "request": "mine",
        "executor": "external",
    }
    assert made.seen_headers["Idempotency-Key"] == "mine"
    assert claim.body == {"claimant": "external:here:1:x"}
    assert result["changed"]
    assert result["run"] == DOCUMENT
    assert result["allocation"]["status"] == "provisioning"
    assert result["diff"]["before"] == {}


def test_check_mode_reserves_nothing(talk: Any) -> None:
    found(talk)
    result = allocation.run(wish(talk, gpu_count=8, template="ubuntu-24.04"), True)
    assert result["changed"]
    assert result["run"] is None
    assert result["allocation"]["status"] == "pending"


def test_a_name_alone_reserves_nothing(talk: Any) -> None:
    found(talk)
    with pytest.raises(errors.InvalidInput, match="gpu_count") as caught:
        allocation.run(wish(talk), False)
    assert caught.value.code == "request_incomplete"


def test_the_same_name_resumes(talk: Any) -> None:
    found(talk, an_allocation())
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("waiting"))
    claimed(talk)
    result = allocation.run(wish(talk, gpu_count=8, gpu_model="h100"), False)
    assert result["run"] == DOCUMENT


def test_check_mode_reads_the_run_document_and_claims_nothing(talk: Any) -> None:
    found(talk, an_allocation())
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("waiting"))
    talk.expect("GET", f"{V1}/workflows/wf_1/run", answer=DOCUMENT)
    result = allocation.run(wish(talk), True)
    assert result["changed"]
    assert result["run"] == DOCUMENT


def test_an_active_one_is_done(talk: Any) -> None:
    found(talk, an_allocation("active"))
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("succeeded"))
    result = allocation.run(wish(talk), False)
    assert not result["changed"]
    assert result["run"] is None
    assert result["workflow"]["status"] == "succeeded"
    assert result["message"] == "request 'mine' is active: nothing to do"


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected", "released", "releasing"])
def test_a_name_is_used_once(talk: Any, status: str) -> None:
    found(talk, an_allocation(status, end_reason="bmc unreachable"))
    with pytest.raises(errors.Conflict, match=status) as caught:
        allocation.run(wish(talk), False)
    assert caught.value.code == "request_ended"
    assert "another name" in str(caught.value.next)


def test_other_values_under_the_same_name_are_a_mistake(talk: Any) -> None:
    found(talk, an_allocation())
    with pytest.raises(errors.Conflict, match="gpu_count 8, now 16") as caught:
        allocation.run(wish(talk, gpu_count=16), False)
    assert caught.value.code == "idempotency_mismatch"


def test_an_operator_finds_what_a_user_reserved(talk: Any) -> None:
    """A job template of AWX runs with its own account, by the name of a request that a user made through the API."""
    found(talk, an_allocation(user_id="usr_2", username="bob"))
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow())
    claimed(talk)
    assert allocation.run(wish(talk), False)["run"] == DOCUMENT


def test_two_users_with_the_same_name_are_told_apart(talk: Any) -> None:
    both = (
        an_allocation(user_id="usr_2", username="bob"),
        an_allocation(id="alloc_2", user_id="usr_3", username="eve"),
    )
    found(talk, *both)
    with pytest.raises(errors.Conflict, match="2 users") as caught:
        allocation.run(wish(talk), False)
    assert caught.value.code == "request_ambiguous"
    talk.expect("GET", f"{V1}/allocations?request=mine", answer=page(*both))
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow())
    claimed(talk)
    assert allocation.run(wish(talk, on_behalf_of="bob"), False)["run"] == DOCUMENT


def test_what_the_dispatcher_claimed_is_only_read(talk: Any) -> None:
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("running"))
    talk.expect("GET", f"{V1}/workflows/wf_1/run", answer=DOCUMENT)
    talk.expect("GET", f"{V1}/allocations/alloc_1", answer=an_allocation())
    result = allocation.run(wish(talk, request=None, workflow_id="wf_1", fence=3), False)
    assert not result["changed"]
    assert result["run"] == DOCUMENT


def test_a_claim_that_the_dispatcher_lost_stops_the_run(talk: Any) -> None:
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("running", claimed_by="other"))
    talk.expect("GET", f"{V1}/workflows/wf_1/run", answer=DOCUMENT)
    with pytest.raises(errors.Conflict, match="lost") as caught:
        allocation.run(wish(talk, request=None, workflow_id="wf_1", fence=2), False)
    assert caught.value.code == "stale_fence"


# -- the claim -------------------------------------------------------------------------------------------------------


def held(talk: Any, holder: str) -> None:
    more = {"holder": holder, "claim_expires_at": "2026-11-21T12:00:00Z", "fence": 3}
    talk.problem("POST", f"{V1}/workflows/wf_1/claim", 409, "claim_held", **more)


def to_claim(talk: Any) -> None:
    found(talk, an_allocation())
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("running"))


def test_a_claim_that_is_held_is_respected(talk: Any) -> None:
    to_claim(talk)
    held(talk, "dispatcher:site:1")
    with pytest.raises(errors.Conflict, match=r"claimed by dispatcher:site:1 until 2026-11-21T12:00:00Z") as caught:
        allocation.run(wish(talk), False)
    assert caught.value.code == "claim_held"
    assert "takeover" in str(caught.value.next)


def test_a_live_run_on_this_machine_is_respected(talk: Any) -> None:
    to_claim(talk)
    held(talk, str(claimant.claimant_of(os.getpid())))
    with pytest.raises(errors.Conflict):
        allocation.run(wish(talk), False)


def test_a_killed_run_of_this_machine_is_taken_over(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(notices, "listener", said.append)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = str(claimant.claimant_of(process.pid))
    process.kill()
    process.wait()
    to_claim(talk)
    held(talk, holder)
    claim = claimed(talk)
    allocation.run(wish(talk), False)
    assert claim.body == {"claimant": "external:here:1:x", "takeover_fence": 3}
    assert said == [f"taking the claim over from process {process.pid} of this machine, which is gone"]


def test_a_takeover_asked_for_is_made(talk: Any) -> None:
    to_claim(talk)
    held(talk, "external:elsewhere:1:y")
    claim = claimed(talk)
    allocation.run(wish(talk, takeover=True), False)
    assert claim.body["takeover_fence"] == 3


def test_who_takes_over_second_loses(talk: Any) -> None:
    to_claim(talk)
    held(talk, "external:elsewhere:1:y")
    held(talk, "external:third:1:z")
    with pytest.raises(errors.Conflict, match="external:third") as caught:
        allocation.run(wish(talk, takeover=True), False)
    assert caught.value.code == "claim_held"


def test_a_run_whose_claim_is_taken_before_it_begins_stops(talk: Any) -> None:
    to_claim(talk)
    held(talk, "external:elsewhere:1:y")
    talk.expect("POST", f"{V1}/workflows/wf_1/claim", answer={"workflow_id": "wf_1", "fence": 4, "attempt": 2})
    theirs = {"workflow": {"id": "wf_1", "fence": 5, "attempt": 3}, "servers": []}
    talk.expect("GET", f"{V1}/workflows/wf_1/run", answer=theirs)
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("running", claimed_by="external:third:1:z"))
    with pytest.raises(errors.Conflict, match="lost") as caught:
        allocation.run(wish(talk, takeover=True), False)
    assert caught.value.code == "stale_fence" and "external:third:1:z" in str(caught.value.answer)


def test_a_claim_whose_answer_got_lost_is_ours(talk: Any, no_pauses: list[float]) -> None:
    to_claim(talk)
    talk.expect("POST", f"{V1}/workflows/wf_1/claim", None)
    held(talk, "external:here:1:x")
    claimed(talk)
    assert allocation.run(wish(talk), False)["run"] == DOCUMENT


# -- release ---------------------------------------------------------------------------------------------------------


def test_a_release_is_started_and_claimed(talk: Any) -> None:
    found(talk, an_allocation("active"))
    talk.expect("DELETE", f"{V1}/gpu/alloc_1/release?executor=external", 202, {"workflow_id": "wf_1"})
    talk.expect("GET", f"{V1}/allocations/alloc_1", answer=an_allocation("releasing"))
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow(kind="release"))
    claimed(talk)
    result = allocation.run(wish(talk, state="absent"), False)
    assert result["changed"]
    assert (result["diff"]["before"]["status"], result["diff"]["after"]["status"]) == ("active", "provisioning")


def test_check_mode_releases_nothing(talk: Any) -> None:
    talk.expect("GET", f"{V1}/allocations/alloc_1", answer=an_allocation("active"))
    result = allocation.run(wish(talk, request=None, allocation_id="alloc_1", state="absent"), True)
    assert result["changed"]
    assert result["allocation"]["status"] == "releasing"


def test_a_release_under_way_is_resumed(talk: Any) -> None:
    found(talk, an_allocation("releasing"))
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow("waiting", kind="release"))
    claimed(talk)
    assert allocation.run(wish(talk, state="absent"), False)["run"] == DOCUMENT


@pytest.mark.parametrize("status", ["released", "cancelled"])
def test_what_is_released_stays_so(talk: Any, status: str) -> None:
    found(talk, an_allocation(status))
    result = allocation.run(wish(talk, state="absent"), False)
    assert not result["changed"]
    assert result["run"] is None


def test_what_never_was_needs_no_release(talk: Any) -> None:
    found(talk)
    result = allocation.run(wish(talk, state="absent"), False)
    assert (result["changed"], result["allocation"]) == (False, None)


# -- the step ledger -------------------------------------------------------------------------------------------------

LEDGER = f"{V1}/workflows/wf_1/steps/provision/servers/gpu-01/attempts/1"


def entry(talk: Any, **more: Any) -> dict[str, Any]:
    defaults = {
        "workflow_id": "wf_1",
        "step": "provision",
        "server": "gpu-01",
        "attempt": 1,
        "fence": 3,
        "phase": "begin",
        "destructive": True,
        "wait_timeout": 5,
    }
    return talk.params(**{**defaults, **more})


def test_begin(talk: Any) -> None:
    asked = talk.expect("PUT", LEDGER, answer={"action": "skip", "reason": "done", "previous": {"status": "succeeded"}})
    result = step.run(entry(talk), False)
    assert asked.body == {"phase": "begin", "fence": 3}
    assert result == {"changed": False, "action": "skip", "reason": "done", "previous": {"status": "succeeded"}}


def test_end_carries_result_and_error(talk: Any) -> None:
    asked = talk.expect("PUT", LEDGER, answer={"action": "run", "reason": None, "previous": None})
    step.run(entry(talk, phase="end", status="failed", error={"code": "busy"}, result=None), False)
    assert asked.body == {"phase": "end", "fence": 3, "status": "failed", "result": None, "error": {"code": "busy"}}


def test_a_lost_claim_stops_the_host(talk: Any) -> None:
    talk.problem("PUT", LEDGER, 409, "stale_fence", detail="fence 3 is stale, it is 4 now")
    result = step.run(entry(talk, resume_command="ansible-playbook again"), False)
    assert (result["failed"], result["action"], result["error"]["code"]) == (True, "stop", "stopped")
    assert "fence 3 is stale" in result["reason"]
    assert "stopped before provision on gpu-01" in result["msg"]
    assert "resume with: ansible-playbook again" in result["msg"]


@pytest.mark.parametrize(("phase", "word"), [("begin", "before"), ("end", "after")])
def test_being_told_to_stop_fails_with_the_reason(talk: Any, phase: str, word: str) -> None:
    talk.expect("PUT", LEDGER, answer={"action": "stop", "reason": "the fleet is frozen", "previous": None})
    result = step.run(entry(talk, phase=phase, status="succeeded"), False)
    assert (result["failed"], result["error"]["code"], result["error"]["retryable"]) == (True, "stopped", False)
    assert f"stopped {word} provision on gpu-01: the fleet is frozen" in result["msg"]
    assert "repeat the run" in result["error"]["next"]


def test_any_other_refusal_is_an_error(talk: Any) -> None:
    talk.problem("PUT", LEDGER, 409, "state_conflict")
    with pytest.raises(errors.Conflict):
        step.run(entry(talk), False)


def test_a_service_that_comes_back_is_waited_for(
    talk: Any, no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(notices, "listener", said.append)
    for _ in range(6):
        talk.expect("PUT", LEDGER, 503, {"code": "unavailable", "detail": "starting"})
    talk.expect("PUT", LEDGER, answer={"action": "run", "reason": None, "previous": None})
    assert step.run(entry(talk, wait_timeout=60), False)["action"] == "run"
    assert len(said) == 2
    assert "the service is away" in said[0]
    assert "waiting up to 60 s to begin provision" in said[0]
    assert "back" in said[1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "provision is destructive and was not begun"),
        ({"destructive": False}, "provision was not begun"),
        ({"phase": "end", "status": "succeeded"}, "Its end is not in the ledger"),
    ],
)
def test_a_service_that_stays_away_stops_the_step(talk: Any, more: dict[str, Any], words: str) -> None:
    params = {**entry(talk, wait_timeout=0, **more), "api_url": "http://127.0.0.1:9"}
    with pytest.raises(errors.PaleBlueDotError, match=words) as caught:
        step.run(params, False)
    assert caught.value.code == "service_away"
    assert caught.value.host == "gpu-01"
    assert caught.value.step == "provision"


def test_check_mode_writes_no_ledger(talk: Any) -> None:
    earlier = {"step": "provision", "server": "gpu-01", "attempt": 1, "status": "failed"}
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow(steps=[{**earlier, "attempt": 0}, earlier]))
    result = step.run(entry(talk), True)
    assert (result["action"], result["previous"]) == ("run", earlier)
    talk.expect("GET", f"{V1}/workflows/wf_1", answer=a_workflow(fence=4))
    assert step.run(entry(talk), True)["action"] == "stop"


# -- server, reports -------------------------------------------------------------------------------------------------

SERVER = {
    "name": "gpu-01",
    "state": "inspecting",
    "hands_off": False,
    "hands_off_reason": None,
    "model": None,
    "gpus": [],
    "updated_at": "a",
}


def thawed(talk: Any) -> None:
    talk.expect("GET", f"{V1}/fleet/freeze", answer={"frozen": False, "reason": None})


def test_a_server_is_read(talk: Any) -> None:
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    thawed(talk)
    result = server.run(talk.params(name="gpu-01", state="present"), False)
    assert not result["changed"]
    assert result["server"]["fleet_frozen"] is False


def test_facts_are_recorded(talk: Any) -> None:
    facts = {"model": "DGX H100", "gpus": [{"id": "GPU_SXM_1"}]}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    asked = talk.expect("PUT", f"{V1}/servers/gpu-01/inspection", answer={})
    after = {**SERVER, "state": "available", "model": "DGX H100", "updated_at": "b"}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=after)
    thawed(talk)
    result = server.run(talk.params(name="gpu-01", state="present", facts=facts), False)
    assert asked.body == facts
    assert result["diff"] == {
        "before": {"model": None, "state": "inspecting"},
        "after": {"model": "DGX H100", "state": "available"},
    }


def test_facts_in_check_mode_are_only_compared(talk: Any) -> None:
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    thawed(talk)
    result = server.run(talk.params(name="gpu-01", state="present", facts={"model": "DGX H100", "unknown": 1}), True)
    assert result["diff"]["after"] == {"model": "DGX H100"}


def test_flags_are_set_once(talk: Any) -> None:
    flags = {"hands_off": True, "reason": "vendor", "owner": "vend"}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    asked = talk.expect("PATCH", f"{V1}/servers/gpu-01/flags", answer={})
    set_now = {**SERVER, "hands_off": True, "hands_off_reason": "vendor"}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=set_now)
    thawed(talk)
    assert server.run(talk.params(name="gpu-01", state="present", flags=flags), False)["changed"]
    assert asked.body == flags
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=set_now)
    thawed(talk)
    assert not server.run(talk.params(name="gpu-01", state="present", flags=flags), False)["changed"]


def test_what_a_run_keeps_hands_off_for_is_known_to_be_left_behind(talk: Any) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = str(claimant.claimant_of(process.pid)).removeprefix("external:")
    process.kill()
    process.wait()
    alive = str(claimant.claimant_of(os.getpid())).removeprefix("external:")
    for reason, at_work in {
        f"power.yml ({alive}) switches it": True,
        "power.yml (elsewhere:1:2.3.4) switches it": True,
        "power.yml (awx-17) switches it": True,
        f"power.yml ({gone}) switches it": False,
        "power.yml (here:1:x) switches it": False,
        "configure.yml was broken off: (here) it did not come back": False,
    }.items():
        held = {**SERVER, "hands_off": True, "hands_off_reason": reason}
        talk.expect("GET", f"{V1}/servers/gpu-01", answer=held)
        thawed(talk)
        seen = server.run(talk.params(name="gpu-01", state="present", claimant="external:here:1:x"), False)
        assert (seen["server"]["hands_off_at_work"], seen["run"]) == (at_work, "here:1:x"), reason


def test_a_server_is_taken_out_for_maintenance_once(talk: Any) -> None:
    wanted = {"name": "gpu-01", "state": "maintenance", "reason": "fan 3"}
    out = {**SERVER, "state": "maintenance", "state_reason": "fan 3"}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    thawed(talk)
    planned = server.run(talk.params(**wanted), True)
    assert planned["changed"]
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=SERVER)
    talk.expect("PUT", f"{V1}/servers/gpu-01/state", answer=out)
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=out)
    thawed(talk)
    assert server.run(talk.params(**wanted), False)["diff"] == planned["diff"]
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=out)
    thawed(talk)
    assert not server.run(talk.params(**wanted), False)["changed"]


def test_a_maintenance_ends_before_what_was_found_is_registered(talk: Any) -> None:
    wanted = {"name": "gpu-01", "state": "inspecting", "reason": "the fan is in", "facts": {"model": "X"}}
    out, back = {**SERVER, "state": "maintenance"}, {**SERVER, "state": "available"}
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=out)
    talk.expect("PUT", f"{V1}/servers/gpu-01/state", answer={**out, "state": "inspecting"})
    talk.expect("PUT", f"{V1}/servers/gpu-01/inspection", answer=back)
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=back)
    thawed(talk)
    assert server.run(talk.params(**wanted), False)["server"]["state"] == "available"
    talk.expect("GET", f"{V1}/servers/gpu-01", answer=out)
    thawed(talk)
    planned = server.run(talk.params(**{**wanted, "facts": None}), True)
    assert planned["diff"]["after"]["state"] == "inspecting"


def test_a_cleaning_is_started_once(talk: Any) -> None:
    talk.expect("GET", f"{V1}/servers/gpu-01", answer={**SERVER, "state": "failed"})
    talk.expect("POST", f"{V1}/servers/gpu-01/clean", 202, {"workflow_id": "wf_9"})
    talk.expect("GET", f"{V1}/servers/gpu-01", answer={**SERVER, "state": "cleaning"})
    thawed(talk)
    assert server.run(talk.params(name="gpu-01", state="cleaning"), False)["workflow_id"] == "wf_9"
    talk.expect("GET", f"{V1}/servers/gpu-01", answer={**SERVER, "state": "cleaning"})
    thawed(talk)
    assert not server.run(talk.params(name="gpu-01", state="cleaning"), False)["changed"]


REPORT = f"{V1}/workflows/wf_1/reports/erase/servers/gpu-01"


def test_a_report_is_waited_for(talk: Any, no_pauses: list[float]) -> None:
    talk.problem("GET", REPORT, 404, "report_not_received")
    talk.problem("GET", REPORT, 404, "report_not_received")
    talk.expect("GET", REPORT, answer={"received_at": "2026-11-21T10:00:00Z", "body": {"disks": []}})
    params = talk.params(workflow_id="wf_1", server="gpu-01", kind="erase", wait_timeout=30)
    assert reports.run(params, False)["report"]["body"] == {"disks": []}


def test_a_report_that_has_not_come_is_null_when_nobody_waits(talk: Any) -> None:
    talk.problem("GET", REPORT, 404, "report_not_received")
    params = talk.params(workflow_id="wf_1", server="gpu-01", kind="erase", wait_timeout=0)
    assert reports.run(params, False)["report"] is None


def test_a_dry_run_does_not_wait_for_a_report(talk: Any) -> None:
    talk.problem("GET", REPORT, 404, "report_not_received")
    params = talk.params(workflow_id="wf_1", server="gpu-01", kind="erase", wait_timeout=600)
    assert reports.run(params, True)["report"] is None


def test_a_report_of_no_workflow_is_an_error(talk: Any) -> None:
    talk.problem("GET", REPORT, 404, "not_found")
    params = talk.params(workflow_id="wf_1", server="gpu-01", kind="erase", wait_timeout=0)
    with pytest.raises(errors.NotFound):
        reports.run(params, False)
