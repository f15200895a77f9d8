"""The step ledger: what begin and end answer, and what they move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from fleet import clock, errors, rundoc
from fleet.actor import SYSTEM
from fleet.models import Event, WorkflowStep
from fleet.operations import claim, ledger, register, release
from fleet.operations.ledger import StepAnswer
from tests.component.fleet.support import ALLOCATE, Site

RETRYABLE = {"code": "bmc_timeout", "message": "no answer", "retryable": True}


def count(site: Site, entity: Any) -> int:
    with site.database.reading() as session:
        return session.scalar(select(func.count()).select_from(entity)) or 0


def test_begin_and_end_repeated_answer_the_same_and_change_nothing(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    assert fleet.begin(workflow, "reserve") == StepAnswer("run")
    seen = count(fleet, Event), count(fleet, WorkflowStep)
    assert fleet.begin(workflow, "reserve") == StepAnswer("run")
    assert (count(fleet, Event), count(fleet, WorkflowStep)) == seen
    assert fleet.end(workflow, "reserve", result={"a": 1}) == StepAnswer("run")
    seen = count(fleet, Event), count(fleet, WorkflowStep)
    assert fleet.end(workflow, "reserve", result={"a": 1}) == StepAnswer("run")
    assert (count(fleet, Event), count(fleet, WorkflowStep)) == seen
    again = fleet.begin(workflow, "reserve")
    assert (again.action, again.previous) == ("skip", {"status": "succeeded", "result": {"a": 1}, "attempt": 1})


def test_the_last_end_repeated_after_everything_is_over(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    for step in ALLOCATE:
        fleet.step(workflow, step)
    assert fleet.end(workflow, "hand_over").action == "run"
    assert fleet.workflow(workflow.id).status == "succeeded"


@pytest.mark.parametrize("executor", ["service", "external"])
def test_the_failing_end_repeated_after_the_workflow_has_failed(fleet: Site, executor: str) -> None:
    allocation = fleet.reserve(executor=executor)
    if executor == "service":
        workflow = fleet.claim_next()
    else:
        with fleet.database.transaction() as session:
            workflow = claim.claim(session, fleet.admin, fleet.workflow_of(allocation), "hand")
    fleet.begin(workflow, "reserve")
    for _ in range(2):
        answer = fleet.end(workflow, "reserve", status="failed", error={"message": "broken"})
        assert answer.action == "stop"
    assert fleet.allocation(allocation).status == "failed"


def test_an_end_that_contradicts_the_first_is_refused(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    with pytest.raises(errors.StateConflict, match="succeeded, not failed"):
        fleet.end(workflow, "reserve", status="failed")


def test_an_end_without_a_begin_is_refused(fleet: Site) -> None:
    fleet.reserve()
    with pytest.raises(errors.StateConflict, match="never begun"):
        fleet.end(fleet.claim_next(), "reserve")


def test_a_needed_step_must_have_ended_well(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with pytest.raises(errors.StateConflict, match="needs network_provisioning") as caught:
        fleet.begin(workflow, "provision")
    assert (caught.value.host, caught.value.step) == ("gpu-01", "provision")
    fleet.step(workflow, "reserve")
    fleet.begin(workflow, "network_provisioning")
    with pytest.raises(errors.StateConflict, match="needs network_provisioning"):
        fleet.begin(workflow, "provision")
    assert fleet.server_states()["gpu-01"] == "provisioning"


def test_needs_are_counted_for_each_server(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    first, second = fleet.servers(workflow)
    fleet.step(workflow, "reserve", first)
    with pytest.raises(errors.StateConflict):
        fleet.begin(workflow, "network_provisioning", second)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"fence": 0}, errors.StaleFence),
        ({"fence": 2}, errors.StaleFence),
        ({"attempt": 2}, errors.StaleFence),
        ({"step": "fly"}, errors.NotFound),
        ({"server": "gpu-04"}, errors.NotFound),
        ({"workflow_id": "wf_nothing"}, errors.NotFound),
    ],
)
def test_a_call_that_speaks_of_something_else_is_refused(
    fleet: Site, change: dict[str, Any], error: type[errors.FleetError]
) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    call = {"workflow_id": workflow.id, "step": "reserve", "server": "gpu-01", "attempt": 1, "fence": 1, **change}
    with pytest.raises(error), fleet.database.transaction() as session:
        ledger.begin(session, fleet.admin, **call)
    with pytest.raises(error), fleet.database.transaction() as session:
        ledger.end(session, fleet.admin, **call, status="succeeded")


def test_an_unknown_status_and_a_users_call_are_refused(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.begin(workflow, "reserve")
    with pytest.raises(errors.Invalid):
        fleet.end(workflow, "reserve", status="fine")
    with pytest.raises(errors.Forbidden), fleet.database.transaction() as session:
        ledger.begin(session, fleet.ada, workflow.id, "reserve", "gpu-01", 1, 1)


def test_a_server_may_be_named_by_its_id(fleet: Site) -> None:
    allocation = fleet.allocation(fleet.reserve())
    workflow = fleet.claim_next()
    assert allocation.server_id is not None
    assert fleet.begin(workflow, "reserve", allocation.server_id).action == "run"


def test_a_second_attempt_hears_what_the_first_one_knew(fleet: Site) -> None:
    fleet.reserve()
    first = fleet.claim_next()
    fleet.step(first, "reserve", result={"x": 1})
    fleet.begin(first, "network_provisioning")
    fleet.end(first, "network_provisioning", status="failed", result={"ports": 1}, error=RETRYABLE)
    with fleet.database.transaction() as session:
        claim.surrender(session, first.id, first.fence, "failed")
    with clock.travel(timedelta(seconds=60)):
        second = fleet.claim_next()
        assert second.attempt == 2
        # it did end well, but in the attempt before: the step's own check decides, not the ledger
        assert fleet.begin(second, "reserve") == StepAnswer(
            "run", None, {"status": "succeeded", "result": {"x": 1}, "attempt": 1}
        )
        fleet.end(second, "reserve", status="skipped")
        answer = fleet.begin(second, "network_provisioning")
        assert answer == StepAnswer("run", None, {"status": "failed", "result": {"ports": 1}, "attempt": 1})


@pytest.mark.parametrize("outcome", ["killed", "failed"])
def test_a_later_attempt_that_ended_badly_does_not_hide_what_was_done(fleet: Site, outcome: str) -> None:
    fleet.reserve()
    first = fleet.claim_next()
    for step in ("reserve", "network_provisioning"):
        fleet.step(first, step)
    fleet.step(first, "provision", result={"installed": True})
    with fleet.database.transaction() as session:
        claim.surrender(session, first.id, first.fence, "killed")
    with clock.travel(timedelta(seconds=60)):
        second = fleet.claim_next()
        for step in ("reserve", "network_provisioning"):
            fleet.step(second, step, status="skipped")
        fleet.begin(second, "provision")
        if outcome == "failed":
            fleet.end(second, "provision", status="failed", error=RETRYABLE)
        with fleet.database.transaction() as session:
            claim.surrender(session, second.id, second.fence, "killed")
    with clock.travel(timedelta(seconds=120)):
        third = fleet.claim_next()
        with fleet.database.reading() as session:
            (server,) = rundoc.build(session, SYSTEM, third.id)["servers"]
        assert server["steps_done"] == ["reserve", "network_provisioning", "provision"]
        for step in ("reserve", "network_provisioning"):
            fleet.step(third, step, status="skipped")
        with pytest.raises(errors.StateConflict, match="needs provision"):
            fleet.begin(third, "hand_over")
        done = {"status": "succeeded", "result": {"installed": True}, "attempt": 1}
        assert fleet.begin(third, "provision") == StepAnswer("run", None, done)


def test_a_failed_step_is_not_begun_again_in_its_attempt(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    first, _ = fleet.servers(workflow)
    fleet.step(workflow, "reserve", first)
    fleet.step(workflow, "network_provisioning", first, status="failed", error=RETRYABLE)
    assert fleet.workflow(workflow.id).status == "running", "the other server still has work to do"
    assert fleet.begin(workflow, "network_provisioning", first).action == "stop"


@pytest.mark.parametrize("executor", ["service", "external"])
def test_a_freeze_stops_before_the_next_destructive_step_and_lifting_it_goes_on(fleet: Site, executor: str) -> None:
    allocation = fleet.reserve(executor=executor)
    if executor == "service":
        workflow = fleet.claim_next()
    else:
        with fleet.database.transaction() as session:
            workflow = claim.claim(session, fleet.admin, fleet.workflow_of(allocation), "hand-1")
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "power works")
    assert fleet.step(workflow, "reserve").action == "run", "not destructive"
    answer = fleet.begin(workflow, "network_provisioning")
    assert (answer.action, answer.reason) == ("stop", "the fleet is frozen: power works")
    assert fleet.workflow(workflow.id).status == "held"
    assert fleet.server_states()["gpu-01"] == "reserved"
    if executor == "service":
        with fleet.database.transaction() as session:
            claim.surrender(session, workflow.id, workflow.fence, "stopped")
        assert fleet.workflow(workflow.id).status == "held"
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, False)
    if executor == "service":
        assert fleet.claim_next().attempt == 2
    else:
        with fleet.database.transaction() as session:
            assert claim.claim(session, fleet.admin, workflow.id, "hand-2").attempt == 2


def test_hands_off_holds_one_server_and_not_the_others(fleet: Site) -> None:
    allocations = fleet.reserve(), fleet.reserve()
    jobs = [fleet.claim_next() for _ in allocations]
    (touched,), (other,) = (fleet.servers(job) for job in jobs)
    with fleet.database.transaction() as session:
        register.set_flags(session, SYSTEM, touched, True, "bad fan")
    for job, server in zip(jobs, (touched, other), strict=True):
        fleet.step(job, "reserve", server)
    assert fleet.begin(jobs[0], "network_provisioning", touched).reason == f"hands off {touched}: bad fan"
    assert fleet.begin(jobs[1], "network_provisioning", other).action == "run"
    with fleet.database.transaction() as session:
        register.set_flags(session, SYSTEM, touched, False)
    assert fleet.workflow(jobs[0].id).status == "pending"
    # the job has not given its claim back yet
    with fleet.database.transaction() as session:
        assert claim.claim_next(session, "x", 15) is None


def test_a_step_that_had_begun_before_the_freeze_is_finished(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    fleet.begin(workflow, "network_provisioning")
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True)
    assert fleet.begin(workflow, "network_provisioning").action == "run", "the answer had got lost"
    assert fleet.end(workflow, "network_provisioning").action == "run"
    assert fleet.begin(workflow, "provision").action == "stop"


def test_a_hold_that_came_after_the_last_destructive_step_holds_nothing(fleet: Site) -> None:
    allocation = fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    first, second = fleet.servers(workflow)
    for step in ALLOCATE[:2]:
        for server in (first, second):
            fleet.step(workflow, step, server)
    fleet.step(workflow, "provision", first)
    fleet.step(workflow, "hand_over", first)
    fleet.begin(workflow, "provision", second)
    fleet.end(workflow, "provision", second)
    fleet.begin(workflow, "hand_over", second)
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True)
        held = session.get_one(type(workflow), workflow.id)
        ledger.states.transition(session, held, "held", SYSTEM, "frozen", held.id)
    fleet.end(workflow, "hand_over", second)
    assert fleet.workflow(workflow.id).status == "succeeded"
    assert fleet.allocation(allocation).status == "active"


def test_a_cancelled_job_is_told_to_stop_and_its_last_word_is_kept(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    fleet.begin(workflow, "network_provisioning")
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation, reason="enough")
    answer = fleet.end(workflow, "network_provisioning", result={"vlan": 10})
    assert answer.action == "stop" and "cancelled" in (answer.reason or "")
    assert fleet.begin(workflow, "provision").action == "stop"
    with fleet.database.reading() as session:
        row = session.scalars(select(WorkflowStep).where(WorkflowStep.step == "network_provisioning")).one()
        assert (row.status, row.result) == ("succeeded", {"vlan": 10})
    assert fleet.allocation(allocation).status == "releasing"


def test_a_cancelled_run_by_hand_frees_its_claim_when_it_has_stopped(fleet: Site) -> None:
    allocation = fleet.reserve(executor="external")
    with fleet.database.transaction() as session:
        workflow = claim.claim(session, fleet.admin, fleet.workflow_of(allocation), "hand")
    fleet.begin(workflow, "reserve")
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    with fleet.database.transaction() as session:
        assert claim.claim_next(session, "job", 15) is None
    assert fleet.end(workflow, "reserve").action == "stop"
    assert fleet.claim_next().kind == "release"


def test_a_claim_by_hand_lives_as_long_as_the_step_it_is_in(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        workflow = claim.claim(session, fleet.admin, fleet.workflow_of(fleet.reserve(executor="external")), "hand")

    def lives() -> float:
        expires = fleet.workflow(workflow.id).claim_expires_at
        with fleet.database.reading() as session:
            assert expires is not None
            return (expires - clock.now(session)).total_seconds()

    assert 110 < lives() <= 120
    fleet.step(workflow, "reserve")
    assert 110 < lives() <= 120
    fleet.step(workflow, "network_provisioning")
    fleet.begin(workflow, "provision")
    assert 1850 < lives() <= 1860
    fleet.end(workflow, "provision")
    assert 110 < lives() <= 120


def test_a_server_is_offered_only_when_all_its_steps_ended_well(fleet: Site) -> None:
    allocation = fleet.active()
    with fleet.database.transaction() as session:
        cleaning = release.start_release(session, fleet.ada, allocation).id
    # somebody takes the wipe out of what return_to_pool needs: the ledger still refuses
    with fleet.database.transaction() as session:
        row = session.get_one(type(fleet.workflow(cleaning)), cleaning)
        row.steps = [{**entry, "needs": []} for entry in row.steps]
    workflow = fleet.claim_next()
    fleet.step(workflow, "stop_monitoring")
    fleet.begin(workflow, "return_to_pool")
    with pytest.raises(errors.StateConflict, match="not done on it: secure_erase"):
        fleet.end(workflow, "return_to_pool")
    assert fleet.server_states()["gpu-01"] == "cleaning"


def test_a_resumed_release_does_not_touch_a_server_that_is_back_in_the_pool(fleet: Site) -> None:
    allocation = fleet.active(gpu_count=16)
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    workflow = fleet.claim_next()
    done, open_ = fleet.servers(workflow)
    for step in ("stop_monitoring", "secure_erase", "return_to_pool"):
        fleet.step(workflow, step, done)
    fleet.step(workflow, "stop_monitoring", open_)
    with fleet.database.transaction() as session:
        claim.surrender(session, workflow.id, workflow.fence, "killed")
    assert fleet.server_states()[done] == "available"
    taken = fleet.reserve(fleet.bob, gpu_count=8)
    with clock.travel(timedelta(seconds=60)):
        for _ in range(2):
            second = fleet.claim_next()
            if second.id == workflow.id:
                break
        with fleet.database.reading() as session:
            run = rundoc.build(session, SYSTEM, second.id)
        assert [server["name"] for server in run["servers"]] == [open_], "it may be somebody else's by now"
        answer = fleet.begin(second, "stop_monitoring", done)
        assert answer.action == "skip" and "behind it" in (answer.reason or "")
        for step in ("stop_monitoring", "secure_erase", "return_to_pool"):
            fleet.step(second, step, open_)
    assert fleet.workflow(workflow.id).status == "succeeded"
    assert fleet.allocation(allocation).status == "released"
    assert fleet.allocation(taken).status == "reserved"


def test_a_failure_keeps_where_it_was_even_when_the_playbook_says_little(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.begin(workflow, "reserve")
    fleet.end(workflow, "reserve", status="failed")
    row = fleet.workflow(workflow.id)
    assert row.error is not None
    assert {key: row.error[key] for key in ("code", "host", "step", "retryable")} == {
        "code": "step_failed",
        "host": "gpu-01",
        "step": "reserve",
        "retryable": False,
    }
    assert row.error_message == "reserve on gpu-01: reserve failed without a message"
