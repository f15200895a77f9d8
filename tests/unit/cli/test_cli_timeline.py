"""Following a workflow: what is printed, when it ends, what a failure says."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from cli.problems import Problem
from cli.timeline import Timeline, duration_s, failure


def step(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {"step": name, "server": "gpu-001", "attempt": 1, "status": status, **more}


def workflow(status: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "wf_1", "kind": "allocate", "status": status, "steps": list(steps), **more}


def replies(*answers: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    waiting = list(answers)
    return lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def follow(*answers: dict[str, Any], terminal: bool = False, deadline_s: float = 5.0) -> tuple[Any, str]:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=terminal, width=120)
    last = Timeline("allocate", console=console).follow(replies(*answers), deadline_s=deadline_s, poll_s=0)
    return last, sink.getvalue()


def test_a_line_for_each_change_and_none_twice() -> None:
    begun = "2026-08-01T12:00:00.000Z"
    last, text = follow(
        workflow("pending"),
        workflow("running", step("reserve", "running", started_at=begun)),
        workflow("running", step("reserve", "running", started_at=begun)),
        workflow("succeeded", step("reserve", "succeeded", started_at=begun, ended_at="2026-08-01T12:00:02.500Z")),
    )
    said = [line.split(" s  ", 1)[1].split() for line in text.splitlines()]
    assert said == [
        ["workflow", "pending"],
        ["reserve", "gpu-001", "running"],
        ["workflow", "running"],
        ["reserve", "gpu-001", "succeeded", "2.5", "s"],
        ["workflow", "succeeded"],
    ]
    assert last["status"] == "succeeded"


def test_a_second_attempt_is_its_own_line() -> None:
    first = step("provision", "failed", error={"message": "BMC is silent"})
    _, text = follow(
        workflow("running", first), workflow("succeeded", first, {**step("provision", "succeeded"), "attempt": 2})
    )
    assert "provision              gpu-001    failed – BMC is silent" in text
    assert "succeeded (attempt 2)" in text


def test_on_a_terminal_it_is_a_table() -> None:
    _, text = follow(workflow("succeeded", step("provision", "succeeded")), terminal=True)
    assert "STEP" in text
    assert "provision" in text


def test_gives_up_at_its_deadline() -> None:
    with pytest.raises(Problem) as caught:
        follow(workflow("running"), deadline_s=0.05)
    assert caught.value.code == "deadline_exceeded"
    assert "wf_1" in str(caught.value.next)


def test_a_step_that_has_not_begun_took_no_time() -> None:
    assert duration_s({"started_at": None, "ended_at": None}) is None


def test_a_failure_names_the_step_the_server_and_the_way_out() -> None:
    error = {"code": "busy", "message": "BMC is busy", "tried": "POST /x", "answer": "503", "next": "Wait"}
    older = {**step("provision", "failed", ended_at="2026-08-01T12:00:00Z"), "error": {"message": "older"}}
    latest = {**step("provision", "failed", ended_at="2026-08-01T12:01:00Z"), "attempt": 2, "error": error}
    problem = failure(workflow("failed", latest, older, error={"message": "whole"}))
    assert problem.message == "The allocate workflow wf_1 is failed: BMC is busy"
    assert (problem.step, problem.host, problem.tried, problem.answer) == ("provision", "gpu-001", "POST /x", "503")
    assert (problem.next, problem.exit_code) == ("Wait", 1)


def test_a_failure_without_a_failed_step_says_what_the_workflow_says() -> None:
    assert "deadline passed" in failure(workflow("timed_out", error_message="deadline passed")).message
    assert "names no reason" in failure(workflow("failed")).message
