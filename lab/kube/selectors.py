"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.kube.errors import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUALITY = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_EXISTS = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s=!(),]+)$")


def label_selector(text: str) -> Predicate:
    """``a=b,c!=d,e in (f,g),h notin (i),j,!k``. Raises ApiError 400 for anything else."""
    checks = [_label_check(term) for term in _split(text)]

    def matches(obj: Mapping[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(check(labels) for check in checks)

    return matches


def field_selector(text: str) -> Predicate:
    """``metadata.name`` and ``metadata.namespace``, which is all that custom resources offer."""
    wanted: list[tuple[str, str, bool]] = []
    for term in _split(text):
        found = _EQUALITY.match(term)
        if not found or found["key"] not in ("metadata.name", "metadata.namespace"):
            raise bad_request(f"field label not supported: {found['key'] if found else term}")
        wanted.append((found["key"].removeprefix("metadata."), found["value"], found["op"] != "!="))

    def matches(obj: Mapping[str, Any]) -> bool:
        return all((obj["metadata"].get(key) == value) is equal for key, value, equal in wanted)

    return matches


def _split(text: str) -> list[str]:
    """Terms are separated by the commas outside of brackets."""
    return [term.strip() for term in re.split(r",(?![^()]*\))", text) if term.strip()]


def _label_check(term: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(term):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(term):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(term):
        key, wanted = found["key"], not found["not"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f'unable to parse requirement: "{term}"')
