"""``bmc_metrics_info`` with ``store``: what goes to the service, and what happens when it is away."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import GpuMetrics, Metrics, ServerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, Unreachable


class Service:
    """``watched`` are the servers that it wants watched."""

    def __init__(self, problems: list[Exception | None], watched: tuple[str, ...] = ()) -> None:
        self.problems = problems
        self.watched = set(watched)
        self.sent: list[list[dict[str, Any]]] = []
        self.closed = False

    def store_telemetry(self, points: list[dict[str, Any]], asked: list[str] | None = None) -> dict[str, Any]:
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem
        self.sent.append(points)
        unasked = None if asked is None else len(self.watched - set(asked))
        return {"stored": len(points), "unasked": unasked}

    def close(self) -> None:
        self.closed = True


class FakeBmc:
    opened = 0
    closed = 0

    def __init__(self) -> None:
        FakeBmc.opened += 1

    @classmethod
    def closed_all(cls) -> bool:
        return cls.closed == cls.opened > 0

    def state(self) -> ServerState:
        raise AssertionError("a server with fresh figures of a GPU is on: nobody needs to ask")

    def metrics(self) -> Metrics:
        return Metrics(
            1950.0,
            22.0,
            [
                GpuMetrics("GPU_SXM_1", "metric_report", 26.75, 60.0, 35.0, 71.6),
                GpuMetrics("GPU_SXM_2", "metric_report", 30.0, stale=True),
            ],
        )

    def close(self) -> None:
        FakeBmc.closed += 1


@pytest.fixture
def collect(monkeypatch: pytest.MonkeyPatch) -> Any:
    FakeBmc.opened = FakeBmc.closed = 0
    monkeypatch.setattr(metrics, "open_bmc", lambda entry, prefix: FakeBmc())

    def run(service: Service, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(metrics, "client_from", lambda params: service)
        bmcs = [{"name": f"dgx-{n:02}", "address": f"192.0.2.{n}"} for n in range(1, 4)]
        defaults = {
            "bmcs": bmcs,
            "concurrency": 2,
            "timeout": 5,
            "store": True,
            "rounds": 1,
            "interval": 0.0,
            "subset": ["metrics"],
            "whole_fleet": False,
        }
        return metrics.run({**defaults, **options}, check_mode)

    return run


def test_points_carry_the_words_of_the_record(collect: Any) -> None:
    service = Service([])
    answer = collect(service)
    server, gpu = service.sent[0][:2]
    timestamp = server.pop("timestamp")
    assert timestamp.endswith("Z")
    assert server == {"server": "dgx-01", "gpu": None, "power_consumption": 1950.0, "temperature": 22.0}
    assert gpu == {
        "server": "dgx-01",
        "gpu": "GPU_SXM_1",
        "timestamp": timestamp,
        "temperature": 26.75,
        "memory_temperature": 35.0,
        "margin_celsius": 60.0,
        "power_consumption": 71.6,
    }
    assert len(service.sent[0]) == 6, "a reading that the BMC calls stale is no reading"
    assert answer["changed"] and answer["counts"]["stored"] == 6 and "metrics" not in answer
    assert service.closed


def test_points_go_in_batches(collect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BATCH", 4)
    service = Service([])
    collect(service)
    assert [len(batch) for batch in service.sent] == [4, 2]


def test_a_service_that_is_away_for_a_round_costs_that_round(collect: Any) -> None:
    service = Service([Unreachable("away"), None])
    answer = collect(service, rounds=2)
    assert (answer["counts"]["stored"], answer["counts"]["lost"]) == (6, 6)
    assert FakeBmc.opened == 3, "sessions are kept between rounds"


def test_a_service_that_never_answers_is_a_failure(collect: Any) -> None:
    with pytest.raises(Unreachable):
        collect(Service([Unreachable("away"), Unreachable("away")]), rounds=2)


@pytest.mark.parametrize(
    "gpus",
    [[], [GpuMetrics("GPU_SXM_1", "metric_report", 95.0, stale=True)], [GpuMetrics("GPU_SXM_1", "processor", None)]],
    ids=["no GPU", "stale figures", "no figure"],
)
def test_a_bmc_without_fresh_figures_of_a_gpu_says_whether_the_server_is_on(
    collect: Any, monkeypatch: pytest.MonkeyPatch, gpus: list[GpuMetrics]
) -> None:
    monkeypatch.setattr(FakeBmc, "metrics", lambda _self: Metrics(90.0, 22.0, gpus))
    monkeypatch.setattr(FakeBmc, "state", lambda _self: ServerState("Off", "OK"))
    service = Service([])
    collect(service)
    servers = [point for point in service.sent[0] if point["gpu"] is None]
    assert [point["power_state"] for point in servers] == ["Off"] * 3


def test_a_run_ends_when_there_is_a_server_that_it_does_not_ask(collect: Any) -> None:
    service = Service([], watched=("dgx-01", "dgx-02", "dgx-03"))
    assert collect(service, rounds=2, whole_fleet=True)["counts"]["rounds"] == 2
    service.watched.add("dgx-09")
    counts = collect(service, rounds=20, whole_fleet=True)["counts"]
    assert (counts["rounds"], counts["unasked"]) == (1, 1)
    assert FakeBmc.closed_all(), "sessions are ended with it"
    assert collect(service, rounds=2)["counts"]["rounds"] == 2, "bmcs may be a choice"


def test_who_is_asked_and_does_not_answer_ends_no_run(collect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> Metrics:
        raise Unreachable("dead")

    monkeypatch.setattr(FakeBmc, "metrics", fail)
    service = Service([], watched=("dgx-01", "dgx-02", "dgx-03"))
    counts = collect(service, rounds=3, whole_fleet=True)["counts"]
    assert (counts["rounds"], counts["failed"], counts["unasked"]) == (3, 9, 0)
    service.watched.add("dgx-09")
    assert collect(service, rounds=3, whole_fleet=True)["counts"]["rounds"] == 1, "also when nobody has answered"


def test_who_is_asked_is_said_with_the_last_batch(collect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BATCH", 4)
    service = Service([], watched=("dgx-09",))
    counts = collect(service, rounds=2, whole_fleet=True)["counts"]
    assert (counts["rounds"], counts["stored"], counts["unasked"]) == (1, 6, 1)


def test_check_mode_reads_and_sends_nothing(collect: Any) -> None:
    service = Service([])
    answer = collect(service, check_mode=True)
    assert not service.sent and not answer["changed"] and answer["counts"]["points"] == 6


def test_an_unexpected_error_of_one_bmc_stays_with_it(collect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(self: Any) -> Metrics:
        raise ZeroDivisionError("firmware")

    monkeypatch.setattr(FakeBmc, "metrics", explode)
    answer = collect(Service([]), store=False)
    assert {failure["error"]["code"] for failure in answer["failures"]} == {"internal_error"}


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"concurrency": 0}])
def test_numbers_that_make_no_sense(collect: Any, wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        collect(Service([]), **wrong)


def test_no_bmcs_is_an_empty_answer(collect: Any) -> None:
    assert collect(Service([]), bmcs=[], store=False)["metrics"] == []
