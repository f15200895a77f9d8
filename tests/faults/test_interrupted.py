"""Runs that somebody ends in the middle: resumed by name, released half-way, frozen, or only tried out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from cli import children
from tests.support.killing import playbook_of, reached
from tests.support.site import Site

pytestmark = pytest.mark.faults
SITE = {"servers": 3}

REQUEST = {"gpu_count": 8, "template": "ubuntu-24.04"}
# what reading leaves in a lab's log: sessions come and go
HARMLESS = ("/SessionService/", "session")


def writes(site: Site, since: int) -> list[str]:
    """What changed at any device since then."""
    return [
        f"{entry['machine']} {entry['layer']} {entry['action']}"
        for entry in site.log(since=since)
        if not any(word in entry["action"] for word in HARMLESS)
    ]


def allocation_named(site: Site, name: str) -> dict[str, Any]:
    return next(row for row in site.client.allocations() if row["request"] == name)


@pytest.mark.timeout(400)
def test_a_run_by_hand_that_was_killed_is_resumed_by_its_name(site: Site) -> None:
    arguments = ["-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", "request=mine"]
    run = subprocess.Popen(
        ["ansible-playbook", "playbooks/allocate.yml", *arguments],
        cwd=children.ROOT,
        env=site.playbook_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        site.until(lambda: any(row["request"] == "mine" for row in site.client.allocations()), 60)
        workflow_id = allocation_named(site, "mine")["workflow_id"]
        site.until(lambda: reached(workflow_id, "during", "provision"), 60)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait(10)
    # the claim of the dead run is taken over at once: its process is known to be gone
    again = site.playbook("allocate.yml", "-e", "request=mine")
    assert again.returncode == 0
    allocation = allocation_named(site, "mine")
    assert allocation["status"] == "active"
    assert allocation["workflow_id"] == workflow_id
    machine = site.lab("GET", f"/machines/{allocation['servers'][0]['name']}")
    assert machine["posts"] in (1, 2)
    site.playbook("release.yml", "-e", "request=mine")
    assert allocation_named(site, "mine")["status"] == "released"


@contextmanager
def spoiling(site: Site, step: str, spoil: str) -> Iterator[str]:
    """The address of a proxy that spoils one answer of the service: the first one to the good end of that step.

    ``broken off``: the head comes and the body does not, as from a service killed in between. ``garbage``: no JSON.
    ``away``: no good end of that step gets through, everything else does.
    """
    spoiled = threading.Event()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            end_of_step = f"/steps/{step}/" in self.path and json.loads(body or b"{}").get("status") == "succeeded"
            if end_of_step and spoil == "away":
                spoiled.set()
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = requests.request(
                self.command, site.stage.url + self.path, data=body, headers=headers, timeout=60, allow_redirects=False
            )
            content = answer.content
            if end_of_step and not spoiled.is_set():
                spoiled.set()
                content = b"" if spoil == "broken off" else b"<html>" + b" " * len(content)
                self.close_connection = True
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(content or answer.content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

        def log_message(self, *_: Any) -> None:
            return

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
        assert spoiled.is_set(), f"{step} never ended well"
    finally:
        proxy.shutdown()
        thread.join(5)
        proxy.server_close()


@pytest.mark.timeout(400)
def test_an_answer_of_the_service_that_breaks_off_is_asked_for_again(site: Site) -> None:
    with spoiling(site, "hardware_check", "broken off") as url:
        named = ("-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", "request=broken-off")
        site.playbook("allocate.yml", *named, environment={"PALEBLUEDOT_URL": url})
    allocation = allocation_named(site, "broken-off")
    assert allocation["status"] == "active"
    assert site.client.workflow(allocation["workflow_id"])["attempt"] == 1
    site.playbook("release.yml", "-e", "request=broken-off")


@pytest.mark.timeout(400)
def test_a_step_that_the_ledger_knows_to_be_done_is_not_done_for_nothing(site: Site) -> None:
    """The playbook does not take the step for failed, says what came instead, and the next run goes on behind it."""
    named = ("-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", "request=garbage")
    with spoiling(site, "hardware_check", "garbage") as url:
        done = site.playbook("allocate.yml", *named, check=False, environment={"PALEBLUEDOT_URL": url})
    assert done.returncode != 0
    assert re.search(r"hardware_check is done on gpu-\d+: \S+ the service's answer is not JSON", done.stdout)
    assert "has ended before" not in done.stdout, "the ledger was told that it failed"
    site.playbook("allocate.yml", *named)
    allocation = allocation_named(site, "garbage")
    assert allocation["status"] == "active"
    workflow = site.client.workflow(allocation["workflow_id"])
    assert {row["status"] for row in workflow["steps"]} <= {"succeeded", "skipped"}
    site.playbook("release.yml", "-e", "request=garbage")


@pytest.mark.timeout(400)
def test_a_done_step_whose_end_could_not_be_told_is_no_failed_one(site: Site, tmp_path: Path) -> None:
    """The service is away when a step is done, longer than is waited for it, and there again a moment later."""
    asked = site.client.allocate({**REQUEST, "executor": "external"}, request="untold")
    document = site.client.run_document(asked["workflow_id"])
    claim = site.client.claim(asked["workflow_id"], "external:elsewhere:1:x")
    first = tmp_path / "first.yml"
    first.write_text(f"""
