"""The optional InfluxDB 2 sink: what the record stores is written there too, when a site has configured one.

Writing happens after the record's transaction has been committed and outside of it: a time-series database that is
slow or away costs a warning, never a figure of the record.
"""

from __future__ import annotations

import atexit
import threading
from functools import cache
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

from fleet.settings import get_settings

log = structlog.get_logger(__name__)

MEASUREMENTS = {False: "server", True: "gpu"}
_PENDING = "palebluedot_influx_points"


def offer(session: Session, rows: list[dict[str, Any]], server_names: dict[str, str]) -> None:
    """Queue rows of monitoring_data to be written when the session's transaction is committed; without an
    `influx_url` nothing happens."""
    if not get_settings().influx_url:
        return
    points = [_point(row, server_names.get(row["server_id"], row["server_id"])) for row in rows]
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_rollback", _rolled_back)
    session.info[_PENDING].extend(points)


def _committed(session: Session) -> None:
    points = session.info.get(_PENDING) or []
    session.info[_PENDING] = []
    if points:
        write(points)


def _rolled_back(session: Session) -> None:
    session.info[_PENDING] = []


def _point(row: dict[str, Any], server: str) -> dict[str, Any]:
    tags = {"server": server}
    if row["gpu_id"] is not None:
        tags["gpu"] = row["gpu_id"]
    fields = {
        key: value
        for key, value in row.items()
        if key not in ("server_id", "gpu_id", "timestamp") and value is not None
    }
    return {
        "measurement": MEASUREMENTS[row["gpu_id"] is not None],
        "tags": tags,
        "fields": fields,
        "time": row["timestamp"],
    }


def write(points: list[dict[str, Any]]) -> bool:
    """Write points in one request with a deadline; False, and a warning, when InfluxDB did not take them."""
    settings = get_settings()
    assert settings.influx_url is not None
    token = settings.influx_token.get_secret_value() if settings.influx_token is not None else ""
    try:
        _writer(settings.influx_url, token, settings.influx_org, settings.influx_timeout_s).write(
            bucket=settings.influx_bucket, record=points
        )
    except Exception as error:  # the client raises its own, urllib3's and OSError: none may reach the request
        log.warning("influx_write_failed", url=settings.influx_url, points=len(points), error=type(error).__name__)
        return False
    return True


_lock = threading.Lock()
_clients: list[Any] = []


@atexit.register
def close() -> None:
    """End the connections; the next write opens its own."""
    with _lock:
        _cached_writer.cache_clear()
        while _clients:
            _clients.pop().close()


def _writer(url: str, token: str, org: str, timeout_s: float) -> Any:
    with _lock:
        return _cached_writer(url, token, org, timeout_s)


@cache
def _cached_writer(url: str, token: str, org: str, timeout_s: float) -> Any:
    # imported here: it costs a third of a second, and most sites have none
    from influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS

    _clients.append(InfluxDBClient(url=url, token=token, org=org, timeout=int(timeout_s * 1000)))
    return _clients[-1].write_api(write_options=SYNCHRONOUS)
