"""`kill -9` of any process in every step: right states, nothing lost or held twice, no repeated wipe."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.killing import ALLOCATE, RELEASE, Trap, moments, reached
from tests.support.site import ENDED, Site

pytestmark = pytest.mark.faults
SITE = {"servers": 8, "environment": {"PALEBLUEDOT_CLAIM_TTL_S": "3"}}

REQUEST = {"gpu_count": 8, "template": "ubuntu-24.04"}


def machine_of(site: Site, allocation_id: str) -> dict[str, object]:
    name = site.client.allocation(allocation_id)["servers"][0]["name"]
    return dict(site.lab("GET", f"/machines/{name}"))


def erasures(machine: dict[str, object]) -> list[int]:
    disks = machine["disks"]
    assert isinstance(disks, list)
    return [disk["erase_count"] for disk in disks]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(3))
def test_a_playbook_killed_once_in_any_step_changes_nothing_of_the_outcome(site: Site, batch: int) -> None:
    """Six lives at a time, each killed at its own moment of the allocation and at one of the release."""
    pairs = list(zip(moments(ALLOCATE), moments(RELEASE), strict=True))[batch::3]
    posts_before = {machine["name"]: machine["posts"] for machine in site.lab("GET", "/machines")}
    lives = []
    for number, (into, out) in enumerate(pairs):
        asked = site.client.allocate(REQUEST, request=f"kill-{batch}-{number}")
        trap = Trap(asked["workflow_id"], *into)
        lives.append((asked["allocation_id"], asked["workflow_id"], into, out, trap))
    before = {}
    for allocation_id, workflow_id, into, _, trap in lives:
        workflow = site.wait(workflow_id, 240)
        trap.thread.join(30)
        # the very last moment may come when the playbook has nothing left to do
        assert trap.killed or into == ("after", ALLOCATE[-1]), f"nothing was killed {into}"
        assert workflow["status"] == "succeeded", (into, workflow)
        record = site.record(allocation_id)
        assert (record["allocation"], record["server_status"]) == ("active", ["active"]), (into, record)
        before[allocation_id] = machine = machine_of(site, allocation_id)
        extra = int(str(machine["posts"])) - posts_before[machine["name"]] - 1
        assert extra in (0, 1), (into, extra)
    holders = sorted((allocation_id, machine["name"], 8) for allocation_id, machine in before.items())
    assert site.held() == holders
    assert len({name for _, name, _ in holders}) == len(lives), "one server each"
    traps = []
    for allocation_id, _, _, out, _ in lives:
        answer = site.client.release(allocation_id)
        traps.append((allocation_id, answer["workflow_id"], out, Trap(answer["workflow_id"], *out)))
    for allocation_id, workflow_id, out, trap in traps:
        workflow = site.wait(workflow_id, 240)
        trap.thread.join(30)
        assert trap.killed or out == ("after", RELEASE[-1]), f"nothing was killed {out}"
        assert workflow["status"] == "succeeded", (out, workflow)
        record = site.record(allocation_id)
        assert (record["allocation"], record["server_status"]) == ("released", ["available"]), (out, record)
        after = machine_of(site, allocation_id)
        erased = [now - then for now, then in zip(erasures(after), erasures(before[allocation_id]), strict=True)]
        assert set(erased) == {1}, (out, erased)
        extra = int(str(after["posts"])) - int(str(before[allocation_id]["posts"])) - 1
        assert extra in (0, 1), (out, extra)
    assert site.held() == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("victim", ["scheduler", "api"])
def test_a_half_of_the_service_killed_in_every_step_changes_nothing_of_the_outcome(
    site: Site, victim: str, when: str
) -> None:
    """One life, in every step of which the process dies and comes back."""
    posts = {machine["name"]: machine["posts"] for machine in site.lab("GET", "/machines")}
    asked = site.client.allocate(REQUEST, request=f"kill-{victim}-{when}")
    name = None
    for steps, workflow_id in ((ALLOCATE, asked["workflow_id"]), (RELEASE, None)):
        if workflow_id is None:
            allocation = site.client.allocation(asked["allocation_id"])
            assert allocation["status"] == "active"
            name = allocation["servers"][0]["name"]
            machine = site.lab("GET", f"/machines/{name}")
            assert machine["posts"] - posts[name] in (1, 2), "to install it, and at most once more"
            assert site.held() == [(asked["allocation_id"], name, 8)]
            erased_before, posts[name] = erasures(machine), machine["posts"]
            workflow_id = site.client.release(asked["allocation_id"])["workflow_id"]
        for step in steps:
            wait_for_moment(site, workflow_id, when, step)
            restart(site, victim)
        workflow = site.wait(workflow_id, 240)
        assert workflow["status"] == "succeeded", workflow
    record = site.record(asked["allocation_id"])
    assert (record["allocation"], record["server_status"]) == ("released", ["available"])
    machine = site.lab("GET", f"/machines/{name}")
    assert {now - then for now, then in zip(erasures(machine), erased_before, strict=True)} == {1}
    assert machine["posts"] - posts[name] in (1, 2)
    assert site.held() == []


def wait_for_moment(site: Site, workflow_id: str, when: str, step: str) -> None:
    """Until the ledger is there; with the ledger as the explanation when it never comes."""

    def ledger() -> str:
        workflow = site.client.workflow(workflow_id)
        rows = [(row["step"], row["attempt"], row["status"], row["error"]) for row in workflow["steps"]]
        return f"{when} {step}: {workflow['status']} {workflow['error_message']} {rows}"

    site.until(lambda: reached(workflow_id, when, step), 90, ledger)


def restart(site: Site, victim: str) -> None:
    """`kill -9` of the whole process group, and a new one as an init system would start it."""
    supervisor = site.stage.supervisor
    child = supervisor.children[victim]
    os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait(10)
    supervisor.start(victim)
    if victim == "api":
        site.until(site.ready, 30)


def test_nobody_is_left_between_two_states(site: Site) -> None:
    """After all of the above every workflow has ended, and every server is in the pool with its GPUs."""
    assert all(workflow["status"] in ENDED for workflow in site.client.workflows())
    assert {server["state"] for server in site.client.servers()} == {"available"}
    assert site.held() == []
    assert site.client.quota()["used_gpu_count"] == 0
