# SPDX-License-Identifier: Apache-2.0
"""The scheduler process: a dispatcher in the calling thread, timers on the leader."""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

from fleet.settings import Settings
from scheduler import jobs, logs
from scheduler.dispatcher import Dispatcher
from scheduler.launchers import Launcher, RunnerLauncher
from scheduler.leader import Leadership
from scheduler.record import SchedulerRecord
from scheduler.timers import Timers

log = logging.getLogger(__name__)

REAP_S = 2.0
RELAY_S = 1.0
ALERTS_S = 15.0
PRUNE_S = 600.0
LEADER_TTL_S = 10.0
DRAIN_S = 20.0  # a playbook's grace (10 s) and what its supervisor needs around it

Task = Callable[[], object]


class Scheduler:
    """`settings` as the whole service has them; `launcher` is replaced by tests."""

    def __init__(self, settings: Settings, launcher: Launcher | None = None) -> None:
        self.settings = settings
        # the name in claims and leases: who, where, which process
        self.name = f"scheduler@{socket.gethostname()}:{os.getpid()}"
        self.record = SchedulerRecord(settings, self.name)
        self.leadership = Leadership(self.record.take_lease, self.record.free_lease, LEADER_TTL_S)
        self.dispatcher = Dispatcher(
            self.record.claim_next,
            self.record.surrender,
            launcher or RunnerLauncher(),
            settings.launcher_slots,
        )
        self.timers = Timers(lambda: self.leadership.held)
        # to be done by the dispatcher's thread; SimpleQueue.put is safe in a signal handler
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._ending = False

        self.timers.every(REAP_S, "reap", self.record.reap)
        self.timers.every(RELAY_S, "relay", self.record.relay)
        self.timers.every(ALERTS_S, "alerts", self.record.evaluate_alerts)
        self.timers.every(PRUNE_S, "prune", self.record.prune)
        if settings.collect_interval_s > 0:
            self.timers.every(settings.collect_interval_s, "collect", self._ask_to_collect)

    def end(self) -> None:
        """Begin the drain; returns at once, may be called from a signal handler or another thread."""
        self._ending = True
        self._tasks.put(None)

    def run(self, stop: threading.Event | None = None) -> None:
        """Work until `end` is called or `stop` is set (looked at every poll interval), then drain."""
        if swept := jobs.sweep():
            log.warning("ended what a killed scheduler left running: jobs %s", ", ".join(swept))
        log.info("%s starts with %d slots", self.name, self.settings.launcher_slots)
        self.leadership.start()
        self.timers.start()
        try:
            while not self._ending and not (stop is not None and stop.is_set()):
                self.dispatcher.tick()
                if not self.leadership.held:
                    self.dispatcher.cancel_extra()  # another leader collects now
                self._wait()
        finally:
            self._drain()

    def _wait(self) -> None:
        """Sleep until the next poll, or do what was asked for."""
        try:
            task = self._tasks.get(timeout=self.settings.dispatcher_poll_s)
        except queue.Empty:
            return
        if task is not None:
            try:
                task()
            except Exception as error:
                log.warning("%s: %s", getattr(task, "__name__", "task"), error)

    def _ask_to_collect(self) -> None:
        # not here: the kernel ends a supervisor with the thread that started it
        self._tasks.put(self._collect)

    def _collect(self) -> None:
        if self.dispatcher.start_extra(self.record.collect_job):
            log.info("telemetry: a new run begins")

    def _drain(self) -> None:
        log.info("%s drains: %d jobs run", self.name, self.dispatcher.running)
        self.dispatcher.drain(DRAIN_S)
        self.timers.stop()
        self.leadership.stop()
        log.info("%s has ended", self.name)


def run(settings: Settings | None = None, stop: threading.Event | None = None) -> None:
    """Run a scheduler until SIGTERM or SIGINT, or until `stop` is set; every job it started has ended on return.

    Without `stop` it takes over those two signals, so it wants the main thread then.
    """
    if settings is None:
        from fleet.settings import get_settings

        settings = get_settings()
    logs.configure()
    scheduler = Scheduler(settings)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        scheduler.end()

    if stop is None:
        previous = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        scheduler.run(stop)
    finally:
        if stop is None:
            for number, handler in previous.items():
                signal.signal(number, handler)
