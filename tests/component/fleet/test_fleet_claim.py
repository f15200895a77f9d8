"""One workflow, one claim; whoever lost it stops."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import clock, errors
from fleet.actor import SYSTEM, Actor
from fleet.models import Workflow
from fleet.operations import claim, register, release, users
from fleet.operations.claim import ClaimAnswer
from tests.component.fleet.support import Site


def by_hand(site: Site, workflow_id: str, claimant: str = "hand-1", takeover: int | None = None) -> Workflow:
    with site.database.transaction() as session:
        return claim.claim(session, site.admin, workflow_id, claimant, takeover)


def beat(site: Site, workflow: Workflow, fence: int | None = None, ttl: float = 15) -> ClaimAnswer:
    with site.database.transaction() as session:
        return claim.heartbeat(session, workflow.id, workflow.fence if fence is None else fence, ttl)


def nothing_to_claim(site: Site) -> bool:
    with site.database.transaction() as session:
        return claim.claim_next(session, "job-x", 15) is None


def external(site: Site) -> str:
    return site.workflow_of(site.reserve(executor="external"))


def test_the_dispatcher_takes_the_oldest_service_workflow_once(fleet: Site) -> None:
    first, second = (fleet.workflow_of(fleet.reserve()) for _ in range(2))
    one, two = fleet.claim_next("a"), fleet.claim_next("b")
    assert [one.id, two.id] == [first, second]
    assert (one.status, one.fence, one.attempt, one.claimed_by) == ("running", 1, 1, "a")
    assert nothing_to_claim(fleet)


def test_the_dispatcher_leaves_external_workflows_alone(fleet: Site) -> None:
    external(fleet)
    assert nothing_to_claim(fleet)


def test_nothing_is_claimed_while_the_fleet_is_frozen(fleet: Site) -> None:
    fleet.reserve()
    hand = external(fleet)
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "works")
    assert nothing_to_claim(fleet)
    with pytest.raises(errors.Frozen):
        by_hand(fleet, hand)
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, False)
    assert fleet.claim_next().status == "running"


def test_a_service_workflow_cannot_be_taken_by_hand(fleet: Site) -> None:
    workflow = fleet.workflow_of(fleet.reserve())
    with pytest.raises(errors.StateConflict, match="run by the service"):
        by_hand(fleet, workflow)


def test_a_second_hand_is_told_who_holds_it(fleet: Site) -> None:
    workflow = external(fleet)
    held = by_hand(fleet, workflow, "hand-1")
    with pytest.raises(errors.ClaimHeld) as caught:
        by_hand(fleet, workflow, "hand-2")
    assert caught.value.detail["holder"] == "hand-1"
    assert caught.value.detail["fence"] == held.fence
    assert caught.value.detail["claim_expires_at"] == clock.rfc3339(held.claim_expires_at)


def test_the_same_hand_gets_its_unused_claim_again(fleet: Site) -> None:
    workflow = external(fleet)
    first, again = by_hand(fleet, workflow), by_hand(fleet, workflow)
    assert (first.fence, first.attempt) == (again.fence, again.attempt)
    fleet.begin(again, "reserve")
    with pytest.raises(errors.ClaimHeld):
        by_hand(fleet, workflow)


def test_a_takeover_needs_the_fence_that_was_seen(fleet: Site) -> None:
    workflow = external(fleet)
    first = by_hand(fleet, workflow, "hand-1")
    fleet.begin(first, "reserve")
    with pytest.raises(errors.ClaimHeld):
        by_hand(fleet, workflow, "hand-2", takeover=first.fence + 1)
    second = by_hand(fleet, workflow, "hand-2", takeover=first.fence)
    assert (second.fence, second.attempt, second.claimed_by) == (first.fence + 1, 2, "hand-2")
    # of two who saw the same fence only one wins
    with pytest.raises(errors.ClaimHeld):
        by_hand(fleet, workflow, "hand-3", takeover=first.fence)
    with pytest.raises(errors.StaleFence):
        fleet.end(first, "reserve")
    previous = fleet.begin(second, "reserve").previous
    assert previous is not None
    assert (previous["status"], previous["attempt"]) == ("failed", 1)


def test_a_claim_that_is_over_can_be_taken_without_force(fleet: Site) -> None:
    workflow = external(fleet)
    first = by_hand(fleet, workflow, "hand-1")
    with clock.travel(timedelta(seconds=121)):
        second = by_hand(fleet, workflow, "hand-2")
        assert second.fence == first.fence + 1
        with pytest.raises(errors.StaleFence):
            fleet.begin(first, "reserve")


def test_an_ended_workflow_is_not_claimed(fleet: Site) -> None:
    allocation = fleet.reserve(executor="external")
    workflow = fleet.workflow_of(allocation)
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    with pytest.raises(errors.StateConflict, match="cancelled"):
        by_hand(fleet, workflow)


def test_users_do_not_claim_and_jobs_only_their_own(fleet: Site) -> None:
    workflow = external(fleet)
    other = external(fleet)
    with pytest.raises(errors.Forbidden), fleet.database.transaction() as session:
        claim.claim(session, fleet.ada, workflow, "hand")
    with fleet.database.transaction() as session:
        token = users.mint_token(session, SYSTEM, "job", 60, workflow)
    with fleet.database.reading() as session:
        job = users.verify_token(session, token.token)
    with pytest.raises(errors.Forbidden), fleet.database.transaction() as session:
        claim.claim(session, job, other, "hand")
    with fleet.database.transaction() as session:
        assert claim.claim(session, job, workflow, "hand").attempt == 1


def test_a_heartbeat_renews_and_a_stale_one_says_stop(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with clock.travel(timedelta(seconds=10)):
        assert beat(fleet, workflow) == ClaimAnswer(True, None)
        renewed = fleet.workflow(workflow.id)
        assert renewed.claim_expires_at is not None and workflow.claim_expires_at is not None
        assert renewed.claim_expires_at - workflow.claim_expires_at >= timedelta(seconds=9)
    stale = beat(fleet, workflow, fence=workflow.fence - 1)
    assert not stale.run and "stale" in (stale.reason or "")
    with fleet.database.transaction() as session:
        assert not claim.heartbeat(session, "wf_nothing", 1).run


def test_a_cancelled_job_hears_it_at_its_heartbeat(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation, reason="changed my mind")
    answer = beat(fleet, workflow)
    assert not answer.run and "changed my mind" in (answer.reason or "")


def test_a_held_job_may_finish_the_step_it_is_in(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "works")
    fleet.step(workflow, "reserve")
    assert fleet.begin(workflow, "network_provisioning").action == "stop"
    assert beat(fleet, workflow).run


def test_a_release_waits_until_the_old_claim_is_given_back(fleet: Site) -> None:
    allocation = fleet.reserve()
    old = fleet.claim_next()
    with fleet.database.transaction() as session:
        cleaning = release.start_release(session, fleet.ada, allocation).id
    assert nothing_to_claim(fleet)
    with fleet.database.transaction() as session:
        claim.surrender(session, old.id, old.fence, "cancelled")
    assert fleet.claim_next().id == cleaning


def test_a_release_waits_no_longer_than_the_old_claim_lives(fleet: Site) -> None:
    allocation = fleet.reserve()
    fleet.claim_next()
    with fleet.database.transaction() as session:
        cleaning = release.start_release(session, fleet.ada, allocation).id
    with clock.travel(timedelta(seconds=16)):
        assert fleet.claim_next().id == cleaning


def test_a_release_by_hand_waits_too_unless_it_takes_over(fleet: Site) -> None:
    allocation = fleet.reserve()
    fleet.claim_next("job-1")
    with fleet.database.transaction() as session:
        cleaning = release.start_release(session, fleet.admin, allocation, executor="external")
    with pytest.raises(errors.ClaimHeld) as caught:
        by_hand(fleet, cleaning.id)
    assert caught.value.detail["holder"] == "job-1"
    assert by_hand(fleet, cleaning.id, takeover=caught.value.detail["fence"]).status == "running"


def test_a_surrender_with_a_stale_fence_changes_nothing(fleet: Site) -> None:
    fleet.reserve()
    first = fleet.claim_next("a")
    with fleet.database.transaction() as session:
        claim.surrender(session, first.id, first.fence - 1, "failed")
    assert fleet.workflow(first.id).status == "running"
    with fleet.database.transaction() as session:
        claim.surrender(session, "wf_nothing", 1, "failed")


def test_only_a_clean_workflow_is_cancelled_as_such(fleet: Site) -> None:
    workflow = fleet.workflow_of(fleet.reserve())
    with pytest.raises(errors.StateConflict), fleet.database.transaction() as session:
        claim.cancel(session, fleet.admin, workflow, "why not")
    with fleet.database.transaction() as session:
        register.set_state(session, SYSTEM, "gpu-04", "quarantined", "odd")
        cleaning = release.start_clean(session, fleet.admin, "gpu-04")
    with fleet.database.transaction() as session:
        assert claim.cancel(session, fleet.admin, cleaning.id, "later").status == "cancelled"
        assert claim.cancel(session, fleet.admin, cleaning.id, "later").status == "cancelled"
    assert fleet.server_states()["gpu-04"] == "quarantined"


def test_automation_is_allowed_to_claim(fleet: Site) -> None:
    workflow = external(fleet)
    with fleet.database.transaction() as session:
        actor = Actor(users.service_user(session).id, "service", "automation")
        assert claim.claim(session, actor, workflow, "awx-7").claimed_by == "awx-7"
