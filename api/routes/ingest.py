"""What machines post about themselves while they boot or are erased. The token in the path is the key."""

from __future__ import annotations

from typing import Any

from flask import request
from sqlalchemy.orm import Session
from webargs import core

from api.auth import public
from api.blueprint import Blueprint, is_clean, read_json
from api.problems import ApiError
from api.records import writing
from fleet.operations import reports

blp = Blueprint("ingest", __name__, url_prefix="/api/v1", description="Reports of machines")

FORM = "application/x-www-form-urlencoded"
BODY = {
    "content": {
        "application/json": {"schema": {"type": "object"}},
        FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
    "required": False,
}


@blp.route("/ingest/<kind>/<token>", "ingestReport", method="POST")
@public
@blp.doc(requestBody=BODY)
@writing
@blp.response(204)
def ingest(session: Session, kind: str, token: str) -> None:
    """Take a machine's report (`first-boot`, `erase`), as cloud-init's phone_home or our own scripts send it.

    Takes no Idempotency-Key: the first report counts, and a machine that posts again is answered well.
    """
    reports.receive(session, kind, token, _body(), remote_addr=request.remote_addr)


def _body() -> dict[str, Any]:
    if request.mimetype in (FORM, "multipart/form-data"):
        fields = request.form.to_dict()
        if not all(is_clean(text) for pair in fields.items() for text in pair):
            raise ApiError("invalid_characters", "The form holds a NUL character or half of a surrogate pair.")
        return fields
    document = read_json(request)
    if document is core.missing:
        return {}
    if not isinstance(document, dict):
        raise ApiError("validation_failed", "A report is a JSON object or a form.")
    return document
