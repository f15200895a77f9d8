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

from scheduler import command, jobs
from scheduler.jobs import Job

log = logging.getLogger(__name__)

_SETTLED_S = 3.0  # after which a job that was started has its own start behind it
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
    def start(self, job: Job) -> Handle:
        """Start the job; raises ``OSError`` when it cannot be started. Returns at once."""
        ...

    def prepare(self) -> None:
        """Called now and then: the chance to make the next start a quick one."""
        ...

    def close(self) -> None:
        """Let go of what `prepare` made. Jobs that run are not touched."""
        ...


class SupervisedJob:
    """Handle of a supervisor process on this machine."""

    def __init__(self, job: Job, process: subprocess.Popen[str]) -> None:
        self.job = job
        self._process = process
        self._cleaned = False
        self._cancelled = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        status = self._process.poll()
        if status not in (None, 0) and not self._cleaned:
            self._clean_up()
        return status

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._clean_up()

    def _clean_up(self) -> None:
        """A killed supervisor ends neither its playbook's last workers nor its directory with the token."""
        self._cleaned = True
        if left := jobs.clean_up(self.job.directory, self.job.id, grace_s=5.0):
            log.error("job %s: processes %s would not end, not even by SIGKILL", self.job.id, sorted(left))


def _supervisor_environment() -> dict[str, str]:
    """The scheduler's environment without the service's settings, which may be secrets and go through the pipe."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in command.INHERITED or not name.startswith("PALEBLUEDOT_")
    }


class RunnerLauncher:
    """Starts one supervisor process a job.

    A spare supervisor, which has all its imports behind it, waits for the next job. Call `start` and `prepare` from a
    thread that lives as long as the scheduler: the kernel ends a supervisor with the thread that made it.
    """

    def __init__(self, spare: bool = False) -> None:
        self._keep_spare = spare
        self._spare: subprocess.Popen[str] | None = None
        self._last_start = float("-inf")

    def start(self, job: Job) -> SupervisedJob:
        begin = self._last_start = time.monotonic()
        spare, self._spare = self._spare, None
        process = spare or self._spawn()
        try:
            self._hand_over(process, job)
        except BrokenPipeError:  # it had ended
            if spare is None:
                raise OSError(f"its supervisor ended at once with status {process.wait()}") from None
            spare.wait()
            return self.start(job)
        log.info("job %s: %s started in %.0f ms", job.id, job.playbook, 1000 * (time.monotonic() - begin))
        return SupervisedJob(job, process)

    def prepare(self) -> None:
        # not while the last job is still starting: it needs the processor more
        if self._keep_spare and self._spare is None and time.monotonic() - self._last_start > _SETTLED_S:
            self._spare = self._spawn("--spare")

    def close(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.kill()
            assert spare.stdin is not None
            spare.stdin.close()
            spare.wait()

    @staticmethod
    def _spawn(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "scheduler.supervisor", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=_PACKAGE_ROOT,
            env=_supervisor_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for the scheduler, which drains
            text=True,
        )

    @staticmethod
    def _hand_over(process: subprocess.Popen[str], job: Job) -> None:
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(job.to_json())
