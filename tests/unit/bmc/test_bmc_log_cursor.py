"""Which entries of a log are new, and which of their dates may be believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.logs import (
    created_of,
    order_of,
    skew_of,
    window,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def ids(log: list[str], after: str | None, limit: int = 100) -> tuple[list[str], bool, bool]:
    return window(log, str, after, limit)


def test_ids_are_ordered_by_their_value() -> None:
    assert ids(["1", "1001", "140", "85"], None) == (["1", "85", "140", "1001"], False, False)
    assert order_of("1689163423_2") < order_of("1689163423_10") < order_of("1689163424")


def test_without_a_cursor_the_newest_are_returned() -> None:
    assert ids(["3", "1", "2"], None, 2) == (["2", "3"], False, False)


def test_with_one_the_oldest_come_first_and_none_is_lost() -> None:
    log = [str(n) for n in range(1, 8)]
    assert ids(log, "2", 3) == (["3", "4", "5"], True, False)
    assert ids(log, "5", 3) == (["6", "7"], False, False)
    assert ids(log, "7", 3) == ([], False, False)
    assert ids(log, "0", 3) == (["1", "2", "3"], True, False)
    assert ids([], "0") == ([], False, False)


@pytest.mark.parametrize(
    ("log", "after"),
    [
        (["1", "2"], "852"),  # cleared
        (["1", "900"], "852"),  # cleared, and grown past it
        (["900", "901"], "852"),  # written over
        ([], "852"),
    ],
)
def test_a_cursor_that_is_gone_starts_from_the_oldest_and_is_told(log: list[str], after: str) -> None:
    assert ids(log, after) == (log, False, True)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "0000-00-00",
        "0000-00-00T00:00:00Z",
        "00:00:00Z",
        "1970-01-01T00:00:20+00:00",
        "2000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2027-03-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "N/A",
        1732190000,
        {"date": 1},
        ["2026-01-01"],
    ],
)
def test_dates_that_cannot_be_right_are_null(raw: object) -> None:
    assert created_of(raw, NOW, 0.0) is None


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00+00:00"),
        ("2026-11-20T10:00:00-06:00", "2026-11-20T10:00:00-06:00"),
        ("2026-11-20T10:00:00-0600", "2026-11-20T10:00:00-06:00"),  # iDRAC
        ("2026-11-20T10:00:00", "2026-11-20T10:00:00+00:00"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00"),  # a clock may be some hours off
    ],
)
def test_dates_that_can_be_right_are_kept(raw: str, read: str) -> None:
    assert created_of(raw, NOW, None) == read


def test_a_clock_that_is_days_off_makes_every_date_null() -> None:
    skew = skew_of("2020-12-11T16:35:16+00:00", NOW)
    assert skew is not None and skew < -180_000_000
    assert created_of("2020-12-11T10:00:00Z", NOW, skew) is None
    assert skew_of("0000-00-00", NOW) is None
    assert skew_of("2026-11-21T12:00:30Z", NOW) == 30.0
