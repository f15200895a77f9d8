"""Whether the service lives and can work, and its metrics. For load balancers and Prometheus, not for people."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app
from marshmallow import fields

from api.auth import public
from api.blueprint import Blueprint
from api.health import Readiness
from api.metrics import Metrics
from api.schemas.base import Answer

blp = Blueprint("health", __name__, description="Health and metrics")


class HealthSchema(Answer):
    status = fields.String(required=True)


class ReadinessSchema(Answer):
    status = fields.String(required=True)
    revision = fields.String(required=True, metadata={"description": "Of the database's schema."})


@blp.route("/api/v1/healthz", "getHealthV1")
@blp.route("/healthz", "getHealth")
@public
@blp.response(200, HealthSchema)
def healthz() -> Any:
    """Whether the process answers."""
    return {"status": "ok"}


@blp.route("/api/v1/readyz", "getReadinessV1")
@blp.route("/readyz", "getReadiness")
@public
@blp.response(200, ReadinessSchema)
def readyz() -> Any:
    """Whether it can work: the database answers and has the schema this version needs. 503 where not."""
    readiness: Readiness = current_app.extensions[Readiness.EXTENSION]
    return {"status": "ok", "revision": readiness.check()}


@blp.route("/metrics", "getMetrics")
@public
@blp.doc(
    responses={"200": {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def metrics() -> Response:
    """Prometheus metrics."""
    found: Metrics = current_app.extensions[Metrics.EXTENSION]
    return found.exposition()
