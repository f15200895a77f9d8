"""Lists, filters and pages; health, metrics, the OpenAPI document and its page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from sqlalchemy import select

from api.records import record
from fleet.models import Alert, Image, Server
from fleet.operations import timeline
from tests.component.api.support import WISH, Caller, problem


def items(response: Any, key: str = "name") -> list[Any]:
    assert response.status_code == 200, response.text
    return [item[key] for item in response.json["items"]]


def test_pages_hold_everything_once(user: Caller, fleet: list[str]) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        page = user.get("/gpu/available?limit=7" + (f"&cursor={cursor}" if cursor else "")).json
        assert page is not None and len(page["items"]) <= 7
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 24


def test_newest_allocations_come_first_page_by_page(admin: Caller, neighbour: Caller, fleet: list[str]) -> None:
    for caller, name in ((admin, "one"), (neighbour, "two")):
        assert caller.post("/gpu/allocate", {**WISH, "request": name}).status_code == 202
    first = admin.get("/allocations?limit=1")
    assert items(first, "request") == ["two"]
    assert first.json is not None
    second = admin.get(f"/allocations?limit=1&cursor={first.json['next_cursor']}")
    assert items(second, "request") == ["one"] and second.json["next_cursor"] is None  # type: ignore[index]
    assert items(admin.get("/allocations?status=active"), "id") == []
    assert items(admin.get("/workflows?kind=allocate&status=pending"), "kind") == ["allocate"] * 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["gpu-00", "gpu-01", "gpu-02"]),
        ("?pool=spare", ["gpu-00"]),
        ("?rack=r1&pool=h100", ["gpu-01", "gpu-02"]),
        ("?state=available&limit=2", ["gpu-00", "gpu-01"]),
        ("?state=failed", []),
        ("?model=dgxh", ["gpu-00", "gpu-01", "gpu-02"]),
        ("?model=%25", []),
    ],
)
def test_servers_are_filtered(operator: Caller, fleet: list[str], query: str, names: list[str]) -> None:
    assert items(operator.get(f"/servers{query}")) == names
    assert items(operator.get(f"/hardware/servers{query}")) == names


def test_a_server_by_name_and_by_id_has_no_secret(operator: Caller, fleet: list[str]) -> None:
    by_name = operator.get("/servers/gpu-01").json
    assert by_name is not None and by_name == operator.get(f"/servers/{by_name['id']}").json
    (nic,) = by_name["nics"]
    assert (nic["mac"], nic["switch"], nic["switch_port"]) == ("02:00:00:00:00:01", "leaf-1", "Ethernet1")
    assert by_name["hardware_profile"] == {"bios": {"SriovEnable": "Enabled"}, "boot_order": ["Pxe", "Hdd"]}
    assert len(by_name["gpus"]) == 8 and by_name["gpu_model"] == "H100 80GB HBM3"
    assert by_name["bmc_address"] == "192.0.2.11" and "bmc-password" not in str(by_name)


def test_available_gpus_leave_out_what_cannot_be_had(user: Caller, operator: Caller, fleet: list[str]) -> None:
    assert set(items(user.get("/gpu/available?pool=h100&limit=100"), "server")) == {"gpu-01", "gpu-02"}
    assert items(user.get("/gpu/available?model=a100"), "id") == []
    answer = operator.patch("/servers/gpu-01/flags", {"hands_off": True, "reason": "new cables"})
    assert answer.json is not None and answer.json["hands_off_reason"] == "new cables"
    other = operator.patch("/servers/gpu-01/flags", {"hands_off": False, "owner": "power.yml"})
    assert other.status_code == 409 and other.json is not None
    assert (other.json["code"], other.json["answer"]) == ("hands_off_held", "new cables")
    assert set(items(user.get("/gpu/available?limit=100"), "server")) == {"gpu-00", "gpu-02"}


def test_gpus_are_available_where_placement_would_take_them(
    app: Flask, user: Caller, neighbour: Caller, automation: Caller, fleet: list[str]
) -> None:
    """A firing alert that prevents allocations, and a port that nobody knows: not for requests and not on this list."""
    with app.extensions["palebluedot"].transaction() as session:
        server = session.scalars(select(Server).where(Server.name == "gpu-00")).one()
        alert = Alert(
            server_id=server.id, type="gpu_temperature", severity="critical", message="hot", status="firing",
            fingerprint="hot", prevents_allocations=True,
        )  # fmt: skip
        session.add(alert)
    automation.post("/servers", {"servers": [{"name": "gpu-01", "nics": [{"mac": "02:00:00:00:00:01"}]}]})
    assert set(items(user.get("/gpu/available?limit=100"), "server")) == {"gpu-02"}
    assert user.post("/gpu/allocate", WISH).status_code == 202
    problem(neighbour.post("/gpu/allocate", WISH), 409, "no_capacity")
    assert items(user.get("/gpu/available"), "id") == []
    with app.extensions["palebluedot"].transaction() as session:
        session.merge(alert).status = "resolved"
    assert set(items(user.get("/gpu/available?limit=100"), "server")) == {"gpu-00"}


def test_a_server_goes_out_for_maintenance_with_a_reason(user: Caller, operator: Caller, fleet: list[str]) -> None:
    wanted = {"state": "maintenance", "reason": "fan 3"}
    answer = operator.put("/servers/gpu-01/state", wanted)
    assert answer.json is not None
    assert (answer.json["state"], answer.json["state_reason"]) == ("maintenance", "fan 3")
    assert "gpu-01" not in set(items(user.get("/gpu/available?limit=100"), "server"))
    again = operator.put("/servers/gpu-01/state", wanted)
    assert again.status_code == 409 and again.json is not None and "inspecting" in again.json["answer"]
    for body in (
        {"state": "available", "reason": "x"},
        {"state": "maintenance"},
        {"state": "maintenance", "reason": ""},
    ):
        assert operator.put("/servers/gpu-02/state", body).status_code == 422, body


def test_a_gpu_shows_its_latest_figures(user: Caller, automation: Caller, auditor: Caller, fleet: list[str]) -> None:
    points = [
        {"server": "gpu-00", "gpu": "GPU_SXM_1", "temperature": 50, "power_consumption": 300.5},
        {"server": "gpu-00", "gpu": None, "power_consumption": 4000, "timestamp": "2026-01-01T00:00:00Z"},
        {"server": "unknown", "gpu": None, "power_consumption": 1},
    ]
    repeat = {"Idempotency-Key": "round 1"}
    assert automation.post("/telemetry", {"points": points}, headers=repeat).json == {"stored": 2, "unasked": None}
    assert automation.post("/telemetry", {"points": points}, headers=repeat).json == {"stored": 2, "unasked": None}
    gpu = automation.get("/servers/gpu-00").json["gpus"][0]["id"]  # type: ignore[index]
    status = user.get(f"/gpu/{gpu}/status").json
    assert status is not None and status["figures"]["temperature"] == 50 and status["figures"]["gpu_usage"] is None
    assert status["server"] == "gpu-00" and status["allocation_id"] is None
    assert items(auditor.get("/alerts"), "id") == []


def test_a_collector_learns_that_there_are_servers_it_does_not_ask(
    automation: Caller, operator: Caller, fleet: list[str]
) -> None:
    everybody = {"points": [], "asked": ["gpu-00", "gpu-01", "gpu-02", "unknown"]}
    assert automation.post("/telemetry", everybody).json == {"stored": 0, "unasked": 0}
    operator.post("/servers", {"servers": [{"name": "gpu-09", "bmc_address": "192.0.2.9"}]})
    assert operator.get("/servers/gpu-09").json["watched"] is False  # type: ignore[index]
    assert automation.post("/telemetry", everybody).json == {"stored": 0, "unasked": 0}
    assert operator.get("/servers/gpu-02").json["watched"] is True  # type: ignore[index]
    some = {"points": [], "asked": ["gpu-00"]}
    assert automation.post("/telemetry", some).json == {"stored": 0, "unasked": 2}
    assert operator.put("/servers/gpu-02/state", {"state": "retired", "reason": "sold"}).status_code == 200
    assert automation.post("/telemetry", some).json == {"stored": 0, "unasked": 1}


def test_a_round_of_a_large_fleet_fits_in_one_request(automation: Caller, fleet: list[str]) -> None:
    point = {
        "server": "gpu-00", "gpu": "GPU_SXM_1", "timestamp": "2026-01-01T00:00:00.000Z", "temperature": 51.25,
        "memory_temperature": 60.5, "margin_celsius": 35.5, "power_consumption": 312.75,
    }  # fmt: skip
    answer = automation.post("/telemetry", {"points": [point] * 5000})
    assert answer.json == {"stored": 5000, "unasked": None}, answer.text
    problem(automation.post("/telemetry", data=b" " * (10 * 1024 * 1024), content_type="application/json"), 413)


def test_templates_networks_and_events(user: Caller, auditor: Caller, app: Flask, fleet: list[str]) -> None:
    assert {"ubuntu-24.04", "secure-erase"} <= set(items(user.get("/templates")))
    assert "provisioning" in items(auditor.get("/networks"))
    with record(app).transaction() as session:
        session.add(Image(url="http://images.example.net/ubuntu.img.gz", sha256="a" * 64, os="ubuntu 24.04"))
    assert items(user.get("/images"), "sha256") == ["a" * 64]
    accepted = user.post("/gpu/allocate", WISH).json or {}
    with record(app).transaction() as session:
        timeline.store(session, accepted["workflow_id"], 1, [{"counter": n, "event": "runner_on_ok"} for n in range(3)])
    events = user.get(f"/workflows/{accepted['workflow_id']}/events?limit=2")
    assert items(events, "counter") == [0, 1]


def test_freezing_stops_and_thawing_lets_go(user: Caller, operator: Caller, fleet: list[str]) -> None:
    assert operator.put("/fleet/freeze", {"frozen": True, "reason": "power work"}).json == {
        "frozen": True,
        "reason": "power work",
    }
    assert "power work" in problem(user.post("/gpu/allocate", WISH), 409, "frozen")["detail"]
    assert user.get("/fleet/freeze").json == {"frozen": True, "reason": "power work"}
    operator.put("/fleet/freeze", {"frozen": False})
    assert user.post("/gpu/allocate", WISH).status_code == 202


def test_a_failed_server_is_cleaned_by_an_operator(
    user: Caller, operator: Caller, app: Flask, fleet: list[str]
) -> None:
    problem(operator.post("/servers/gpu-00/clean"), 409, "state_conflict")
    from fleet.actor import SYSTEM
    from fleet.operations import register

    with record(app).transaction() as session:
        register.set_state(session, SYSTEM, "gpu-00", "quarantined", "smells")
    started = operator.post("/servers/gpu-00/clean", {}, headers={"Idempotency-Key": "x"})
    assert started.status_code == 202, started.text
    body = started.json or {}
    again = operator.post("/servers/gpu-00/clean", {}, headers={"Idempotency-Key": "x"})
    assert (again.status_code, again.json, again.headers["Idempotency-Replayed"]) == (202, body, "true")
    assert body["allocation_id"] is None and set(body["links"]) == {"workflow", "events"}
    assert operator.get(body["links"]["workflow"]).json["kind"] == "clean"  # type: ignore[index]
    problem(user.get(body["links"]["workflow"]), 404)


def test_health_and_readiness(anybody: Caller, app: Flask) -> None:
    for path in ("/healthz", "/api/v1/healthz"):
        assert anybody.get(path).json == {"status": "ok"}
    ready = anybody.get("/api/v1/readyz").json
    assert ready is not None and ready["revision"]
    with record(app).transaction() as session:
        from sqlalchemy import text

        session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    document = problem(anybody.get("/readyz"), 503, "unavailable")
    assert "palebluedot db upgrade" in document["next"] and "older" in document["detail"]
    assert anybody.get("/healthz").status_code == 200


def test_metrics_count_by_route_and_by_state(anybody: Caller, user: Caller, fleet: list[str]) -> None:
    user.post("/gpu/allocate", WISH)
    user.get("/allocations/alloc_1")
    user.get("/nowhere")
    text = anybody.get("/metrics").text
    assert 'palebluedot_http_requests_total{method="POST",route="/api/v1/gpu/allocate",status="202"} 1.0' in text
    assert 'route="/api/v1/allocations/<allocation_id>",status="404"} 1.0' in text
    assert 'palebluedot_http_requests_total{method="any",route="unknown",status="404"} 1.0' in text
    assert 'palebluedot_workflows{status="pending"} 1.0' in text
    assert 'palebluedot_servers{status="available"} 2.0' in text
    assert (
        'palebluedot_http_request_duration_seconds_bucket{le="0.1",method="POST",route="/api/v1/gpu/allocate"}' in text
    )
    assert "alloc_1" not in text


def test_the_openapi_document_is_one_and_names_everything(anybody: Caller, app: Flask) -> None:
    document = anybody.get("/openapi.json").json
    assert document is not None and document["openapi"].startswith("3.1")
    operations = [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
    assert document["paths"]["/api/v1/auth/refresh"]["post"]["security"] == [{"bearer": []}]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) == 64
    for operation in operations:
        assert operation["summary"], operation["operationId"]
        assert "default" in operation["responses"]
        content = next(iter(_resolve(document, operation["responses"]["default"])["content"]))
        assert content == "application/problem+json"
    for path in document["paths"].values():
        if "post" in path:
            takes_key = any(
                parameter.get("name") == "Idempotency-Key" for parameter in path["post"].get("parameters", [])
            )
            said = "Takes no Idempotency-Key: " in path["post"].get("description", "")
            assert takes_key != said, f"{path['post']['operationId']} either takes a key or says why not"
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object", name


def _resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = document
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    resolved: dict[str, Any] = found
    return resolved


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.add(str(value))
            if name == "id":
                self.ids.add(str(value))


def test_the_page_shows_all_of_it_and_needs_nothing_from_elsewhere(anybody: Caller) -> None:
    answer = anybody.get("/docs")
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    page = _Page()
    page.feed(answer.text)
    assert not page.tags & {"script", "iframe", "img", "object", "link"}
    assert all(link.startswith("#") or link == "openapi.json" for link in page.links), page.links
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert {"allocateGpu", "releaseGpu", "reportStep", "error-claim_held", "error-validation_failed"} <= page.ids
    assert "script-src" not in answer.headers["Content-Security-Policy"]
