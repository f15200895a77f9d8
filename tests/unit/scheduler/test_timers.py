# SPDX-License-Identifier: Apache-2.0
"""Timers run on the leader, one at a time, and outlive what they call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from scheduler.timers import Timers


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def test_work_is_done_only_while_this_is_the_leader(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    leading = threading.Event()
    done: list[float] = []

    def work() -> dict[str, int]:
        done.append(time.monotonic())
        if len(done) == 1:
            raise ConnectionError("no route")
        return {"claims": 1}

    timers = Timers(leading.is_set)
    timers.every(0.05, "reap", work)
    timers.start()
    time.sleep(0.2)
    assert not done
    leading.set()
    until(lambda: len(done) >= 3)
    leading.clear()
    time.sleep(0.1)
    count = len(done)
    time.sleep(0.2)
    assert len(done) == count
    timers.stop()
    timers.stop()
    assert "timer reap: ConnectionError: no route" in caplog.text
    assert "timer reap: {'claims': 1}" in caplog.text


def test_a_slow_run_is_not_overtaken_by_the_next() -> None:
    running = threading.Semaphore(1)
    overlaps: list[bool] = []

    def slow() -> None:
        overlaps.append(not running.acquire(blocking=False))
        time.sleep(0.2)
        running.release()

    timers = Timers(lambda: True)
    timers.every(0.05, "slow", slow)
    timers.start()
    until(lambda: len(overlaps) >= 3)
    timers.stop()
    assert not any(overlaps)
