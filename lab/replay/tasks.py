"""Tasks of a replayed BMC: long actions that end after a while, in the capture's own TaskService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from lab.redfish.routes import Answer
from lab.replay.store import Store
from lab.replay.tree import Body


class Tasks:
    def __init__(self, store: Store, task_id: str) -> None:
        self._store = store
        self._task_id = task_id
        self._next = 1
        self._running: set[asyncio.Task[None]] = set()

    @property
    def collection(self) -> str:
        service = self._store.of_root("Tasks")
        return self._store.link(self._store.get(service), "Tasks") or f"{service}/Tasks"

    def start(self, name: str, seconds: float | None, work: Callable[[], None]) -> str:
        """A task that does ``work`` after that time and is then Completed; its path.

        :param seconds: None: it waits until `finish` is called, as what waits for the next boot does.
        """
        existing = {path.rpartition("/")[2] for path in self._store.members(self.collection)}
        while (id := self._task_id.format(n=self._next)) in existing:
            self._next += 1
        self._next += 1
        body: Body = {
            "@odata.type": "#Task.v1_4_2.Task",
            "Id": id,
            "Name": name,
            "StartTime": _now(),
            "TaskState": "Running" if seconds is not None else "Pending",
            "TaskStatus": "OK",
            "PercentComplete": 0,
            "Messages": [],
        }
        path = self._store.add_member(self.collection, body)
        if seconds is not None:
            handle = asyncio.get_running_loop().create_task(self._later(path, seconds, work))
            self._running.add(handle)
            handle.add_done_callback(self._running.discard)
        return path

    async def _later(self, path: str, seconds: float, work: Callable[[], None]) -> None:
        await asyncio.sleep(seconds)
        work()
        self.finish(path)

    def finish(self, path: str) -> None:
        if self._store.get(path) is not None:
            self._store.change(path, TaskState="Completed", PercentComplete=100, EndTime=_now())

    def pending(self, path: str) -> bool:
        body = self._store.get(path)
        return body is not None and body["TaskState"] == "Pending"

    def accepted(self, path: str) -> Answer:
        return Answer(202, None, {"Location": path})

    async def close(self) -> None:
        running = list(self._running)
        for handle in running:
            handle.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
