"""What all schemas share: strict requests, plain answers, bounded text and numbers, and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

# Bounds of what a request may hold. The database's integers have 64 bits; nobody needs near as much.
LARGEST_INTEGER = 2**31 - 1
NAME_LENGTH = 128  # as in the record
PAGE_LIMIT = 200
PAGE_DEFAULT = 50

NO_OBJECT = {"type": "A JSON object is expected."}


class Request(Schema):
    """A body or query: unknown names are errors, because a misspelt field would silently do nothing."""

    error_messages = NO_OBJECT

    class Meta:
        unknown = RAISE
        ordered = True


class Answer(Schema):
    """An answer: only what is declared leaves the service."""

    class Meta:
        unknown = EXCLUDE
        ordered = True


def text(description: str, *, length: int = NAME_LENGTH, **options: Any) -> fields.String:
    """A text of 1 to ``length`` characters."""
    return fields.String(validate=validate.Length(min=1, max=length), metadata={"description": description}, **options)


def count(description: str, *, at_least: int = 0, at_most: int = LARGEST_INTEGER, **options: Any) -> fields.Integer:
    """A whole number (a JSON number: "8" is no number) within bounds."""
    return fields.Integer(
        strict=True,
        validate=validate.Range(min=at_least, max=at_most),
        metadata={"description": description},
        **options,
    )


def choice(values: Any, description: str, **options: Any) -> fields.String:
    return fields.String(
        validate=validate.OneOf([str(value) for value in values]), metadata={"description": description}, **options
    )


class Moment(fields.AwareDateTime):
    """A time with its zone, as UTC; near the ends of the calendar some zones' times have no UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", obj_type=self.OBJ_TYPE, input=value) from error


class Flag(fields.Boolean):
    """true or false and nothing that merely looks like it: 1, "yes" and "off" are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class PageQuery(Request):
    """Query of every list."""

    cursor = text("Where to go on: `next_cursor` of the page before.", length=256)
    limit = fields.Integer(
        load_default=PAGE_DEFAULT,
        validate=validate.Range(min=1, max=PAGE_LIMIT),
        metadata={"description": f"Items a page, at most {PAGE_LIMIT}."},
    )


def page_of(item: type[Schema], name: str) -> type[Answer]:
    """The schema of one page of a list."""
    return Answer.from_dict(  # type: ignore[return-value]
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(
                allow_none=True, required=True, metadata={"description": "Pass as `cursor`; null on the last page."}
            ),
        },
        name=name,
    )
