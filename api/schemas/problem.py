"""The problem document (RFC 9457)."""

from __future__ import annotations

from marshmallow import fields

from api.schemas.base import Answer


class FieldErrorSchema(Answer):
    """What is wrong with one field."""

    field = fields.String(required=True, metadata={"description": "Dotted path of the field."})
    pointer = fields.String(required=True, metadata={"description": "JSON pointer into the body, or location:name."})
    detail = fields.String(required=True)


class ProblemSchema(Answer):
    """One error: what kind, what happened here, where, and what to do next."""

    type = fields.String(required=True, metadata={"description": "Link to the kind of error."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "The path that was asked."})
    code = fields.String(required=True, metadata={"description": "Stable name of the kind of error (snake_case)."})
    host = fields.String(required=True, allow_none=True, metadata={"description": "The server it concerns."})
    step = fields.String(required=True, allow_none=True, metadata={"description": "The workflow step it concerns."})
    tried = fields.String(required=True, allow_none=True)
    answer = fields.String(required=True, allow_none=True, metadata={"description": "What came back."})
    next = fields.String(required=True, allow_none=True, metadata={"description": "What to do."})
    request_id = fields.String(required=True, allow_none=True)
    errors = fields.List(fields.Nested(FieldErrorSchema), metadata={"description": "One entry per wrong field."})
