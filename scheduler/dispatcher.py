# SPDX-License-Identifier: Apache-2.0
"""Takes workflows from the record while there is room, and looks after the jobs that run them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from scheduler.jobs import Job, Outcome
from scheduler.launchers import Handle, Launcher

log = logging.getLogger(__name__)

Report = Callable[[Job, Outcome, dict[str, Any]], None]

_BACK_OFF_S = 5.0  # at most, between two questions to a record that does not answer


class Dispatcher:
    """Runs in one thread: the one that lives as long as the process, because supervisors die with it.

    `claim` returns the next job, claimed, or None; it may raise when the database is away. `report` tells the record
    of a job that could not say so itself: its supervisor was killed, or never started, or it is no workflow's.
    """

    def __init__(self, claim: Callable[[], Job | None], report: Report, launcher: Launcher, slots: int) -> None:
        self._claim = claim
        self._report = report
        self._launcher = launcher
        self._slots = slots
        self._handles: list[Handle] = []
        self._extra: Handle | None = None
        self._quiet_until = 0.0
        self._failures = 0

    @property
    def running(self) -> int:
        """Workflow jobs that run now."""
        return len(self._handles)

    def tick(self) -> None:
        """One round: look after what runs, claim and start what fits. Never raises for a database that is away."""
        self._look_after()
        if time.monotonic() < self._quiet_until:
            return
        try:
            if not self._launcher.prepare():
                return
            while len(self._handles) < self._slots and (job := self._claim()) is not None:
                self._start(job)
        except Exception as error:
            self._failures += 1
            pause = min(0.2 * 2**self._failures, _BACK_OFF_S)
            self._quiet_until = time.monotonic() + pause
            log.warning("claiming the next workflow: %s; again in %.1f s", error, pause)
        else:
            self._failures = 0

    def start_extra(self, make: Callable[[], Job]) -> bool:
        """Start a job that is no workflow and takes no slot, unless the last one still runs. True when started."""
        self._look_after()
        if self._extra is not None:
            return False
        self._extra = self._launcher.start(make())
        return True

    def cancel_extra(self) -> None:
        """End the job that is no workflow, if there is one."""
        if self._extra is not None:
            self._extra.cancel()

    def drain(self, limit_s: float) -> None:
        """Ask every job to end, wait for that, and after `limit_s` seconds end what is left."""
        handles = [*self._handles, *([self._extra] if self._extra else [])]
        for handle in handles:
            if handle.poll() is None:
                handle.cancel()
        until = time.monotonic() + limit_s
        while (left := [handle for handle in handles if handle.poll() is None]) and time.monotonic() < until:
            time.sleep(0.05)
        for handle in left:
            log.error("job %s did not end within %.0f s; killing it", handle.job.id, limit_s)
            handle.kill()
        self._look_after()
        self._launcher.close()

    def _start(self, job: Job) -> None:
        try:
            self._handles.append(self._launcher.start(job))
        except OSError as error:
            log.error("job %s: %s could not be started: %s", job.id, job.playbook, error)
            self._tell(job, "launch_failed", f"start the supervisor of {job.playbook}", str(error))

    def _look_after(self) -> None:
        if self._extra is not None and (status := self._extra.poll()) is not None:
            job, self._extra = self._extra.job, None
            if status != 0:
                log.error("job %s: the supervisor of %s ended with status %s", job.id, job.playbook, status)
            self._tell(job, "ended", f"run {job.playbook}", f"status {status}")  # its token ends with it
        for handle in list(self._handles):
            status = handle.poll()
            if status is None:
                continue
            self._handles.remove(handle)
            if status != 0:
                log.error("job %s: its supervisor ended with status %s", handle.job.id, status)
                self._tell(
                    handle.job,
                    "supervisor_died",
                    f"run {handle.job.playbook}",
                    f"the supervisor process ended with status {status}",
                )

    def _tell(self, job: Job, code: str, tried: str, answer: str) -> None:
        """At once, so that the work need not wait for the claim to run out. If it fails the reaper finds it."""
        error = {"code": code, "message": f"{tried}: {answer}", "tried": tried, "answer": answer, "retryable": True}
        try:
            self._report(job, Outcome.KILLED, error)
        except Exception as failure:
            log.warning("job %s: reporting %s: %s; the reaper will find it", job.id, code, failure)
