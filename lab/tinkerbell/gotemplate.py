"""Go's text/template, as much of it as Tinkerbell templates use.

Fields, ``index``, pipelines, literals, brackets, comments, trim markers, and a few of Sprig's and tink's functions;
with ``missingkey=error``, which is what Tinkerbell renders with. Control structures (if, range, with) are not
supported, and say so.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from lab.kube.schema import Schema

# a hyphen inside the braces eats the white space outside of them
_ACTION = re.compile(r"(?:\s*\{\{-\s|\{\{)(?P<body>.*?)(?:\s-\}\}\s*|\}\})", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<field>(?:\.[A-Za-z_]\w*)+|\.)
      | (?P<name>\$?[A-Za-z_]\w*|\$)
      | (?P<mark>[()|])
    )""",
    re.X,
)
_KEYWORDS = ("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue")


class TemplateError(Exception):
    """The template cannot be rendered; the message says where and why."""


class Struct:
    """A value with Go's rules for structs: known fields only, zero values where nothing is set, no way through nil.

    Field names are Go's (``Metadata.Instance.ID``); they differ from the schema's by case and underscores only.
    """

    def __init__(self, value: dict[str, Any] | None, schema: Schema, name: str) -> None:
        self._value = value
        self._fields = {_plain(key): (key, child) for key, child in schema.get("properties", {}).items()}
        self._name = name

    def field(self, name: str) -> Any:
        if _plain(name) not in self._fields or not name[0].isupper():
            raise TemplateError(f"can't evaluate field {name} in type v1alpha1.{self._name}")
        if self._value is None:
            raise TemplateError(f"nil pointer evaluating *v1alpha1.{self._name}.{name}")
        key, schema = self._fields[_plain(name)]
        return _go_value(self._value.get(key), schema, name)

    def __str__(self) -> str:
        return json.dumps(self._value)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _go_value(value: Any, schema: Schema, name: str) -> Any:
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return Struct(value, schema, name)
    if kind == "array":
        return [_go_value(item, schema["items"], name.removesuffix("s")) for item in value or []]
    if value is None:
        return {"string": "", "integer": 0, "boolean": False, "object": {}}.get(str(kind))
    return value


def render(text: str, data: dict[str, Any]) -> str:
    """The template with its actions carried out. Raises TemplateError."""
    parts: list[str] = []
    position = 0
    for found in _ACTION.finditer(text):
        parts.append(text[position : found.start()])
        position = found.end()
        line = text.count("\n", 0, found.start()) + 1
        body = found["body"].strip()
        if body.startswith("/*"):
            continue
        try:
            parts.append(_printed(_Expression(body, data).value()))
        except TemplateError as error:
            raise TemplateError(
                f'template: workflow-template:{line}: executing "workflow-template" at <{body}>: {error}'
            ) from None
    rest = text[position:]
    if "{{" in rest:
        raise TemplateError(f"template: workflow-template:{text.count(chr(10)) + 1}: unclosed action")
    return "".join(parts) + rest


