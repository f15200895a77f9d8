# SPDX-License-Identifier: Apache-2.0
"""Who believes in a lease, and for how long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scheduler import leader as leader_module
from scheduler.leader import Leadership


class FakeLease:
    def __init__(self) -> None:
        self.ours = True
        self.error: Exception | None = None
        self.freed = 0
        self.asked = 0

    def take(self, _ttl_s: float) -> bool:
        self.asked += 1
        if self.error:
            raise self.error
        return self.ours

    def free(self) -> None:
        self.freed += 1
        if self.error:
            raise self.error


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(leader_module.time, "monotonic", lambda: now[0])
    return now


def test_a_lease_is_believed_in_for_less_than_its_time(clock: list[float]) -> None:
    lease = FakeLease()
    leadership = Leadership(lease.take, lease.free, ttl_s=10)
    assert not leadership.held
    leadership.renew()
    assert leadership.held
    clock[0] += 7.9
    assert leadership.held
    clock[0] += 0.2
    assert not leadership.held


def test_a_slow_answer_does_not_lengthen_it(clock: list[float]) -> None:
    def slow(_ttl_s: float) -> bool:
        clock[0] += 9
        return True

    leadership = Leadership(slow, lambda: None, ttl_s=10)
    leadership.renew()
    assert not leadership.held


def test_a_database_that_is_away_costs_the_lead_only_when_the_time_is_over(clock: list[float]) -> None:
    lease = FakeLease()
    leadership = Leadership(lease.take, lease.free, ttl_s=10)
    leadership.renew()
    lease.error = ConnectionError("gone")
    clock[0] += 3
    leadership.renew()
    assert leadership.held
    clock[0] += 6
    leadership.renew()
    assert not leadership.held


def test_somebody_elses_lease_ends_ours_at_once(clock: list[float]) -> None:
    lease = FakeLease()
    leadership = Leadership(lease.take, lease.free, ttl_s=10)
    leadership.renew()
    lease.ours = False
    leadership.renew()
    assert not leadership.held
    leadership.stop()
    assert lease.freed == 0


@pytest.mark.parametrize("error", [None, ConnectionError("gone")])
def test_stop_frees_the_lease(error: Any) -> None:
    lease = FakeLease()
    leadership = Leadership(lease.take, lease.free, ttl_s=0.3)
    leadership.start()
    until = time.monotonic() + 5
    while lease.asked < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert leadership.held
    lease.error = error
    leadership._thread.join(0) if error is None else None
    leadership.stop()
    assert not leadership.held
    assert not leadership._thread.is_alive()
