"""Structural schemas of custom resources: how they are written down here, and what an API server does with them.

The rules are those of Kubernetes' structural schemas: unknown fields are pruned, defaults filled in, values checked,
and problems are reported with the wording and the cause types of the API server, because clients match on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from lab.kube.errors import Cause

Schema = dict[str, Any]


def _with(schema: Schema, **extra: Any) -> Schema:
    return schema | {key: value for key, value in extra.items() if value is not None}


def string(
    *enum: str,
    pattern: str | None = None,
    format: str | None = None,
    default: str | None = None,
    min_length: int | None = None,
) -> Schema:
    schema: Schema = {"type": "string"}
    return _with(schema, enum=list(enum) or None, pattern=pattern, format=format, default=default, minLength=min_length)


def integer(format: str | None = None, default: int | None = None) -> Schema:
    return _with({"type": "integer"}, format=format, default=default)


def boolean(default: bool | None = None) -> Schema:
    return _with({"type": "boolean"}, default=default)


def array(items: Schema, min_items: int | None = None, atomic: bool = False) -> Schema:
    marker = {"x-kubernetes-list-type": "atomic"} if atomic else {}
    return _with({"type": "array", "items": items}, minItems=min_items) | marker


def mapping(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def quantity() -> Schema:
    """A Kubernetes resource quantity, such as ``4`` or ``"512Gi"``."""
    number = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": rf"^(\+|-)?{number}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{number}))?$",
        "x-kubernetes-int-or-string": True,
    }


def record(fields: Mapping[str, Schema], atomic: bool = False, max_properties: int | None = None) -> Schema:
    """An object with named fields; a name that ends in ``*`` is a required one."""
    schema: Schema = {"type": "object"}
    if fields:
        schema["properties"] = {name.rstrip("*"): field for name, field in fields.items()}
    required = [name.rstrip("*") for name in fields if name.endswith("*")]
    marker = {"x-kubernetes-map-type": "atomic"} if atomic else {}
    return _with(schema, required=required or None, maxProperties=max_properties) | marker


def resource(spec: Schema, status: Schema) -> Schema:
    """The schema of a whole custom resource."""
    return record(
        {
            "apiVersion": string(),
            "kind": string(),
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        }
    )


def prune(value: Any, schema: Schema, path: str = "") -> tuple[Any, list[str]]:
    """A copy of ``value`` without the fields that the schema does not know, and the paths of those fields.

    Nulls go too where the schema has them not ``nullable``, as if they had not been sent.
    """
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        unknown: list[str] = []
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if not path and key in ("apiVersion", "kind", "metadata"):
                kept[key] = item
                continue
            child = _child(schema, key)
            if child is None:
                unknown.append(where)
                continue
            if item is None and child and not child.get("nullable"):
                continue
            kept[key], more = prune(item, child, where)
            unknown += more
        return kept, unknown
    if isinstance(value, list):
        items: list[Any] = []
        unknown = []
        for number, item in enumerate(value):
            pruned, more = prune(item, schema.get("items", {}), f"{path}[{number}]")
            items.append(pruned)
            unknown += more
        return items, unknown
    return value, []


def _child(schema: Schema, key: str) -> Schema | None:
    """The schema of a field, ``{}`` where anything may stand, None where the field is unknown."""
    properties = schema.get("properties", {})
    if key in properties:
        found: Schema = properties[key]
        return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    if extra is True or schema.get("x-kubernetes-preserve-unknown-fields") or not schema:
        return {}
    return None


def fill_defaults(value: Any, schema: Schema) -> None:
    """Put the schema's defaults into ``value``, in place."""
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if key not in value and "default" in child:
                value[key] = json.loads(json.dumps(child["default"]))
        for key, item in value.items():
            child = _child(schema, key)
            if child:
                fill_defaults(item, child)
    elif isinstance(value, list):
        for item in value:
            fill_defaults(item, schema.get("items", {}))


def validate(value: Any, schema: Schema, path: str = "") -> list[Cause]:
    """What is wrong with ``value``; empty when nothing is."""
    if not schema:
        return []
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            return [_wrong_type(value, "integer,string", path)]
        return _check_pattern(str(value), schema, path)
    kind = schema.get("type")
    if kind is not None and not _is_type(value, kind):
        return [_wrong_type(value, kind, path)]
    causes: list[Cause] = []
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{choice}"' for choice in schema["enum"])
        causes.append(
            Cause("FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {supported}", path)
        )
    if isinstance(value, str):
        causes += _check_string(value, schema, path)
    elif isinstance(value, list):
        causes += _check_list(value, schema, path)
    elif isinstance(value, dict):
        causes += _check_dict(value, schema, path)
    return causes


def _check_string(value: str, schema: Schema, path: str) -> list[Cause]:
    causes = _check_pattern(value, schema, path)
    if len(value) < schema.get("minLength", 0):
        text = f"{path} in body should be at least {schema['minLength']} chars long"
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {text}", path))
    name = schema.get("format")
    if name in _FORMATS and not _FORMATS[name](value):
        text = f"{path} in body must be of type {name}: {_shown(value)}"
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {text}", path))
    return causes


def _check_pattern(value: str, schema: Schema, path: str) -> list[Cause]:
    pattern = schema.get("pattern")
    if pattern is None or re.search(pattern, value):
        return []
    text = f"Invalid value: {_shown(value)}: {path} in body should match '{pattern}'"
    return [Cause("FieldValueInvalid", text, path)]


def _check_list(value: list[Any], schema: Schema, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if len(value) < schema.get("minItems", 0):
        text = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minItems']} items"
        causes.append(Cause("FieldValueInvalid", text, path))
    for number, item in enumerate(value):
        causes += validate(item, schema.get("items", {}), f"{path}[{number}]")
    return causes


def _check_dict(value: dict[str, Any], schema: Schema, path: str) -> list[Cause]:
    causes: list[Cause] = []
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        causes.append(
            Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {_count(most, 'item')}", path)
        )
    for name in schema.get("required", []):
        if name not in value:
            causes.append(Cause("FieldValueRequired", "Required value", f"{path}.{name}" if path else name))
    for key, item in value.items():
        if not path and key == "metadata":
            continue
        child = _child(schema, key)
        if child:
            causes += validate(item, child, f"{path}.{key}" if path else key)
    return causes


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _wrong_type(value: Any, wanted: str, path: str) -> Cause:
    found = _type_name(value)
    text = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause("FieldValueTypeInvalid", text, path)


def _is_type(value: Any, kind: str) -> bool:
    found = _type_name(value)
    return found == kind or (kind == "number" and found == "integer")


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {str: "string", list: "array", dict: "object", float: "number"}[type(value)]


def _shown(value: Any) -> str:
    return json.dumps(value)


def _is_date_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_uri(value: str) -> bool:
    # go-openapi's "uri": net/url.ParseRequestURI, which wants a scheme or an absolute path
    parts = urlsplit(value)
    return bool(parts.scheme) or value.startswith("/")


# formats that Kubernetes checks; others ("url", "int64") are notes to the reader
_FORMATS = {"date-time": _is_date_time, "uri": _is_uri}
