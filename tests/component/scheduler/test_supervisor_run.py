# SPDX-License-Identifier: Apache-2.0
"""One job, run in this process against a record in memory: how it ends, and that nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler import jobs, processes
from scheduler.jobs import Answer, Job, Outcome
from scheduler.supervisor import Supervisor
from tests.component.scheduler.conftest import sleeping

MakeJob = Callable[..., Job]


def later(condition: Callable[[], Any], action: Callable[[], Any]) -> threading.Thread:
    """Do something, in a thread, as soon as a condition holds (the supervisor has the main thread)."""

    def wait() -> None:
        until = time.monotonic() + 120
        while not condition() and time.monotonic() < until:
            time.sleep(0.05)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_good_playbook_succeeds_and_its_events_are_stored(make_job: MakeJob, record: Any) -> None:
    job = make_job("good", extravars={"attempt": 7})
    assert Supervisor(job, lambda: record).run() is Outcome.SUCCEEDED
    assert record.ended == [(Outcome.SUCCEEDED, None)]
    assert record.beats == 1
    assert [row["event"] for row in record.rows][-2:] == ["runner_on_ok", "playbook_on_stats"]
    assert any('"msg": "attempt 7"' in row["data"].get("stdout", "") for row in record.rows)
    assert not job.directory.exists()


def test_a_failing_playbook_fails_with_the_task_that_did_it(make_job: MakeJob, record: Any) -> None:
    assert Supervisor(make_job("bad"), lambda: record).run() is Outcome.FAILED
    [(outcome, error)] = record.ended
    assert outcome is Outcome.FAILED
    assert error["host"] == "localhost"
    assert (error["tried"], error["message"]) == ("ansible-playbook bad.yml", "task 'break' failed")
    assert error["answer"] == "the disk is on fire"


def test_a_playbook_that_does_not_parse_fails_with_what_ansible_said(make_job: MakeJob, record: Any) -> None:
    assert Supervisor(make_job("nonsense"), lambda: record).run() is Outcome.FAILED
    [(_, error)] = record.ended
    assert "YAML" in error["answer"]


def test_a_job_without_a_workflow_speaks_in_the_log(make_job: MakeJob, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "scheduler")
    alone = {"workflow_id": None, "token": "on fire"}
    good = make_job("good", extravars={"attempt": "7 on fire"}, **alone)
    assert Supervisor(good, None).run() is Outcome.SUCCEEDED
    (line,) = caplog.records
    assert line.levelname == "INFO" and "attempt 7 ********" in line.getMessage()
    caplog.clear()
    assert Supervisor(make_job("bad", **alone), None).run() is Outcome.FAILED
    (line,) = caplog.records
    assert line.levelname == "ERROR" and "bad.yml has failed: task 'break' failed" in line.getMessage()
    assert line.failure["answer"] == "the disk is ********", "as in the record: no secret"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("cancelled: by its user", Outcome.CANCELLED), ("the claim was lost", Outcome.STOPPED)],
)
def test_a_heartbeat_that_says_stop_ends_the_playbook_and_its_workers(
    make_job: MakeJob, record: Any, reason: str, outcome: Outcome
) -> None:
    job = make_job("sleep", claim_ttl_s=0.9, claimed_until=time.monotonic() + 60)
    thread = later(lambda: sleeping(job), lambda: setattr(record, "answer", Answer(False, reason)))
    assert Supervisor(job, lambda: record).run() is outcome
    thread.join()
    assert not processes.carrying(job.id)
    [(told, error)] = record.ended
    assert told is outcome
    assert error["message"] == f"the playbook was stopped: {reason}"


def test_the_deadline_ends_the_playbook(make_job: MakeJob, record: Any) -> None:
    job = make_job("sleep", deadline_s=2.0)
    assert Supervisor(job, lambda: record).run() is Outcome.TIMED_OUT
    [(outcome, error)] = record.ended
    assert (outcome, error["code"], error["retryable"]) == (Outcome.TIMED_OUT, "deadline_exceeded", False)
    assert not processes.carrying(job.id)


def test_a_record_that_does_not_answer_ends_the_playbook_before_the_claim_runs_out(
    make_job: MakeJob, record: Any
) -> None:
    record.fail = ConnectionError("no route to the database")
    job = make_job("sleep", claim_ttl_s=4.0, claimed_until=time.monotonic() + 4.0)
    begin = time.monotonic()
    assert Supervisor(job, lambda: record).run() is Outcome.LOST
    assert time.monotonic() - begin < 6.0
    assert not processes.carrying(job.id)


def test_what_left_the_process_tree_is_ended_too(make_job: MakeJob, record: Any) -> None:
    job = make_job("detach", claim_ttl_s=0.9, claimed_until=time.monotonic() + 60)
    thread = later(lambda: sleeping(job), lambda: setattr(record, "answer", Answer(False, "cancelled: enough")))
    assert Supervisor(job, lambda: record).run() is Outcome.CANCELLED
    thread.join()
    assert not processes.carrying(job.id)


def test_a_rescue_does_not_run_when_the_job_is_cancelled(make_job: MakeJob, record: Any, tmp_path: Path) -> None:
    mark = tmp_path / "rescued"
    job = make_job("rescue", extravars={"mark": str(mark)}, claim_ttl_s=0.9, claimed_until=time.monotonic() + 60)
    thread = later(lambda: sleeping(job), lambda: setattr(record, "answer", Answer(False, "cancelled: enough")))
    assert Supervisor(job, lambda: record).run() is Outcome.CANCELLED
    thread.join()
    assert not mark.exists()


def test_killed_ansible_playbook_leaves_no_worker(make_job: MakeJob, record: Any) -> None:
    job = make_job("sleep")

    def kill() -> None:
        playbook = processes.first(processes.carrying(job.id))
        assert playbook
        processes.send(playbook, processes.signal.SIGKILL)

    thread = later(lambda: sleeping(job), kill)
    assert Supervisor(job, lambda: record).run() is Outcome.FAILED
    thread.join()
    assert not processes.carrying(job.id)


def test_two_supervisors_cannot_have_one_job(make_job: MakeJob, record: Any) -> None:
    job = make_job("good")
    with jobs.private_directory(job), pytest.raises(FileExistsError):
        Supervisor(job, lambda: record).run()
    assert record.ended == []
