"""``Prefer: wait`` is bounded in time, in looks at the record, and in how many wait at once."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from api.waiting import Waiters, preferred_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=7", 7),
        ('Wait = "3"', 3),
        ("wait=600", 60),
        ("wait=0", 0),
        ("await=5", 0),
        ("wait=soon", 0),
        ("wait=-1", 0),
        ("", 0),
        ("wait=" + "9" * 40, 60),
    ],
)
def test_a_preference_is_read_and_nonsense_ignored(header: str, seconds: int) -> None:
    assert preferred_wait(header) == seconds


def test_it_looks_at_most_four_times_a_second() -> None:
    looks: list[float] = []

    def done() -> bool:
        looks.append(time.monotonic())
        return False

    assert Waiters(1).wait_until(done, 1.0) is False
    assert 2 <= len(looks) <= 5
    assert all(later - earlier > 0.2 for earlier, later in pairwise(looks[:-1]))


def test_it_ends_as_soon_as_it_is_done() -> None:
    answers = iter([False, True])
    assert Waiters(1).wait_until(lambda: next(answers), 30) is True


def test_who_finds_no_place_does_not_wait() -> None:
    waiters = Waiters(1)
    inside, leave = threading.Event(), threading.Event()

    def done() -> bool:
        inside.set()
        return leave.wait(5)

    first = threading.Thread(target=waiters.wait_until, args=(done, 5))
    first.start()
    inside.wait(5)
    started = time.monotonic()
    assert waiters.wait_until(lambda: True, 5) is False
    assert time.monotonic() - started < 5.5
    leave.set()
    first.join(5)
    assert waiters.wait_until(lambda: True, 5) is True


def test_an_error_gives_the_place_back() -> None:
    waiters = Waiters(1)

    def broken() -> bool:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        waiters.wait_until(broken, 5)
    assert waiters.wait_until(lambda: True, 5) is True


def test_a_stop_ends_all_waits() -> None:
    waiters = Waiters(2)
    threading.Timer(0.3, waiters.stop).start()
    started = time.monotonic()
    assert waiters.wait_until(lambda: False, 30) is False
    assert time.monotonic() - started < 20
