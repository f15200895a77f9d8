# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What Tinkerbell would refuse, or never finish, in a template: told before anything is created.

A template is YAML with Go template expressions in it. Values that hold an expression are known to Tinkerbell only, and
are left to it.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need

MISSING: ImportError | None = None
try:
    import yaml
except ImportError as problem:
    MISSING = problem

# tinkerbell/tinkerbell refuses a rendered template above this.
LARGEST = 256 * 1024
_NAME_LENGTH = 200
_EXPRESSION = "{{"


def check(name: str, data: str) -> None:
    """:raises InvalidInput: naming every mistake."""
    need("PyYAML", MISSING)
    mistakes = _mistakes(data)
    if mistakes:
        raise InvalidInput(
            f"the template {name} would not run: {'; '.join(mistakes)}",
            code="template_invalid",
            tried=f"Template {name}",
            next="Correct the template; nothing was created.",
        )


def _mistakes(data: str) -> list[str]:
    size = len(data.encode())
    if size > LARGEST:
        return [f"it has {size} bytes, and Tinkerbell takes {LARGEST} at most"]
    try:
        # the same safe loader, written in C where there is one: ten times as fast
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        twice = _twice(yaml.compose(data, Loader=loader))
        document = yaml.load(data, Loader=loader)  # noqa: S506
    except yaml.YAMLError as problem:
        if _EXPRESSION in data:
            # An expression outside of quotes is fine for Tinkerbell, which renders before it parses.
            return []
        return [f"it is not YAML: {' '.join(str(problem).split())}"]
    if not isinstance(document, dict):
        return ["it is not a mapping"]
    # Tinkerbell reads strictly; most readers of YAML silently take the last.
    found = [f"{key} stands twice in one mapping (line {line})" for key, line in twice]
    if not document.get("name"):
        found.append("name is missing")
    # A missing or zero global_timeout is TIMEOUT at once, in both generations.
    found += _positive(document.get("global_timeout"), "global_timeout")
    tasks = document.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        return [*found, "tasks is missing or empty"]
    found += _unique(tasks, "task")
    for task in tasks:
        found += _task(task)
    return found


def _twice(node: Any) -> list[tuple[str, int]]:
    """Keys that stand twice in one mapping, with the line of the second."""
    found: list[tuple[str, int]] = []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    found.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
            found += _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _twice(item)
    return found


def _task(task: Any) -> list[str]:
    if not isinstance(task, dict):
        return ["a task is not a mapping"]
    label = f"task {task.get('name')!r}"
    found = [] if task.get("worker") else [f"{label} has no worker"]
    actions = task.get("actions")
    if not isinstance(actions, list) or not actions:
        return [*found, f"{label} has no actions"]
    found += _unique(actions, f"{label}: action")
    for action in actions:
        if not isinstance(action, dict):
            found.append(f"{label} has an action that is not a mapping")
            continue
        here = f"{label}, action {action.get('name')!r}"
        if not action.get("image"):
            found.append(f"{here}: image is missing")
        # In tink 0.12 an action without timeout is over before it begins.
        found += _positive(action.get("timeout"), f"{here}: timeout")
    return found


def _unique(items: list[Any], what: str) -> list[str]:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    found = [f"a {what} has no name" for name in names if not name]
    found += [
        f"the {what} name {name!r} is used twice" for name in sorted({n for n in names if n and names.count(n) > 1})
    ]
    found += [
        f"the {what} name {name[:20]!r}… is too long" for name in names if name and len(str(name)) >= _NAME_LENGTH
    ]
    return found


def _positive(value: Any, what: str) -> list[str]:
    if isinstance(value, str) and _EXPRESSION in value:
        return []
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return []
    return [f"{what} must be a number of seconds above 0, and is {value!r}"]
