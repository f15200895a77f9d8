# SPDX-License-Identifier: Apache-2.0
"""``python -m scheduler.forkserver``: has imported what a supervisor needs, and forks one for every job.

The imports (SQLAlchemy, the record, ansible-runner) cost more than a second of processor time; paid for every job they
would hold up its start and its first heartbeat. The scheduler itself cannot fork: it has threads and connections. This
process has neither.

It reads jobs from standard input, one JSON document a line, and writes to standard output: ``ready`` when the imports
are done, ``started ID PID`` and ``ended ID STATUS`` for every job. It ends with the scheduler, and the supervisors end
with it; so the chain scheduler, fork server, supervisor, ansible-playbook, worker is broken nowhere.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import traceback

from scheduler import logs, processes
from scheduler.jobs import Job


class ForkServer:
    """`inbox` and `outbox` are file descriptors."""

    def __init__(self, inbox: int, outbox: int) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._unread = b""
        self._jobs: dict[int, str] = {}  # pid -> job id
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> None:
        """Until standard input ends: then the scheduler is gone, and so is this process's reason to be."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._say("ready")
        while True:
            readable, _, _ = select.select([self._inbox, self._wake], [], [])
            if self._wake in readable:
                os.read(self._wake, 4096)
            self._collect()
            if self._inbox in readable and not self._read():
                return

    def _read(self) -> bool:
        data = os.read(self._inbox, 65536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._fork(Job.from_json(line.decode()))
        return bool(data)

    def _fork(self, job: Job) -> None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._supervise(job, server))
        self._jobs[pid] = job.id
        self._say(f"started {job.id} {pid}")

    def _supervise(self, job: Job, server: int) -> int:
        """In the child: never returns into the server's loop, whatever happens."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()  # a Ctrl-C at the terminal is for the scheduler, which drains
            for descriptor in (self._inbox, self._outbox, self._wake, self._waker):
                os.close(descriptor)
            from scheduler import supervisor

            return supervisor.main(job, parent=server)
        except BaseException:
            traceback.print_exc()
            return 70  # EX_SOFTWARE, sysexits.h
        finally:
            sys.stderr.flush()

    def _collect(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._jobs:
                self._say(f"ended {self._jobs.pop(pid)} {os.waitstatus_to_exitcode(status)}")

    def _say(self, line: str) -> None:
        os.write(self._outbox, f"{line}\n".encode())


def main() -> None:
    """Make the imports, then serve."""
    logs.configure()
    processes.die_with_parent(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import ansible_runner  # noqa: F401

    import scheduler.record
    import scheduler.supervisor  # noqa: F401

    # what is here now stays; children that do not touch it share its memory
    gc.collect()
    gc.freeze()
    inbox, outbox = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    ForkServer(inbox, outbox).serve()


if __name__ == "__main__":
    main()
