# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_metrics_info``: power, health and temperatures of many servers in one task.

A bounded pool of threads, one request in flight a BMC, a deadline for each BMC and round. Sessions are kept between
rounds: logging in costs a BMC more than the reading.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc, GpuMetrics, Metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    InvalidInput,
    PaleBlueDotError,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

# Points in one request to the service: some 1.5 MB, well below what it takes.
BATCH = 5000


@dataclass
class Target:
    """One entry of ``bmcs`` and what is kept of it between rounds."""

    entry: dict[str, Any]
    subset: frozenset[str]
    storing: bool = False
    bmc: Bmc | None = None
    reading: dict[str, Any] | None = None
    metrics: Metrics | None = None
    read_at: str | None = None
    problem: PaleBlueDotError | None = None
    failed: int = 0

    @property
    def name(self) -> str:
        return str(self.entry.get("name") or self.entry["address"])

    def read(self) -> None:
        """Read once; a failure is kept and costs this BMC its session, nothing else."""
        self.reading = self.metrics = None
        if self.problem is not None and self.problem.code == AuthenticationError.code:
            # the same password again only brings the account's lockout nearer; the next run has the new one
            self.failed += 1
            return
        try:
            if self.bmc is None:
                self.bmc = open_bmc(self.entry, prefix="")
            found: dict[str, Any] = {}
            if "state" in self.subset:
                found |= asdict(self.bmc.state())
            if "metrics" in self.subset:
                self.metrics = self.bmc.metrics()
                found |= self.metrics.as_dict()
                if self.storing and "state" not in self.subset and not any(map(_is_fresh, self.metrics.gpus)):
                    found |= asdict(self.bmc.state())  # is it off? The record wants to know; the others are on
            self.read_at = _now()
            self.reading = {"name": self.name, "read_at": self.read_at, **found}
            self.problem = None
        except PaleBlueDotError as problem:
            self._failed(problem)
        except Exception as problem:
            # one BMC's answer that nobody thought of must not end the round of all the others
            self._failed(
                PaleBlueDotError(
                    f"unexpected {type(problem).__name__}: {problem}",
                    code="internal_error",
                    host=self.name,
                    next="This is a defect of the collection: report it.",
                )
            )

    def _failed(self, problem: PaleBlueDotError) -> None:
        self.problem = problem
        self.failed += 1
        self.close()

    def close(self) -> None:
        bmc, self.bmc = self.bmc, None
        if bmc is not None:
            bmc.close()


@dataclass
class Store:
    """Sends points to the service; a service that is away costs the points of a round, not the rounds to come.

    With ``asked``, the names of all servers that are asked, ``unasked`` is how many more the service wants watched.
    """

    client: ServiceClient
    asked: list[str] | None = None
    unasked: int = 0
    stored: int = 0
    lost: int = 0
    problem: PaleBlueDotError | None = None
    sent: bool = field(default=False)

    def send(self, points: list[dict[str, Any]]) -> None:
        batches = [points[start : start + BATCH] for start in range(0, len(points), BATCH)]
        if self.asked is not None and not batches:
            batches = [[]]  # none has answered, and there may still be another to ask
        for batch in batches:
            asked = self.asked if batch is batches[-1] else None
            try:
                answer = self.client.store_telemetry(batch, asked)
                self.unasked = int(answer.get("unasked") or 0)
                self.stored += int(answer.get("stored", len(batch)))
                self.sent = True
            except PaleBlueDotError as problem:
                self.problem = problem
                self.lost += len(batch)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read every BMC of ``bmcs``, ``rounds`` times, every ``interval`` seconds.

    With ``whole_fleet`` not one round more as soon as the service wants a server watched that is not among them. One
    that is, and fails, is asked: it ends nothing.
    """
    rounds, interval = int(params["rounds"]), float(params["interval"])
    if rounds < 1 or params["concurrency"] < 1:
        raise InvalidInput("rounds and concurrency must be at least 1", next="Correct the option.")
    limit = int(params["timeout"])
    subset = frozenset(params["subset"])
    targets = [
        Target({**entry, "timeout": min(entry.get("timeout") or limit, limit)}, subset, bool(params["store"]))
        for entry in params["bmcs"]
    ]
    storing = bool(params["store"]) and not check_mode
    asked = [target.name for target in targets] if params.get("whole_fleet") else None
    store = Store(client_from(params), asked) if storing else None
    done = read = failed = points = 0
    try:
        for _round in _schedule(rounds, interval):
            done += 1
            _read_all(targets, int(params["concurrency"]))
            answered = sum(target.reading is not None for target in targets)
            read += answered
            failed += len(targets) - answered
            if params["store"]:
                round_points = [
                    point for target in targets if target.metrics for point in _points(target, target.metrics)
                ]
                points += len(round_points)
                if store is not None:
                    store.send(round_points)
                    if store.unasked:
                        break
    finally:
        _each(Target.close, targets, int(params["concurrency"]))
        if store is not None:
            store.client.close()
    if store is not None and store.problem is not None and not store.sent:
        raise store.problem
    return {
        "changed": bool(store and store.stored),
        "counts": {
            "bmcs": len(targets),
            "rounds": done,
            "read": read,
            "failed": failed,
            "points": points,
            "stored": store.stored if store else 0,
            "lost": store.lost if store else 0,
            "unasked": store.unasked if store else 0,
        },
        "failures": [
            {"name": target.name, "failed": target.failed, "error": target.problem.as_dict()}
            for target in targets
            if target.problem is not None
        ],
        **({} if params["store"] else {"metrics": [target.reading for target in targets if target.reading]}),
    }


def _schedule(rounds: int, interval: float) -> Iterable[int]:
    """Yield each round at its time. The times are multiples of the interval from the start, so that they do not drift;
    a round whose time has passed begins at once."""
    started = time.monotonic()
    for number in range(rounds):
        left = started + number * interval - time.monotonic()
        if left > 0:
            time.sleep(left)
        yield number


def _read_all(targets: list[Target], concurrency: int) -> None:
    # Those that failed last time come last: the dead must not hold the threads that the living wait for.
    _each(Target.read, sorted(targets, key=lambda target: target.problem is not None), concurrency)


def _each(do: Any, targets: list[Target], concurrency: int) -> None:
    if not targets:
        return
    with ThreadPoolExecutor(max_workers=min(concurrency, len(targets))) as pool:
        list(pool.map(do, targets))


def _points(target: Target, metrics: Metrics) -> list[dict[str, Any]]:
    """One point of the server and one of each GPU, in the words of the service's record."""
    common: Mapping[str, Any] = {"server": target.name, "timestamp": target.read_at}
    power_state = (target.reading or {}).get("power_state")
    found: list[dict[str, Any]] = [
        {
            **common,
            "gpu": None,
            "power_consumption": metrics.power_watts,
            "temperature": metrics.inlet_celsius,
            **({"power_state": power_state} if power_state else {}),
        }
    ]
    for gpu in metrics.gpus:
        if gpu.stale:
            continue  # the BMC itself says that these are old
        found.append(
            {
                **common,
                "gpu": gpu.id,
                "temperature": gpu.temperature_celsius,
                "memory_temperature": gpu.memory_temperature_celsius,
                "margin_celsius": gpu.margin_celsius,
                "power_consumption": gpu.power_watts,
            }
        )
    return found


def _is_fresh(gpu: GpuMetrics) -> bool:
    return not gpu.stale and (gpu.temperature_celsius is not None or gpu.margin_celsius is not None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
