"""Whatever is sent: a 4xx problem document that says what to do, never a 500, nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from fleet.models import Allocation, AllocationServer, AuditEntry, Base, Event, IpAddress, Server, Workflow
from tests.component.api.conftest import Prepared, serving
from tests.component.api.support import WISH, Caller, problem

NOBODY = "0" * 32


@pytest.fixture(scope="module")
def app(prepared: Prepared, discovered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One app for the whole file: nothing here may change what it holds."""
    path = tmp_path_factory.mktemp("bad-input") / "record.db"
    shutil.copy(discovered, path)
    with serving(prepared, path) as application:
        yield application


@pytest.fixture
def unchanged(app: Flask) -> Iterator[None]:
    """No row is written while the test runs (log-ins and token uses apart)."""
    kinds: tuple[type[Base], ...] = (Allocation, AllocationServer, Workflow, IpAddress, Event, Server, AuditEntry)

    def counts() -> list[int]:
        with app.extensions["palebluedot"].reading() as session:
            return [session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]

    before = counts()
    yield
    assert counts() == before


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"gpu_cuont": 8}, 422, "validation_failed"),
        ({"gpu_count": 0}, 422, "validation_failed"),
        ({"gpu_count": -8}, 422, "validation_failed"),
        ({"gpu_count": 2**70}, 422, "validation_failed"),
        ({"gpu_count": "8"}, 422, "validation_failed"),
        ({"gpu_count": 8.5}, 422, "validation_failed"),
        ({"gpu_count": True}, 422, "validation_failed"),
        ({"gpu_count": [8]}, 422, "validation_failed"),
        ({"gpu_count": None}, 422, "validation_failed"),
        ({"gpu_count": 12}, 422, None),
        ({"template": ""}, 422, "validation_failed"),
        ({"template": "x" * 10_000}, 422, "validation_failed"),
        ({"template": "windows-95"}, 404, "unknown_template"),
        ({"template": "secure-erase"}, 404, "unknown_template"),
        ({"template_version": "0.0.0"}, 404, "unknown_template"),
        ({"kind": "house"}, 422, "validation_failed"),
        ({"executor": "by hand"}, 422, "validation_failed"),
        ({"executor": "awx"}, 422, "not_offered"),
        ({"parameters": {"nonsense": 1}}, 422, None),
        ({"parameters": []}, 422, "validation_failed"),
        ({"ssh_keys": ["not a key"]}, 422, None),
        ({"ssh_keys": ["missing"]}, 422, "unknown_ssh_key"),
        ({"ssh_keys": "all"}, 422, "validation_failed"),
        ({"start": "tomorrow"}, 422, "validation_failed"),
        ({"start": "2040-01-01T00:00:00"}, 422, "validation_failed"),
        ({"end": "2001-01-01T00:00:00Z"}, 422, "invalid_end"),
        ({"end": "9999-12-31T23:59:59-14:00"}, 422, None),
        ({"request": "x" * 200}, 422, "validation_failed"),
        ({"on_behalf_of": "neighbour"}, 403, "forbidden"),
        ({"gpu_model": "B200"}, 422, "unknown_gpu_model"),
        ({"gpu_count": 16}, 409, "over_quota"),
        ({"gpu_count": 8000}, 409, "over_quota"),
    ],
)
@pytest.mark.usefixtures("fleet", "unchanged")
def test_a_wish_that_cannot_be(user: Caller, change: dict[str, Any], status: int, code: str | None) -> None:
    document = problem(user.post("/gpu/allocate", {**WISH, **change}), status, code)
    assert document["next"]


