# SPDX-License-Identifier: Apache-2.0
"""Where a job runs. One launcher today: a supervisor process with ansible-runner on this machine.

The interface is narrow so that another engine (AWX, a remote runner) fits: start a job, ask whether it has ended, ask
it to end. Everything else goes through the record.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from scheduler import command, jobs, processes
from scheduler.jobs import Job

log = logging.getLogger(__name__)

_KILL_S = 5.0
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


class Handle(Protocol):
    """A job that was started."""

    @property
    def job(self) -> Job: ...

    def poll(self) -> int | None:
        """None while it runs; 0 when it ended and the record knows how; else the record must be told."""
        ...

    def cancel(self) -> None:
        """Ask for its end; returns at once. Asking again changes nothing."""
        ...

    def kill(self) -> None:
        """End it now, with everything it started; returns when it is gone."""
        ...


class Launcher(Protocol):
    def prepare(self) -> bool:
        """Whether a job can be started now; called before work is taken. Raises ``OSError`` when it never will."""
        ...

    def start(self, job: Job) -> Handle:
        """Start the job; raises ``OSError`` when it cannot be started. Returns at once."""
        ...

    def close(self) -> None:
        """Let go of what `prepare` made. Call it when no job runs any more."""
        ...


class _Server:
    """The fork server's process, and what it has said so far."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scheduler.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_PACKAGE_ROOT,
            env=_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for the scheduler, which drains
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._inbox, self._outbox = self._process.stdin, self._process.stdout
        os.set_blocking(self._outbox.fileno(), False)
        self._unread = b""
        self.ready = False
        self.ended = False
        self.pids: dict[str, int] = {}
        self.statuses: dict[str, int] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    def listen(self) -> None:
        """Take in what it has said since; never waits."""
        while not self.ended:
            try:
                data = os.read(self._outbox.fileno(), 65536)
            except BlockingIOError:
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                word, *values = line.decode().split()
                if word == "ready":
                    self.ready = True
                elif word == "started":
                    self.pids[values[0]] = int(values[1])
                else:
                    self.statuses[values[0]] = int(values[1])
            if not data:
                self.close()

    def send(self, job: Job) -> None:
        line = job.to_json().encode() + b"\n"
        while line:
            line = line[self._inbox.write(line) :]

    def close(self) -> None:
        """End it; supervisors that still run end with it."""
        self.ended = True
        self._inbox.close()
        self._outbox.close()
        self._process.terminate()
        try:
            self._process.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """The scheduler's environment without the service's settings, which may be secrets and go through the pipe."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in command.INHERITED or not name.startswith("PALEBLUEDOT_")
    }


class SupervisedJob:
    """Handle of a supervisor process on this machine."""

    def __init__(self, job: Job, server: _Server) -> None:
        self.job = job
        self._server = server
        self._status: int | None = None
        self._cancelled = False

    @property
    def pid(self) -> int | None:
        """The supervisor's process; None until the fork server has made it."""
        self._server.listen()
        return self._server.pids.get(self.job.id)

    def poll(self) -> int | None:
        if self._status is None and (status := self._ask()) is not None:
            self._status = status
            if status != 0:
                self._clean_up()
        return self._status

    def cancel(self) -> None:
        pid = self.pid
        if pid is not None and not self._cancelled and self.poll() is None:
            self._cancelled = processes.send(pid, signal.SIGTERM)

    def kill(self) -> None:
        until = time.monotonic() + _KILL_S
        while self.poll() is None and time.monotonic() < until:
            if (pid := self.pid) is not None:
                processes.send(pid, signal.SIGKILL)
            time.sleep(0.02)
        self._clean_up()

    def _ask(self) -> int | None:
        server = self._server
        server.listen()
        if (status := server.statuses.get(self.job.id)) is not None or not server.ended:
            return status
        # the server died, and its supervisors are about to: they are asked to end by the kernel
        pid = server.pids.get(self.job.id)
        return None if pid is not None and jobs.owner_alive(self.job.directory) else -signal.SIGKILL

    def _clean_up(self) -> None:
        """A killed supervisor ends neither its playbook's last workers nor its directory with the token."""
        if left := jobs.clean_up(self.job.directory, self.job.id, grace_s=5.0):
            log.error("job %s: processes %s would not end, not even by SIGKILL", self.job.id, sorted(left))


class RunnerLauncher:
    """Starts one supervisor process a job, by way of the fork server, which it starts again when it has died.

    Call it from a thread that lives as long as the scheduler: the kernel ends the fork server with that thread.
    """

    def __init__(self) -> None:
        self._server: _Server | None = None

    @property
    def server_pid(self) -> int | None:
        """The fork server's process."""
        return self._server.pid if self._server is not None else None

    def prepare(self) -> bool:
        server = self._server
        if server is not None:
            server.listen()
        if server is None or server.ended:
            server = self._server = _Server()
        return server.ready

    def start(self, job: Job) -> SupervisedJob:
        self.prepare()
        assert self._server is not None
        try:
            self._server.send(job)
        except (BrokenPipeError, ValueError) as error:
            raise OSError(f"the fork server has ended: {error}") from error
        return SupervisedJob(job, self._server)

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None and not server.ended:
            server.close()
