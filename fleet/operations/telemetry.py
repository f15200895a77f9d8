"""Figures of servers and GPUs, and the alerts they raise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from fleet import clock, states, telemetry_sink
from fleet.actor import STAFF, SYSTEM, Actor
from fleet.errors import Forbidden, Invalid
from fleet.models import Alert, Gpu, MonitoringData, Server
from fleet.operations import workflows
from fleet.settings import get_settings

log = structlog.get_logger(__name__)

FIGURES = (
    "cpu_usage",
    "memory_usage",
    "gpu_usage",
    "temperature",
    "memory_temperature",
    "margin_celsius",
    "power_consumption",
)
# a figure older than this says nothing about now
FRESH = timedelta(minutes=5)
# a BMC's or collector's clock may be ahead by this much
CLOCK_SLACK = timedelta(minutes=5)
TEMPERATURE = "gpu_temperature"


def store(session: Session, actor: Actor, points: list[dict[str, Any]]) -> int:
    """Store samples in bulk; returns how many.

    A point is `{server, gpu, timestamp, …}` with figures of FIGURES: `server` by name or id; `gpu` by the BMC's slot
    name, serial number or id, null for the server itself; `timestamp` RFC 3339 (default: now). Figures that are null
    stay null. A point without any figure, of an unknown server or GPU, is left out: one machine nobody registered
    must not cost the figures of the fleet. Raises Invalid for a point that is none.
    """
    actor.require(*STAFF)
    if actor.workflow_id is not None:
        raise Forbidden("a job's token may not store figures of the fleet", next=workflows.JOBS_REACH)
    moment = clock.now(session)
    if not all(isinstance(point, dict) for point in points):
        raise Invalid("points is a list of mappings", code="invalid_point")
    names = {str(point.get("server")) for point in points}
    servers = _servers(session, names)
    gpus = _gpus(session, [server_id for server_id, _ in servers.values()])
    rows: list[dict[str, Any]] = []
    skipped: set[str] = set()
    for index, point in enumerate(points):
        figures = {name: _figure(point.get(name), name, index) for name in FIGURES}
        known = servers.get(str(point.get("server")))
        gpu = point.get("gpu")
        gpu_id = gpus.get((known[0], str(gpu))) if known is not None and gpu is not None else None
        if known is None or (gpu is not None and gpu_id is None):
            skipped.add(f"{point.get('server')}/{gpu}" if gpu is not None else str(point.get("server")))
            continue
        if all(value is None for value in figures.values()):
            continue
        stamp = _timestamp(point.get("timestamp"), moment, index)
        rows.append({"server_id": known[0], "gpu_id": gpu_id, "timestamp": stamp, **figures})
    if skipped:
        log.warning("telemetry_of_unknown", count=len(skipped), first=sorted(skipped)[:5])
    if rows:
        session.execute(insert(MonitoringData), rows)
        telemetry_sink.offer(session, rows, dict(servers.values()))
    return len(rows)


def _servers(session: Session, names: set[str]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    query = select(Server.id, Server.name).where(Server.name.in_(names) | Server.id.in_(names))
    for row in session.execute(query):
        found[row.name] = found[row.id] = (row.id, row.name)
    return found


def _gpus(session: Session, server_ids: list[str]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    query = select(Gpu.id, Gpu.server_id, Gpu.slot, Gpu.serial_number).where(Gpu.server_id.in_(set(server_ids)))
    for row in session.execute(query):
        for name in (row.slot, row.serial_number, row.id):
            if name:
                found[row.server_id, name] = row.id
    return found


def _figure(value: Any, name: str, index: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"points[{index}].{name} is no number: {value!r}", code="invalid_point", next="unknown is null")
    return float(value)


def _timestamp(value: Any, moment: datetime, index: int) -> datetime:
    if value is None:
        return moment
    try:
        stamp = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise Invalid(f"points[{index}].timestamp {value!r} is no RFC 3339 time", code="invalid_point") from None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    # somebody's clock is ahead: such a figure would be the latest for ever
    return min(stamp.astimezone(UTC), moment + CLOCK_SLACK)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How many alerts a round raised (pending), fired and resolved."""

    raised: int = 0
    fired: int = 0
    resolved: int = 0


