"""Prometheus metrics of the service itself, at ``/metrics``.

The service is one process with many threads (see `api.server`), so an in-process registry holds the whole truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# Seconds: most answers are a handful of indexed statements; releases may wait up to a minute.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

Counts = Callable[[], Mapping[str, int]]


class _StateCollector(Collector):
    """A gauge read from the record when Prometheus asks."""

    def __init__(self, name: str, help_text: str, counts: Counts) -> None:
        self.name, self.help_text, self.counts = name, help_text, counts

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(self.name, self.help_text, labels=["status"])]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self.name, self.help_text, labels=["status"])
        for status, count in self.counts().items():
            family.add_metric([status], count)
        return [family]


class Metrics:
    """The registry of one app and what is counted in it."""

    EXTENSION = "palebluedot-metrics"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "palebluedot_http_requests_total",
            "Requests answered, by route (as declared, not as called), method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "palebluedot_http_request_duration_seconds",
            "Seconds from the first byte read to the answer made.",
            ["route", "method"],
            buckets=BUCKETS,
            registry=self.registry,
        )

    def init_app(self, app: Flask, states: Mapping[str, tuple[str, Counts]]) -> None:
        """Count every request, and expose ``states`` (metric name → help text and reader) as gauges by status."""
        for name, (help_text, counts) in states.items():
            self.registry.register(_StateCollector(name, help_text, counts))
        app.extensions[self.EXTENSION] = self
        app.after_request(self._observe)

    def _observe(self, response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        method = request.method if request.url_rule else "any"
        self.requests.labels(route, method, str(response.status_code)).inc()
        started = g.get("started")
        if started is not None:
            self.latency.labels(route, method).observe(time.perf_counter() - started)
        return response

    def exposition(self) -> Response:
        """The text that Prometheus scrapes."""
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_LATEST)