@pytest.mark.usefixtures("fleet")
def test_a_count_that_fits_no_server_names_the_nearest(user: Caller) -> None:
    document = problem(user.post("/gpu/allocate", {**WISH, "gpu_count": 5}), 422)
    assert "8" in f"{document['detail']} {document['next']} {document['answer']}"


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b'{"gpu_count": 8,', "application/json", 400, "malformed_json"),
        (b"\xff\xfe{}", "application/json", 400, "malformed_json"),
        (b'{"gpu_count": 8, "template": "\\ud83d"}', "application/json", 422, "invalid_characters"),
        (b'{"gpu_count": 8, "template": "a\\u0000"}', "application/json", 422, "invalid_characters"),
        (b"gpu_count=8&template=ubuntu-24.04", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"<allocate/>", "application/xml", 415, "unsupported_media_type"),
        (b'{"gpu_count": 8, "template": "ubuntu-24.04"}', "text/plain", 415, "unsupported_media_type"),
        (b" " * (10 * 1024 * 1024), "application/json", 413, "body_too_large"),
        (b"[" * 100_000, "application/json", 400, "malformed_json"),
        (b'[{"gpu_count": 8}]', "application/json", 422, "validation_failed"),
        (b'"allocate"', "application/json", 422, "validation_failed"),
        (b"", "application/json", 422, "validation_failed"),
    ],
)
@pytest.mark.usefixtures("fleet", "unchanged")
def test_a_body_that_is_none(user: Caller, data: bytes, content_type: str, status: int, code: str) -> None:
    assert problem(user.post("/gpu/allocate", data=data, content_type=content_type), status, code)["next"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "field"),
    [
        ("POST", "/gpu/allocate", [{"gpu_count": 8}], "json"),
        ("POST", "/servers", {"servers": ["gpu-00"]}, "servers.0"),
        ("PUT", "/servers/gpu-00/inspection", "fine", "json"),
    ],
)
@pytest.mark.usefixtures("fleet", "unchanged")
def test_where_an_object_belongs_the_answer_says_so(
    admin: Caller, method: str, path: str, sent: object, field: str
) -> None:
    document = problem(admin.call(method, path, sent), 422, "validation_failed")
    assert document["detail"] == f"{field}: A JSON object is expected."


@pytest.mark.usefixtures("fleet", "unchanged")
def test_awx_is_launched_by_hand_until_the_service_can(user: Caller) -> None:
    document = problem(user.post("/gpu/allocate", {**WISH, "executor": "awx"}), 422, "not_offered")
    assert "`external`" in document["next"] and "job template" in document["next"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", f"/gpu/alloc_{NOBODY}/release", 404, "not_found"),
        ("DELETE", "/gpu/alloc_/release", 404, "not_found"),
        ("DELETE", f"/gpu/gpu_{NOBODY}/release", 404, "not_found"),
        ("DELETE", f"/gpu/wf_{NOBODY}/release", 422, "wrong_id_kind"),
        ("DELETE", "/gpu/42", 422, "wrong_id_kind"),
        ("DELETE", f"/allocations/srv_{NOBODY}", 422, "wrong_id_kind"),
        ("DELETE", f"/allocations/alloc_{NOBODY}?executor=magic", 422, "validation_failed"),
        ("GET", f"/gpu/alloc_{NOBODY}/status", 422, "wrong_id_kind"),
        ("GET", f"/gpu/gpu_{NOBODY}/status", 404, "not_found"),
        ("GET", f"/allocations/alloc_{NOBODY}", 404, "not_found"),
        ("GET", f"/workflows/wf_{NOBODY}", 404, "not_found"),
        ("GET", "/workflows/../../etc/passwd", 404, "unknown_route"),
        ("GET", "/allocations/alloc%2F1", 404, "unknown_route"),
        ("GET", "/allocations//alloc_1", 404, "unknown_route"),
        ("GET", "/allocations/%00", 422, "invalid_characters"),
        ("GET", "/allocations/alloc_%ff", 422, "invalid_characters"),
        ("GET", "/allocations/alloc_" + "x" * 4000, 404, "not_found"),
        ("GET", "/allocations/alloc_1' OR '1'='1", 404, "not_found"),
        ("GET", "/allocations?limit=0", 422, "validation_failed"),
        ("GET", "/allocations?status=activ", 422, "validation_failed"),
        ("GET", "/workflows?status=done", 422, "validation_failed"),
        ("GET", "/allocations?limit=1000000", 422, "validation_failed"),
        ("GET", "/allocations?limit=all", 422, "validation_failed"),
        ("GET", "/allocations?stauts=active", 422, "validation_failed"),
        ("GET", "/allocations?cursor=here", 422, "validation_failed"),
        ("GET", "/allocations?status=%00", 422, "invalid_characters"),
        ("DELETE", f"/ssh-keys/key_{NOBODY}", 404, "not_found"),
        ("DELETE", f"/tokens/tok_{NOBODY}", 404, "not_found"),
        ("DELETE", "/tokens/pbd_something", 422, "wrong_id_kind"),
        ("POST", "/gpu/available", 405, "method_not_allowed"),
        ("PATCH", "/gpu/allocate", 405, "method_not_allowed"),
        ("GET", "/gpus", 404, "unknown_route"),
        ("GET", "/servers", 403, "role_not_allowed"),
    ],
)
@pytest.mark.usefixtures("fleet", "unchanged")
def test_a_path_that_leads_nowhere(user: Caller, method: str, path: str, status: int, code: str) -> None:
    assert problem(user.call(method, path), status, code)["next"]


