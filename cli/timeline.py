"""A workflow as it happens: a table that fills itself on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import console as output
from cli.problems import Problem

FINAL = {"succeeded", "failed", "cancelled", "timed_out"}
POLL_S = 0.2

Json = Mapping[str, Any]


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def duration_s(step: Json, now: datetime | None = None) -> float | None:
    """How long a step took, or takes until `now`; None before it began."""
    begun, ended = _moment(step.get("started_at")), _moment(step.get("ended_at"))
    if begun is None:
        return None
    if ended is None:
        ended = now or datetime.now(begun.tzinfo)
    return max(0.0, (ended - begun).total_seconds())


def step_error(workflow: Json) -> Json | None:
    """The error of the step that failed last, or of the workflow itself."""
    failed = [step for step in workflow.get("steps", []) if step.get("status") == "failed" and step.get("error")]
    if failed:
        last = max(failed, key=lambda step: (step.get("attempt") or 0, step.get("ended_at") or ""))
        return {"step": last["step"], "host": last.get("server"), **last["error"]}
    error = workflow.get("error") or workflow.get("error_message")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, Mapping) else None


def failure(workflow: Json, *, next: str | None = None) -> Problem:
    """What a workflow that did not succeed is told as."""
    error = step_error(workflow) or {}
    return Problem(
        f"The {workflow.get('kind', '')} workflow {workflow['id']} is {workflow['status']}: "
        f"{error.get('message') or 'it names no reason'}",
        code=str(error.get("code") or "workflow_failed"),
        host=error.get("host"),
        step=error.get("step"),
        tried=error.get("tried"),
        answer=error.get("answer"),
        next=error.get("next") or next,
        exit_code=1,
    )


@dataclass
class Timeline:
    """Follows one workflow. `console` decides by itself whether it is a terminal."""

    title: str
    console: Console = field(default_factory=lambda: output.err)
    started: float = field(default_factory=time.monotonic)
    _said: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _status: str | None = None

    def follow(self, read: Callable[[], Json], *, deadline_s: float, poll_s: float = POLL_S) -> Json:
        """Show the workflow until it is final; its last answer.

        Raises a `Problem` after `deadline_s` seconds: the workflow then goes on without us.
        """
        workflow = read()
        deadline = self.started + deadline_s
        if self.console.is_terminal:
            with Live(self.table(workflow), console=self.console, refresh_per_second=10, transient=False) as live:
                while workflow["status"] not in FINAL and time.monotonic() < deadline:
                    time.sleep(poll_s)
                    workflow = read()
                    live.update(self.table(workflow))
        else:
            self.say(workflow)
            while workflow["status"] not in FINAL and time.monotonic() < deadline:
                time.sleep(poll_s)
                workflow = read()
                self.say(workflow)
        if workflow["status"] not in FINAL:
            raise Problem(
                f"The workflow {workflow['id']} was still {workflow['status']} after {deadline_s:.0f} s",
                code="deadline_exceeded",
                next=f"It goes on; look again: palebluedot status {workflow['id']}",
            )
        return workflow

    def table(self, workflow: Json) -> Table:
        """Steps as they stand."""
        answer = Table(title=f"{self.title}  {time.monotonic() - self.started:5.1f} s", box=None, title_justify="left")
        for heading in ("STEP", "SERVER", "STATUS", "SECONDS", ""):
            answer.add_column(heading, justify="right" if heading == "SECONDS" else "left", no_wrap=heading != "")
        for step in workflow.get("steps", []):
            took = duration_s(step)
            error = step.get("error") or {}
            answer.add_row(
                step["step"] + (f" (attempt {step['attempt']})" if (step.get("attempt") or 1) > 1 else ""),
                str(step.get("server") or ""),
                output.state(step["status"]),
                "" if took is None else f"{took:.1f}",
                Text(str(error.get("message") or ""), style="red"),
            )
        return answer

    def say(self, workflow: Json) -> None:
        """A line for each step whose status changed since last time."""
        for step in workflow.get("steps", []):
            key = (step["step"], str(step.get("server") or ""), int(step.get("attempt") or 1))
            status = str(step["status"])
            if status == "pending" or self._said.get(key) == status:
                continue
            self._said[key] = status
            took = duration_s(step) if step.get("ended_at") else None
            error = step.get("error") or {}
            words = [f"{step['step']:<22}", f"{key[1]:<10}", status]
            if key[2] > 1:
                words.append(f"(attempt {key[2]})")
            if took is not None:
                words.append(f"{took:.1f} s")
            if error.get("message"):
                words.append(f"– {error['message']}")
            self._line(" ".join(words))
        if workflow["status"] != self._status:
            self._status = str(workflow["status"])
            self._line(f"workflow {self._status}")

    def _line(self, text: str) -> None:
        self.console.print(f"{time.monotonic() - self.started:7.1f} s  {text}", markup=False, soft_wrap=True)
