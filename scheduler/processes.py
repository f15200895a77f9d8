# SPDX-License-Identifier: Apache-2.0
"""Finding and ending the processes of one job (Linux).

ansible-playbook's workers call ``setsid()``, so neither the process group nor the session of ansible-playbook holds
them, and a task with ``async`` leaves the process tree altogether. Two things are left that they cannot shed: the
environment they were started with (every process of a job carries ``PALEBLUEDOT_JOB=<id>``), and the sub-reaper: an
orphan is handed to the nearest ancestor that called ``prctl(PR_SET_CHILD_SUBREAPER)`` (prctl(2)), which is the
supervisor. This module looks for both.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
JOB_VARIABLE = "PALEBLUEDOT_JOB"
JOB_DIRECTORY_VARIABLE = "PALEBLUEDOT_JOB_DIR"

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {value}): {os.strerror(number)}")


def die_with_parent(parent: int, signum: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel for `signum` when the parent ends; raise ``ProcessLookupError`` if `parent` is gone already.

    The kernel watches the *thread* that forked, so a parent starts such children from a thread that lives as long as
    the process does.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        raise ProcessLookupError(f"process {parent}, which started this one, has ended")


def adopt_orphans() -> None:
    """Become the process to which orphaned descendants are handed, instead of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Stat(NamedTuple):
    pid: int
    parent: int
    state: str  # one letter of proc(5); Z is a zombie, which nothing needs to end
    started: int  # clock ticks after boot


def read_stat(pid: int) -> Stat | None:
    """The process as it is now, or None when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # the command name stands in brackets and may hold spaces and brackets itself
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(pid, int(fields[1]), fields[0], int(fields[19]))


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _alive() -> Iterator[Stat]:
    for pid in _pids():
        if (stat := read_stat(pid)) is not None and stat.state not in "ZX":
            yield stat


def descendants(root: int) -> set[int]:
    """Every living process below `root`, without `root` itself."""
    children: dict[int, list[int]] = {}
    for stat in _alive():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: set[int] = set()
    queue = [root]
    while queue:
        for pid in children.get(queue.pop(), ()):
            if pid not in found:
                found.add(pid)
                queue.append(pid)
    return found


def _environment_block(pid: int) -> bytes:
    """The environment a process was started with; empty when it is a zombie, gone, or somebody else's."""
    try:
        return (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def _parse(block: bytes) -> dict[str, str]:
    pairs = (item.partition(b"=") for item in block.split(b"\0") if item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def carrying(job_id: str) -> set[int]:
    """Every living process that was started with this job's marker."""
    return {pid for pid, environment in jobs_alive() if environment[JOB_VARIABLE] == job_id}


def jobs_alive() -> Iterator[tuple[int, dict[str, str]]]:
    """Every living process that carries the marker of any job, with its environment."""
    marker = f"{JOB_VARIABLE}=".encode()
    for pid in _pids():
        # one search over the bytes first: this loop reads every process of the machine
        block = _environment_block(pid)
        if marker in block and JOB_VARIABLE in (environment := _parse(block)):
            yield pid, environment


def first(pids: Iterable[int]) -> int | None:
    """The one of these processes that began before the others; None when none of them lives any more."""
    living = [stat for pid in pids if (stat := read_stat(pid)) is not None]
    return min(living, key=lambda stat: (stat.started, stat.pid)).pid if living else None


def send(pid: int, signum: signal.Signals) -> bool:
    """Signal one process; False when it has gone."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def collect_zombies() -> None:
    """Read the exit status of adopted orphans. For a process without a live child of its own only."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end(find: Callable[[], set[int]], grace_s: float, kill_s: float = 2.0) -> set[int]:
    """End all processes that `find` returns: SIGTERM, and SIGKILL for what is left after `grace_s` seconds.

    `find` is asked again each round, because a process may fork while it is being ended. Returns the processes that
    outlived even SIGKILL for `kill_s` seconds (uninterruptible sleep in the kernel); empty is the answer to expect.
    """
    asked: set[int] = set()
    start = time.monotonic()
    pause = 0.01
    while remaining := find():
        elapsed = time.monotonic() - start
        if elapsed >= grace_s + kill_s:
            return remaining
        for pid in remaining:
            if elapsed >= grace_s:
                send(pid, signal.SIGKILL)
            elif pid not in asked:
                asked.add(pid)
                send(pid, signal.SIGTERM)
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    return set()
