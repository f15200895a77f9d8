# SPDX-License-Identifier: Apache-2.0
"""What happens by the clock, on the leader only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)


class Timers:
    """Periodic jobs in APScheduler, with its job store in memory: nothing about them needs to survive, and a job store
    must not be shared between schedulers. `allowed` says whether this process is the leader; it is asked each time.
    """

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(4)},
            # one run of a job at a time; runs that were missed are made up for by one
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        logging.getLogger("apscheduler").setLevel(logging.WARNING)

    def every(self, seconds: float, name: str, work: Callable[[], object]) -> None:
        """Do `work` every so many seconds. What it returns is logged when it is not empty; what it raises is, too."""
        self._scheduler.add_job(self._run, "interval", seconds=seconds, args=(name, work), id=name, name=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """No new runs; waits for those that go on, which are bounded by the database's own limits."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _run(self, name: str, work: Callable[[], object]) -> None:
        if not self._allowed():
            return
        begin = time.monotonic()
        try:
            result = work()
        except Exception as error:
            log.warning("timer %s: %s: %s", name, type(error).__name__, error)
            return
        if result:
            log.info("timer %s: %s in %.0f ms", name, result, 1000 * (time.monotonic() - begin))