def latest(session: Session, server_ids: list[str] | None = None) -> list[MonitoringData]:
    """The newest sample of every server and GPU within the last five minutes."""
    since = clock.now(session) - FRESH
    newest = (
        select(func.max(MonitoringData.id).label("id"))
        .where(MonitoringData.timestamp >= since)
        .group_by(MonitoringData.server_id, MonitoringData.gpu_id)
    )
    if server_ids is not None:
        newest = newest.where(MonitoringData.server_id.in_(server_ids))
    return list(session.scalars(select(MonitoringData).where(MonitoringData.id.in_(newest))))


def evaluate_alerts(session: Session) -> Evaluated:
    """The temperature rule: a GPU that throttles (margin ≤ 0) or is at the limit raises one alert, which fires when
    the condition has held for `alert_for_s`, and is resolved by the first figure that is well again.

    A GPU without fresh figures changes nothing: silence is not health.
    """
    settings = get_settings()
    moment = clock.now(session)
    hold = timedelta(seconds=settings.alert_for_s)
    open_alerts = {
        alert.fingerprint: alert
        for alert in session.scalars(
            select(Alert).where(Alert.type == TEMPERATURE, Alert.status != "resolved").with_for_update()
        )
    }
    raised = fired = resolved = 0
    for sample in latest(session):
        if sample.gpu_id is None or (sample.temperature is None and sample.margin_celsius is None):
            continue
        fingerprint = f"{TEMPERATURE}:{sample.gpu_id}"
        alert = open_alerts.get(fingerprint)
        finding = _too_hot(sample, settings.temperature_limit_celsius)
        if finding is None:
            if alert is not None:
                alert.resolved_at = moment
                states.transition(session, alert, "resolved", SYSTEM, "the figures are well again")
                resolved += 1
            continue
        message, value, threshold = finding
        if alert is None:
            alert = _raise(session, sample, fingerprint, message, moment)
            raised += 1
        alert.message, alert.value, alert.threshold = message, value, threshold
        if alert.status == "pending" and moment - alert.status_since >= hold:
            alert.fired_at = moment
            states.transition(session, alert, "firing", SYSTEM, message)
            fired += 1
    session.flush()
    return Evaluated(raised, fired, resolved)


def _too_hot(sample: MonitoringData, limit: float) -> tuple[str, float, float] | None:
    if sample.margin_celsius is not None and sample.margin_celsius <= 0:
        return f"the GPU throttles: {sample.margin_celsius:g} °C to its limit", sample.margin_celsius, 0.0
    if sample.temperature is not None and sample.temperature >= limit:
        return f"the GPU is at {sample.temperature:g} °C (limit {limit:g} °C)", sample.temperature, limit
    return None


def _raise(session: Session, sample: MonitoringData, fingerprint: str, message: str, moment: datetime) -> Alert:
    alert = Alert(
        server_id=sample.server_id,
        gpu_id=sample.gpu_id,
        type=TEMPERATURE,
        severity="critical",
        message=message,
        status="pending",
        status_since=moment,
        fingerprint=fingerprint,
        classifications=["PreventAllocations"],
        prevents_allocations=True,
    )
    session.add(alert)
    session.flush()
    return alert


def prune(session: Session, limit: int = 20_000) -> int:
    """Delete figures older than `monitoring_keep_s`, a bounded number a call; returns how many."""
    before = clock.now(session) - timedelta(seconds=get_settings().monitoring_keep_s)
    old = session.scalars(
        select(MonitoringData.id)
        .where(MonitoringData.timestamp < before)
        .order_by(MonitoringData.timestamp)
        .limit(limit)
    ).all()
    for start in range(0, len(old), 500):
        session.execute(delete(MonitoringData).where(MonitoringData.id.in_(old[start : start + 500])))
    return len(old)