- hosts: {document["servers"][0]["name"]}
  gather_facts: false
  module_defaults:
    palebluedot.gpu.workflow_step:
      workflow_id: {asked["workflow_id"]}
      step: "{{{{ step.name }}}}"
      server: "{{{{ server.name }}}}"
      attempt: {claim["attempt"]}
      fence: {claim["fence"]}
      wait_timeout: 2
  vars:
    step: {json.dumps(next(step for step in document["steps"] if step["name"] == "reserve"))}
    server: {json.dumps(document["servers"][0])}
    run: {json.dumps(document)}
    resume_command: allocate again
  tasks:
    - ansible.builtin.include_tasks: {children.ROOT}/playbooks/tasks/first.yml
""")
    with spoiling(site, "reserve", "away") as url:
        done = site.playbook(
            os.path.relpath(first, children.ROOT / "playbooks"), check=False, environment={"PALEBLUEDOT_URL": url}
        )
    assert "reserve is done on" in done.stdout and "its end is not in the ledger" in done.stdout.lower(), done.stdout
    workflow = site.client.workflow(asked["workflow_id"])
    assert [(row["step"], row["status"]) for row in workflow["steps"]] == [("reserve", "running")]
    # whoever goes on finds a run that was lost, which costs the step no retry
    site.playbook("allocate.yml", "-e", "request=untold", "-e", "takeover=true")
    workflow = site.client.workflow(asked["workflow_id"])
    assert {row["error"]["code"] for row in workflow["steps"] if row["status"] == "failed"} == {"job_lost"}
    assert (workflow["status"], workflow["attempt"]) == ("succeeded", 2)
    site.playbook("release.yml", "-e", "request=untold")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", ["network_provisioning", "provision", "verify_reach"])
def test_a_release_in_the_middle_of_an_allocation_ends_clean(site: Site, step: str) -> None:
    asked = site.client.allocate(REQUEST, request=f"half-way-{step}")
    site.until(lambda: reached(asked["workflow_id"], "during", step), 90)
    released = site.client.release(asked["allocation_id"])
    name = site.client.allocation(asked["allocation_id"])["servers"][0]["name"]
    erased = [disk["erase_count"] for disk in site.lab("GET", f"/machines/{name}")["disks"]]
    workflow = site.wait(released["workflow_id"], 240)
    assert workflow["status"] == "succeeded", workflow
    assert site.client.workflow(asked["workflow_id"])["status"] == "cancelled"
    record = site.record(asked["allocation_id"])
    assert (record["allocation"], record["server_status"]) == ("released", ["available"])
    machine = site.lab("GET", f"/machines/{name}")
    assert machine["power"] == "Off"
    assert [disk["erase_count"] for disk in machine["disks"]] == [count + 1 for count in erased]
    assert all(disk["image"] is None for disk in machine["disks"])
    # nothing of either workflow is left in Tinkerbell for the next tenant's agent to find
    left = [entry for entry in kubernetes_names(site) if name in entry]
    assert left == []


def kubernetes_names(site: Site) -> list[str]:
    """Names of the Workflows and Templates that the cluster still holds."""
    from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube
    from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.objects import TEMPLATE, WORKFLOW, Objects

    with Kube(str(site.stage.facts["kubeconfig"]), None) as kube:
        return [
            item["metadata"]["name"]
            for kind in (WORKFLOW, TEMPLATE)
            for item in Objects(kube, kind, "tinkerbell").labelled(None)
        ]


@pytest.mark.timeout(300)
def test_a_freeze_holds_a_workflow_and_its_end_lets_it_go_on(site: Site) -> None:
    site.client.set_freeze(True, "maintenance of the power feed")
    try:
        with pytest.raises(Exception, match="frozen"):
            site.client.allocate(REQUEST, request="while-frozen")
    finally:
        site.client.set_freeze(False)
    asked = site.client.allocate(REQUEST, request="frozen-half-way")
    site.until(lambda: reached(asked["workflow_id"], "during", "hardware_check"), 60)
    site.client.set_freeze(True, "maintenance of the power feed")
    try:
        site.until(lambda: site.client.workflow(asked["workflow_id"])["status"] == "held", 60)
        mark = site.mark()
        time.sleep(2)
        assert not [deed for deed in writes(site, mark) if "disk" in deed or "power" in deed]
    finally:
        site.client.set_freeze(False)
    assert site.wait(asked["workflow_id"], 120)["status"] == "succeeded"
    assert site.wait(site.client.release(asked["allocation_id"])["workflow_id"], 120)["status"] == "succeeded"


@pytest.mark.timeout(300)
def test_check_mode_walks_every_step_and_changes_nothing(site: Site) -> None:
    # a new request, and one that is reserved but not begun
    mark = site.mark()
    tried = site.playbook(
        "allocate.yml", "--check", "-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", "request=dry"
    )
    assert tried.returncode == 0
    assert not any(row["request"] == "dry" for row in site.client.allocations())
    asked = site.client.allocate({**REQUEST, "executor": "external"}, request="dry-external")
    site.playbook("allocate.yml", "--check", "--diff", "-e", "request=dry-external")
    assert site.client.workflow(asked["workflow_id"])["status"] == "pending"
    assert writes(site, mark) == []
    # an allocation that is active
    site.playbook("allocate.yml", "-e", "request=dry-external")
    mark = site.mark()
    site.playbook("release.yml", "--check", "--diff", "-e", "request=dry-external")
    assert site.client.allocation(asked["allocation_id"])["status"] == "active"
    assert writes(site, mark) == []
    site.playbook("release.yml", "-e", "request=dry-external")


@pytest.mark.timeout(200)
def test_the_playbook_of_a_workflow_dies_with_its_scheduler(site: Site) -> None:
    asked = site.client.allocate(REQUEST, request="orphan")
    site.until(lambda: playbook_of(asked["workflow_id"]) is not None, 60)
    child = site.stage.supervisor.children["scheduler"]
    os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait(10)
    site.until(lambda: playbook_of(asked["workflow_id"]) is None, 15)
    site.stage.supervisor.start("scheduler")
    assert site.wait(asked["workflow_id"], 150)["status"] == "succeeded"
    assert site.wait(site.client.release(asked["allocation_id"])["workflow_id"], 120)["status"] == "succeeded"
