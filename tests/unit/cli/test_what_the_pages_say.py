"""README, tour and the rest name commands, targets and files; those exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.main import cli

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(str(page.relative_to(ROOT)) for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def blocks(text: str) -> str:
    """What stands between fences and backticks."""
    fence = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.M | re.S)
    return "\n".join([*fence.findall(text), *re.findall(r"`([^`\n]+)`", fence.sub("", text))])


def targets_of(page: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z-]+)", blocks((ROOT / page).read_text())))


def commands_of(page: str) -> list[str]:
    return re.findall(r"(?:^|[ (])palebluedot ((?:[a-z]|--).*)", blocks((ROOT / page).read_text()), re.M)


def test_the_pages_are_looked_into() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/tour.md"} <= {page for page in PAGES if targets_of(page)}
    assert {"README.md", "docs/tour.md", "docs/first-ten-servers.md"} <= {page for page in PAGES if commands_of(page)}


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert targets_of(page) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_its_options(page: str) -> None:
    for line in commands_of(page):
        words = re.split(r"\s*(?:#|\||&&|;)", line)[0].split()
        command: click.Command = cli
        for word in list(words):
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, line
            command = command.commands[word]
            words.pop(0)
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert "://" in target or ((ROOT / page).parent / target).exists(), target


def test_every_playbook_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"playbooks/([a-z_]+\.yml)", (ROOT / page).read_text()):
            assert (ROOT / "playbooks" / name).exists(), name


def test_ci_runs_what_readme_names_as_the_test_command() -> None:
    calls = re.findall(r"^make (?:-j\d+ )?([a-z -]+)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert [target for call in calls for target in call.split()] == ["lint", "peers", "test", "test-peers"]
    assert "make test " in (ROOT / "README.md").read_text()


def test_every_command_explains_itself() -> None:
    def walk(command: click.Command, path: str) -> None:
        assert command.help, path
        for option in command.params:
            assert isinstance(option, click.Argument) or getattr(option, "help", None), f"{path} {option.name}"
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}")

    walk(cli, "palebluedot")


def test_ansible_builder_accepts_the_execution_environment(tmp_path: Path) -> None:
    """The context holds the collection whole, and with it what its plugins need."""
    builder = Path(sys.executable).with_name("ansible-builder")
    ran = subprocess.run(
        [
            builder,
            "create",
            "--file",
            "execution-environment.yml",
            "--context",
            tmp_path / "context",
            "--verbosity",
            "3",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    collection = tmp_path / "context" / "_build" / "palebluedot"
    assert (collection / "galaxy.yml").exists()
    assert "redfish" in (collection / "requirements.txt").read_text()
    assert (collection / "bindep.txt").exists()
    assert "name: /build/palebluedot" in (tmp_path / "context" / "_build" / "requirements.yml").read_text()
