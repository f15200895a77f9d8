# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for a Redfish Task (DSP0266 12.2, schema Task): "accepted" is not "done"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import ROOT
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, integer, number, tables, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import DeadlineExceeded

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import Answer

# Task.TaskState of a task that will change no more.
ENDED_WELL = frozenset({"Completed"})
ENDED = ENDED_WELL | {"Exception", "Killed", "Cancelled", "Interrupted"}
# and of an iDRAC's own jobs, which have a JobState
ENDED |= {"CompletedWithErrors", "Failed", "RebootCompleted", "RebootFailed"}


def task_of(answer: Answer) -> Task | None:
    """The task that a 202 stands for; its path may be in Location (a DGX only has that), the body, or both."""
    if answer.status != 202:
        return None
    # what is in Location may be the task's monitor, whose reading deletes a finished task on Lenovo's XCC
    uri = text(answer.body.get("@odata.id")) or answer.location
    return Task(uri, text(answer.body.get("TaskState")), integer(number(answer.body.get("PercentComplete"))))


def wait_for(bmc: RedfishBmc, task: Task, wait_timeout: float) -> Task:
    """Read the Task until it has ended.

    :param wait_timeout: seconds.
    :returns: the task as it ended. One that is gone has ended: some firmware removes it at once.
    :raises Refused: it ended otherwise than well, with what the BMC said (``code`` task_failed).
    :raises DeadlineExceeded: it goes on still; the error names it.
    """
    if task.uri is None:
        return task
    uri = task.uri
    patience = Deadline(wait_timeout)
    gone: dict[str, Any] = {"TaskState": "Completed"}
    starting: dict[str, Any] = {}

    def read() -> dict[str, Any]:
        deadline = Deadline(min(bmc.timeout, max(patience.remaining(), 1.0)))
        found = bmc.transport.get_optional(uri, deadline)
        if found is not None:
            return found
        # a BMC that is starting has no service root either, and the task may be there again when it has
        return gone if bmc.transport.get_optional(ROOT, deadline) is not None else starting

    done, found = wait_until(read, lambda body: _state(body) in ENDED, patience.remaining(), sleep=bmc.sleep)
    state = _state(found)
    messages = [text(dig(item, "Message")) for item in tables(found.get("Messages"))] or [text(found.get("Message"))]
    said = "; ".join(message for message in messages if message)
    facts: dict[str, Any] = {
        "host": bmc.host,
        "tried": f"waiting for the task {uri}",
        "answer": f"TaskState {state}. {said}".strip() if found else "404, and for the service root too",
    }
    if not done:
        raise DeadlineExceeded(
            f"the BMC's task has not ended after {wait_timeout:g} s",
            next="Raise wait_timeout, or look at the task again later: the BMC goes on with it.",
            **facts,
        )
    # some firmware calls every task that has ended Completed, and says in its status how it went
    if state not in ENDED_WELL or text(found.get("TaskStatus")) == "Critical":
        raise Refused("the BMC's task failed", code="task_failed", next="See what the BMC says of it.", **facts)
    return Task(uri, state, integer(number(found.get("PercentComplete"))))


def _state(body: dict[str, Any]) -> str | None:
    """A Task's state, or a job's: an iDRAC follows what it will do at the next boot by jobs."""
    return text(body.get("TaskState")) or text(body.get("JobState"))


class TaskWaiter:
    """The facet of waiting, for who has the interface and a task."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def wait(self, task: Task, seconds: float) -> Task:
        """See `wait_for`."""
        return wait_for(self._bmc, task, seconds)
