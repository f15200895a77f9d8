"""Figures of servers and GPUs, and the alerts they raise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Select, delete, func, insert, select
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
# a figure is taken for no older than this
OLDEST = timedelta(days=3650)
TEMPERATURE = "gpu_temperature"
OFF = "Off"  # in Redfish's words


def store(session: Session, actor: Actor, points: list[dict[str, Any]], sent_at: datetime | None = None) -> int:
    """Store samples in bulk; returns how many.

    A point is `{server, gpu, timestamp, …}` with figures of FIGURES and `power_state`: `server` by name or id; `gpu` by
    the BMC's slot name, serial number or id, null for the server itself; `timestamp` RFC 3339 (default: now). Figures
    that are null stay null. A point without any figure, of an unknown server or GPU, is left out: one machine nobody
    registered must not cost the figures of the fleet. So is one of a server in whose state nobody watches it. With
    `sent_at`, the sender's now, its timestamps are moved to this clock: one that is minutes behind would have figures
    that are never fresh, and a hot GPU would raise no alert. Raises Invalid for a point that is none.
    """
    actor.require(*STAFF)
    if actor.workflow_id is not None:
        raise Forbidden("a job's token may not store figures of the fleet", next=workflows.JOBS_REACH)
    moment = clock.now(session)
    if not all(isinstance(point, dict) for point in points):
        raise Invalid("points is a list of mappings", code="invalid_point")
    names = {str(point.get("server")) for point in points}
    servers = _servers(session, names)
    gpus = _gpus(session, [server.id for server in servers.values()])
    rows: list[dict[str, Any]] = []
    skipped: set[str] = set()
    for index, point in enumerate(points):
        figures: dict[str, Any] = {name: _figure(point.get(name), name, index) for name in FIGURES}
        figures["power_state"] = _power_state(point.get("power_state"), index)
        known = servers.get(str(point.get("server")))
        gpu = point.get("gpu")
        gpu_id = gpus.get((known.id, str(gpu))) if known is not None and gpu is not None else None
        if known is None or (gpu is not None and gpu_id is None):
            skipped.add(f"{point.get('server')}/{gpu}" if gpu is not None else str(point.get("server")))
            continue
        if known.status not in states.WATCHED or all(value is None for value in figures.values()):
            continue
        stamp = _timestamp(point.get("timestamp"), moment, sent_at or moment, index)
        rows.append({"server_id": known.id, "gpu_id": gpu_id, "timestamp": stamp, **figures})
    if skipped:
        log.warning("telemetry_of_unknown", count=len(skipped), first=sorted(skipped)[:5])
    if rows:
        session.execute(insert(MonitoringData), rows)
        telemetry_sink.offer(session, rows, {server.id: server.name for server in servers.values()})
    return len(rows)


def unasked(session: Session, asked: Iterable[str]) -> int:
    """How many servers are to be watched that are not among those `asked`, by name. One that was asked and did not
    answer is none of them."""
    watched = session.scalars(select(Server.name).where(Server.status.in_(states.WATCHED)))
    return len(set(watched) - set(asked))


def _servers(session: Session, names: set[str]) -> dict[str, Any]:
    """Rows of id, name and status, by id and by name."""
    found: dict[str, Any] = {}
    query = select(Server.id, Server.name, Server.status).where(Server.name.in_(names) | Server.id.in_(names))
    for row in session.execute(query):
        found[row.name] = found[row.id] = row
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


def _power_state(value: Any, index: int) -> str | None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= 16):
        return value
    raise Invalid(f"points[{index}].power_state is none: {value!r}", code="invalid_point", next="unknown is null")


def _timestamp(value: Any, moment: datetime, senders: datetime, index: int) -> datetime:
    if value is None:
        return moment
    try:
        stamp = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise Invalid(f"points[{index}].timestamp {value!r} is no RFC 3339 time", code="invalid_point") from None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    # somebody's clock is ahead: such a figure would be the latest for ever
    age = max(senders - stamp, -CLOCK_SLACK)
    return moment - min(age, OLDEST)


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
    """The temperature rule, for the servers that are watched: a GPU that throttles (margin ≤ 0) or is at the limit
    raises one alert, which fires when the condition has held for `alert_for_s`. It is resolved by the first figure that
    is well again, or by a BMC that says that the server is off: there it cannot hold.

    A GPU without fresh figures changes nothing: silence is not health.
    """
    settings = get_settings()
    moment = clock.now(session)
    hold = timedelta(seconds=settings.alert_for_s)
    off = _switched_off(session, moment)
    counts_from = {**_watched_since(session), **off}
    open_alerts = {
        alert.fingerprint: alert for alert in session.scalars(_open_alerts()) if alert.server_id in counts_from
    }
    raised = fired = resolved = 0
    for sample in latest(session):
        if sample.gpu_id is None or (sample.temperature is None and sample.margin_celsius is None):
            continue
        if sample.server_id not in counts_from or sample.timestamp < counts_from[sample.server_id]:
            continue
        fingerprint = f"{TEMPERATURE}:{sample.gpu_id}"
        alert = open_alerts.pop(fingerprint, None)
        finding = _too_hot(sample, settings.temperature_limit_celsius)
        if finding is None:
            if alert is not None:
                _resolve(session, alert, SYSTEM, "the figures are well again")
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
    for alert in open_alerts.values():
        if alert.server_id in off:
            _resolve(session, alert, SYSTEM, "the server is off: its BMC says so")
            resolved += 1
    session.flush()
    return Evaluated(raised, fired, resolved)


def _watched_since(session: Session) -> dict[str, datetime]:
    """The servers that are watched, and since when each is in its present state: a figure from before says nothing of
    it now, because a clean or a repair may lie between."""
    query = select(Server.id, Server.status_since).where(Server.status.in_(states.WATCHED))
    return {row.id: row.status_since for row in session.execute(query)}


def _switched_off(session: Session, moment: datetime) -> dict[str, datetime]:
    """The watched servers whose BMC has said in their present state, and lately, that they are off; and when it did."""
    at = func.max(MonitoringData.timestamp).label("at")
    query = (
        select(MonitoringData.server_id, at)
        .join(Server, Server.id == MonitoringData.server_id)
        .where(
            MonitoringData.power_state == OFF,
            MonitoringData.timestamp >= moment - FRESH,
            MonitoringData.timestamp >= Server.status_since,
            Server.status.in_(states.WATCHED),
        )
        .group_by(MonitoringData.server_id)
    )
    return {row.server_id: row.at for row in session.execute(query)}


def cooled_by_clean(session: Session, server: Server, actor: Actor, workflow_id: str) -> None:
    """A clean ends well only when the power is off: what its GPUs' heat has raised is over with it."""
    for alert in session.scalars(_open_alerts().where(Alert.server_id == server.id)):
        _resolve(session, alert, actor, "the server was cleaned and is off", workflow_id)


def _open_alerts() -> Select[Alert]:
    return select(Alert).where(Alert.type == TEMPERATURE, Alert.status != "resolved").with_for_update()


def _resolve(session: Session, alert: Alert, actor: Actor, reason: str, workflow_id: str | None = None) -> None:
    alert.resolved_at = clock.now(session)
    states.transition(session, alert, "resolved", actor, reason, workflow_id)


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
