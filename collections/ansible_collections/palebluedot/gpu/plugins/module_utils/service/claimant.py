# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Who claims a workflow, in words that let a later run on the same machine see whether that somebody still lives.

A claimant is ``external:<hostname>:<pid of ansible-playbook>:<life>``. A process id alone comes back sooner or later;
``<life>`` says which process it was: its start time in clock ticks since boot, the boot, and the process id namespace
(two containers may share a host name, and neither sees the other's processes).
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
# The service keeps 128 characters of a claimant.
_HOSTNAME_LENGTH = 60


class Claimant(NamedTuple):
    """The parts of a claimant; ``life`` is empty where the kernel does not tell."""

    hostname: str
    pid: int
    life: str

    def __str__(self) -> str:
        return f"external:{self.hostname}:{self.pid}:{self.life}"


def claimant_of(pid: int, *, proc: Path = _PROC, hostname: str | None = None) -> Claimant:
    """The claimant that the process ``pid`` of this machine is."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", hostname or socket.gethostname())[:_HOSTNAME_LENGTH]
    return Claimant(name, pid, _life(pid, proc))


def parse(text: str | None) -> Claimant | None:
    """The parts of a claimant that this module wrote; None for any other (the dispatcher's, AWX's)."""
    match = re.fullmatch(r"external:([A-Za-z0-9.-]+):(\d+):(\S*)", text or "")
    return Claimant(match[1], int(match[2]), match[3]) if match else None


def is_gone(holder: Claimant, *, proc: Path = _PROC, hostname: str | None = None) -> bool:
    """Whether the holder was a process of this machine that runs no longer.

    In doubt it is not gone: another host, another boot, another process id namespace, a kernel that does not tell.
    """
    now = claimant_of(holder.pid, proc=proc, hostname=hostname)
    here = _place(claimant_of(os.getpid(), proc=proc, hostname=hostname).life)
    if holder.hostname != now.hostname or not here or _place(holder.life) != here:
        return False
    return now.life != holder.life


def _life(pid: int, proc: Path) -> str:
    """``<start time>.<boot>.<namespace>``; the first part is empty when there is no such process."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        namespace = "".join(filter(str.isdigit, os.readlink(proc / "self/ns/pid")))  # noqa: PTH115
    except OSError:
        return ""
    try:
        # proc(5): the second field, the command in parentheses, may hold anything; starttime is field 22.
        started = (
            (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, IndexError):
        started = ""
    return f"{started}.{boot}.{namespace}"


def _place(life: str) -> str:
    return life.partition(".")[2]
