"""A small Flask app with this package's request handling and problem documents, and no record behind it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields

from api import logs, openapi, problems, requests
from api.auth import public
from api.blueprint import Blueprint
from api.schemas.base import Answer, Request, count, text
from fleet.errors import ClaimHeld, Locked

LIMIT = 64 * 1024


class PointSchema(Request):
    value = count("A value.", required=True, at_most=100)


class ThingSchema(Request):
    name = text("A name.", required=True)
    points = fields.List(fields.Nested(PointSchema))
    options = fields.Dict()


class EchoSchema(Answer):
    name = fields.String()


def build_app() -> Flask:
    blp = Blueprint("things", __name__, url_prefix="/things")

    @blp.route("", "createThing", method="POST")
    @public
    @blp.arguments(ThingSchema)
    @blp.response(201, EchoSchema)
    def create(body: dict[str, Any]) -> Any:
        """Create a thing."""
        return body

    @blp.route("/held", "getHeld")
    @public
    @blp.response(200)
    def held() -> Any:
        """Always held."""
        raise ClaimHeld(
            "wf_1 is claimed by somebody",
            answer="until noon",
            next="wait",
            host="gpu-1",
            step="provision",
            tried="claim wf_1",
            detail={"holder": "somebody", "fence": 3, "status": "a member must not be overwritten"},
        )

    @blp.route("/locked", "getLocked")
    @public
    @blp.response(200)
    def locked() -> Any:
        """Always locked."""
        raise Locked("too many", detail={"retry_after_s": 1.2})

    @blp.route("/broken", "getBroken")
    @public
    @blp.response(200)
    def broken() -> Any:
        """Always broken."""
        raise RuntimeError("the password is hunter2")

    app = Flask("api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LIMIT
    logs.init_app(app)
    requests.init_app(app)
    problems.init_app(app)
    openapi.create_api(app, "1").register_blueprint(blp)
    return app


@pytest.fixture
def app() -> Flask:
    return build_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
