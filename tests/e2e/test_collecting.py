"""Telemetry as a site has it: the scheduler collects, and nobody runs a playbook for it."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.e2e
ROUND_S = 5.0  # one run is twenty of these
SITE = {"servers": 2, "discover": False, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": str(ROUND_S)}}


def newest(site: Site, name: str) -> datetime | None:
    """When the newest figure of the server's first GPU was read."""
    gpu = site.client.server(name)["gpus"][0]
    figures = site.client.gpu_status(gpu["id"])["figures"]
    return datetime.fromisoformat(figures["timestamp"]) if figures else None


def test_the_scheduler_collects_and_a_server_that_comes_later_does_not_wait_for_the_end_of_a_run(site: Site) -> None:
    site.client.import_fleet(site.stage.fleet_document())
    site.playbook("discover.yml", "-e", "target=gpu-001")
    site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    first = site.until(lambda: newest(site, "gpu-001"), 40, lambda: "no run of the scheduler stored a figure")
    again = site.until(lambda: (at := newest(site, "gpu-001")) and at > first and at, 30)

    # the run that goes on now has begun without this one, and has most of its rounds before it
    site.playbook("discover.yml", "-e", "target=gpu-002")
    site.playbook("power.yml", "-e", "target=gpu-002", "-e", "state=on")
    site.until(lambda: newest(site, "gpu-002"), 8 * ROUND_S, lambda: "the run did not end for it")
    said = "".join(path.read_text() for path in site.stage.logs.glob("*.log"))
    assert "'unasked': 1" in said, "what a run has read, and who did not answer, is in the service's log"
    site.until(lambda: (at := newest(site, "gpu-001")) and at > again, 30)
