# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes of their own: whoever is killed, nothing is left; the token is in one file and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler import jobs, processes
from scheduler.jobs import Job
from scheduler.launchers import RunnerLauncher, SupervisedJob

MakeJob = Callable[..., Job]
Eventually = Callable[..., Any]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def sleeping(job: Job) -> bool:
    return any(command_line(pid).startswith("sleep 300") for pid in processes.carrying(job.id))


@pytest.fixture
def start(make_job: MakeJob, eventually: Eventually) -> Callable[..., SupervisedJob]:
    """Start a job without a workflow and wait for its long task."""

    def start_job(playbook: str, **changes: Any) -> SupervisedJob:
        job = make_job(playbook, workflow_id=None, parent_pid=os.getpid(), **changes)
        handle = RunnerLauncher().start(job)
        eventually(lambda: sleeping(job))
        return handle

    return start_job


def test_a_job_runs_and_ends(make_job: MakeJob, eventually: Eventually) -> None:
    job = make_job("good", workflow_id=None, parent_pid=os.getpid())
    handle = RunnerLauncher().start(job)
    eventually(lambda: handle.poll() is not None)
    assert handle.poll() == 0
    assert not job.directory.exists()


def test_cancel_ends_the_playbook_and_what_detached_from_it(start: Any, eventually: Eventually) -> None:
    handle = start("detach")
    assert any("sleep 301" in command_line(pid) for pid in processes.carrying(handle.job.id))
    handle.cancel()
    assert eventually(lambda: handle.poll() is not None)
    assert not processes.carrying(handle.job.id)
    assert not handle.job.directory.exists()


def test_the_playbook_dies_with_a_killed_supervisor(start: Any, eventually: Eventually) -> None:
    handle = start("sleep")
    os.kill(handle.pid, signal.SIGKILL)
    # nobody polls the handle yet: this is the kernel's and ansible-playbook's own work
    eventually(lambda: not processes.carrying(handle.job.id))
    assert handle.job.directory.exists()
    assert handle.poll() == -signal.SIGKILL
    assert not handle.job.directory.exists()


def test_detached_processes_of_a_killed_supervisor_are_ended_by_the_handle(start: Any, eventually: Eventually) -> None:
    handle = start("detach")
    os.kill(handle.pid, signal.SIGKILL)
    assert eventually(handle.poll) == -signal.SIGKILL
    assert not processes.carrying(handle.job.id)


def test_kill_ends_everything_before_it_returns(start: Any) -> None:
    handle = start("detach")
    handle.kill()
    assert not processes.carrying(handle.job.id)
    assert not handle.job.directory.exists()


SCHEDULER = """
import sys, time
from scheduler.jobs import Job
from scheduler.launchers import RunnerLauncher
handle = RunnerLauncher().start(Job.from_json(sys.stdin.read().replace('"PARENT"', str(__import__("os").getpid()))))
print(handle.pid, flush=True)
while True:
    time.sleep(60)
"""


@pytest.fixture
def foreign(make_job: MakeJob, eventually: Eventually) -> Any:
    """A job started by another process: (that process, its supervisor's pid, the job)."""

    def start_there(playbook: str) -> tuple[subprocess.Popen[str], int, Job]:
        job = make_job(playbook, workflow_id=None, parent_pid="PARENT")
        scheduler = subprocess.Popen(
            [sys.executable, "-c", SCHEDULER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert scheduler.stdin is not None
        assert scheduler.stdout is not None
        with scheduler.stdin as pipe:
            pipe.write(job.to_json())
        supervisor = int(scheduler.stdout.readline())
        scheduler.stdout.close()
        eventually(lambda: sleeping(job))
        return scheduler, supervisor, job

    return start_there


def test_supervisors_and_playbooks_end_with_a_killed_scheduler(foreign: Any, eventually: Eventually) -> None:
    scheduler, supervisor, job = foreign("detach")
    scheduler.kill()
    scheduler.wait()
    eventually(lambda: not Path(f"/proc/{supervisor}").exists())
    assert not processes.carrying(job.id)
    assert not job.directory.exists()


def test_the_next_scheduler_sweeps_what_was_killed_at_one_stroke(foreign: Any, eventually: Eventually) -> None:
    scheduler, supervisor, job = foreign("detach")
    assert jobs.sweep() == []  # a living job is left alone
    playbook = min(processes.carrying(job.id), key=processes.started)
    for pid in (scheduler.pid, supervisor, playbook):
        os.kill(pid, signal.SIGKILL)
    scheduler.wait()
    eventually(lambda: not jobs.owner_alive(job.directory))
    assert processes.carrying(job.id), "this test needs an orphan"
    assert jobs.sweep() == [job.id]
    assert not processes.carrying(job.id)
    assert not job.directory.exists()
    assert jobs.sweep() == []


def test_the_token_is_in_its_file_and_nowhere_else(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALEBLUEDOT_DATABASE_URL", "postgresql://u:hush-hush@db/x")
    handle = start("read_token")  # the playbook asserts that it reads the whole token
    token, hidden = handle.job.token.encode(), b"hush-hush"
    pids = processes.carrying(handle.job.id) | {handle.pid}
    assert len(pids) >= 3
    for pid in pids:
        for place in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{place}").read_bytes()
            assert token not in content, f"{place} of {command_line(pid)}"
            assert hidden not in content, f"{place} of {command_line(pid)}"
    directory = handle.job.directory
    assert directory.stat().st_mode & 0o777 == 0o700
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.name for path in files if token in path.read_bytes()} == {"token"}
    assert not [path for path in files if hidden in path.read_bytes()]
    assert (directory / "token").stat().st_mode & 0o777 == 0o600
    assert len(files) > 3
    handle.kill()


def test_a_supervisor_that_cannot_start_is_an_os_error(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    big = make_job("good", extravars={"x": "y" * 1_000_000})  # more than a pipe holds
    with pytest.raises(OSError, match="ended at once"):
        RunnerLauncher().start(big)


def test_a_spare_takes_the_next_job_and_a_dead_one_is_replaced(make_job: MakeJob, eventually: Eventually) -> None:
    launcher = RunnerLauncher(spare=True)
    for dead in (False, True):
        launcher._last_start = float("-inf")
        launcher.prepare()
        assert launcher._spare is not None
        spare = launcher._spare.pid
        if dead:
            launcher._spare.kill()
            launcher._spare.wait()
        job = make_job("good", workflow_id=None, parent_pid=os.getpid(), extravars={"attempt": 1})
        handle = launcher.start(job)
        assert (handle.pid == spare) is not dead
        eventually(lambda handle=handle: handle.poll() is not None)
        assert handle.poll() == 0
    launcher.prepare()
    assert launcher._spare is None, "the last job has only just been started"
    launcher._last_start = float("-inf")
    launcher.prepare()
    spare = launcher._spare.pid
    launcher.close()
    assert not Path(f"/proc/{spare}").exists()
