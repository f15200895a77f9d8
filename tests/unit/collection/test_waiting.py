"""The waiter: pauses that grow, and end with the deadline."""

from __future__ import annotations

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_pauses_grow_to_their_longest_and_end_at_the_deadline() -> None:
    clock = Clock()
    waiter = Waiter(60, first_pause_s=1, longest_pause_s=8, growth=2, clock=clock, sleep=clock.sleep)
    while waiter.pause():
        pass
    assert clock.now == pytest.approx(160)
    assert waiter.waited == pytest.approx(60)
    assert waiter.left == 0
    for pause, ideal in zip(clock.slept[:-1], [1, 2, 4, *[8] * 20], strict=False):
        assert 0.8 * ideal <= pause <= 1.2 * ideal


def test_no_time_is_no_pause() -> None:
    clock = Clock()
    assert not Waiter(0, clock=clock, sleep=clock.sleep).pause()
    assert clock.slept == []


def test_a_pause_is_as_long_as_the_other_side_asks_for() -> None:
    clock = Clock()
    waiter = Waiter(60, first_pause_s=1, clock=clock, sleep=clock.sleep)
    assert waiter.pause(7)
    assert clock.slept == [7]


def test_a_pause_that_would_have_to_be_cut_short_is_left_out_for_who_wants_whole_ones() -> None:
    clock = Clock()
    waiter = Waiter(60, first_pause_s=1, clock=clock, sleep=clock.sleep)
    assert not waiter.pause(60, whole=True)
    assert clock.slept == []
    assert waiter.pause(60)
    assert clock.now == 160
