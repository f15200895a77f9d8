"""The processes that the command line starts: one group each, a log each, ended for certain.

A child dies with this process even when that is killed (``scheduler/with_parent.py``), and whatever a child leaves
behind is adopted by this process and ended too (``scheduler.processes``; Linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from cli.paths import ROOT
from cli.problems import Problem
from scheduler import processes

# the scheduler lets its playbooks end for 20 s, the API its requests
GRACE_S = 30.0
_WITH_PARENT = ROOT / "scheduler" / "with_parent.py"


def command(*arguments: str) -> list[str]:
    """The argv of another ``palebluedot`` command in this installation."""
    return [sys.executable, "-m", "cli.main", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with the installation's own programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # -m cli.main is found from wherever the command was called
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}


@dataclass
class Child:
    """One running process. `log` is None when it writes to this process's own output."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes]
    log: Path | None = None

    def log_tail(self, lines: int = 15) -> str:
        """The end of what it wrote."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open(errors="replace") as file:
            return "".join(deque(file, maxlen=lines)).rstrip()


def start(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path = ROOT,
    with_parent: bool = True,
) -> Child:
    """Start a process in its own session. With `with_parent` it ends when this process ends, however that happens."""
    full = list(argv)
    if with_parent and sys.platform == "linux":
        full = [sys.executable, "-I", "-S", str(_WITH_PARENT), str(os.getpid()), *full]
    sink: IO[bytes] | None = None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        sink = log.open("ab")
    try:
        process = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if sink else None,
            cwd=cwd,
            env=dict(env) if env is not None else environment(),
            start_new_session=True,
        )
    finally:
        if sink is not None:
            sink.close()
    return Child(name, argv, process, log)


def stop(child: Child, grace_s: float = GRACE_S) -> int:
    """SIGTERM, and SIGKILL for its whole group after `grace_s` seconds; its exit status."""
    if child.process.poll() is None:
        child.process.terminate()
        try:
            child.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait(5)
    return child.process.returncode


def end_orphans(marker: str | None = None, grace_s: float = 5.0) -> set[int]:
    """End what is still below this process; the ids of those that would not end (expect none).

    :param marker: only what was started with this ``NAME=value`` in its environment, or runs a job of a scheduler:
        for a process that has other children too.
    """
    if sys.platform != "linux":
        return set()

    def below() -> set[int]:
        if marker is None:
            processes.collect_zombies()
            return processes.descendants(os.getpid())
        return {
            pid for pid in processes.descendants(os.getpid()) if _carries(pid, marker, processes.JOB_VARIABLE + "=")
        }

    return processes.end(below, grace_s)


def _carries(pid: int, *markers: str) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(os.fsencode(marker)) for variable in variables for marker in markers)


@dataclass
class Supervisor:
    """Keeps some children alive until told to stop.

    A child that ends is started again after a pause; one that ends `give_up_after` times within `window_s` seconds ends
    the whole, because a process that cannot start does not get better by trying (and an init system sees it).
    """

    commands: Mapping[str, Sequence[str]]
    env: Mapping[str, str] = field(default_factory=environment)
    logs: Path | None = None
    give_up_after: int = 4
    window_s: float = 60.0
    pause_s: float = 1.0
    children: dict[str, Child] = field(default_factory=dict)
    stopping: bool = False
    _ends: dict[str, deque[float]] = field(default_factory=dict)

    def start_all(self) -> None:
        for name in self.commands:
            self.start(name)

    def start(self, name: str) -> None:
        """Start one of the commands, for the first time or again."""
        argv = self.commands[name]
        log = self.logs / f"{name}.log" if self.logs else None
        self.children[name] = start(name, argv, env=self.env, log=log)

    def watch(self) -> None:
        """Until a signal asks for the end. Raises a `Problem` when a child cannot be kept alive."""
        while not self.stopping:
            for name, child in list(self.children.items()):
                status = child.process.poll()
                if status is None:
                    continue
                ends = self._ends.setdefault(name, deque(maxlen=self.give_up_after))
                ends.append(time.monotonic())
                if len(ends) == self.give_up_after and ends[-1] - ends[0] < self.window_s:
                    raise Problem(
                        f"The {name} ended {self.give_up_after} times within {self.window_s:.0f} s",
                        code="child_keeps_ending",
                        tried=" ".join(child.argv),
                        answer=f"exit status {status}",
                        next=f"Run it alone to see why: palebluedot {name}",
                    )
                time.sleep(self.pause_s)
                if not self.stopping:
                    self.start(name)
            time.sleep(0.2)

    def stop_all(self, grace_s: float = GRACE_S) -> None:
        """All at once first, so that the whole takes as long as the slowest."""
        for child in self.children.values():
            if child.process.poll() is None:
                child.process.terminate()
        for child in self.children.values():
            stop(child, grace_s)

    def request_stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Signal handler."""
        self.stopping = True
