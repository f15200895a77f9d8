"""Sixteen at once: nothing is held twice, nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from fleet import db, errors
from fleet.actor import SYSTEM
from fleet.models import AllocationServer, GpuAllocation, IpAddress, Network
from fleet.operations import claim, leader, users
from tests.component.fleet.support import Site, build

THREADS = 16


def at_once(work: Callable[[int], str]) -> list[str]:
    """Run `work(number)` in threads that start together; what each returned, or the class of its refusal."""
    barrier = threading.Barrier(THREADS)
    results: list[str] = [""] * THREADS

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = work(number)
        except errors.FleetError as error:
            results[number] = type(error).__name__

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_more_requests_than_servers_hold_each_server_once(database: db.Database) -> None:
    site = build(database, servers=6, tenants=20)
    results = at_once(lambda number: site.reserve(site.ada if number % 2 else site.bob))
    won = [result for result in results if result.startswith("alloc_")]
    assert len(won) == len(set(won)) == 6
    # PostgreSQL passes over rows somebody else is taking: whoever comes in that moment may be told to try again
    assert set(results) - set(won) <= {"NoCapacity", "Conflict"}
    with database.reading() as session:
        servers = Counter(session.scalars(select(AllocationServer.server_id)))
        gpus = Counter(session.scalars(select(GpuAllocation.gpu_id)))
        addresses = Counter(tuple(row) for row in session.execute(select(IpAddress.network_id, IpAddress.address)))
        tenants = session.scalars(select(Network.id).where(Network.allocation_id.is_not(None))).all()
    assert set(servers.values()) == set(gpus.values()) == set(addresses.values()) == {1}
    assert (len(servers), len(gpus), len(addresses), len(tenants)) == (6, 48, 18, 6)
    assert list(site.server_states().values()) == ["reserved"] * 6


def test_a_quota_is_not_overdrawn_by_haste(database: db.Database) -> None:
    site = build(database, servers=6, tenants=20)
    with database.transaction() as session:
        users.set_quota(session, SYSTEM, "ada", max_gpu_count=24)
    results = at_once(lambda _: site.reserve())
    assert sum(result.startswith("alloc_") for result in results) == 3
    assert set(results) <= {result for result in results if result.startswith("alloc_")} | {"OverQuota"}


def test_one_request_name_makes_one_allocation(fleet: Site) -> None:
    results = at_once(lambda _: fleet.reserve(request="mine"))
    assert len(set(results)) == 1 and results[0].startswith("alloc_")


def test_a_workflow_is_claimed_once(fleet: Site) -> None:
    workflows = {fleet.workflow_of(fleet.reserve()) for _ in range(3)}

    def claim_one(number: int) -> str:
        with fleet.database.transaction() as session:
            found = claim.claim_next(session, f"job-{number}", 30)
            return found.id if found is not None else ""

    claimed = [result for result in at_once(claim_one) if result]
    # a skipped row is left for the next poll
    while (more := claim_one(99)) != "":
        claimed.append(more)
    assert Counter(claimed) == Counter(workflows)


def test_the_service_account_is_made_once(database: db.Database) -> None:
    def first_use(_: int) -> str:
        with database.transaction() as session:
            return users.service_user(session).id

    results = Counter(at_once(first_use))
    assert len(results) == 1 and next(iter(results)).startswith("usr_")


def test_a_lease_has_one_leader(database: db.Database) -> None:
    def lead(number: int) -> str:
        with database.transaction() as session:
            return str(leader.acquire(session, "timers", f"process-{number}", 30))

    assert Counter(at_once(lead))["True"] == 1


@pytest.mark.parametrize("fence", [1, 2])
def test_of_two_takeovers_one_wins(fleet: Site, fence: int) -> None:
    workflow = fleet.workflow_of(fleet.reserve(executor="external"))
    for number in range(fence):
        with fleet.database.transaction() as session:
            claim.claim(session, fleet.admin, workflow, f"hand-{number}", takeover_fence=number or None)

    def take(number: int) -> str:
        with fleet.database.transaction() as session:
            return claim.claim(session, fleet.admin, workflow, f"thief-{number}", takeover_fence=fence).id

    results = Counter(at_once(take))
    assert results[workflow] == 1
    assert results["ClaimHeld"] == THREADS - 1
