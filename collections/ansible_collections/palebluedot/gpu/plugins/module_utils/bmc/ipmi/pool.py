# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that talk IPMI (``worker.py``), and their deadlines."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import os
import selectors
import subprocess
import sys
import threading
from typing import IO, Any, cast

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import worker as ipmi_worker

SIZE = 16


class WorkerLost(Exception):
    """The process did not answer in time (and was killed), or ended by itself."""

    def __init__(self, text: str, timed_out: bool) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class _Worker:
    def __init__(self) -> None:
        # The source goes along as an argument because the file may lie in a zip (a module sent to a host) or be known
        # to Ansible's collection loader only.
        self._process = subprocess.Popen(
            [sys.executable, "-c", inspect.getsource(ipmi_worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.served: set[str] = set()

    def ask(self, request: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        # Optional for the type checker only: both are asked for above
        stdin, stdout = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            line = self._read_line(stdout.fileno(), deadline)
        except OSError as problem:
            raise WorkerLost(str(problem), timed_out=False) from problem
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read_line(self, fd: int, deadline: Deadline) -> bytes:
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                left = deadline.remaining()
                if left <= 0 or not selector.select(left):
                    raise WorkerLost("silence", timed_out=True)
                piece = os.read(fd, 65536)
                if not piece:
                    raise WorkerLost("the IPMI process ended", timed_out=False)
                received += piece
        return received

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not read by it any more is flushed into nowhere
                    pipe.close()


class IpmiPool:
    """At most ``size`` processes at a time, started when needed and used again for other BMCs.

    Never again for the same one: after a logout, pyghmi cannot log in to that BMC a second time in the same process.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._alive = 0

    def acquire(self, bmc: str, deadline: Deadline) -> _Worker:
        """A process for one session with ``bmc``; raises `WorkerLost` when none becomes free in time."""
        if not self._free.acquire(timeout=deadline.remaining()):
            raise WorkerLost("all IPMI processes are busy", timed_out=True)
        try:
            worker = self._take(bmc)
        except BaseException:
            self._free.release()
            raise
        worker.served.add(bmc)
        return worker

    def _take(self, bmc: str) -> _Worker:
        with self._lock:
            fresh = next((worker for worker in self._idle if bmc not in worker.served), None)
            if fresh is not None:
                self._idle.remove(fresh)
                return fresh
            used_up = self._idle.pop(0) if self._alive >= self._size else None
            self._alive += 0 if used_up else 1
        if used_up is not None:
            used_up.end()
        return _Worker()

    def release(self, worker: _Worker, *, usable: bool) -> None:
        """Give a process back; one that is not ``usable`` is ended."""
        if not usable:
            worker.end()
        with self._lock:
            if usable:
                self._idle.append(worker)
            else:
                self._alive -= 1
        self._free.release()

    def close(self) -> None:
        """End the idle processes; those in use end with this one, whose end they see on their input."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._alive -= len(idle)
        for worker in idle:
            worker.end()


_pool: tuple[int, IpmiPool] | None = None


def pool() -> IpmiPool:
    """This process's pool; a fork of it starts its own."""
    global _pool
    if _pool is None or _pool[0] != os.getpid():
        _pool = (os.getpid(), IpmiPool())
        atexit.register(_pool[1].close)
    return _pool[1]
