"""``palebluedot rules``: what the facts of an inspection make of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import client, console
from cli.problems import Problem


def read_text(path: Path) -> str:
    """A rule file as it is."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", answer=str(error), next="Give a YAML file in UTF-8") from error


def explanation(verdict: dict[str, Any]) -> list[str]:
    """A verdict in lines: each rule, each of its conditions, and what came of it."""
    lines = []
    for outcome in verdict["outcomes"]:
        if not outcome["looked_at"]:
            lines.append(f"- {outcome['rule']}: not looked at, a rule before it fired")
            continue
        lines.append(f"- {outcome['rule']}: {'fired' if outcome['fired'] else 'did not fire'}")
        for condition in outcome["conditions"]:
            word = "holds" if condition["holds"] else "does not hold"
            value = "unknown" if condition["value"] is None else repr(condition["value"])
            lines.append(f"    {condition['text']}: {word} (it is {value})")
    for key, value in verdict["assigned"].items():
        shown = ", ".join(value) if isinstance(value, list) else value
        lines.append(f"{key} = {shown} (rule {verdict['by'][key]})")
    if not verdict["assigned"]:
        lines.append("No rule fired: nothing is set")
    lines += [f"against its class: {finding}" for finding in verdict["findings"]]
    lines += [f"note: {note}" for note in verdict["notes"]]
    return lines


@click.group()
def rules() -> None:
    """Enrolment rules: check, set, show."""


@rules.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--server", "--name", required=True, help="A server that was inspected.")
@console.json_option
def check(file: Path, server: str, as_json: bool) -> None:
    """Which rule of FILE fires for a server, and why. Nothing is changed.

    \b
    Example:
      palebluedot rules check enrolment.yml --server gpu-003
    """
    content = read_text(file)
    with client.service() as api:
        verdict = api.check_rules(server, content)
    if as_json:
        console.print_json(verdict)
        return
    for line in explanation(verdict):
        console.out.print(line, markup=False, soft_wrap=True)


@rules.command("set")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def set_(file: Path) -> None:
    """Keep FILE as the newest version of the rules; it holds from the next inspection on."""
    content = read_text(file)
    with client.service() as api:
        answer = api.set_rules(content)
    console.out.print(f"Version {answer['version']} of the rules is in force")


@rules.command()
@console.json_option
def show(as_json: bool) -> None:
    """The rules in force."""
    with client.service() as api:
        answer = api.rules()
    if as_json:
        console.print_json(answer)
        return
    if answer["content"] is None:
        console.err.print("There are no rules: palebluedot rules set FILE")
        return
    click.echo(answer["content"], nl=False)
