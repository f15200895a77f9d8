"""Playbooks that take `target`: one that matches no server ends the run before anything is done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
TAKES_TARGET = re.compile(r"^  hosts: (?:>-\n +|\")\{\{ target\b", re.MULTILINE)
PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml") if TAKES_TARGET.search(path.read_text()))
WITHOUT_DEFAULT = ["maintenance.yml", "power.yml", "rotate_credentials.yml"]
WITH_DEFAULT = ["configure.yml", "discover.yml", "firmware.yml"]


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With an inventory of one server and without a service: whatever is done to a server fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PALEBLUEDOT_", "ANSIBLE_"))}
    return subprocess.run(
        [ANSIBLE, "-i", "gpu-001,", f"playbooks/{name}", "-e", "state=back", "-e", "reason=x", *arguments],
        cwd=ROOT,
        env={**environment, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_these_take_a_target() -> None:
    assert sorted([*WITHOUT_DEFAULT, *WITH_DEFAULT]) == PLAYBOOKS


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_pattern_that_matches_no_server_is_a_failure_that_says_so(name: str) -> None:
    done = run(name, "-e", "target=gpu-9999")
    assert done.returncode != 0, done.stdout
    assert "No server of the inventory matches target=gpu-9999" in done.stdout


@pytest.mark.parametrize("name", WITHOUT_DEFAULT)
def test_what_nobody_chooses_by_itself_asks_for_a_target(name: str) -> None:
    done = run(name)
    assert done.returncode != 0, done.stdout
    assert "say which servers: -e target=NAME" in done.stdout + done.stderr


@pytest.mark.parametrize("name", WITH_DEFAULT)
def test_nobody_to_go_for_at_the_moment_is_no_failure(name: str) -> None:
    done = run(name)
    assert done.returncode == 0, done.stdout + done.stderr
