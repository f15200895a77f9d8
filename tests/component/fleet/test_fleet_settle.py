"""Another try, or an orderly failure; and what nobody settles, reap does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from fleet import clock, errors, settings
from fleet.actor import SYSTEM
from fleet.models import (
    AllocationServer,
    GpuAllocation,
    IpAddress,
    MachineReport,
    Network,
    Template,
    Workflow,
    WorkflowStep,
)
from fleet.operations import claim, register, release, settle, users
from tests.component.fleet.support import ALLOCATE, Site

RETRYABLE = {"code": "bmc_timeout", "message": "no answer", "retryable": True}
FATAL = {"code": "bmc_authentication", "message": "wrong password", "retryable": False}


def surrender(site: Site, workflow: Workflow, outcome: Any = "failed", error: dict[str, Any] | None = None) -> None:
    with site.database.transaction() as session:
        claim.surrender(session, workflow.id, workflow.fence, outcome, error)


def reap(site: Site) -> dict[str, int]:
    with site.database.transaction() as session:
        return settle.reap(session)


def fail_step(site: Site, workflow: Workflow, step: str, error: dict[str, Any], server: str = "gpu-01") -> None:
    for earlier in workflow.steps:
        if earlier["name"] == step:
            break
        site.step(workflow, earlier["name"], server)
    site.begin(workflow, step, server)
    site.end(workflow, step, server, status="failed", error=error)
    surrender(site, workflow)


def pause_of(site: Site, workflow: Workflow) -> float:
    """Seconds until it is tried again."""
    not_before = site.workflow(workflow.id).not_before
    with site.database.reading() as session:
        assert not_before is not None
        return (not_before - clock.now(session)).total_seconds()


def held(site: Site) -> tuple[int, int, int]:
    """GPUs, addresses and tenant networks that are held."""
    with site.database.reading() as session:
        return (
            session.scalar(select(func.count(GpuAllocation.id)).where(GpuAllocation.released_at.is_(None))) or 0,
            session.scalar(select(func.count(IpAddress.id))) or 0,
            session.scalar(select(func.count(Network.id)).where(Network.allocation_id.is_not(None))) or 0,
        )


def test_a_retryable_failure_is_tried_again_after_a_growing_pause(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    fail_step(fleet, workflow, "network_provisioning", RETRYABLE)
    row = fleet.workflow(workflow.id)
    assert (row.status, row.claimed_by, row.error_message) == (
        "pending",
        None,
        "network_provisioning on gpu-01: no answer",
    )
    assert fleet.allocation(allocation).status == "provisioning"
    with fleet.database.transaction() as session:
        assert claim.claim_next(session, "early", 15) is None
    with clock.travel(timedelta(seconds=3)):
        second = fleet.claim_next()
        fail_step(fleet, second, "network_provisioning", RETRYABLE)
        assert 3 < pause_of(fleet, workflow) <= 4


@pytest.mark.parametrize("outcome", ["lost", "killed", "stopped"])
def test_runs_that_were_lost_do_not_lengthen_the_pause(fleet: Site, outcome: str) -> None:
    fleet.reserve()
    for attempt in range(1, 6):
        with clock.travel(timedelta(seconds=100 * attempt)):
            workflow = fleet.claim_next()
            fleet.step(workflow, "reserve")
            fleet.begin(workflow, "network_provisioning")
            surrender(fleet, workflow, outcome)
            assert (fleet.workflow(workflow.id).error or {})["code"] == "job_lost"
            assert 1 < pause_of(fleet, workflow) <= 2
    with clock.travel(timedelta(seconds=600)):
        fail_step(fleet, fleet.claim_next(), "network_provisioning", RETRYABLE)
        assert 1 < pause_of(fleet, workflow) <= 2, "the first failure that anybody reported"


def test_servers_that_fail_together_lengthen_the_pause_once(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    for server in fleet.servers(workflow):
        fleet.step(workflow, "reserve", server)
        fleet.step(workflow, "network_provisioning", server, status="failed", error=RETRYABLE)
    assert 1 < pause_of(fleet, workflow) <= 2


def test_a_step_fails_for_good_when_its_retries_are_used_up(fleet: Site) -> None:
    allocation = fleet.reserve()
    for attempt in range(1, 4):
        with clock.travel(timedelta(seconds=100 * attempt)):
            workflow = fleet.claim_next()
            assert workflow.attempt == attempt
            fail_step(fleet, workflow, "network_provisioning", RETRYABLE)
    row = fleet.workflow(workflow.id)
    assert (row.status, row.attempt) == ("failed", 3)
    assert fleet.allocation(allocation).status == "failed"
    assert fleet.server_states()["gpu-01"] == "failed"


def test_a_fatal_failure_ends_it_at_once(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    fail_step(fleet, workflow, "network_provisioning", FATAL)
    row = fleet.workflow(workflow.id)
    assert (row.status, row.error_message) == ("failed", "network_provisioning on gpu-01: wrong password")
    assert row.completed_at is not None
    ended = fleet.allocation(allocation)
    assert ended.status == "failed" and "wrong password" in (ended.end_reason or "")
    with fleet.database.reading() as session:
        assert users.quota_usage(session, fleet.ada).used_gpu_count == 0
    # the machine was touched: what it has stays its own until somebody has cleaned it
    assert fleet.server_states()["gpu-01"] == "failed"
    assert held(fleet) == (8, 3, 1)


def test_untouched_servers_go_back_to_the_pool_when_the_allocation_fails(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    touched, untouched = fleet.servers(workflow)
    for server in (touched, untouched):
        fleet.step(workflow, "reserve", server)
    fleet.step(workflow, "network_provisioning", touched, status="failed", error=FATAL)
    surrender(fleet, workflow)
    assert fleet.workflow(workflow.id).status == "failed"
    states = fleet.server_states()
    assert (states[touched], states[untouched]) == ("failed", "available")
    assert held(fleet) == (8, 3, 1)
    assert fleet.reserve(fleet.bob, gpu_count=24)


def test_a_failure_before_anything_was_touched_gives_everything_back(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.begin(workflow, "reserve")
    fleet.end(workflow, "reserve", status="failed", error=FATAL)
    assert held(fleet) == (0, 0, 0)
    assert set(fleet.server_states().values()) == {"available"}


def test_a_job_killed_in_the_middle_is_tried_again_and_its_step_is_marked(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    fleet.begin(workflow, "network_provisioning")
    surrender(fleet, workflow, "killed")
    with fleet.database.reading() as session:
        row = session.scalars(select(WorkflowStep).where(WorkflowStep.step == "network_provisioning")).one()
        assert (row.status, (row.error or {})["code"]) == ("failed", "job_lost")
        assert row.ended_at is not None
    assert fleet.workflow(workflow.id).status == "pending"


def test_kills_do_not_use_up_a_steps_retries_but_are_bounded(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALEBLUEDOT_MAX_ATTEMPTS", "5")
    settings.get_settings.cache_clear()
    fleet.reserve()
    for attempt in range(1, 6):
        with clock.travel(timedelta(seconds=200 * attempt)):
            workflow = fleet.claim_next()
            fleet.step(workflow, "reserve")
            fleet.begin(workflow, "network_provisioning")
            surrender(fleet, workflow, "killed")
            expected = "pending" if attempt < 5 else "failed"
            assert fleet.workflow(workflow.id).status == expected
    assert fleet.server_states()["gpu-01"] == "failed"


def test_a_job_that_says_it_can_never_work_fails(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    surrender(fleet, workflow, "failed", {"code": "playbook_invalid", "message": "syntax error", "retryable": False})
    assert fleet.workflow(workflow.id).error_message == "syntax error"
    assert fleet.workflow(workflow.id).status == "failed"


def test_a_job_that_ended_well_without_its_work_is_not_believed(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    surrender(fleet, workflow, "succeeded")
    row = fleet.workflow(workflow.id)
    assert (row.status, (row.error or {})["code"]) == ("pending", "job_incomplete")


def test_one_fatal_server_decides_over_another_that_could_be_tried_again(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    first, second = fleet.servers(workflow)
    for server, error in ((first, RETRYABLE), (second, FATAL)):
        fleet.step(workflow, "reserve", server)
        fleet.step(workflow, "network_provisioning", server, status="failed", error=error)
    assert fleet.workflow(workflow.id).status == "failed"
    assert "wrong password" in (fleet.workflow(workflow.id).error_message or "")


def test_an_external_failure_waits_for_a_hand_and_then_no_longer(fleet: Site) -> None:
    allocation = fleet.reserve(executor="external")
    with fleet.database.transaction() as session:
        workflow = claim.claim(session, fleet.admin, fleet.workflow_of(allocation), "hand")
    fleet.step(workflow, "reserve")
    fleet.begin(workflow, "network_provisioning")
    fleet.end(workflow, "network_provisioning", status="failed", error=RETRYABLE)
    row = fleet.workflow(workflow.id)
    assert (row.status, row.claimed_by) == ("waiting", None)
    assert reap(fleet)["waits"] == 0
    with clock.travel(timedelta(seconds=901)):
        assert reap(fleet)["waits"] == 1
    assert fleet.workflow(workflow.id).status == "timed_out"
    assert fleet.allocation(allocation).status == "failed"
    assert fleet.server_states()["gpu-01"] == "failed"


def test_an_external_request_nobody_came_for_is_given_up(fleet: Site) -> None:
    allocation = fleet.reserve(executor="external")
    with clock.travel(timedelta(seconds=901)):
        assert reap(fleet)["waits"] == 1
    assert fleet.allocation(allocation).status == "failed"
    assert held(fleet) == (0, 0, 0)
    assert set(fleet.server_states().values()) == {"available"}


def test_a_claim_that_expires_is_settled_as_lost(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.begin(workflow, "reserve")
    assert reap(fleet)["claims"] == 0
    with clock.travel(timedelta(seconds=16)):
        assert reap(fleet)["claims"] == 1
        row = fleet.workflow(workflow.id)
        assert (row.status, row.claimed_by, (row.error or {})["code"]) == ("pending", None, "job_lost")
        assert reap(fleet)["claims"] == 0
    with fleet.database.transaction() as session:
        assert not claim.heartbeat(session, workflow.id, workflow.fence, 15).run


def test_an_expired_claim_by_hand_waits_for_another_hand(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        workflow = claim.claim(session, fleet.admin, fleet.workflow_of(fleet.reserve(executor="external")), "hand")
    with clock.travel(timedelta(seconds=121)):
        assert reap(fleet)["claims"] == 1
        assert fleet.workflow(workflow.id).status == "waiting"


def test_the_claim_of_a_cancelled_workflow_ends_with_its_time(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    with clock.travel(timedelta(seconds=16)):
        assert reap(fleet)["claims"] == 1
    assert fleet.workflow(workflow.id).status == "cancelled"
    assert fleet.allocation(allocation).status == "releasing"


def test_a_workflow_over_its_limit_is_timed_out(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    with clock.travel(timedelta(hours=5)):
        counts = reap(fleet)
    assert counts["deadlines"] == 1
    assert fleet.workflow(workflow.id).status == "timed_out"
    assert fleet.allocation(allocation).status == "failed"


def test_a_lease_that_is_over_is_released(fleet: Site) -> None:
    allocation = fleet.active(end=datetime.now(UTC) + timedelta(hours=1))
    assert reap(fleet)["leases"] == 0
    with clock.travel(timedelta(hours=1, seconds=1)):
        assert reap(fleet)["leases"] == 1
    row = fleet.allocation(allocation)
    assert (row.status, row.end_reason) == ("releasing", "the lease is over")


def test_one_lease_that_cannot_be_ended_does_not_keep_the_others(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    over = datetime.now(UTC) + timedelta(hours=1)
    first, second = fleet.active(end=over), fleet.active(end=over)
    real = release.start_release

    def release_or_refuse(session: Session, actor: Any, identifier: str, **options: Any) -> Workflow:
        workflow = real(session, actor, identifier, **options)
        if identifier == first:
            raise KeyError("a bug")
        return workflow

    monkeypatch.setattr(release, "start_release", release_or_refuse)
    with clock.travel(timedelta(hours=1, seconds=1)):
        counts = reap(fleet)
    assert (counts["leases"], counts["errors"]) == (1, 1)
    assert [fleet.allocation(one).status for one in (first, second)] == ["active", "releasing"]


def test_what_stays_too_long_is_named(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with clock.travel(timedelta(minutes=40)), fleet.database.reading() as session:
        late = {(entry["entity"], entry["state"]): entry for entry in settle.overdue(session)}
        assert set(late) == {("server", "reserved"), ("allocation", "reserved")}
        assert 2300 < late["server", "reserved"]["seconds"] < 2500
    assert workflow.status == "running"


@pytest.mark.parametrize("refusal", [errors.StateConflict("cannot be"), AttributeError("a bug"), None])
def test_one_row_that_cannot_be_settled_does_not_keep_the_others(
    fleet: Site, monkeypatch: pytest.MonkeyPatch, refusal: Exception | None
) -> None:
    fleet.reserve()
    fleet.reserve()
    jobs = [fleet.claim_next(str(number)) for number in range(2)]
    real = settle.settle

    def settle_or_refuse(session: Session, workflow: Workflow, *arguments: Any) -> None:
        workflow.error_message = "half-written"
        session.flush()
        if workflow.id == jobs[0].id:
            if refusal is None:
                session.execute(text("SELECT nothing FROM nowhere"))
            else:
                raise refusal
        real(session, workflow, *arguments)

    monkeypatch.setattr(settle, "settle", settle_or_refuse)
    with clock.travel(timedelta(seconds=16)):
        counts = reap(fleet)
    assert (counts["claims"], counts["errors"]) == (1, 1)
    assert fleet.workflow(jobs[1].id).status == "pending"
    refused = fleet.workflow(jobs[0].id)
    assert (refused.status, refused.claimed_by, refused.error_message) == ("running", "0", None)


def test_a_failed_release_parks_the_server_and_a_clean_brings_it_back(fleet: Site) -> None:
    allocation = fleet.active()
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    workflow = fleet.claim_next()
    fail_step(fleet, workflow, "secure_erase", FATAL)
    assert fleet.allocation(allocation).status == "failed"
    assert fleet.server_states()["gpu-01"] == "failed"
    assert held(fleet)[0] == 8, "the GPUs still hold the tenant's data"
    with fleet.database.transaction() as session:
        cleaning = release.start_clean(session, fleet.admin, "gpu-01")
    job = fleet.claim_next()
    assert job.id == cleaning.id
    fleet.finish(job)
    assert fleet.server_states()["gpu-01"] == "available"
    assert held(fleet) == (0, 0, 0)
    with fleet.database.reading() as session:
        row = session.scalars(select(AllocationServer)).one()
        assert (row.state, row.released_at is not None) == ("released", True)


def test_a_server_that_had_reached_the_tenant_is_cleaned_when_the_allocation_fails(fleet: Site) -> None:
    allocation = fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    reached, other = fleet.servers(workflow)
    for step in ALLOCATE[:-1]:
        fleet.step(workflow, step, reached)
    fleet.step(workflow, "hand_over", reached)
    assert fleet.server_states()[reached] == "active"
    for step in ALLOCATE[:2]:
        fleet.step(workflow, step, other)
    fleet.step(workflow, "provision", other, status="failed", error=FATAL)
    assert fleet.allocation(allocation).status == "failed"
    with fleet.database.reading() as session:
        (cleaning,) = session.scalars(select(Workflow).where(Workflow.kind == "clean"))
    assert (cleaning.executor, cleaning.after_id, cleaning.requested_by) == ("service", workflow.id, SYSTEM.id)
    assert fleet.server_states()[reached] == fleet.server_states()[other] == "failed"
    with fleet.database.transaction() as session:
        assert claim.claim_next(session, "early", 15) is None, "the failed run has not ended yet"
    surrender(fleet, workflow)
    job = fleet.claim_next()
    assert (job.id, fleet.servers(job)) == (cleaning.id, [reached])
    fleet.finish(job)
    assert (fleet.server_states()[reached], fleet.server_states()[other]) == ("available", "failed")


def test_a_cleaning_that_fails_is_not_cleaned_again_by_itself(fleet: Site) -> None:
    fleet.reserve()
    fail_step(fleet, fleet.claim_next(), "hand_over", FATAL)
    fail_step(fleet, fleet.claim_next(), "secure_erase", FATAL)
    with fleet.database.reading() as session:
        assert [row.status for row in session.scalars(select(Workflow).where(Workflow.kind == "clean"))] == ["failed"]
    assert fleet.server_states()["gpu-01"] == "failed"


def test_a_cleaning_that_cannot_begin_does_not_keep_the_allocation_from_failing(fleet: Site) -> None:
    allocation = fleet.reserve()
    with fleet.database.transaction() as session:
        session.execute(update(Template).where(Template.kind == "erase").values(kind="os"))
    fail_step(fleet, fleet.claim_next(), "hand_over", FATAL)
    assert fleet.allocation(allocation).status == "failed"
    assert fleet.server_states()["gpu-01"] == "failed"


def test_a_freeze_with_a_failing_parallel_step_still_goes_on_after_it(fleet: Site) -> None:
    fleet.reserve(gpu_count=16)
    workflow = fleet.claim_next()
    first, second = fleet.servers(workflow)
    for server in (first, second):
        fleet.step(workflow, "reserve", server)
    fleet.begin(workflow, "network_provisioning", first)
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True)
    assert fleet.begin(workflow, "network_provisioning", second).action == "stop"
    assert fleet.end(workflow, "network_provisioning", first, status="failed", error=RETRYABLE).action == "stop"
    surrender(fleet, workflow)
    assert fleet.workflow(workflow.id).status == "held"
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, False)
    fleet.finish(fleet.claim_next())
    assert fleet.workflow(workflow.id).status == "succeeded"


def test_time_does_not_run_while_the_fleet_is_frozen(fleet: Site) -> None:
    waiting = fleet.workflow_of(fleet.reserve(executor="external"))
    fleet.reserve()
    job = fleet.claim_next()
    server = fleet.servers(job)[0]
    fleet.step(job, "reserve", server)
    before = fleet.workflow(waiting)
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "power works")
    assert fleet.begin(job, "network_provisioning", server).action == "stop"
    surrender(fleet, job, "stopped")
    with clock.travel(timedelta(hours=10)):
        with fleet.database.transaction() as session:
            register.set_freeze(session, SYSTEM, True, "still power works")
        assert {name: count for name, count in reap(fleet).items() if count and name != "overdue"} == {}
        with fleet.database.transaction() as session:
            register.set_freeze(session, SYSTEM, False)
        assert {name: count for name, count in reap(fleet).items() if count and name != "overdue"} == {}
        after = fleet.workflow(waiting)
        assert before.resume_by is not None and after.resume_by is not None
        assert timedelta(hours=9, minutes=59) < after.resume_by - before.resume_by < timedelta(hours=10, minutes=1)
        assert fleet.workflow(job.id).status == "pending"
        with fleet.database.reading() as session:
            expiries = session.scalars(select(MachineReport.expires_at)).all()
            assert min(expiries) > clock.now(session) + timedelta(hours=3)
        fleet.finish(fleet.claim_next())
    with clock.travel(timedelta(hours=11)):
        assert reap(fleet)["waits"] == 1


def test_what_is_held_by_hands_off_is_not_timed_out(fleet: Site) -> None:
    fleet.reserve()
    job = fleet.claim_next()
    fleet.step(job, "reserve")
    with fleet.database.transaction() as session:
        register.set_flags(session, SYSTEM, "gpu-01", True, "bad fan")
    fleet.begin(job, "network_provisioning")
    surrender(fleet, job, "stopped")
    with clock.travel(timedelta(hours=10)):
        assert reap(fleet)["deadlines"] == 0
        with fleet.database.transaction() as session:
            register.set_flags(session, SYSTEM, "gpu-01", False)
        assert reap(fleet)["deadlines"] == 0
        assert fleet.workflow(job.id).status == "pending"


def test_kills_say_nothing_against_the_step_they_hit(fleet: Site) -> None:
    fleet.reserve()
    for attempt in range(1, 5):
        with clock.travel(timedelta(seconds=200 * attempt)):
            workflow = fleet.claim_next()
            fleet.step(workflow, "reserve")
            fleet.begin(workflow, "network_provisioning")
            if attempt == 4:
                fleet.end(workflow, "network_provisioning", status="failed", error=RETRYABLE)
            surrender(fleet, workflow, "killed")
    # three kills and one failure: the step may still be tried twice more
    assert fleet.workflow(workflow.id).status == "pending"
