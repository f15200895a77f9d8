"""Figures, the alert they raise, and the InfluxDB sink."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import func, select

from fleet import clock, errors, settings, telemetry_sink
from fleet.actor import SYSTEM, Actor
from fleet.models import Alert, Event, Gpu, MonitoringData, Server
from fleet.operations import release, telemetry, users
from fleet.operations.telemetry import Evaluated
from tests.component.fleet.support import Site


def store(site: Site, *points: dict[str, Any], actor: Actor = SYSTEM) -> int:
    with site.database.transaction() as session:
        return telemetry.store(session, actor, list(points))


def evaluate(site: Site) -> Evaluated:
    with site.database.transaction() as session:
        return telemetry.evaluate_alerts(session)


def point(gpu: str | None = "GPU_SXM_1", **figures: Any) -> dict[str, Any]:
    return {"server": "gpu-01", "gpu": gpu, "timestamp": clock.rfc3339(clock.utcnow()), **figures}


def alerts(site: Site) -> list[Alert]:
    with site.database.reading() as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))


def test_figures_are_kept_by_server_and_gpu(fleet: Site) -> None:
    stamp = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=20)
    stored = store(
        fleet,
        {"server": "gpu-01", "timestamp": clock.rfc3339(stamp), "power_consumption": 1950, "temperature": 22},
        {"server": "gpu-01", "gpu": "GPU_SXM_1", "timestamp": stamp, "temperature": 26.75, "margin_celsius": 60},
        {"server": "gpu-01", "gpu": "GPU000102", "gpu_usage": 50.0},
    )
    assert stored == 3
    with fleet.database.reading() as session:
        rows = session.execute(
            select(Gpu.slot, MonitoringData.temperature, MonitoringData.gpu_usage, MonitoringData.timestamp)
            .join(Gpu, Gpu.id == MonitoringData.gpu_id, isouter=True)
            .order_by(MonitoringData.id)
        ).all()
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (None, 22, None),
        ("GPU_SXM_1", 26.75, None),
        ("GPU_SXM_2", None, 50),
    ]
    assert [row[3] for row in rows[:2]] == [stamp, stamp]


def test_what_nobody_knows_and_what_says_nothing_is_left_out(fleet: Site) -> None:
    assert (
        store(fleet, point(temperature=40.0), {"server": "ghost", "temperature": 1.0}, point("GPU99", temperature=1.0))
        == 1
    )
    assert store(fleet, point(temperature=None), point()) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "warm"},
        {"temperature": True},
        {"temperature": float("nan")},
        {"power_consumption": float("inf")},
        {"temperature": 1.0, "timestamp": "yesterday"},
        {"power_state": 1},
        {"power_state": "O" * 17},
    ],
)
def test_a_point_that_is_none_is_refused(fleet: Site, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid) as caught:
        store(fleet, point(temperature=40.0), {**point(), **wrong})
    assert caught.value.code == "invalid_point" and "points[1]" in caught.value.message
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(MonitoringData.id))) == 0


def test_only_staff_stores_and_no_job(fleet: Site) -> None:
    for actor in (fleet.ada, Actor("usr_x", "job", "automation", "wf_1")):
        with pytest.raises(errors.Forbidden):
            store(fleet, point(temperature=1.0), actor=actor)
    assert store(fleet, point(temperature=1.0), actor=Actor("usr_x", "collector", "automation")) == 1


def test_a_clock_that_is_ahead_does_not_make_the_latest_figure_for_ever(fleet: Site) -> None:
    store(fleet, {**point(temperature=99.0), "timestamp": "2100-01-01T00:00:00Z"})
    with fleet.database.reading() as session:
        kept = session.scalars(select(MonitoringData.timestamp)).one()
        assert kept <= clock.now(session) + timedelta(minutes=5)


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 400])
def test_a_collector_whose_clock_is_wrong_raises_alerts_all_the_same(fleet: Site, minutes: int) -> None:
    """Its figures are as old as it says they are by its own clock."""
    with fleet.database.transaction() as session:
        theirs = clock.now(session) + timedelta(minutes=minutes)
        hot = {**point(temperature=99.0), "timestamp": theirs.isoformat()}
        telemetry.store(session, SYSTEM, [hot], theirs)
    assert evaluate(fleet) == Evaluated(1, 1, 0)
    with fleet.database.reading() as session:
        age = clock.now(session) - session.scalars(select(MonitoringData.timestamp)).one()
        assert timedelta(0) <= age < timedelta(minutes=2)


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("sent_at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_the_ends_of_the_calendar_are_times_too(fleet: Site, stamp: str, sent_at: datetime) -> None:
    with fleet.database.transaction() as session:
        assert telemetry.store(session, SYSTEM, [{**point(temperature=60.0), "timestamp": stamp}], sent_at) == 1


def test_a_throttling_gpu_raises_one_alert_that_ends_with_the_heat(fleet: Site) -> None:
    store(fleet, point(temperature=60.0, margin_celsius=0.0), point("GPU_SXM_2", temperature=60.0, margin_celsius=20.0))
    assert evaluate(fleet) == Evaluated(1, 1, 0)
    assert evaluate(fleet) == Evaluated(0, 0, 0)
    alert = alerts(fleet)[0]
    assert (alert.status, alert.severity, alert.value, alert.threshold) == ("firing", "critical", 0, 0)
    assert alert.classifications == ["PreventAllocations"] and alert.prevents_allocations
    assert "throttles" in alert.message
    store(fleet, point(temperature=61.0, margin_celsius=-2.0))
    assert evaluate(fleet) == Evaluated(0, 0, 0)
    assert alerts(fleet)[0].value == -2
    store(fleet, point(temperature=50.0, margin_celsius=10.0))
    assert evaluate(fleet) == Evaluated(0, 0, 1)
    assert alerts(fleet)[0].resolved_at is not None
    store(fleet, point(temperature=95.0))
    assert evaluate(fleet) == Evaluated(1, 1, 0)
    assert [alert.status for alert in alerts(fleet)] == ["resolved", "firing"]
    with fleet.database.reading() as session:
        kinds = session.scalars(select(Event.type).where(Event.subject == alert.id).order_by(Event.seq)).all()
        assert [kind.split(".")[2] for kind in kinds] == ["firing", "resolved"]


def test_the_limit_itself_is_too_hot_and_just_below_is_not(fleet: Site) -> None:
    store(fleet, point(temperature=89.9))
    assert evaluate(fleet) == Evaluated(0, 0, 0)
    store(fleet, point(temperature=90.0))
    assert evaluate(fleet) == Evaluated(1, 1, 0)


def test_an_alert_waits_until_the_condition_has_held(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALEBLUEDOT_ALERT_FOR_S", "60")
    settings.get_settings.cache_clear()
    store(fleet, point(temperature=95.0))
    assert evaluate(fleet) == Evaluated(1, 0, 0)
    with clock.travel(timedelta(seconds=61)):
        store(fleet, point(temperature=95.0))
        assert evaluate(fleet) == Evaluated(0, 1, 0)


def test_silence_is_not_health(fleet: Site) -> None:
    store(fleet, point(temperature=95.0))
    evaluate(fleet)
    with clock.travel(timedelta(minutes=10)):
        assert evaluate(fleet) == Evaluated(0, 0, 0)
    assert alerts(fleet)[0].status == "firing"


def why_resolved(site: Site, alert_id: str) -> str:
    with site.database.reading() as session:
        wanted = Event.subject == alert_id, Event.type == "palebluedot.alert.resolved.v1"
        return str(session.scalars(select(Event.data).where(*wanted)).one()["reason"])


def test_what_is_off_is_not_hot(fleet: Site) -> None:
    store(fleet, point(temperature=95.0))
    evaluate(fleet)
    assert store(fleet, point(None, power_state="Off")) == 1
    assert evaluate(fleet) == Evaluated(0, 0, 1)
    (alert,) = alerts(fleet)
    assert alert.status == "resolved" and "off" in why_resolved(fleet, alert.id)
    assert evaluate(fleet) == Evaluated(0, 0, 0), "the heat from before is not raised again"
    store(fleet, point(None, power_state="On"))
    assert evaluate(fleet) == Evaluated(0, 0, 0), "nor when it is on, and nobody has read its GPUs"
    store(fleet, point(temperature=95.0))
    assert evaluate(fleet) == Evaluated(1, 1, 0)


def test_another_server_that_is_off_ends_no_alert(fleet: Site) -> None:
    store(fleet, point(temperature=95.0), {**point(None, power_state="Off"), "server": "gpu-02"})
    assert evaluate(fleet) == Evaluated(1, 1, 0)
    assert evaluate(fleet) == Evaluated(0, 0, 0)


def test_a_clean_that_ended_well_leaves_no_alert_in_the_way(fleet: Site) -> None:
    allocation = fleet.active(gpu_count=32)
    store(fleet, point(temperature=95.0))
    evaluate(fleet)
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    fleet.finish(fleet.claim_next())
    (alert,) = alerts(fleet)
    assert alert.status == "resolved" and "cleaned" in why_resolved(fleet, alert.id)
    assert evaluate(fleet) == Evaluated(0, 0, 0), "the figure from before the clean says nothing"
    assert fleet.reserve(gpu_count=32)


def test_nobody_watches_a_server_that_is_being_cleaned(fleet: Site) -> None:
    allocation = fleet.active(gpu_count=32)
    store(fleet, point(temperature=40.0))
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    workflow = fleet.claim_next()
    fleet.begin(workflow, workflow.steps[0]["name"])
    assert fleet.server_states()["gpu-01"] == "cleaning"
    with fleet.database.transaction() as session:  # as if it had come a moment before
        gpu = session.scalars(select(Gpu).join(Server).where(Server.name == "gpu-01", Gpu.slot == "GPU_SXM_1")).one()
        session.add(MonitoringData(server_id=gpu.server_id, gpu_id=gpu.id, temperature=95.0, timestamp=clock.utcnow()))
    assert store(fleet, point(temperature=95.0), point(None, power_consumption=900.0)) == 0
    assert evaluate(fleet) == Evaluated(0, 0, 0)
    with fleet.database.reading() as session:
        everybody = set(session.scalars(select(Server.name)))
        assert telemetry.unasked(session, everybody - {"gpu-01"}) == 0
        assert telemetry.unasked(session, everybody - {"gpu-02"}) == 1
        assert telemetry.unasked(session, []) == len(everybody) - 1


def test_the_air_that_comes_in_is_no_gpu(fleet: Site) -> None:
    store(fleet, point(None, temperature=99.0))
    assert evaluate(fleet) == Evaluated(0, 0, 0)


def test_old_figures_are_pruned(fleet: Site) -> None:
    store(fleet, point(temperature=1.0))
    with fleet.database.transaction() as session:
        assert telemetry.prune(session) == 0
        with clock.travel(timedelta(days=8)):
            assert telemetry.prune(session) == 1


class Influx(BaseHTTPRequestHandler):
    """Takes writes of InfluxDB 2's HTTP API as its client sends them."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        server.seen.append((self.path, self.headers["Authorization"], body.decode()))
        self.send_response(server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def influx(monkeypatch: pytest.MonkeyPatch, site: settings.Settings) -> Iterator[Any]:
    """A server that takes writes, and settings that name it."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Influx)
    server.seen, server.answer = [], 204
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PALEBLUEDOT_INFLUX_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("PALEBLUEDOT_INFLUX_TOKEN", "secret-token")
    settings.get_settings.cache_clear()
    yield server
    telemetry_sink.close()
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_figures_go_to_influxdb_when_they_are_committed(fleet: Site, influx: Any) -> None:
    stamp = datetime(2026, 8, 1, tzinfo=UTC)
    store(
        fleet,
        {**point(temperature=26.5), "timestamp": stamp},
        {**point(None, power_consumption=1950), "timestamp": stamp},
    )
    ((path, authorization, body),) = influx.seen
    assert path.startswith("/api/v2/write?") and "bucket=palebluedot" in path and "org=palebluedot" in path
    assert authorization == "Token secret-token"
    with fleet.database.reading() as session:
        gpu = session.scalars(select(Gpu.id).join(Server).where(Server.name == "gpu-01", Gpu.slot == "GPU_SXM_1")).one()
    assert body.splitlines() == [
        f"gpu,gpu={gpu},server=gpu-01 temperature=26.5 1785542400000000000",
        "server,server=gpu-01 power_consumption=1950 1785542400000000000",
    ]


def test_what_is_rolled_back_is_not_written(fleet: Site, influx: Any) -> None:
    with pytest.raises(RuntimeError), fleet.database.transaction() as session:
        telemetry.store(session, SYSTEM, [point(temperature=1.0)])
        raise RuntimeError
    assert influx.seen == []


@pytest.mark.parametrize("answer", [500, 401, 204])
def test_an_influxdb_in_trouble_costs_the_record_nothing(fleet: Site, influx: Any, answer: int) -> None:
    influx.answer = answer
    assert store(fleet, point(temperature=1.0)) == 1
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(MonitoringData.id))) == 1


def test_without_influxdb_nothing_is_asked_of_it(fleet: Site) -> None:
    assert store(fleet, point(temperature=1.0)) == 1
    with fleet.database.reading() as session:
        assert users.quota_usage(session, fleet.ada).used_gpu_count == 0
