"""From a Template and a Hardware to the tasks in a Workflow's status."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.kube.schema import Schema
from lab.tinkerbell.dialect import Dialect
from lab.tinkerbell.gotemplate import Struct, TemplateError, render

NAME_LIMIT = 200
RENDERED_LIMIT = 256 * 1024  # of the mono-repo
# an OCI reference: registry and repository in lower case, then tag and digest
_IMAGE = re.compile(r"[a-z0-9]+(?:[._/:-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?")
_ULID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Action:
    name: str
    image: str
    timeout_s: int
    command: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    pid: str = ""
    namespaces: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    name: str
    worker: str
    actions: list[Action]
    volumes: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """A rendered template."""

    name: str
    global_timeout_s: int
    tasks: list[Task]


def render_plan(
    template: str, hardware_map: dict[str, str], hardware: dict[str, Any] | None, schema: Schema, dialect: Dialect
) -> Plan:
    """Render and read a template. ``schema`` is that of Hardware. Raises TemplateError."""
    text = render(template, template_data(hardware_map, hardware, schema, dialect))
    if dialect.mono and len(text.encode()) > RENDERED_LIMIT:
        raise TemplateError(f"the rendered template is larger than {RENDERED_LIMIT} bytes")
    return parse(text)


def template_data(
    hardware_map: dict[str, str], hardware: dict[str, Any] | None, schema: Schema, dialect: Dialect
) -> dict[str, Any]:
    """What a template's ``.`` is: the hardware map's keys beside what is known of the Hardware."""
    data: dict[str, Any] = dict(hardware_map)
    data["Hardware"] = _contract((hardware or {}).get("spec", {}), schema)
    if dialect.mono:
        data["hardware"] = hardware or {}
        data["references"] = {}
    return data


def _contract(spec: dict[str, Any], schema: Schema) -> Struct:
    """What tink hands to a template as ``.Hardware``: disks as plain device names, and four fields of the spec."""
    properties = schema["properties"]["spec"]["properties"]
    value = {
        "Disks": [disk.get("device", "") for disk in spec.get("disks", [])],
        "Interfaces": spec.get("interfaces", []),
        "UserData": spec.get("userData", ""),
        "VendorData": spec.get("vendorData", ""),
        "Metadata": spec.get("metadata") or {},  # a plain struct, so never nil
    }
    fields = {
        "Disks": {"type": "array", "items": {"type": "string"}},
        "Interfaces": properties["interfaces"],
        "UserData": properties["userData"],
        "VendorData": properties["vendorData"],
        "Metadata": properties["metadata"],
    }
    return Struct(value, {"properties": fields}, "templateHardwareData")


class _StrictLoader(yaml.BaseLoader):
    """Every scalar stays the text it is, as where Go decodes into strings (MODE: 0600); a key stands once in a map."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key "{key.value}" already set in map', key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse(text: str) -> Plan:
    """Read a rendered template. Raises TemplateError."""
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - builds strings, lists and maps only
    except yaml.YAMLError as error:
        raise TemplateError(f"parsing yaml data: {error}") from None
    if not isinstance(document, dict):
        raise TemplateError("parsing yaml data: the template is no mapping")
    name = _name(document)
    tasks = [_task(entry) for entry in _entries(document, "tasks")]
    if not tasks:
        raise TemplateError("validating workflow template: template must have at least one task defined")
    _unique("tasks in a template", [task.name for task in tasks])
    return Plan(name, _number(document, "global_timeout"), tasks)


def _task(entry: dict[str, Any]) -> Task:
    actions = [_action(item) for item in _entries(entry, "actions")]
    _unique("actions in a task", [action.name for action in actions])
    worker = entry.get("worker", "")
    if not worker:
        raise TemplateError("failed to render template, empty hardware address")
    return Task(_name(entry), worker, actions, _strings(entry, "volumes"), _map(entry, "environment"))


def _action(entry: dict[str, Any]) -> Action:
    image = entry.get("image", "")
    if not isinstance(image, str) or not _IMAGE.fullmatch(image):
        raise TemplateError(f"validating workflow template: invalid action image ({image}): invalid reference format")
    return Action(
        _name(entry),
        image,
        _number(entry, "timeout"),
        _strings(entry, "command"),
        _strings(entry, "volumes"),
        _map(entry, "environment"),
        entry.get("pid", ""),
        _map(entry, "namespaces"),
    )


def _name(entry: dict[str, Any]) -> str:
    name = entry.get("name", "")
    if not isinstance(name, str) or not 0 < len(name) < NAME_LIMIT:
        raise TemplateError(
            f"validating workflow template: name cannot be empty or have more than 200 characters: {name}"
        )
    return name


def _entries(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = entry.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise TemplateError(f"parsing yaml data: {key} is no list of mappings")
    return found


def _strings(entry: dict[str, Any], key: str) -> list[str]:
    found = entry.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise TemplateError(f"parsing yaml data: {key} is no list of strings")
    return found


def _map(entry: dict[str, Any], key: str) -> dict[str, str]:
    found = entry.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise TemplateError(f"parsing yaml data: {key} is no mapping to strings")
    return found


def _number(entry: dict[str, Any], key: str) -> int:
    text = entry.get(key) or "0"
    try:
        return int(text)
    except (TypeError, ValueError):
        raise TemplateError(f"parsing yaml data: {key}: cannot unmarshal {text!r} into int64") from None


def _unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TemplateError(f"validating workflow template: two {what} cannot have same name: {twice[0]}")


def ulid() -> str:
    """A ULID: 48 bits of milliseconds and 80 random ones in Crockford's base 32."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ULID_LETTERS[(number >> shift) & 31] for shift in range(125, -1, -5))


def status_tasks(plan: Plan, dialect: Dialect) -> list[dict[str, Any]]:
    """``status.tasks`` of a workflow that waits for its agent."""
    return [
        _without_empty(
            {
                "name": task.name,
                dialect.owner: task.worker,
                "id": ulid() if dialect.mono else None,
                "volumes": task.volumes,
                "environment": task.environment,
            }
        )
        | {"actions": [_status_action(action, dialect) for action in task.actions]}
        for task in plan.tasks
    ]


def _status_action(action: Action, dialect: Dialect) -> dict[str, Any]:
    fields = {
        "name": action.name,
        "image": action.image,
        "timeout": action.timeout_s,
        "command": action.command,
        "volumes": action.volumes,
        "environment": action.environment,
        "pid": action.pid,
        dialect.action_state: dialect.write("PENDING"),
    }
    if dialect.mono:
        fields |= {"id": ulid(), "namespaces": action.namespaces}
    return _without_empty(fields)


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, "", [], {}, 0)}
