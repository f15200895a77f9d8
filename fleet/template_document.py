"""The template document: what a template file says, checked once when it enters the record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]

from fleet import rendering, steps
from fleet.errors import Invalid

KINDS = ("os", "erase")
FIELDS = frozenset(
    "name version kind description os image parameters steps ssh_user tinkerbell user_data".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class TemplateDocument:
    """`parameters` is a JSON schema (2020-12) whose defaults are filled in; `tinkerbell` and `user_data` are texts that
    `fleet.rendering` renders; `steps` is `[{name, needs}]`; `image` is `{url, sha256, …}`, unknown
    figures null; `operating_system` is `{distro, version}`."""

    name: str
    version: str
    kind: str
    description: str
    operating_system: dict[str, str]
    ssh_user: str | None
    image: dict[str, Any] | None
    parameters: dict[str, Any]
    steps: list[dict[str, Any]]
    tinkerbell: str
    user_data: str | None
    sha256: str = field(default="")

    def fill(self, given: dict[str, Any]) -> dict[str, Any]:
        """The given parameters with the schema's defaults; Invalid names the first thing that is wrong."""
        properties: dict[str, Any] = self.parameters.get("properties") or {}
        filled = {name: schema["default"] for name, schema in properties.items() if "default" in schema} | given
        error = best_match(Draft202012Validator(self.parameters).iter_errors(filled))
        if error is not None:
            where = ".".join(str(part) for part in error.absolute_path) or "parameters"
            raise Invalid(
                f"parameters of template {self.name} {self.version}: {where}: {error.message}",
                code="invalid_parameters",
                answer=f"parameters it knows: {', '.join(sorted(properties)) or 'none'}",
                next="correct the parameters",
            )
        return filled


@lru_cache(maxsize=64)
def parse(content: str) -> TemplateDocument:
    """Read and check a document's text. Raises Invalid saying what is wrong with it."""
    try:
        raw = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise Invalid("the template is no YAML document", answer=str(error)) from error
    if not isinstance(raw, dict):
        raise Invalid("the template is no YAML mapping")
    label = f"template {raw.get('name')} {raw.get('version')}"
    unknown = sorted(set(map(str, raw)) - FIELDS)
    if unknown:
        raise Invalid(f"{label}: unknown fields {', '.join(unknown)}", answer=f"known: {', '.join(sorted(FIELDS))}")
    for name in ("name", "version", "kind", "steps", "tinkerbell"):
        if not raw.get(name):
            raise Invalid(f"{label}: the field {name} is missing")
    if raw["kind"] not in KINDS:
        raise Invalid(f"{label}: kind {raw['kind']!r} is not one of {', '.join(KINDS)}")
    parameters = raw.get("parameters") or {"type": "object", "additionalProperties": False}
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise Invalid(f"{label}: parameters is no JSON schema", answer=error.message) from error
    image = raw.get("image")
    if image is not None and not isinstance(image, dict):
        raise Invalid(f"{label}: an image is a mapping of url, sha256, …")
    listed = raw["steps"]
    if not isinstance(listed, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in listed):
        raise Invalid(f"{label}: steps is a list of {{name, needs}}")
    for text in (raw["tinkerbell"], raw.get("user_data")):
        rendering.check(text or "", label)
    return TemplateDocument(
        name=str(raw["name"]),
        version=str(raw["version"]),
        kind=raw["kind"],
        description=str(raw.get("description") or "").strip(),
        operating_system=_operating_system(raw.get("os")),
        ssh_user=raw.get("ssh_user"),
        image=image,
        parameters=parameters,
        steps=listed,
        tinkerbell=raw["tinkerbell"],
        user_data=raw.get("user_data"),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
    )


def _operating_system(raw: Any) -> dict[str, str]:
    if isinstance(raw, dict):
        return {key: str(raw[key]) for key in ("distro", "version") if raw.get(key)}
    return {"distro": str(raw)} if raw else {}


def plan(document: TemplateDocument) -> list[dict[str, Any]]:
    """The workflow's steps with the rules of today's roles."""
    return steps.plan(document.steps)
