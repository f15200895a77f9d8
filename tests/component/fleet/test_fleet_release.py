"""Giving back, cleaning, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from fleet import errors
from fleet.actor import SYSTEM, Actor
from fleet.models import Gpu, GpuAllocation, Server, Workflow
from fleet.operations import claim, register, release, users
from tests.component.fleet.support import Site


def start(site: Site, allocation: str, actor: Actor | None = None, **options: Any) -> Workflow:
    with site.database.transaction() as session:
        return release.start_release(session, actor or site.ada, allocation, **options)


def test_a_release_frees_the_quota_at_once_and_the_gpus_when_they_are_clean(fleet: Site) -> None:
    allocation = fleet.active()
    start(fleet, allocation)
    with fleet.database.reading() as session:
        assert users.quota_usage(session, fleet.ada).used_gpu_count == 0
        assert {gpu.status for gpu in session.scalars(select(GpuAllocation))} == {"releasing"}
    fleet.reserve(gpu_count=24)
    with pytest.raises(errors.NoCapacity):
        fleet.reserve()
    while (workflow := fleet.claim_next()).kind != "release":
        pass
    fleet.finish(workflow)
    assert fleet.reserve()


def test_releasing_again_gives_the_same_workflow(fleet: Site) -> None:
    allocation = fleet.active()
    first = start(fleet, allocation)
    assert start(fleet, allocation).id == first.id
    fleet.finish(fleet.claim_next())
    assert start(fleet, allocation).id == first.id
    assert fleet.allocation(allocation).status == "released"


def test_releasing_what_is_being_provisioned_cancels_it(fleet: Site) -> None:
    allocation = fleet.reserve()
    running = fleet.claim_next()
    fleet.step(running, "reserve")
    fleet.step(running, "network_provisioning")
    start(fleet, allocation)
    old = fleet.workflow(running.id)
    assert (old.status, old.fence, old.claim_fence) == ("cancelled", running.fence + 1, running.fence)
    with fleet.database.transaction() as session:
        claim.surrender(session, running.id, running.fence, "cancelled")
    fleet.finish(fleet.claim_next())
    assert fleet.allocation(allocation).status == "released"
    assert fleet.server_states()["gpu-01"] == "available"


def test_releasing_what_nobody_began(fleet: Site) -> None:
    allocation = fleet.reserve()
    start(fleet, allocation)
    fleet.finish(fleet.claim_next())
    assert fleet.allocation(allocation).status == "released"


def test_a_release_may_be_run_by_hand(fleet: Site) -> None:
    workflow = start(fleet, fleet.active(), fleet.admin, executor="external")
    assert (workflow.executor, workflow.resume_by is not None) == ("external", True)
    with fleet.database.transaction() as session:
        claimed = claim.claim(session, fleet.admin, workflow.id, "hand")
    fleet.finish(claimed)
    assert fleet.workflow(workflow.id).status == "succeeded"


def test_only_the_owner_and_staff_release(fleet: Site) -> None:
    allocation = fleet.active()
    with pytest.raises(errors.NotFound):
        start(fleet, allocation, fleet.bob)
    with pytest.raises(errors.Forbidden):
        start(fleet, allocation, Actor("usr_x", "eve", "auditor"))
    job = Actor("usr_x", "job", "automation", fleet.workflow_of(allocation))
    with pytest.raises(errors.Forbidden):
        start(fleet, allocation, job)
    with pytest.raises(errors.NotFound):
        start(fleet, "alloc_nothing")
    assert start(fleet, allocation, Actor("usr_x", "op", "operator")).kind == "release"


def test_one_gpu_of_bare_metal_is_not_released(fleet: Site) -> None:
    allocation = fleet.active()
    with fleet.database.reading() as session:
        held = session.scalars(select(GpuAllocation.gpu_id)).first()
        free = session.scalars(select(Gpu.id).where(Gpu.status == "available")).first()
    assert held is not None and free is not None
    with pytest.raises(errors.Invalid) as caught:
        start(fleet, held)
    assert caught.value.code == "partial_release"
    assert allocation in (caught.value.next or "")
    for identifier, actor in ((held, fleet.bob), (free, fleet.ada), ("gpu_nothing", fleet.ada)):
        with pytest.raises(errors.NotFound):
            start(fleet, identifier, actor)


def test_what_has_failed_is_cleaned_not_released(fleet: Site) -> None:
    allocation = fleet.reserve()
    workflow = fleet.claim_next()
    fleet.begin(workflow, "reserve")
    fleet.end(workflow, "reserve", status="failed")
    with pytest.raises(errors.StateConflict, match="nothing to release"):
        start(fleet, allocation)


@pytest.mark.parametrize("state", ["quarantined", "maintenance"])
def test_a_server_taken_out_comes_back_through_cleaning(fleet: Site, state: str) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-02", state, "strange noise")
        first = release.start_clean(session, fleet.admin, "gpu-02")
        assert release.start_clean(session, fleet.admin, "gpu-02").id == first.id
    workflow = fleet.claim_next()
    assert (workflow.kind, fleet.servers(workflow)) == ("clean", ["gpu-02"])
    assert fleet.step(workflow, "stop_monitoring", "gpu-02").action == "run"
    assert fleet.server_states()["gpu-02"] == "cleaning"
    fleet.finish(workflow)
    assert fleet.server_states()["gpu-02"] == "available"


def test_a_cleaning_waits_for_the_run_of_the_one_before(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-02", "quarantined", "strange noise")
        release.start_clean(session, fleet.admin, "gpu-02")
    first = fleet.claim_next()
    with fleet.database.transaction() as session:
        claim.cancel(session, fleet.admin, first.id, "not now")
        # cancelled before anybody ran it: it must not hide the one that still runs
        unclaimed = release.start_clean(session, fleet.admin, "gpu-02")
        claim.cancel(session, fleet.admin, unclaimed.id, "not now either")
        assert release.start_clean(session, fleet.admin, "gpu-02").after_id == first.id
        assert claim.claim_next(session, "job-2", 15) is None
        claim.surrender(session, first.id, first.fence, "cancelled")
        assert claim.claim_next(session, "job-2", 15) is not None


def test_cleaning_is_for_operators_and_for_servers_that_need_it(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        for actor in (fleet.ada, Actor("usr_x", "job", "automation")):
            with pytest.raises(errors.Forbidden):
                release.start_clean(session, actor, "gpu-01")
        with pytest.raises(errors.StateConflict):
            release.start_clean(session, fleet.admin, "gpu-01")
        with pytest.raises(errors.NotFound):
            release.start_clean(session, fleet.admin, "gpu-99")


def test_a_server_is_not_cleaned_under_a_workflow_that_still_works_on_it(fleet: Site) -> None:
    fleet.reserve()
    with fleet.database.transaction() as session:
        server = session.scalars(select(Server).where(Server.name == "gpu-01")).one()
        server.status = "failed"
    with pytest.raises(errors.StateConflict, match="still works on"), fleet.database.transaction() as session:
        release.start_clean(session, SYSTEM, "gpu-01")
