"""The registered steps: one role each, described by `roles/<step>/meta/step.yml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from fleet.errors import Invalid
from fleet.settings import get_settings

COMPENSATIONS = ("clean",)


@dataclass(frozen=True, slots=True)
class StepRule:
    """`begin` and `end` are the server states that the ledger sets; times in seconds.

    `compensation` is what is done for a server when an allocation fails for good after it has been in this step:
    `clean` starts a clean workflow.
    """

    step: str
    description: str = ""
    destructive: bool = False
    timeout_s: float = 600
    retries: int = 0
    begin: str | None = None
    end: str | None = None
    compensation: str | None = None

    def plan_entry(self, needs: list[str]) -> dict[str, Any]:
        """The rule as a workflow's plan keeps it: a workflow under way is not changed by a new release of the roles."""
        return {
            "name": self.step,
            "needs": needs,
            "destructive": self.destructive,
            "timeout_s": self.timeout_s,
            "retries": self.retries,
            "begin": self.begin,
            "end": self.end,
            "compensation": self.compensation,
        }


def load(roles_dir: Path | None = None) -> dict[str, StepRule]:
    """Every registered step by name. Raises Invalid for a file that says something else than a step.yml may."""
    directory = roles_dir or get_settings().roles_dir
    files = sorted(directory.glob("*/meta/step.yml"))
    return _load(tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=4)
def _load(files: tuple[tuple[Path, int], ...]) -> dict[str, StepRule]:
    from fleet.states import SERVER

    rules: dict[str, StepRule] = {}
    for file, _ in files:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = file.parent.parent.name
        if not isinstance(document, dict) or document.get("step") != name:
            raise Invalid(f"{file}: `step` must be the name of the role, {name}")
        state = document.get("server_state") or {}
        for phase in ("begin", "end"):
            if state.get(phase) is not None and state[phase] not in SERVER:
                raise Invalid(f"{file}: server_state.{phase} {state[phase]!r} is no state of a server")
        compensation = document.get("compensation")
        if compensation not in (None, *COMPENSATIONS):
            raise Invalid(f"{file}: compensation {compensation!r} is not one of {', '.join(COMPENSATIONS)}")
        try:
            rules[name] = StepRule(
                step=name,
                description=str(document.get("description") or ""),
                destructive=bool(document.get("destructive", False)),
                timeout_s=float(document.get("timeout_s", 600)),
                retries=int(document.get("retries", 0)),
                begin=state.get("begin"),
                end=state.get("end"),
                compensation=compensation,
            )
        except (TypeError, ValueError) as error:
            raise Invalid(f"{file}: {error}") from error
    return rules


def plan(steps: list[dict[str, Any]], rules: dict[str, StepRule] | None = None) -> list[dict[str, Any]]:
    """A template's `steps: [{name, needs}]` with each step's rule, in an order that honours `needs`.

    Raises Invalid for a step that is not registered, a need that is not in the list, or a circle.
    """
    from graphlib import CycleError, TopologicalSorter

    rules = load() if rules is None else rules
    by_name: dict[str, list[str]] = {}
    previous: list[str] = []
    for entry in steps:
        name = str(entry["name"])
        if name in by_name:
            raise Invalid(f"the step {name} is listed twice")
        # without a word about needs a step follows the one above it
        needs = entry.get("needs")
        by_name[name] = previous if needs is None else [str(need) for need in needs]
        previous = [name]
    for name, needs in by_name.items():
        if name not in rules:
            known = ", ".join(sorted(rules)) or "none"
            raise Invalid(
                f"the step {name} is not registered",
                answer=f"registered: {known}",
                next="add roles/<step>/meta/step.yml",
            )
        unknown = [need for need in needs if need not in by_name]
        if unknown:
            raise Invalid(f"the step {name} needs {', '.join(unknown)}, which the template does not list")
    sorter: TopologicalSorter[str] = TopologicalSorter()
    position = {name: index for index, name in enumerate(by_name)}
    for name, needs in by_name.items():
        sorter.add(name, *needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise Invalid(f"the steps need each other in a circle: {' -> '.join(error.args[1])}") from error
    ordered: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
        name = ready.pop(0)
        ordered.append(name)
        sorter.done(name)
    return [rules[name].plan_entry(by_name[name]) for name in ordered]
