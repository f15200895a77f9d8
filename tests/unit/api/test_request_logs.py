"""Request logs are ECS JSON without secrets."""

from __future__ import annotations

import json
import logging

import pytest
from flask.testing import FlaskClient

from api.logs import MASK, get_logger, mask

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def test_a_request_makes_one_ecs_line(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "palebluedot.api"):
        client.get("/things/held", headers={"X-Request-Id": "abc", "Authorization": f"Bearer {JWT}"})
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "palebluedot.api"]
    assert len(lines) == 1
    line = lines[0]
    assert line["ecs.version"] and line["@timestamp"] and line["log.level"] == "info"
    assert line["http"] == {"request": {"id": "abc", "method": "GET"}, "response": {"status_code": 409}}
    assert line["url"]["path"] == "/things/held"
    assert line["event"]["outcome"] == "failure" and line["event"]["duration"] > 0
    assert JWT not in caplog.text


def test_secrets_are_masked_by_name_and_by_shape() -> None:
    masked = mask(
        {
            "password": "hunter2",
            "nested": [{"bmc_password": "x", "note": f"Bearer {JWT} and pbd_abcdefghijkl"}],
            "count": 3,
        }
    )
    assert masked == {
        "password": MASK,
        "nested": [{"bmc_password": MASK, "note": f"Bearer {MASK} and {MASK}"}],
        "count": 3,
    }


def test_a_trace_is_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "palebluedot.api"):
        try:
            raise ValueError("token pbd_abcdefghijkl")
        except ValueError:
            get_logger().exception("failed")
    assert "ValueError" in caplog.text
    assert "pbd_abcdefghijkl" not in caplog.text