class _Expression:
    """A pipeline such as ``index .Hardware.Disks 0 | quote``."""

    def __init__(self, body: str, data: dict[str, Any]) -> None:
        self._data = data
        self._tokens = list(_tokens(body))
        self._position = 0

    def value(self) -> Any:
        if not self._tokens:
            raise TemplateError("missing value for command")
        result = self._pipeline()
        if self._position != len(self._tokens):
            raise TemplateError(f"unexpected {self._tokens[self._position][1]!r}")
        return result

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("end", "")

    def _pipeline(self) -> Any:
        result = self._command([])
        while self._peek() == ("mark", "|"):
            self._position += 1
            result = self._command([result])
        return result

    def _command(self, piped: list[Any]) -> Any:
        kind, text = self._peek()
        if kind == "name" and not text.startswith("$"):
            self._position += 1
            if text in ("true", "false"):
                return text == "true"
            if text in _KEYWORDS:
                raise TemplateError(f"{text} is not supported by the lab's templates")
            function = _FUNCTIONS.get(text)
            if function is None:
                raise TemplateError(f'function "{text}" not defined')
            arguments = []
            while self._peek() != ("mark", "|") and self._peek() != ("mark", ")") and self._peek()[0] != "end":
                arguments.append(self._operand())
            try:
                return function(*arguments, *piped)
            except (TypeError, ValueError, KeyError, IndexError) as error:
                raise TemplateError(f"error calling {text}: {error}") from None
        if piped:
            raise TemplateError(f"non executable command in pipeline: {text}")
        return self._operand()

    def _operand(self) -> Any:
        kind, text = self._peek()
        self._position += 1
        if kind == "string":
            return text[1:-1] if text.startswith("`") else json.loads(text)
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "field":
            return self._way(self._data, text)
        if kind == "name" and text == "$":
            following, way = self._peek()
            if following == "field":
                self._position += 1
                return self._way(self._data, way)
            return self._data
        if kind == "name" and text in ("true", "false"):
            return text == "true"
        if (kind, text) == ("mark", "("):
            result = self._pipeline()
            if self._peek() != ("mark", ")"):
                raise TemplateError("unclosed left paren")
            self._position += 1
            following, way = self._peek()
            if following == "field" and way != ".":
                self._position += 1
                return self._way(result, way)
            return result
        raise TemplateError(f"unexpected {text or 'end of the action'!r} in operand")

    @staticmethod
    def _way(value: Any, way: str) -> Any:
        for name in way.split(".")[1:]:
            if not name:
                return value
            if isinstance(value, Struct):
                value = value.field(name)
            elif isinstance(value, dict):
                if name not in value:
                    raise TemplateError(f'map has no entry for key "{name}"')
                value = value[name]
            else:
                raise TemplateError(f"can't evaluate field {name} in type {type(value).__name__}")
        return value


def _tokens(body: str) -> Iterator[tuple[str, str]]:
    position = 0
    body = body.strip()
    while position < len(body):
        found = _TOKEN.match(body, position)
        if found is None:
            raise TemplateError(f"unexpected {body[position:].strip()[:10]!r}")
        position = found.end()
        kind = str(found.lastgroup)
        yield kind, found[kind]


def _printed(value: Any) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + " ".join(map(_printed, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_printed(item)}" for key, item in sorted(value.items())) + "]"
    return str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, list):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise IndexError(f"error calling index: reflect: slice index out of range: {key}")
            value = value[key]
        elif isinstance(value, dict):
            value = value.get(key, "")
        else:
            raise TypeError(f"can't index item of type {type(value).__name__}")
    return value


def _format_partition(device: str, partition: int) -> str:
    """``/dev/nvme0n1`` and 1 make ``/dev/nvme0n1p1``; ``/dev/sda`` and 1 make ``/dev/sda1``."""
    return f"{device}p{partition}" if device.startswith("/dev/nvme") else f"{device}{partition}"


def _to_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=True).rstrip("\n")


def _indent(spaces: int, text: str) -> str:
    return " " * spaces + text.replace("\n", "\n" + " " * spaces)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "b64enc": lambda text: base64.b64encode(text.encode()).decode(),
    "contains": lambda text, part: part in text,
    "default": lambda fallback, value="": value or fallback,
    "formatPartition": _format_partition,
    "fromYaml": yaml.safe_load,
    "hasPrefix": lambda text, part: text.startswith(part),
    "hasSuffix": lambda text, part: text.endswith(part),
    "indent": _indent,
    "index": _index,
    "lower": lambda text: text.lower(),
    "netmaskToPrefixLength": lambda mask: str(ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen),
    "nindent": lambda spaces, text: "\n" + _indent(spaces, text),
    "quote": lambda *texts: " ".join(json.dumps(_printed(text), ensure_ascii=False) for text in texts),
    "squote": lambda *texts: " ".join(f"'{_printed(text)}'" for text in texts),
    "toYaml": _to_yaml,
    "trim": lambda text: text.strip(),
    "upper": lambda text: text.upper(),
}
