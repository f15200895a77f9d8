"""The service modules through real ansible-playbook runs, both ways."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.component.collection.fake_service import PASSWORD, TOKEN, FakeService


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.close()


def api(service: FakeService, **more: Any) -> dict[str, Any]:
    return {"api_url": service.url, "api_token": TOKEN, **more}


def test_allocation_check_apply_repeat(plays: Any, service: FakeService) -> None:
    args = api(service, request="mine", gpu_count=8, template="ubuntu-24.04")
    ran = plays.life("allocation", args)
    assert [ran[number]["changed"] for number in range(3)] == [True, True, False], ran.output
    assert ran[0]["allocation"]["id"] is None
    assert ran[1]["allocation"]["id"] == ran[2]["allocation"]["id"] == "alloc_1"
    assert ran[1]["workflow"]["id"] == "wf_1"
    assert len(service.allocations) == 1
    assert ran[0]["diff"]["before"] == ran[1]["diff"]["before"] == {}
    assert TOKEN not in ran.output


def test_release_check_apply_repeat(plays: Any, service: FakeService) -> None:
    service.answer("POST", "/api/v1/gpu/allocate", {}, {"request": "mine", "gpu_count": 8, "template": "ubuntu-24.04"})
    service.allocations["alloc_1"]["status"] = "active"
    ran = plays.life("allocation", api(service, request="mine", state="absent"))
    assert [ran[number]["changed"] for number in range(3)] == [True, True, False], ran.output
    assert ran[0]["diff"]["after"]["status"] == ran[1]["diff"]["after"]["status"] == "releasing"


def test_server_check_apply_repeat(plays: Any, service: FakeService) -> None:
    service.add_server("gpu-01")
    ran = plays.life("server", api(service, name="gpu-01", flags={"hands_off": True, "reason": "vendor"}))
    assert [ran[number]["changed"] for number in range(3)] == [True, True, False], ran.output
    assert ran[0]["diff"] == ran[1]["diff"]
    assert ran[2]["server"]["hands_off_reason"] == "vendor"


def test_a_step_is_begun_and_ended(plays: Any, service: FakeService) -> None:
    service._new_workflow("wf_1", "alloc_1", "allocate")
    common = api(service, workflow_id="wf_1", step="provision", server="gpu-01", attempt=1, fence=0)
    ran = plays.run(
        [
            {"palebluedot.gpu.workflow_step": {**common, "phase": "begin"}},
            {"palebluedot.gpu.workflow_step": {**common, "phase": "end", "status": "succeeded", "result": {"a": [1]}}},
            {"palebluedot.gpu.workflow_step": {**common, "phase": "begin", "fence": 7}},
            {"palebluedot.gpu.workflow_step": {**common, "phase": "end"}},
        ]
    )
    assert [ran[number].get("action") for number in range(3)] == ["run", "run", "stop"], ran.output
    assert (ran[2]["failed"], ran[2]["error"]["code"]) == (True, "stopped")
    assert [entry["phase"] for entry in service.ledger] == ["begin", "end"]
    assert service.ledger[1]["result"] == {"a": [1]}
    assert ran[3]["failed"]
    assert "status" in ran[3]["msg"]


def test_a_service_that_is_away_is_a_failure_with_its_code(plays: Any, service: FakeService) -> None:
    service.away = True
    args = api(
        service,
        workflow_id="wf_1",
        step="provision",
        server="gpu-01",
        attempt=1,
        fence=1,
        phase="begin",
        wait_timeout=1,
    )
    ran = plays.run([{"palebluedot.gpu.workflow_step": {**args, "destructive": True}}])
    assert ran[0]["failed"]
    error = ran[0]["error"]
    assert (error["code"], error["host"], error["step"], error["retryable"]) == (
        "service_away",
        "gpu-01",
        "provision",
        True,
    )
    assert "destructive" in ran[0]["msg"]
    if plays.in_worker:
        assert "[localhost] the service is away" in ran.output


def test_the_claim_is_that_of_ansible_playbook(plays: Any, service: FakeService) -> None:
    """A killed run is recognised and taken over; one that lives is not."""
    claim = {"palebluedot.gpu.allocation": api(service, request="mine", gpu_count=8, template="u", claim=True)}
    sleep = {"ansible.builtin.pause": {"seconds": 60}}
    command, environment, results = plays.prepare([claim, sleep])
    first = subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not (results.exists() and results.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        claimant = service.workflows["wf_1"]["claimed_by"]
        assert claimant.split(":")[2] == str(first.pid)
        refused = plays.run([claim])
        assert refused[0]["error"]["code"] == "claim_held", refused.output
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    taken = plays.run([claim])
    assert taken[0]["changed"], taken.output
    assert service.workflows["wf_1"]["fence"] == 2


# -- what every module gets from the base ------------------------------------------------------------------------------


def test_options_come_from_groups_and_environment(plays: Any, service: FakeService, tmp_path: Path) -> None:
    service.add_server("gpu-01")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    ran = plays.run(
        [{"palebluedot.gpu.server": {"name": "{{ inventory_hostname }}"}}],
        hosts=["gpu-01"],
        play={
            "module_defaults": {"group/palebluedot.gpu.service": {"api_url": "{{ url }}"}},
            "vars": {"url": service.url},
        },
        env={"PALEBLUEDOT_TOKEN_FILE": str(token)},
    )
    assert ran[0]["server"]["name"] == "gpu-01", ran.output


def test_wrong_options_are_told_as_by_any_module(plays: Any) -> None:
    ran = plays.run(
        [
            {"palebluedot.gpu.server": {"name": "gpu-01", "colour": "blue"}},
            {"palebluedot.gpu.server": {"state": "present"}},
            {"palebluedot.gpu.server": {"name": "gpu-01", "state": "on fire"}},
            {"palebluedot.gpu.allocation": {"fence": 1, "request": "mine"}},
        ]
    )
    messages = [ran[number]["msg"] for number in range(4)]
    assert "Unsupported parameters for (palebluedot.gpu.server) module: colour" in messages[0]
    assert "missing required arguments: name" in messages[1]
    assert "value of state must be one of: present, cleaning, maintenance, inspecting, got: on fire" in messages[2]
    assert "workflow_id" in messages[3]


def test_a_host_needs_no_connection(plays: Any, service: FakeService) -> None:
    """A server's operating system is of no concern to its record: ssh would not get there, and is not tried."""
    service.add_server("gpu-01")
    ran = plays.run(
        [{"palebluedot.gpu.server": api(service, name="gpu-01")}],
        hosts=["gpu-01"],
        play={"vars": {"ansible_connection": "ssh", "ansible_python_interpreter": "/no/python"}},
    )
    assert ran[0]["server"]["name"] == "gpu-01", ran.output


