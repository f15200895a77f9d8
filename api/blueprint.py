"""flask-smorest's blueprint with types, fixed operation ids, and arguments that are either right or a clear 4xx."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import flask
import flask_smorest
import marshmallow as ma
from webargs import core
from webargs.flaskparser import FlaskParser

from api.problems import ApiError

View = TypeVar("View", bound=Callable[..., Any])

# json.loads recurses; real documents of this API are a handful of levels deep.
MAX_NESTING = 40


class RequestParser(FlaskParser):
    """Reads bodies and queries strictly: wrong media type 415, malformed JSON 400, unknown names 422."""

    def __init__(self) -> None:
        super().__init__()
        self.DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        return read_json(req)


def read_json(req: flask.Request) -> Any:
    """The request's JSON body, or ``webargs.core.missing`` when it has none.

    Raises:
        ApiError: ``unsupported_media_type``, ``malformed_json`` or ``invalid_characters``.
    """
    raw = req.get_data(cache=True)
    if not raw.strip():
        return core.missing
    if not core.is_json(req.mimetype):
        raise ApiError("unsupported_media_type", f"The body is {req.mimetype or 'of no stated type'}, not JSON.")
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ApiError("malformed_json", f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except RecursionError as error:
        raise ApiError("malformed_json", "The body is nested too deeply.") from error
    except ValueError as error:
        raise ApiError("malformed_json", f"The body is not JSON: {error}.") from error
    _check_text(document, "#", 0)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check_text(value: Any, pointer: str, depth: int) -> None:
    """Refuse what no database can store: NUL and lone surrogates, wherever they hide; and absurd nesting."""
    if depth > MAX_NESTING:
        raise ApiError("malformed_json", f"The body is nested more than {MAX_NESTING} levels deep.")
    if isinstance(value, str):
        if not is_clean(value):
            raise ApiError(
                "invalid_characters",
                f"The text at {pointer} has a NUL character or half of a surrogate pair.",
                errors=[{"field": pointer.lstrip("#/"), "pointer": pointer, "detail": "Not storable as text."}],
            )
    elif isinstance(value, float) and not math.isfinite(value):
        raise ApiError("malformed_json", f"The number at {pointer} is too large.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, pointer, depth + 1)
            _check_text(item, f"{pointer}/{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_text(item, f"{pointer}/{index}", depth + 1)


def is_clean(text: str) -> bool:
    """Whether a database can store the text: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no type information
    """A subject's routes.

    Every operation has a fixed ``operationId``, given where the route is declared, because generated clients and the
    documentation are built on it.
    """

    ARGUMENTS_PARSER = RequestParser()

    def route(self, rule: str, operation_id: str, *, method: str = "GET", **options: Any) -> Callable[[View], View]:
        def decorate(view: View) -> View:
            documented = self.doc(operationId=operation_id)(view)
            self.add_url_rule(rule, operation_id, documented, methods=[method], **options)
            return view

        return decorate

    def arguments(self, schema: type[ma.Schema], *, location: str = "json", **options: Any) -> Callable[[View], View]:
        decorator: Callable[[View], View] = super().arguments(schema, location=location, **options)
        return decorator

    def response(
        self, status_code: int, schema: type[ma.Schema] | None = None, **options: Any
    ) -> Callable[[View], View]:
        decorator: Callable[[View], View] = super().response(status_code, schema, **options)
        return decorator

    @staticmethod
    def doc(**members: Any) -> Callable[[View], View]:
        decorator: Callable[[View], View] = flask_smorest.Blueprint.doc(**members)
        return decorator

    def alt_response(self, status_code: int, **options: Any) -> Callable[[View], View]:
        decorator: Callable[[View], View] = super().alt_response(status_code, **options)
        return decorator
