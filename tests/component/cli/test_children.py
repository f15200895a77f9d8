"""Processes that the command line starts: logs, ends, orphans, and what happens when the parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import children
from cli.problems import Problem
from tests.support.proc import alive

DEADLINE_S = 10.0
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_output_goes_to_the_log_and_its_tail_is_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    child = children.start("x", [sys.executable, "-c", "for n in range(50): print('line', n)"], log=log)
    assert child.process.wait(DEADLINE_S) == 0
    assert child.log_tail(2) == "line 48\nline 49"


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    child = children.start("deaf", [sys.executable, "-c", deaf], log=tmp_path / "deaf.log")
    until(lambda: "deaf" in child.log_tail())
    assert children.stop(child, grace_s=0.2) == -signal.SIGKILL


def test_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from cli import children
        child = children.start("x", {SLEEP!r}, log=Path({str(tmp_path / "x.log")!r}))
        print(child.process.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=children.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
    finally:
        parent.kill()
        parent.wait(DEADLINE_S)
        if parent.stdout:
            parent.stdout.close()
    until(lambda: not alive(pid))


def test_marked_orphans_are_ended_and_nobody_elses(tmp_path: Path) -> None:
    """In a process of its own: adopting orphans cannot be taken back."""
    script = textwrap.dedent(
        f"""
        import os, subprocess, time
        from pathlib import Path
        from cli import children
        from scheduler import processes
        processes.adopt_orphans()
        other = subprocess.Popen({SLEEP!r})
        # forks a grandchild into a session of its own, and leaves it behind
        leave = "import subprocess, sys; subprocess.Popen({SLEEP!r}, start_new_session=True)"
        env = children.environment({{"STAGE": "mine"}})
        children.start("leaver", ["{sys.executable}", "-c", leave], env=env).process.wait(10)
        before = processes.descendants(os.getpid())
        left = children.end_orphans("STAGE=mine")
        after = processes.descendants(os.getpid())
        print(len(before), after == {{other.pid}}, left)
        other.kill()
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=children.ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.stdout.split() == ["2", "True", "set()"], ran.stderr


def test_a_child_that_dies_is_started_again() -> None:
    supervisor = children.Supervisor({"x": SLEEP}, pause_s=0.05)
    supervisor.start_all()
    first = supervisor.children["x"].process
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    try:
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: supervisor.children["x"].process.pid != first.pid)
        assert supervisor.children["x"].process.poll() is None
    finally:
        supervisor.request_stop()
        watching.join(DEADLINE_S)
        supervisor.stop_all(2)
    assert supervisor.children["x"].process.returncode is not None


def test_one_that_keeps_ending_ends_the_whole(tmp_path: Path) -> None:
    supervisor = children.Supervisor({"x": [sys.executable, "-c", "raise SystemExit(7)"]}, pause_s=0, logs=tmp_path)
    supervisor.start_all()
    with pytest.raises(Problem) as caught:
        supervisor.watch()
    assert caught.value.code == "child_keeps_ending"
    assert caught.value.answer == "exit status 7"
