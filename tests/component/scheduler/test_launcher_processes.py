# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes of their own: whoever is killed, nothing is left; the token is in one file and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler import jobs, processes
from scheduler.jobs import Job
from scheduler.launchers import RunnerLauncher, SupervisedJob
from tests.component.scheduler.conftest import command_line, sleeping

MakeJob = Callable[..., Job]
Eventually = Callable[..., Any]


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunnerLauncher]:
    # what the service's environment holds must not reach a job's
    monkeypatch.setenv("PALEBLUEDOT_DATABASE_URL", "postgresql://u:hush-hush@db/x")
    launcher = RunnerLauncher()
    yield launcher
    launcher.close()


@pytest.fixture
def start(launcher: RunnerLauncher, make_job: MakeJob, eventually: Eventually) -> Callable[..., SupervisedJob]:
    """Start a job without a workflow and wait for its long task."""

    def start_job(playbook: str, **changes: Any) -> SupervisedJob:
        handle = launcher.start(make_job(playbook, workflow_id=None, **changes))
        eventually(lambda: sleeping(handle.job))
        return handle

    return start_job


def supervisor_of(handle: SupervisedJob) -> int:
    assert handle.pid is not None
    return handle.pid


def test_jobs_run_and_end_side_by_side(launcher: RunnerLauncher, make_job: MakeJob, eventually: Eventually) -> None:
    handles = [launcher.start(make_job("good", workflow_id=None)) for _ in range(2)]
    eventually(lambda: all(handle.poll() is not None for handle in handles))
    assert [handle.poll() for handle in handles] == [0, 0]
    assert not any(handle.job.directory.exists() for handle in handles)


def test_cancel_ends_the_playbook_and_what_detached_from_it(start: Any, eventually: Eventually) -> None:
    handle = start("detach")
    assert any("sleep 301" in command_line(pid) for pid in processes.carrying(handle.job.id))
    handle.cancel()
    assert eventually(lambda: handle.poll() is not None)
    assert not processes.carrying(handle.job.id)
    assert not handle.job.directory.exists()


def test_the_playbook_dies_with_a_killed_supervisor(start: Any, eventually: Eventually) -> None:
    handle = start("sleep")
    os.kill(supervisor_of(handle), signal.SIGKILL)
    # nobody polls the handle yet: this is the kernel's and ansible-playbook's own work
    eventually(lambda: not processes.carrying(handle.job.id))
    assert handle.job.directory.exists()
    assert handle.poll() == -signal.SIGKILL
    assert not handle.job.directory.exists()


def test_detached_processes_of_a_killed_supervisor_are_ended_by_the_handle(start: Any, eventually: Eventually) -> None:
    handle = start("detach")
    os.kill(supervisor_of(handle), signal.SIGKILL)
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
launcher = RunnerLauncher()
handle = launcher.start(Job.from_json(sys.stdin.read()))
while handle.pid is None:
    time.sleep(0.05)
print(launcher.server_pid, handle.pid, flush=True)
while True:
    time.sleep(60)
"""


@pytest.fixture
def foreign(make_job: MakeJob, eventually: Eventually) -> Iterator[Any]:
    """A job started by another process: (that process, pids of its fork server and supervisor, the job)."""
    started: list[subprocess.Popen[str]] = []

    def start_there(playbook: str) -> tuple[subprocess.Popen[str], list[int], Job]:
        job = make_job(playbook, workflow_id=None)
        scheduler = subprocess.Popen(
            [sys.executable, "-c", SCHEDULER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(scheduler)
        assert scheduler.stdin is not None
        assert scheduler.stdout is not None
        with scheduler.stdin as pipe:
            pipe.write(job.to_json())
        pids = [int(word) for word in scheduler.stdout.readline().split()]
        scheduler.stdout.close()
        eventually(lambda: sleeping(job))
        return scheduler, pids, job

    yield start_there
    for scheduler in started:  # a test that failed half-way leaves nothing either
        scheduler.kill()
        scheduler.wait(10)


def test_supervisors_and_playbooks_end_with_a_killed_scheduler(foreign: Any, eventually: Eventually) -> None:
    scheduler, pids, job = foreign("detach")
    scheduler.kill()
    scheduler.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert not processes.carrying(job.id)
    assert not job.directory.exists()


def test_the_next_scheduler_sweeps_what_was_killed_at_one_stroke(foreign: Any, eventually: Eventually) -> None:
    scheduler, pids, job = foreign("detach")
    assert job.id not in jobs.sweep()  # a living job is left alone
    playbook = processes.first(processes.carrying(job.id))
    assert playbook
    for pid in (scheduler.pid, *pids, playbook):
        os.kill(pid, signal.SIGKILL)
    scheduler.wait()
    eventually(lambda: not jobs.owner_alive(job.directory))
    assert processes.carrying(job.id), "this test needs an orphan"
    assert job.id in jobs.sweep()  # other schedulers of this machine may have left theirs
    assert not processes.carrying(job.id)
    assert not job.directory.exists()
    assert job.id not in jobs.sweep()


def test_the_token_is_in_its_file_and_nowhere_else(start: Any, launcher: RunnerLauncher) -> None:
    handle = start("read_token")  # the playbook asserts that it reads the whole token
    token, hidden = handle.job.token.encode(), b"hush-hush"
    pids = processes.carrying(handle.job.id) | {supervisor_of(handle), launcher.server_pid}
    assert len(pids) >= 4
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


def test_a_fork_server_that_cannot_start_is_an_os_error(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    launcher = RunnerLauncher()
    with pytest.raises(OSError, match="fork server has ended"):
        launcher.start(make_job("good", extravars={"x": "y" * 1_000_000}))  # more than a pipe holds
    assert launcher.prepare() is False
    launcher.close()


def test_a_killed_fork_server_ends_its_jobs_and_is_started_again(
    start: Any, launcher: RunnerLauncher, make_job: MakeJob, eventually: Eventually
) -> None:
    handle = start("detach")
    before = launcher.server_pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert eventually(handle.poll) != 0
    assert not processes.carrying(handle.job.id)
    assert not handle.job.directory.exists()
    eventually(launcher.prepare)
    assert launcher.server_pid != before
    handle = launcher.start(make_job("good", workflow_id=None))
    eventually(lambda: handle.poll() is not None)
    assert handle.poll() == 0


def test_a_job_that_cannot_even_begin_ends_with_an_error(
    launcher: RunnerLauncher, make_job: MakeJob, eventually: Eventually
) -> None:
    job = make_job("good", workflow_id=None)
    job.directory.mkdir()  # another supervisor's, it must think
    handle = launcher.start(job)
    assert eventually(handle.poll) == 70
