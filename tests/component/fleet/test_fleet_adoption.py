"""Servers in use: adopted, released as any other, and never offered unclean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from fleet import errors, states
from fleet.actor import SYSTEM, Actor
from fleet.enrolment import adopt
from fleet.enrolment.adopt import AdoptRequest
from fleet.models import (
    Allocation,
    GpuAllocation,
    Network,
)
from fleet.operations import claim, lookup, register, release, users
from fleet.rundoc import build
from tests.component.fleet.enrolled import OPERATOR, config, exchange, facts_of, look, server_of, with_gpu
from tests.component.fleet.support import Site, bmc_facts


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
