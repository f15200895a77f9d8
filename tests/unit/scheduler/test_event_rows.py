# SPDX-License-Identifier: Apache-2.0
"""Events of ansible-runner on their way to rows: chosen, cut to size, without secrets; a writer that never hinders."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from scheduler import events
from scheduler.events import EventWriter, Mask, Row, row_of

TOKEN = "pbd_abcdef"


def an_event(kind: str = "runner_on_ok", counter: int = 1, **data: Any) -> dict[str, Any]:
    return {
        "uuid": f"u{counter}",
        "counter": counter,
        "event": kind,
        "stdout": f"line {counter}",
        "event_data": {"host": "node-1", "task": "wipe", "res": {"changed": True}, **data},
    }


def test_a_row_names_host_task_and_change() -> None:
    row = row_of(an_event(role="secure_erase", duration=1.5), Mask())
    assert row is not None
    assert (row["event"], row["host"], row["task"], row["counter"]) == ("runner_on_ok", "node-1", "wipe", 1)
    assert row["data"] == {"changed": True, "role": "secure_erase", "duration": 1.5, "stdout": "line 1"}


def test_arguments_and_results_at_large_are_left_out() -> None:
    row = row_of(an_event(task_args="password=hunter2", res={"content": "hunter2", "changed": False}), Mask())
    assert "hunter2" not in json.dumps(row)


@pytest.mark.parametrize("kind", ["runner_on_start", "EOF", "playbook_on_no_hosts_matched", "runner_item_on_ok"])
def test_events_nobody_misses_give_no_row(kind: str) -> None:
    assert row_of(an_event(kind), Mask()) is None


def test_empty_lines_give_no_row() -> None:
    assert row_of({"event": "verbose", "stdout": "  \r\n", "counter": 1}, Mask()) is None


def test_secrets_are_masked_by_value_and_by_name() -> None:
    error = {"answer": f"401 for {TOKEN}", "bmc_password": "hunter2", "nested": [{"Authorization": "Basic x"}]}
    row = row_of(an_event("runner_on_failed", res={"error": error}), Mask(TOKEN))
    text = json.dumps(row)
    assert TOKEN not in text
    assert "hunter2" not in text
    assert "Basic x" not in text
    assert row is not None
    assert row["data"]["error"]["answer"] == "401 for ********"


def test_sizes_are_capped() -> None:
    flood = {f"key{number}": "x" * 5000 for number in range(100)}
    event = an_event("runner_on_failed", res={"error": flood}, task="t" * 1000, host="h" * 1000)
    event["stdout"] = "y" * 100_000
    row = row_of(event, Mask())
    assert row is not None
    assert len(json.dumps(row)) < 30_000
    assert (len(row["task"]), len(row["host"])) == (255, 128)


def test_unknown_types_and_deep_values_become_text() -> None:
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    assert Mask().value(deep)["a"]["b"]["c"]["d"] == "…"
    assert Mask().value({"x": {1, 2}}) == {"x": "{1, 2}"}


class Store:
    def __init__(self) -> None:
        self.batches: list[list[Row]] = []
        self.failures = 0

    def __call__(self, rows: list[Row]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        self.batches.append(list(rows))

    @property
    def counters(self) -> list[int]:
        return [row["counter"] for batch in self.batches for row in batch]


def test_rows_are_written_in_few_batches_and_all_at_the_end() -> None:
    store = Store()
    writer = EventWriter(store, Mask(), interval_s=10)
    writer.start()
    for counter in range(2500):
        assert writer.handle(an_event(counter=counter)) is False
    begin = time.monotonic()
    writer.close(5)
    assert time.monotonic() - begin < 5
    assert store.counters == list(range(2500))
    assert max(map(len, store.batches)) <= events.BATCH
    assert len(store.batches) <= 6


def test_a_failed_write_is_tried_again_with_the_next() -> None:
    store = Store()
    store.failures = 1
    writer = EventWriter(store, Mask(), interval_s=0.05)
    writer.start()
    writer.handle(an_event(counter=1))
    until = time.monotonic() + 5
    while store.failures and time.monotonic() < until:
        time.sleep(0.01)
    writer.handle(an_event(counter=2))
    writer.close(5)
    assert store.counters == [1, 2]


def test_a_store_that_is_away_for_good_loses_events_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.failures = 10**6
    writer = EventWriter(store, Mask(), interval_s=0.01)
    writer.start()
    for counter in range(events.BATCH + 10):
        writer.handle(an_event(counter=counter))
    writer.close(5)
    assert f"{events.BATCH + 10} events of this job were not stored" in caplog.text


def test_a_full_queue_drops_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUEUE_LIMIT", 3)
    writer = EventWriter(Store(), Mask())
    assert [writer.handle(an_event()) for _ in range(5)] == [False] * 5
    assert writer.dropped == 2


def test_the_failure_that_counts_is_remembered() -> None:
    writer = EventWriter(Store(), Mask(), interval_s=0.01)
    writer.start()
    writer.handle(an_event("runner_on_failed", 1, res={"msg": "the one"}))
    writer.handle(an_event("runner_on_failed", 2, res={"msg": "ignored"}, ignore_errors=True))
    writer.handle(an_event("runner_retry", 3, res={"msg": "again"}))
    writer.handle({"event": "verbose", "stdout": "ERROR! no such file", "counter": 4, "uuid": "v"})
    writer.close(5)
    assert writer.last_failure is not None
    assert writer.last_failure["data"]["error"] == "the one"
    assert list(writer.tail) == ["ERROR! no such file"]
