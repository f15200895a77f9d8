# SPDX-License-Identifier: Apache-2.0
"""The fork server's conversation with the scheduler, and what a forked supervisor begins with."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scheduler import processes, supervisor
from scheduler.forkserver import ForkServer
from scheduler.jobs import Job, Outcome


def a_job(**changes: Any) -> Job:
    return Job(playbook="p.yml", project_dir="/", extravars={}, token="t", environment={}, **changes)


@pytest.fixture
def signals() -> Iterator[None]:
    """What the tests change, put back."""
    numbers = (signal.SIGCHLD, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def converse(signals: None) -> Callable[[list[Job]], list[str]]:
    """Send jobs to a fork server in this process, and return what it said until all of them had ended."""

    def send(jobs: list[Job]) -> list[str]:
        inbox, writer = os.pipe()
        reader, outbox = os.pipe()
        said: list[str] = []

        def scheduler() -> None:
            text = "".join(job.to_json() + "\n" for job in jobs).encode()
            # in two pieces: a pipe knows no lines
            os.write(writer, text[:40])
            os.write(writer, text[40:])
            with os.fdopen(reader) as answers:
                while sum(line.startswith("ended") for line in said) < len(jobs):
                    said.append(answers.readline().strip())
            os.close(writer)

        thread = threading.Thread(target=scheduler)
        thread.start()
        ForkServer(inbox, outbox).serve()
        thread.join()
        os.close(inbox)
        os.close(outbox)
        return said

    return send


def test_every_job_is_announced_and_its_end_is_told(
    converse: Callable[[list[Job]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = {"good": 0, "bad": 1}
    monkeypatch.setattr(supervisor, "main", lambda job, parent: statuses[job.id] if parent == os.getppid() else 99)
    said = converse([a_job(id="good"), a_job(id="bad")])
    assert said[0] == "ready"
    assert {line.rpartition(" ")[0] for line in said if line.startswith("started")} == {"started good", "started bad"}
    assert {line for line in said if line.startswith("ended")} == {"ended good 0", "ended bad 1"}


def test_a_supervisor_that_raises_or_is_killed_is_told_too(
    converse: Callable[[list[Job]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def main(job: Job, parent: int) -> int:
        if job.id == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise SystemExit("must not reach the server's loop")

    monkeypatch.setattr(supervisor, "main", main)
    said = converse([a_job(id="killed"), a_job(id="raises")])
    assert {line for line in said if line.startswith("ended")} == {"ended killed -9", "ended raises 70"}


def test_a_supervisor_begins_with_a_clean_environment_and_drains_on_sigterm(
    signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "die_with_parent", lambda parent: seen.append(parent))
    monkeypatch.setattr(processes, "adopt_orphans", lambda: None)
    seen: list[Any] = []

    def run(self: supervisor.Supervisor) -> Outcome:
        seen.append(dict(os.environ))
        signal.raise_signal(signal.SIGTERM)
        stop = self._stops.get(timeout=1)
        assert stop is not None
        self.surrendered = True
        return stop.outcome

    monkeypatch.setattr(supervisor.Supervisor, "run", run)
    before = dict(os.environ)
    os.environ["PALEBLUEDOT_MASTER_KEY"] = "hush"
    try:
        assert supervisor.main(a_job(workflow_id="wf_1"), parent=4711) == 0
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert seen[0] == 4711
    assert "PALEBLUEDOT_MASTER_KEY" not in seen[1]
    assert seen[1]["PATH"] == before["PATH"]
