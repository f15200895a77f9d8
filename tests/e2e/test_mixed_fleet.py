"""One fleet of six vendors: taken in by discovery, allocated server by server, given back."""

from __future__ import annotations

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.e2e
VENDORS = ("dell", "supermicro", "lenovo", "openbmc", "generic", "ami")
SITE = {"servers": len(VENDORS), "vendor": ",".join(VENDORS), "quota": 8 * len(VENDORS)}


@pytest.mark.timeout(400)
def test_every_vendor_is_discovered_allocated_and_given_back(site: Site) -> None:
    servers = list(site.client.servers())
    known = {server["name"]: (server["state"], server["manufacturer"], len(server["gpus"])) for server in servers}
    assert {state for state, _, _ in known.values()} == {"available"}, known
    assert {gpus for _, _, gpus in known.values()} == {8}, known
    asked = [
        site.user.allocate({"gpu_count": 8, "template": "ubuntu-24.04"}, request=f"mixed-{number}")
        for number, _ in enumerate(VENDORS)
    ]
    for request in asked:
        workflow = site.wait(request["workflow_id"], 200)
        assert workflow["status"] == "succeeded", [s for s in workflow["steps"] if s["status"] == "failed"]
    taken = {site.user.allocation(request["allocation_id"])["servers"][0]["name"] for request in asked}
    assert len(taken) == len(VENDORS)
    released = [site.user.release(request["allocation_id"]) for request in asked]
    ended = [site.wait(workflow["workflow_id"], 200) for workflow in released]
    failed = [step for workflow in ended for step in workflow["steps"] if step["status"] == "failed"]
    assert not failed, "\n".join(f"{step['server']}: {step['error']}" for step in failed)
