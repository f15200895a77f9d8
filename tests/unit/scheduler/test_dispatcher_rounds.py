# SPDX-License-Identifier: Apache-2.0
"""The dispatcher's rounds, with jobs that are only said to run."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import dispatcher as dispatcher_module
from scheduler.dispatcher import Dispatcher
from scheduler.jobs import Job, Outcome


def a_job(number: int = 1) -> Job:
    return Job(
        playbook="p.yml", project_dir="/", extravars={}, token="t", environment={}, workflow_id=f"wf_{number}", fence=1
    )


class FakeHandle:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.status: int | None = None
        self.cancelled = self.killed = False
        self.obedient = True

    def poll(self) -> int | None:
        return self.status

    def cancel(self) -> None:
        self.cancelled = True
        if self.obedient:
            self.status = 0

    def kill(self) -> None:
        self.killed = True
        self.status = -9


class FakeLauncher:
    def __init__(self) -> None:
        self.handles: list[FakeHandle] = []
        self.error: OSError | None = None
        self.closed = False
        self.ready = True

    def start(self, job: Job) -> FakeHandle:
        if self.error:
            raise self.error
        self.handles.append(FakeHandle(job))
        return self.handles[-1]

    def prepare(self) -> bool:
        return self.ready

    def close(self) -> None:
        self.closed = True


class Bench:
    """A dispatcher with a queue of workflows, and what it reported."""

    def __init__(self, jobs: int = 0, slots: int = 2) -> None:
        self.queue = [a_job(number) for number in range(jobs)]
        self.reports: list[tuple[str | None, Outcome, dict[str, Any]]] = []
        self.launcher = FakeLauncher()
        self.asked = 0
        self.error: Exception | None = None
        self.dispatcher = Dispatcher(self.claim, self.report, self.launcher, slots)

    def claim(self) -> Job | None:
        self.asked += 1
        if self.error:
            raise self.error
        return self.queue.pop(0) if self.queue else None

    def report(self, job: Job, outcome: Outcome, error: dict[str, Any]) -> None:
        self.reports.append((job.workflow_id, outcome, error))


def test_it_claims_only_while_there_is_room() -> None:
    bench = Bench(jobs=5, slots=2)
    bench.dispatcher.tick()
    assert bench.dispatcher.running == 2
    assert len(bench.queue) == 3
    bench.dispatcher.tick()
    assert len(bench.queue) == 3
    bench.launcher.handles[0].status = 0
    bench.dispatcher.tick()
    assert (bench.dispatcher.running, len(bench.queue)) == (2, 2)
    assert bench.reports == []


def test_a_killed_supervisor_is_reported_at_once() -> None:
    bench = Bench(jobs=1)
    bench.dispatcher.tick()
    bench.launcher.handles[0].status = -9
    bench.dispatcher.tick()
    [(workflow, outcome, error)] = bench.reports
    assert (workflow, outcome, error["code"]) == ("wf_0", Outcome.KILLED, "supervisor_died")
    assert bench.dispatcher.running == 0


def test_a_job_that_cannot_be_started_is_reported() -> None:
    bench = Bench(jobs=1)
    bench.launcher.error = OSError("no more processes")
    bench.dispatcher.tick()
    assert bench.reports[0][2]["code"] == "launch_failed"
    assert bench.dispatcher.running == 0


def test_a_report_that_fails_is_left_to_the_reaper() -> None:
    bench = Bench(jobs=1)

    def report(*_: Any) -> None:
        raise ConnectionError("gone")

    bench.dispatcher._report = report
    bench.dispatcher.tick()
    bench.launcher.handles[0].status = 1
    bench.dispatcher.tick()
    assert bench.dispatcher.running == 0


def test_a_database_that_is_away_is_asked_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(dispatcher_module.time, "monotonic", lambda: now[0])
    bench = Bench(jobs=1)
    bench.error = ConnectionError("no route")
    for _ in range(100):
        now[0] += 0.2
        bench.dispatcher.tick()
    assert 5 <= bench.asked <= 10
    bench.error = None
    now[0] += 5.0
    bench.dispatcher.tick()
    assert bench.dispatcher.running == 1


def test_drain_asks_then_kills_within_its_limit() -> None:
    bench = Bench(jobs=2)
    bench.dispatcher.tick()
    bench.dispatcher.start_extra(a_job)
    stubborn = bench.launcher.handles[1]
    stubborn.obedient = False
    bench.dispatcher.drain(0.1)
    assert all(handle.cancelled for handle in bench.launcher.handles)
    assert [handle.killed for handle in bench.launcher.handles] == [False, True, False]
    # the killed one could not speak for itself, and the extra one is no workflow
    codes = {(workflow, error["code"]) for workflow, _, error in bench.reports}
    assert codes == {("wf_1", "ended"), (stubborn.job.workflow_id, "supervisor_died")}
    assert bench.dispatcher.running == 0
    assert bench.launcher.closed


def test_only_one_extra_job_runs_at_a_time_and_it_takes_no_slot() -> None:
    bench = Bench(jobs=1, slots=1)
    assert bench.dispatcher.start_extra(a_job)
    assert not bench.dispatcher.start_extra(a_job)
    bench.dispatcher.tick()
    assert bench.dispatcher.running == 1
    bench.dispatcher.cancel_extra()
    assert bench.launcher.handles[0].cancelled
    assert bench.dispatcher.start_extra(a_job)


def test_nothing_is_claimed_before_it_could_be_started() -> None:
    bench = Bench(jobs=1)
    bench.launcher.ready = False
    bench.dispatcher.tick()
    assert bench.asked == 0
    bench.launcher.ready = True
    bench.dispatcher.tick()
    assert bench.dispatcher.running == 1
