# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""gNMI paths as text, and the values of an answer as a tree.

Written as in the gNMI path conventions: ``/interfaces/interface[name=Ethernet1]/config``, with an origin in front where
one is meant (``cli:/show version``, ``sonic-db:/CONFIG_DB/localhost``). A colon elsewhere belongs to a name
(``arista-exp-eos-vxlan:arista-vxlan``). Inside a key ``]`` and ``\\`` are escaped by ``\\``; ``=`` and ``/`` stand for
themselves.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

Json = dict[str, Any]

_ORIGIN = re.compile(r"([A-Za-z][\w.-]*):/")
# Of a YANG name only: a key of SONiC's databases may hold colons of its own.
_MODULE = re.compile(r"^[A-Za-z_][\w.-]*:(?=[A-Za-z_][\w.-]*$)")
ANY = "*"


class Step(NamedTuple):
    """One element of a path; ``keys`` in the order written."""

    name: str
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """The name without its module."""
        return self.name.rpartition(":")[2]

    @property
    def open(self) -> bool:
        """Whether it stands for several entries of a list."""
        return any(value == ANY for _name, value in self.keys)

    def __str__(self) -> str:
        return self.name + "".join(f"[{name}={quoted(value)}]" for name, value in self.keys)


class Path(NamedTuple):
    """A path; ``origin`` is None where none is written."""

    steps: tuple[Step, ...]
    origin: str | None = None

    def __str__(self) -> str:
        text = "/" + "/".join(map(str, self.steps))
        return text if self.origin is None else f"{self.origin}:{text}"


def quoted(key: object) -> str:
    """A key's value as it is written between ``[name=`` and ``]``."""
    return str(key).replace("\\", "\\\\").replace("]", "\\]")


def parse(text: str) -> Path:
    """:raises InvalidInput: when it is no path."""
    rest, origin = text.strip(), None
    if found := _ORIGIN.match(rest):
        origin, rest = found[1], rest[found.end() - 1 :]
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        if rest[at] == "/":
            at += 1
            continue
        begin = at
        while at < len(rest) and rest[at] not in "/[":
            at += 1
        name = rest[begin:at]
        keys: list[tuple[str, str]] = []
        while at < len(rest) and rest[at] == "[":
            key, at = _key(text, rest, at + 1)
            keys.append(key)
        if not name or (at < len(rest) and rest[at] != "/"):
            raise InvalidInput(
                f"{text!r} is not a gNMI path", next="Write it like /interfaces/interface[name=Ethernet1]"
            )
        steps.append(Step(name, tuple(keys)))
    return Path(tuple(steps), origin)


def _key(text: str, rest: str, at: int) -> tuple[tuple[str, str], int]:
    name, equals, _rest = rest[at:].partition("=")
    if not equals or not re.fullmatch(r"[\w:.-]+", name):
        raise InvalidInput(f"{text!r} is not a gNMI path: a key is written [name=value]")
    at += len(name) + 1
    value = ""
    while at < len(rest) and rest[at] != "]":
        if rest[at] == "\\" and at + 1 < len(rest):
            at += 1
        value += rest[at]
        at += 1
    if at == len(rest):
        raise InvalidInput(f"{text!r} is not a gNMI path: a ] is missing")
    return (name, value), at + 1


def plain(value: Any) -> Any:
    """JSON_IETF with module names taken off its keys and identities left as they are."""
    if isinstance(value, dict):
        return {_MODULE.sub("", str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def plant(tree: Json, path: Path, value: Any) -> None:
    """Put an answer's value where it belongs in a tree from the root.

    Switches cut the same answer differently: the container whole, each leaf for itself, everything under the root
    (SR Linux, wildcards), or a value inside an object of its own name (SONiC).
    """
    value = plain(value)
    steps = path.steps
    if not steps:
        _merge(tree, value if isinstance(value, dict) else {})
        return
    last = steps[-1]
    if isinstance(value, dict) and set(value) == {last.plain}:
        value = value[last.plain]
    if last.keys and isinstance(value, list) and len(value) == 1:
        value = value[0]
    node = tree
    for step in steps[:-1]:
        node = _child(node, step)
    if last.keys:
        _merge(_child(node, last), value if isinstance(value, dict) else {})
    elif isinstance(value, dict):
        _merge(_child(node, last), value)
    else:
        node[last.plain] = value


def pick(tree: Json, path: Path) -> Any:
    """What stands at a path; at the first wildcard the whole list, as far as it was answered. None: nothing."""
    node: Any = tree
    for step in path.steps:
        if not isinstance(node, dict) or step.plain not in node:
            return None
        node = node[step.plain]
        if step.open:
            return node if isinstance(node, list) else [node]
        if step.keys:
            entries = node if isinstance(node, list) else [node]
            node = next((entry for entry in entries if _has_keys(entry, step)), None)
    return node


def _child(node: Json, step: Step) -> Json:
    if not step.keys:
        found = node.setdefault(step.plain, {})
        return found if isinstance(found, dict) else node.setdefault(step.plain, {})
    entries = node.setdefault(step.plain, [])
    for entry in entries:
        if _has_keys(entry, step):
            return entry  # type: ignore[no-any-return]
    entry = dict(step.keys)
    entries.append(entry)
    return entry


def _has_keys(entry: Any, step: Step) -> bool:
    return isinstance(entry, dict) and all(str(entry.get(name)) == value for name, value in step.keys)


def _merge(into: Json, value: Json) -> None:
    for key, item in value.items():
        if isinstance(item, dict) and isinstance(into.get(key), dict):
            _merge(into[key], item)
        else:
            into[key] = item
