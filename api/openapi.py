"""The OpenAPI 3.1 document, at ``/api/v1/openapi.json``, and the page that shows it, at ``/api/v1/docs``.

The page is rendered here from the same document: no script, nothing from another host, readable offline and in a
terminal browser.
"""

from __future__ import annotations

import http
from typing import Any

import flask
import flask_smorest
from flask_smorest.utils import prepare_response

from api.errordocs import catalogue
from api.problems import MEDIA_TYPE
from api.schemas.problem import ProblemSchema

PREFIX = "/api/v1"
DESCRIPTION = """\
Bare-metal GPU servers for many people. Log in, allocate GPUs, watch the workflow, connect, release.

Every error is a problem document (RFC 9457) with a stable `code`; `next` says what to do. Lists come in pages:
`{"items": [...], "next_cursor": null}`; pass `cursor` to go on. Every answer carries `X-Request-Id`.
"""


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no type information
    """flask-smorest's Api whose errors are problem documents."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """`api.problems` handles all errors."""

    def _register_responses(self) -> None:
        for status in http.HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase}
            if status >= 400:
                response["schema"] = ProblemSchema
            prepare_response(response, self.spec, MEDIA_TYPE)
            self.spec.components.response(status.name, response, lazy=True)
        response = {"description": "A problem document", "schema": ProblemSchema}
        prepare_response(response, self.spec, MEDIA_TYPE)
        self.spec.components.response(self.DEFAULT_ERROR_RESPONSE_NAME, response, lazy=True)


def create_api(app: flask.Flask, version: str) -> Api:
    """Attach the document to the app; blueprints registered with the returned object appear in it."""
    app.config.from_mapping(
        API_TITLE="Pale Blue Dot",
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = Api(
        app,
        spec_kwargs={
            "info": {"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
            "servers": [{"url": "/"}],
        },
    )
    api.spec.components.security_scheme(
        "bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token from POST /api/v1/auth/login, an API token or a job's token (`pbd_…`).",
        },
    )
    app.add_url_rule(f"{PREFIX}/docs", "docs", lambda: _page(api))
    return api


def _page(api: Api) -> flask.Response:
    document = api.spec.to_dict()
    page = flask.render_template(
        "docs.html",
        document=document,
        groups=_by_tag(document),
        errors=catalogue(),
        resolve=lambda node: _resolve(document, node),
        type_of=lambda schema: _type(document, schema),
    )
    response = flask.make_response(page)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    return response


def _by_tag(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document.get("tags", [])}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                entry = {"method": method.upper(), "path": path, "shared": item.get("parameters", []), **operation}
                for tag in operation.get("tags", ["other"]):
                    groups.setdefault(tag, []).append(entry)
    return {tag: entries for tag, entries in groups.items() if entries}


def _resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a ``$ref`` inside the document."""
    if "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)
    return node


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """A schema's type in a few words: ``string``, ``integer or null``, ``list of Gpu``, ``user | admin``."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join("null" if value is None else str(value) for value in schema["enum"])
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(_type(document, option) for option in schema[union])
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    names = [f"list of {_type(document, schema.get('items', {}))}" if kind == "array" else kind for kind in kinds]
    text = " or ".join(names)
    return f"{text} ({schema['format']})" if "format" in schema else text
