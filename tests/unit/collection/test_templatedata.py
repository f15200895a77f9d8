"""Templates that Tinkerbell would refuse, or never finish."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import templatedata


def template(**more: Any) -> dict[str, Any]:
    action = {"name": "stream", "image": "image2disk", "timeout": 60}
    task = {"name": "os", "worker": "{{.device_1}}", "actions": [action]}
    return {"version": "0.1", "name": "t", "global_timeout": 600, "tasks": [task], **more}


def changed(where: str, value: Any) -> str:
    document = template()
    holder = {"": document, "task": document["tasks"][0], "action": document["tasks"][0]["actions"][0]}
    place, _, name = where.rpartition(".")
    holder[place][name] = value
    return yaml.safe_dump(document)


def test_a_good_template_passes() -> None:
    templatedata.check("t", yaml.safe_dump(template()))


@pytest.mark.parametrize("value", ["{{ .timeout }}", 1])
def test_expressions_are_left_to_tinkerbell(value: Any) -> None:
    templatedata.check("t", changed("global_timeout", value))
    templatedata.check("t", "name: t\nglobal_timeout: {{ .x }}\ntasks: {{- range .y }}\n")


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("global_timeout", 0, "global_timeout must be"),
        ("global_timeout", None, "global_timeout must be"),
        ("global_timeout", True, "global_timeout must be"),
        ("name", "", "name is missing"),
        ("tasks", [], "tasks is missing"),
        ("task.worker", "", "has no worker"),
        ("task.actions", [], "has no actions"),
        ("action.timeout", 0, "action 'stream': timeout"),
        ("action.image", None, "image is missing"),
        ("action.name", None, "has no name"),
        ("action.name", "x" * 200, "too long"),
    ],
)
def test_mistakes_are_named(where: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        templatedata.check("t", changed(where, value))
    assert caught.value.code == "template_invalid"


def test_names_are_unique() -> None:
    document = template()
    document["tasks"].append(document["tasks"][0])
    document["tasks"][0]["actions"].append(document["tasks"][0]["actions"][0])
    with pytest.raises(InvalidInput, match=r"task name 'os' is used twice.*action name 'stream' is used twice"):
        templatedata.check("t", yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("data", "words"),
    [("a: [", "not YAML"), ("- a", "not a mapping"), ("x" * (256 * 1024 + 1), "262145 bytes")],
)
def test_what_is_no_template_at_all(data: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        templatedata.check("t", data)


def test_a_key_that_stands_twice_is_a_mistake() -> None:
    doubled = yaml.safe_dump(template()) + "name: again\n"
    with pytest.raises(InvalidInput, match="name stands twice"):
        templatedata.check("t", doubled)
