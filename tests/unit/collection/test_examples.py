"""What the documentation shows, and what playbooks and roles do, is something that the modules take."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

REPOSITORY = Path(__file__).parents[3]
PLUGINS = REPOSITORY / "collections/ansible_collections/palebluedot/gpu/plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
FILTERS = sorted((PLUGINS / "filter").glob("*.yml"))
WRITTEN = sorted(
    path
    for pattern in ("playbooks/**/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml")
    for path in REPOSITORY.glob(pattern)
    if "palebluedot.gpu." in path.read_text()
)
PREFIX = "palebluedot.gpu."
RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
# What stands for a template whose value is known only in a run.
OF_TYPE: dict[str, Any] = {"int": 1, "float": 1.0, "bool": True, "list": [], "dict": {}}

Task = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Ansible's own tags are read as the text they stand for."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def spec_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.modules.{name}").SPEC
    return found


def own_tasks(items: list[Task] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Module and arguments of each of the collection's tasks, also in plays and blocks."""
    for item in items or []:
        for inside in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from own_tasks(item.get(inside))
        for key, arguments in item.items():
            if key.startswith(PREFIX):
                yield key.removeprefix(PREFIX), arguments or {}


def unknown_options(name: str, arguments: Any) -> set[str]:
    """A template as a whole argument list cannot be told."""
    if not isinstance(arguments, dict):
        return set()
    spec = spec_of(name)["argument_spec"]
    return set(arguments) - {word for option, said in spec.items() for word in (option, *said.get("aliases", ()))}


def errors_of(name: str, arguments: dict[str, Any]) -> list[str]:
    """What the module itself would say of these arguments."""
    spec = spec_of(name)
    given = {
        option: OF_TYPE.get(spec["argument_spec"].get(option, {}).get("type", "str"), value)
        if isinstance(value, str) and value.startswith("{{")
        else value
        for option, value in arguments.items()
    }
    rules = {rule: spec[rule] for rule in RULES if rule in spec}
    messages: list[str] = ArgumentSpecValidator(spec["argument_spec"], **rules).validate(given).error_messages
    return messages


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_accepted_by_it(name: str) -> None:
    loaded = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.modules.{name}")
    tasks = list(own_tasks(yaml.load(loaded.EXAMPLES, _Loader)))  # noqa: S506  a SafeLoader
    assert name in [used for used, _arguments in tasks], "shows itself"
    assert [(used, errors_of(used, arguments)) for used, arguments in tasks] == [(used, []) for used, _ in tasks]


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: str(path.stem))
def test_the_examples_of_a_filter_are_accepted_by_their_modules(path: Path) -> None:
    examples = yaml.safe_load(path.read_text())["EXAMPLES"]
    assert f"{PREFIX}{path.stem}" in examples
    tasks = list(own_tasks(yaml.load(examples, _Loader)))  # noqa: S506  a SafeLoader
    assert [(used, errors_of(used, arguments)) for used, arguments in tasks] == [(used, []) for used, _ in tasks]


def test_the_example_of_the_inventory_is_one() -> None:
    fleet = importlib.import_module("ansible_collections.palebluedot.gpu.plugins.inventory.fleet")
    documentation = yaml.safe_load(fleet.DOCUMENTATION)
    options = set(documentation["options"])
    for used in documentation["extends_documentation_fragment"]:
        fragment = importlib.import_module(f"ansible.plugins.doc_fragments.{used}").ModuleDocFragment
        options |= set(yaml.safe_load(fragment.DOCUMENTATION)["options"])
    for document in yaml.safe_load_all(fleet.EXAMPLES):
        assert document["plugin"] == "palebluedot.gpu.fleet"
        assert set(document) <= options


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_task_uses_only_options_that_its_module_has(path: Path) -> None:
    """ansible-lint lets an unknown option of these modules pass."""
    for name, arguments in own_tasks(yaml.load(path.read_text(), _Loader)):  # noqa: S506  a SafeLoader
        assert name in MODULES
        assert unknown_options(name, arguments) == set(), name


def test_tasks_were_found() -> None:
    used = {
        name
        for path in WRITTEN
        for name, _ in own_tasks(yaml.load(path.read_text(), _Loader))  # noqa: S506  a SafeLoader
    }
    assert {"bmc_power", "switch_port", "tinkerbell_workflow", "workflow_step"} <= used
