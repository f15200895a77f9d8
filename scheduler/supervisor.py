# SPDX-License-Identifier: Apache-2.0
"""The supervisor: one process that runs one playbook and answers for it.

ansible-runner is neither thread-safe nor a judge of how a run ended: its cancel kills ansible-playbook outright and
leaves the workers, which are in sessions of their own, running; its status says "failed" for what was cancelled. So
every job has a process of its own (a child of ``scheduler.forkserver``), and in it:

- the main thread is in ``ansible_runner.run`` and nowhere else;
- *watch* ends the playbook: on a stop, at the deadline, when the claim runs out, when the scheduler is gone;
- *claim* sends heartbeats, and learns from them that the claim is lost or the work not wanted any more;
- *events* writes Ansible's events to the record.

Database connections are opened only when ansible-playbook has been started.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shlex
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from scheduler import command, processes
from scheduler.events import EventWriter, Mask, Row
from scheduler.jobs import Answer, Job, Outcome, private_directory

log = logging.getLogger(__name__)

_POLL_S = 1.0  # how often the watch looks at parent and clock when nothing happens
_READ_S = 0.5  # ansible-runner's wait for output; bounds nothing but how often it looks at its child
_FLUSH_S = 5.0  # for the last events
_SAYS = "ansible.builtin.debug"  # the task by which a playbook speaks to people
_SURRENDER_S = 10.0  # for saying how it ended, at least; longer while the claim lasts


class Record(Protocol):
    """The record as one job sees it. Every call may raise when the database is away."""

    def heartbeat(self) -> Answer: ...

    def store_events(self, rows: list[Row]) -> None: ...

    def surrender(self, outcome: Outcome, error: dict[str, Any] | None) -> None: ...


class Stop(NamedTuple):
    """Why a playbook is to end before its time."""

    outcome: Outcome
    reason: str


class Supervisor:
    """Runs `job`; `connect` opens the record (None for a job that has no workflow).

    `parent` is the process whose end ends the job. `dedicated` says that this process does nothing else: whatever
    descends from it belongs to the job.
    """

    def __init__(
        self, job: Job, connect: Callable[[], Record] | None, *, parent: int | None = None, dedicated: bool = False
    ) -> None:
        self.job = job
        self._parent = parent if parent is not None else os.getppid()
        self._dedicated = dedicated
        self._connect = connect
        self._record: Record | None = None
        self._record_lock = threading.Lock()
        # SimpleQueue.put may be called from a signal handler at any point; Event.set may not
        self._stops: queue.SimpleQueue[Stop | None] = queue.SimpleQueue()
        self._stop: Stop | None = None
        self._forked = threading.Event()  # ansible-playbook runs (or never will): this process may get heavy now
        self._finished = threading.Event()
        self._claimed_until = job.claimed_until
        self.surrendered = False  # whether the record knows how it ended
        self._playbook_pid: int | None = None
        self._mask = Mask(job.token)
        self._events = EventWriter(self._store_events, self._mask)

    def stop(self, outcome: Outcome, reason: str) -> None:
        """Ask for the playbook's end; returns at once, may be called from a signal handler."""
        self._stops.put(Stop(outcome, reason))

    def run(self) -> Outcome:
        """Run the playbook to its end, whatever that is, leave no process, and tell the record."""
        with private_directory(self.job) as directory:
            rc, failure = self._run_playbook(directory)
            remaining = processes.end(self._processes, grace_s=1.0)
            if remaining:
                log.error("job %s: processes %s would not end, not even by SIGKILL", self.job.id, sorted(remaining))
        self._events.close(_FLUSH_S)
        outcome, error = self._judge(rc, failure)
        self._surrender(outcome, error)
        return outcome

    # -- the playbook

    def _run_playbook(self, directory: Path) -> tuple[int | None, str | None]:
        """(exit status or None, what ansible-runner raised)."""
        self._prepare(directory)
        self._events.start()
        threads = [threading.Thread(target=self._watch, name="watch", daemon=True)]
        if self._connect is not None:
            threads.append(threading.Thread(target=self._keep_claim, name="claim", daemon=True))
        import ansible_runner  # here, so that importing this module stays cheap

        for thread in threads:
            thread.start()
        argv = command.playbook_command(self.job)
        try:
            result = ansible_runner.run(
                private_data_dir=str(directory),
                project_dir=self.job.project_dir,
                ident="run",
                binary=argv[0],
                cmdline=shlex.join(argv[1:]),
                envvars=command.playbook_environment(self.job, directory),
                suppress_env_files=True,  # its env/ would hold the variables in clear
                fact_cache_type="memory",
                event_handler=self._events.handle,
                cancel_callback=lambda: False,  # the watch does it: ansible-runner's own way leaves orphans
                quiet=True,
            )
            return result.rc, None
        except Exception as error:
            log.exception("job %s: ansible-runner", self.job.id)
            return None, f"{type(error).__name__}: {error}"
        finally:
            self._finished.set()
            self._forked.set()
            self._stops.put(None)
            threads[0].join()

    def _prepare(self, directory: Path) -> None:
        token = directory / command.TOKEN_FILE
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.job.token)
        # ansible-runner drops its `settings` argument when there is no such file
        settings = {"pexpect_timeout": _READ_S, "suppress_output_file": True}
        (directory / "env").mkdir(mode=0o700)
        (directory / "env" / "settings").write_text(json.dumps(settings))

    def _processes(self) -> set[int]:
        """Everything that belongs to this job and is not the supervisor."""
        found = processes.carrying(self.job.id)
        if self._dedicated:
            found |= processes.descendants(os.getpid())
        return found - {os.getpid()}

    # -- watching it

    def _watch(self) -> None:
        if not self._find_playbook():
            return
        self._forked.set()
        begin = time.monotonic()
        while True:
            try:
                stop = self._stops.get(timeout=_POLL_S)
                if stop is None:  # the playbook has ended by itself
                    return
            except queue.Empty:
                stop = self._overdue(begin)
                if stop is None:
                    continue
            break
        self._stop = stop
        log.warning("job %s: stopping the playbook: %s", self.job.id, stop.reason)
        # ansible-playbook first and alone: it ends its workers, and does not go on to a rescue with a killed task
        playbook = self._playbook_pid
        processes.end(lambda: self._processes() & {playbook} if playbook else set(), self.job.grace_s)
        processes.end(self._processes, grace_s=1.0)

    def _find_playbook(self) -> bool:
        """Wait for ansible-runner's child; False when the run was over before there was one."""
        while not self._finished.is_set():
            if playbook := processes.first(processes.carrying(self.job.id)):
                self._playbook_pid = playbook
                return True
            time.sleep(0.02)
        return False

    def _overdue(self, begin: float) -> Stop | None:
        now = time.monotonic()
        if os.getppid() != self._parent:
            return Stop(Outcome.STOPPED, "the scheduler that started this job has ended")
        if self.job.deadline_s is not None and now - begin > self.job.deadline_s:
            return Stop(Outcome.TIMED_OUT, f"the deadline of {self.job.deadline_s:g} s has passed")
        if self._connect is not None and now > self._claimed_until - self.job.claim_ttl_s / 6:
            return Stop(Outcome.LOST, "the claim could not be renewed in time: the record did not answer")
        return None

    # -- the claim

    def _keep_claim(self) -> None:
        self._forked.wait()
        pause = 0.0
        while not self._finished.wait(pause):
            asked = time.monotonic()
            try:
                answer = self._open_record().heartbeat()
            except Exception as error:
                log.warning("job %s: heartbeat: %s", self.job.id, error)
                pause = min(1.0, self.job.claim_ttl_s / 10)
                continue
            if not answer.run:
                reason = answer.reason or "the record said stop"
                self.stop(Outcome.CANCELLED if reason.startswith("cancelled") else Outcome.STOPPED, reason)
                return
            self._claimed_until = asked + self.job.claim_ttl_s
            pause = self.job.claim_ttl_s / 3

    def _open_record(self) -> Record:
        with self._record_lock:
            if self._record is None:
                assert self._connect is not None
                self._record = self._connect()
            return self._record

    def _store_events(self, rows: list[Row]) -> None:
        if self._connect is None:
            # the log is all that ever hears of a job without a workflow: such as which BMCs did not answer
            for row in rows:
                if row["event"] == "runner_on_ok" and row["data"].get("task_action") == _SAYS:
                    log.info("job %s: %s: %s", self.job.id, self.job.playbook, row["data"].get("stdout"))
            return
        self._forked.wait()
        self._open_record().store_events(rows)

    # -- the end

    def _judge(self, rc: int | None, failure: str | None) -> tuple[Outcome, dict[str, Any] | None]:
        """From our own flags and the exit status; ansible-runner's status is not asked."""
        tried = f"ansible-playbook {self.job.playbook}"
        if self._stop is not None:
            outcome, reason = self._stop
            late = outcome is Outcome.TIMED_OUT
            return outcome, {
                "code": "deadline_exceeded" if late else "job_stopped",
                "message": f"the playbook was stopped: {reason}",
                "tried": tried,
                "retryable": not late,
            }
        if rc == 0:
            return Outcome.SUCCEEDED, None
        error: dict[str, Any] = {"code": "playbook_failed", "tried": tried, "retryable": True}
        row = self._events.last_failure
        if row is None:
            error["message"] = failure or ("ended by a signal" if rc is None else f"exit status {rc}")
            error["answer"] = "\n".join(self._events.tail) or None
            return Outcome.FAILED, error
        error["host"] = row["host"]
        error["message"] = f"task '{row['task']}' failed"
        said = row["data"]["error"]
        # a module of ours says everything itself
        return Outcome.FAILED, {**error, **said} if isinstance(said, dict) else {**error, "answer": str(said)}

    def _surrender(self, outcome: Outcome, error: dict[str, Any] | None) -> None:
        """Tell the record how it ended; it ignores that when the claim is somebody else's. What cannot be told is
        found by the reaper when the claim runs out."""
        if self._connect is None:
            self.surrendered = True
            if error is not None and outcome is not Outcome.STOPPED:
                masked = self._mask.value(error)
                log.error(
                    "job %s: %s has %s: %s", self.job.id, self.job.playbook, outcome, masked["message"],
                    extra={"failure": masked},
                )  # fmt: skip
            return
        until = max(time.monotonic() + _SURRENDER_S, self._claimed_until)
        pause = 0.2
        while True:
            try:
                self._open_record().surrender(outcome, error)
                self.surrendered = True
                return
            except Exception as failure:
                if time.monotonic() + pause > until:
                    log.error("job %s: could not report %s to the record: %s", self.job.id, outcome, failure)
                    return
                time.sleep(pause)
                pause = min(pause * 2, 2.0)


def main(job: Job, parent: int) -> int:
    """Run a job in this process, which does nothing else, as a child of `parent`.

    0 when the record was told how it ended, or needs no telling; else the parent's parent tells it.
    """
    processes.die_with_parent(parent)
    processes.adopt_orphans()

    def connect() -> Record:
        # only now: ansible-runner copies this process's environment for the playbook, and these may be secrets
        os.environ.update(job.settings)
        from fleet.settings import get_settings
        from scheduler.record import JobRecord

        get_settings.cache_clear()

        return JobRecord(job)

    has_workflow = job.workflow_id is not None
    supervisor = Supervisor(job, connect if has_workflow else None, parent=parent, dedicated=True)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop(Outcome.STOPPED, "the scheduler asked for an end"))
    environment = {**command.inherited(os.environ), "PATH": os.environ.get("PATH", os.defpath)}
    os.environ.clear()
    os.environ.update(environment)
    supervisor.run()
    return 0 if supervisor.surrendered else 1
