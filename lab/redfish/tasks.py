"""Redfish tasks of one BMC: long actions answer 202 and are followed here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime

from lab.clock import Clock

logger = logging.getLogger(__name__)

MAX_TASKS = 50  # the oldest finished ones are overwritten


@dataclass
class Task:
    id: str
    name: str
    started_at: datetime
    ended_at: datetime | None = None
    failure: str | None = None
    handle: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def state(self) -> str:
        if self.ended_at is None:
            return "Running"
        return "Exception" if self.failure else "Completed"


class TaskFailed(Exception):
    """The action did not do what it should; the message goes into the task."""


class Tasks:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.by_id: dict[str, Task] = {}
        self._next = 1

    def start(self, name: str, work: Awaitable[object]) -> Task:
        """Run ``work`` as a task. TaskFailed in it becomes TaskState Exception."""
        task = Task(str(self._next), name, self._clock.now())
        self._next += 1
        self.by_id[task.id] = task
        for old in [t.id for t in self.by_id.values() if t.ended_at][: max(len(self.by_id) - MAX_TASKS, 0)]:
            del self.by_id[old]

        async def carry_out() -> None:
            try:
                await work
            except TaskFailed as error:
                task.failure = str(error)
            except Exception:
                logger.exception("task %s (%s) ended in an error of the lab", task.id, name)
                task.failure = "internal error"
            finally:
                task.ended_at = self._clock.now()

        task.handle = asyncio.create_task(carry_out(), name=f"redfish task {task.id}: {name}")
        return task

    async def close(self) -> None:
        running = [task.handle for task in self.by_id.values() if task.handle and not task.handle.done()]
        for handle in running:
            handle.cancel()
        await asyncio.gather(*running, return_exceptions=True)
