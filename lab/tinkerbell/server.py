"""The tink server: it hands actions to agents and takes down what becomes of them.

Rules (tink server and tink worker v0.12.2; tinkerbell/tinkerbell v0.25):

- only workflows in PENDING or RUNNING are served;
- mono: the next action is served when the current one has succeeded, so an agent that lost power in an action waits
  until the global timeout ends the workflow; 0.12.2: a worker that finds the current action RUNNING runs it again;
- a failed or timed out action ends the workflow at once; the last one's success makes it POST;
- a workflow that has ended stays as it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from lab.clock import Clock
from lab.kube.document import clone
from lab.kube.errors import ApiError
from lab.kube.managed import Writer
from lab.kube.store import Event, Key, Object, Store
from lab.tinkerbell.dialect import TERMINAL, Dialect, State

_WRITER = Writer("tink-server", subresource="status")


@dataclass(frozen=True)
class Assignment:
    """One action for one agent."""

    key: Key
    uid: str
    task: int
    action: int
    name: str
    image: str
    timeout_s: int
    command: tuple[str, ...]
    environment: dict[str, str]
    resumed: bool  # found RUNNING and run again

    @property
    def workflow(self) -> str:
        return self.key[1]


class TinkServer:
    """What agents ask and report to."""

    def __init__(self, store: Store, clock: Clock, dialect: Dialect) -> None:
        self._store = store
        self._clock = clock
        self._dialect = dialect
        self._resource = store.kind("tinkerbell.org", "Workflow")
        self._by_agent: dict[str, set[Key]] = {}
        self._work: dict[str, asyncio.Event] = {}
        store.listen(self._on_event)

    def next_action(self, agent: str) -> Assignment | None:
        """The action that an agent may run now."""
        for key in sorted(self._by_agent.get(agent, ())):
            workflow = self._store.get(self._resource, *key)
            if self._dialect.state_of(workflow) in ("PENDING", "RUNNING"):
                return self._assignment(key, workflow, agent)
        return None

    async def wait_for_work(self, agent: str) -> None:
        """Return when something about this agent's workflows has changed."""
        await self._work.setdefault(agent, asyncio.Event()).wait()

    def started(self, work: Assignment) -> bool:
        """The agent starts an action. False when the workflow is gone or has ended."""
        if work.resumed:
            return self._live(work) is not None
        stamp = self._store_time()
        if self._dialect.mono:
            return self._report(work, "RUNNING", {"executionStart": stamp, "message": "running action"})
        return self._report(work, "RUNNING", {"startedAt": stamp, "message": "Started execution"})

    def ended(self, work: Assignment, state: State, seconds: float, message: str) -> bool:
        """The agent's action came to SUCCESS, FAILED or TIMEOUT. False when the workflow is gone or has ended."""
        if self._dialect.mono:
            stop = {"executionStop": self._store_time(), "executionDuration": human_duration(seconds)}
            return self._report(work, state, stop | {"message": message})
        return self._report(work, state, {"seconds": int(seconds), "message": message})

    # --- inside

    def _store_time(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _assignment(self, key: Key, workflow: Object, agent: str) -> Assignment | None:
        tasks = workflow["status"].get("tasks", [])
        actions = [(t, a) for t, task in enumerate(tasks) for a in range(len(task["actions"]))]
        resumed = False
        for t, a in actions:
            state = self._dialect.read(tasks[t]["actions"][a].get(self._dialect.action_state))
            if state == "SUCCESS":
                continue
            if state == "RUNNING" and not self._dialect.mono:
                resumed = True
            elif state != "PENDING":
                return None
            break
        else:
            return None
        task, action = tasks[t], tasks[t]["actions"][a]
        if task[self._dialect.owner] != agent:
            return None
        return Assignment(
            key=key,
            uid=workflow["metadata"]["uid"],
            task=t,
            action=a,
            name=action["name"],
            image=action["image"],
            timeout_s=action.get("timeout", 0),
            command=tuple(action.get("command", ())),
            environment=task.get("environment", {}) | action.get("environment", {}),
            resumed=resumed,
        )

    def _live(self, work: Assignment) -> Object | None:
        try:
            workflow = self._store.get(self._resource, *work.key)
        except ApiError:
            return None
        same = workflow["metadata"]["uid"] == work.uid
        return workflow if same and self._dialect.state_of(workflow) not in TERMINAL else None

    def _report(self, work: Assignment, state: State, record: dict[str, Any]) -> bool:
        workflow = self._live(work)
        if workflow is None:
            return False
        status = clone(workflow["status"])
        task = status["tasks"][work.task]
        action = task["actions"][work.action]
        action |= record | {self._dialect.action_state: self._dialect.write(state)}
        last = work.task == len(status["tasks"]) - 1 and work.action == len(task["actions"]) - 1
        if state != "SUCCESS":
            status["state"] = self._dialect.write(state)
        elif last:
            status["state"] = self._dialect.write("POST")
        if self._dialect.mono:
            status["currentState"] = {
                "agentID": task["agentID"],
                "taskID": task["id"],
                "taskName": task["name"],
                "actionID": action["id"],
                "actionName": action["name"],
                "state": self._dialect.write(state),
            }
            status["agentID"] = task["agentID"]
        else:
            status["currentAction"] = action["name"]
        namespace, name = work.key
        self._store.patch(self._resource, namespace, name, lambda obj: obj | {"status": status}, _WRITER)
        return True

    def _on_event(self, event: Event, manager: str) -> None:
        if event.resource != self._resource:
            return
        key = (event.obj["metadata"]["namespace"], event.obj["metadata"]["name"])
        before = self._agents(event.old) if event.old else set()
        now = self._agents(event.obj) if event.type != "DELETED" else set()
        for agent in before - now:
            self._by_agent[agent].discard(key)
        for agent in now - before:
            self._by_agent.setdefault(agent, set()).add(key)
        for agent in before | now:
            waiting = self._work.pop(agent, None)
            if waiting is not None:
                waiting.set()

    def _agents(self, workflow: Object) -> set[str]:
        return {task[self._dialect.owner] for task in (workflow.get("status") or {}).get("tasks", [])}


def human_duration(seconds: float) -> str:
    """As the mono-repo's agent writes it: the two largest units that are not zero, such as ``1m2s``."""
    units = (("h", 3600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1))
    rest = int(seconds * 1_000_000)
    parts: list[str] = []
    for unit, size in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
