"""Templates of Tinkerbell and user data: Jinja2 in a sandbox, strict, with `[[ ]]` and `[% %]`.

The delimiters leave Tinkerbell's own `{{ }}` (Go templates) and cloud-init's `## template: jinja` alone.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import yaml
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.errors import Invalid


def _to_yaml(value: Any, indent: int = 0) -> str:
    """Block style, without the last line's end; further lines are indented by `indent` spaces."""
    text = yaml.safe_dump(value, default_flow_style=False, sort_keys=False, width=10_000).rstrip("\n")
    text = text.removesuffix("\n...")
    return text.replace("\n", "\n" + " " * indent)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=StrictUndefined,
        autoescape=False,  # the texts are YAML and cloud-init, not HTML; `to_json` quotes
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["to_yaml"] = _to_yaml
    return environment


_ENVIRONMENT = _environment()


@lru_cache(maxsize=128)
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)


def check(text: str, label: str) -> None:
    """Raise Invalid when the text is no template."""
    try:
        _compiled(text)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise Invalid(f"{label}: no valid template text", answer=f"line {line}: {error}") from error


def render(text: str, variables: dict[str, Any], label: str) -> str:
    """Fill the text. Raises Invalid for a variable that is not there; `label` says which template it was."""
    try:
        return _compiled(text).render(variables)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise Invalid(
            f"{label} cannot be rendered",
            answer=f"{type(error).__name__}: {error}",
            next=f"correct the template; variables it may use: {', '.join(sorted(variables))}",
        ) from error