@pytest.mark.parametrize(
    "key", ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-dss AAAAB3NzaC1kc3M=", "ssh-ed25519 \u2603", "x" * 20_000]
)
def test_a_key_that_is_none(user: Caller, key: str) -> None:
    problem(user.post("/ssh-keys", {"name": "k", "public_key": key}), 422)
    assert user.get("/ssh-keys").json["items"] == []  # type: ignore[index]


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"serial_number": "another"}, 409),
        ({"serial_number": "SN0001"}, 409),
        ({"gpus": ["GPU1"]}, 422),
        ({"gpus": [{"memory_gb": "much"}]}, 422),
        ({"gpus": [{"id": ["x"]}]}, 422),
        ({"model": "x" * 1000}, 422),
        ({"nics": "none"}, 422),
        ({"disks": [None]}, 422),
        ({"bmc": []}, 422),
        ({"capabilities": "all"}, 422),
    ],
)
@pytest.mark.usefixtures("fleet", "unchanged")
def test_an_inspection_that_cannot_be(automation: Caller, facts: dict[str, Any], status: int) -> None:
    problem(automation.put("/servers/gpu-00/inspection", facts), status)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"phase": "middle", "fence": 1},
        {"phase": "begin"},
        {"phase": "begin", "fence": "1"},
        {"phase": "begin", "fence": 2**65},
        {"phase": "begin", "fence": 1, "status": "succeeded"},
        {"phase": "end", "fence": 1},
        {"phase": "end", "fence": 1, "status": "so-so"},
        {"phase": "end", "fence": 1, "status": "failed", "error": "it broke"},
        {"phase": "end", "fence": 1, "status": "succeeded", "result": [1]},
    ],
)
def test_a_step_report_that_is_none(automation: Caller, entry: dict[str, Any]) -> None:
    place = f"/workflows/wf_{NOBODY}/steps/reserve/servers/gpu-00/attempts/1"
    problem(automation.put(place, entry), 422, "validation_failed")


def test_attempts_are_bounded(automation: Caller) -> None:
    entry = {"phase": "begin", "fence": 1}
    for attempt in ("-1", "99999999999999999999", "one"):
        place = f"/workflows/wf_{NOBODY}/steps/reserve/servers/gpu-00/attempts/{attempt}"
        problem(automation.put(place, entry), 404, "unknown_route")


@pytest.mark.parametrize(
    "points",
    [
        "none",
        [1],
        [{"server": "gpu-00", "temperature": "hot"}],
        [{"server": "gpu-00", "temperature": 1e400}],
        [{"server": "gpu-00", "temperatur": 1}],
        [{"server": "gpu-00", "timestamp": "now"}],
        [{"gpu": "GPU1"}],
    ],
)
def test_figures_that_are_none(automation: Caller, points: Any) -> None:
    import json

    body = json.dumps({"points": points}).replace("Infinity", "1e999")
    expected = 400 if "1e999" in body else 422  # JSON has no infinity: that is no value, but a malformed body
    problem(automation.post("/telemetry", data=body, content_type="application/json"), expected)


@pytest.mark.parametrize(
    "body", [{}, {"frozen": "yes"}, {"frozen": 1}, {"frozen": None}, {"frozen": True, "reason": 1}]
)
def test_a_freeze_says_true_or_false(operator: Caller, body: dict[str, Any]) -> None:
    problem(operator.put("/fleet/freeze", body), 422, "validation_failed")
    assert operator.get("/fleet/freeze").json == {"frozen": False, "reason": None}


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"a=%00", "application/x-www-form-urlencoded", 422),
        (b"a=b" * 1_000_000, "application/x-www-form-urlencoded", 413),
        (b"[1]", "application/json", 422),
        (b"{", "application/json", 400),
        (b"text", "text/plain", 415),
        (b"--x\r\n", "multipart/form-data", 404),
    ],
)
def test_a_report_that_is_none(anybody: Caller, data: bytes, content_type: str, status: int) -> None:
    problem(anybody.post("/ingest/first-boot/unknown", data=data, content_type=content_type), status)