def test_async_runs_a_real_module(worker_plays: Any, service: FakeService) -> None:
    service.add_server("gpu-01")
    task = {"palebluedot.gpu.server": api(service, name="gpu-01"), "async": 60, "poll": 1}
    # with async the host's own connection and interpreter count, as for any module
    play = {"connection": "local", "vars": {"ansible_python_interpreter": sys.executable}}
    ran = worker_plays.run([task], play=play)
    assert ran[0].get("server", {}).get("name") == "gpu-01", ran.output
    assert ran[0]["ansible_job_id"]


def a_bastion(directory: Path) -> dict[str, Any]:
    """Another machine, as far as Ansible knows: ssh to it runs the command here."""
    script = directory / "ssh"
    script.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    script.chmod(0o755)
    return {
        "ansible_ssh_executable": str(script),
        "ansible_python_interpreter": sys.executable,
        "ansible_host": "bastion",
    }


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_secret_goes_to_another_machine_through_a_pipe_only(
    worker_plays: Any, service: FakeService, tmp_path: Path, pipelining: bool
) -> None:
    service.add_server("gpu-01")
    task = {"palebluedot.gpu.server": {"name": "gpu-01"}, "delegate_to": "bastion"}
    play = {"vars": {**a_bastion(tmp_path), "ansible_ssh_pipelining": pipelining}}
    ran = worker_plays.run(
        [task],
        hosts=["gpu-01", "bastion"],
        play={**play, "hosts": "gpu-01", "connection": "ssh"},
        env={"PALEBLUEDOT_URL": service.url, "PALEBLUEDOT_TOKEN": TOKEN},
    )
    if pipelining:
        assert ran[0]["server"]["name"] == "gpu-01", ran.output
    else:
        assert ran[0]["error"]["code"] == "secret_needs_pipelining", ran.output
        assert service.said == []
    assert TOKEN not in ran.output


def test_a_resolved_credential_is_masked(worker_plays: Any, service: FakeService) -> None:
    """The password comes back in a message of the switch's address, which is the same word."""
    service.add_server("gpu-01")
    args = api(
        service,
        switch_address="127.0.0.1",
        switch_grpc_port=1,
        switch_credential="service:gpu-01",
        switch_ca_path=f"/tmp/{PASSWORD}.pem",
        interface="Ethernet1",
        vlan=5,
    )
    ran = worker_plays.run([{"palebluedot.gpu.switch_port": args}], options=("-vvv",))
    assert ran[0]["failed"]
    assert PASSWORD not in ran[0]["msg"]
    assert "********" in ran[0]["msg"]


def test_a_worker_dies_with_ansible_playbook(worker_plays: Any, service: FakeService) -> None:
    """SIGKILL of the parent (a cancelled job) must not leave an orphan that goes on."""
    service.away = True
    args = api(
        service, workflow_id="wf_1", step="erase", server="gpu-01", attempt=1, fence=1, phase="begin", wait_timeout=300
    )
    command, environment, _ = worker_plays.prepare([{"palebluedot.gpu.workflow_step": args}])
    playbook = subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not service.said and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(pid) for pid in Path(f"/proc/{playbook.pid}/task/{playbook.pid}/children").read_text().split()]
    assert workers
    os.kill(playbook.pid, signal.SIGKILL)
    playbook.wait()
    deadline = time.monotonic() + 10
    while alive := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"{alive} outlived ansible-playbook")
        time.sleep(0.05)
