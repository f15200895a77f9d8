# SPDX-License-Identifier: Apache-2.0
"""Finding and ending processes, tried on real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import processes

WITH_PARENT = Path(processes.__file__).with_name("with_parent.py")

# ignores SIGTERM, and says so
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_marked_processes_are_found_and_their_descendants(started: list[subprocess.Popen[str]]) -> None:
    marker = f"test-{os.getpid()}"
    shell = subprocess.Popen(
        ["sh", "-c", "sleep 60 & wait"], env={**os.environ, processes.JOB_VARIABLE: marker}, text=True
    )
    started.append(shell)
    until = time.monotonic() + 5
    while len(processes.carrying(marker)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    found = processes.carrying(marker)
    assert shell.pid in found
    assert len(found) == 2
    assert found <= processes.descendants(os.getpid())
    assert processes.descendants(shell.pid) == found - {shell.pid}
    assert processes.first(found) == shell.pid
    assert processes.end(lambda: processes.carrying(marker), grace_s=5) == set()
    shell.wait(5)


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(started: list[subprocess.Popen[str]]) -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    started.append(child)
    assert child.stdout is not None
    child.stdout.readline()

    def find() -> set[int]:
        return {child.pid} & processes.descendants(os.getpid())

    begin = time.monotonic()
    assert processes.end(find, grace_s=0.3) == set()
    assert time.monotonic() - begin >= 0.3
    assert child.wait(5) == -signal.SIGKILL


def test_what_outlives_even_sigkill_is_named() -> None:
    assert processes.end(lambda: {2**22 + 1}, grace_s=0.0, kill_s=0.1) == {2**22 + 1}


def test_gone_processes_are_nothing() -> None:
    assert processes.read_stat(2**22 + 1) is None
    assert processes.first({2**22 + 1}) is None
    assert processes.first({2**22 + 1, os.getpid()}) == os.getpid()
    assert not processes.send(2**22 + 1, signal.SIGTERM)


def test_a_refused_prctl_is_an_error() -> None:
    with pytest.raises(OSError, match="prctl"):
        processes._prctl(-1, 0)


def test_dying_with_a_parent_that_is_gone_is_an_error() -> None:
    code = f"from scheduler import processes; processes.die_with_parent({2**22 + 1})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ProcessLookupError" in answer.stderr


def test_adopted_orphans_are_found_ended_and_collected() -> None:
    code = """
import os, subprocess, time
from scheduler import processes
processes.adopt_orphans()
# setsid in a shell that ends: an orphan without any marker
subprocess.run(["sh", "-c", "setsid sleep 60 & exit 0"], check=True)
left = processes.descendants(os.getpid())
assert len(left) == 1, left
assert processes.end(lambda: processes.descendants(os.getpid()), 2.0) == set()
time.sleep(0.05)
processes.collect_zombies()
assert not os.path.exists(f"/proc/{left.pop()}")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def wrapped(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-S", str(WITH_PARENT), *arguments], capture_output=True, text=True)


def test_the_wrapper_becomes_the_command() -> None:
    answer = wrapped(str(os.getpid()), "/bin/echo", "a b", "c")
    assert (answer.returncode, answer.stdout) == (0, "a b c\n")


def test_the_wrapper_refuses_when_the_parent_is_gone() -> None:
    answer = wrapped("1", "/bin/echo")
    assert answer.returncode == 1
    assert "the parent 1 has ended; not starting /bin/echo" in answer.stderr


def test_the_wrapper_names_a_command_that_is_not_there() -> None:
    answer = wrapped(str(os.getpid()), "/nowhere/ansible-playbook")
    assert answer.returncode == 1
    assert "cannot run /nowhere/ansible-playbook: No such file or directory" in answer.stderr
