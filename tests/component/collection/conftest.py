"""Real ansible-playbook runs of the collection's modules, inside the worker and as real modules."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent

T = TypeVar("T")


class _Dumper(yaml.SafeDumper):
    """Marks texts with braces as data: in real plays they come from module results, which are never templated."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("!unsafe" if "{{." in text else "tag:yaml.org,2002:str", text)


_Dumper.add_representer(str, _represent_text)
Task = dict[str, Any]


@dataclass
class Ran:
    """What ansible-playbook said: each task's result, and all it printed."""

    returncode: int
    output: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The result of a task, with ``failed`` always in it."""
        line = self.lines[number]
        return {**line["result"], "failed": line["outcome"] != "ok"}


@dataclass
class Playbooks:
    """Runs plays; ``in_worker`` False sets PALEBLUEDOT_INPROC=0."""

    directory: Path
    in_worker: bool
    env: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def prepare(
        self,
        tasks: list[Task],
        *,
        hosts: list[str] | None = None,
        play: dict[str, Any] | None = None,
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> tuple[list[str], dict[str, str], Path]:
        """Command, environment and results file of a run."""
        self.count += 1
        playbook = self.directory / f"play{self.count}.yml"
        results = self.directory / f"results{self.count}.jsonl"
        document = [{"hosts": "all", "gather_facts": False, "ignore_errors": True, **(play or {}), "tasks": tasks}]
        playbook.write_text(yaml.dump(document, Dumper=_Dumper, sort_keys=False))
        names = hosts or ["localhost"]
        inventory = self.directory / f"inventory{self.count}.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(names)}}))
        environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("PALEBLUEDOT_", "ANSIBLE_", "KUBE"))
            },
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.directory / "remote"),
            "ANSIBLE_ASYNC_DIR": str(self.directory / "async"),
            "ANSIBLE_NOCOLOR": "1",
            "RESULTS_FILE": str(results),
            "PALEBLUEDOT_INPROC": "1" if self.in_worker else "0",
            **self.env,
            **(env or {}),
        }
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *options, str(playbook)]
        return command, environment, results

    def run(self, tasks: list[Task], **more: Any) -> Ran:
        """Run the tasks on every host; failures are ignored, so that all of them run."""
        command, environment, results = self.prepare(tasks, **more)
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
        return Ran(done.returncode, done.stdout + done.stderr, lines)

    def life(self, module: str, args: dict[str, Any]) -> Ran:
        """Check, apply, repeat: three results of the same task, with diffs."""
        name = f"palebluedot.gpu.{module}"
        tasks: list[Task] = [
            {"name": "check", name: args, "check_mode": True, "diff": True},
            {"name": "apply", name: args, "diff": True},
            {"name": "repeat", name: args, "diff": True},
        ]
        ran = self.run(tasks)
        assert len(ran.lines) == 3, ran.output
        return ran


@pytest.fixture(params=[True, False], ids=["in-worker", "real-module"])
def plays(request: pytest.FixtureRequest, tmp_path: Path) -> Playbooks:
    """Both ways of running a module."""
    return Playbooks(tmp_path, request.param)


@pytest.fixture
def worker_plays(tmp_path: Path) -> Playbooks:
    """The way inside the worker only."""
    return Playbooks(tmp_path, True)


class LoopThread:
    """A loop in a thread of its own, so that blocking clients can talk to the lab's servers."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = 20) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """A plain call inside the loop, where the lab's objects live."""

        async def inside() -> T:
            return function(*args)

        return self.run(inside())

    def close(self) -> None:
        async def end_tasks() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()
