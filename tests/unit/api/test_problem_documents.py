"""Every error is a problem document, whoever raised it."""

from __future__ import annotations

import json
import logging

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.problems import CODES, from_fleet_error
from fleet import errors

MEMBERS = {
    "type", "title", "status", "detail", "instance", "code", "host", "step", "tried", "answer", "next", "request_id",
}  # fmt: skip


def problem(response: TestResponse, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    document: dict[str, object] = json.loads(response.data)
    assert document.keys() >= MEMBERS
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == response.headers["X-Request-Id"]
    assert document["detail"] and document["next"]
    return document


def test_an_unknown_route_says_which(client: FlaskClient) -> None:
    document = problem(client.get("/api/v1/nothing"), 404, "unknown_route")
    assert document["instance"] == "/api/v1/nothing"
    assert document["tried"] == "GET /api/v1/nothing"


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    response = client.delete("/things")
    problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_a_fleet_error_keeps_its_words_and_facts(client: FlaskClient) -> None:
    document = problem(client.get("/things/held"), 409, "claim_held")
    assert document["title"] == "Claim held"
    assert document["detail"] == "wf_1 is claimed by somebody"
    assert (document["host"], document["step"]) == ("gpu-1", "provision")
    assert (document["tried"], document["answer"], document["next"]) == ("claim wf_1", "until noon", "wait")
    assert (document["holder"], document["fence"]) == ("somebody", 3)


def test_a_lock_says_when_to_come_back(client: FlaskClient) -> None:
    response = client.get("/things/locked")
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "2"


def test_a_bug_shows_a_request_id_and_nothing_of_its_inside(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "palebluedot.api"):
        document = problem(client.get("/things/broken"), 500, "internal_error")
    assert "hunter2" not in json.dumps(document)
    assert "RuntimeError" in caplog.text and str(document["request_id"]) in caplog.text


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b'{"name": NaN}', "application/json", 400, "malformed_json"),
        (b'"\xff"', "application/json", 400, "malformed_json"),
        (b"[" * 10_000, "application/json", 400, "malformed_json"),
        (b'{"options": ' + b'{"a":' * 60 + b"1" + b"}" * 61, "application/json", 400, "malformed_json"),
        (b'{"name": "\\ud800"}', "application/json", 422, "invalid_characters"),
        (b'{"name": "a\\u0000b"}', "application/json", 422, "invalid_characters"),
        (b'{"options": {"a\\u0000": 1}, "name": "x"}', "application/json", 422, "invalid_characters"),
        (b'{"name": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"name": "x"}', "", 415, "unsupported_media_type"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"[]", "application/json", 422, "validation_failed"),
        (b"null", "application/json", 422, "validation_failed"),
        (b"", "application/json", 422, "validation_failed"),
    ],
)
def test_a_bad_body_is_the_callers_error(
    client: FlaskClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    problem(client.post("/things", data=body, content_type=content_type), status, code)


def test_validation_points_at_every_wrong_field(client: FlaskClient) -> None:
    response = client.post("/things", json={"nmae": "x", "points": [{"value": 1}, {"value": 101}, {"value": "7"}]})
    document = problem(response, 422, "validation_failed")
    assert isinstance(document["errors"], list)
    fields = {(entry["field"], entry["pointer"]) for entry in document["errors"]}
    assert fields == {
        ("name", "#/name"),
        ("nmae", "#/nmae"),
        ("points.1.value", "#/points/1/value"),
        ("points.2.value", "#/points/2/value"),
    }


def test_a_body_over_the_limit_is_refused_before_it_is_read(client: FlaskClient) -> None:
    response = client.post("/things", data=b" " * (10 * 1024 * 1024), content_type="application/json")
    document = problem(response, 413, "body_too_large")
    assert "65536" in str(document["detail"])


@pytest.mark.parametrize("path", ["/things/%00", "/things/%ff%fe", "/things?name=%00"])
def test_text_that_cannot_be_stored_is_refused_in_urls(client: FlaskClient, path: str) -> None:
    problem(client.get(path), 422, "invalid_characters")


def test_the_callers_request_id_is_kept_and_a_bad_one_replaced(client: FlaskClient) -> None:
    kept = client.get("/x", headers={"X-Request-Id": "abc-123"})
    assert kept.headers["X-Request-Id"] == "abc-123"
    replaced = client.get("/x", headers={"X-Request-Id": "a b\tc"})
    assert replaced.headers["X-Request-Id"].startswith("req_")


def test_answers_carry_security_headers(client: FlaskClient) -> None:
    headers = client.get("/x").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert "Strict-Transport-Security" in client.get("/x", base_url="https://localhost").headers


def test_codes_are_snake_case_with_advice() -> None:
    for code, kind in CODES.items():
        assert code.replace("_", "").isalpha() and code.islower()
        assert 400 <= kind.status < 600
        assert kind.next.endswith((".", "/docs."))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errors.Invalid("a wrong name", code="invalid_name"), "Correct what `detail` names"),
        (errors.NotFound("no report is expected", code="report_not_expected"), CODES["not_found"].next),
        (errors.Conflict("it is there", code="already_exists"), CODES["conflict"].next),
        (errors.FleetError("a key is lost", code="key_lost"), CODES["internal_error"].next),
    ],
)
def test_a_rule_without_advice_is_given_what_fits_its_kind(error: errors.FleetError, advice: str) -> None:
    """A rule is asked on a route that there is: no advice about routes, and none to retry what broke inside."""
    assert (from_fleet_error(error).next or "").startswith(advice)
