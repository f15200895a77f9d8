"""Every committed result was measured on a commit of this history, and not on a tree that nobody has."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.conformance import results

FILES = sorted(results.FOLDER.glob("*.json"))


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(results.ROOT), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def _history() -> None:
    try:
        shallow = _git("rev-parse", "--is-shallow-repository")
    except FileNotFoundError:
        pytest.skip("there is no git")
    if shallow.returncode != 0:
        pytest.skip("this is no clone")
    if shallow.stdout.strip() != "false":
        pytest.skip("a shallow clone has not the whole history")


@cache
def _is_of_history(commit: str) -> bool:
    return _git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_was_measured_is_a_commit_of_this_history(file: Path) -> None:
    rows = json.loads(file.read_text())["results"]
    assert rows
    elsewhere = {
        row["operation"]: row["commit"]
        for row in rows
        if row["commit"].endswith("+") or not _is_of_history(row["commit"])
    }
    assert not elsewhere, f"{file.name}: measured on another tree, so make compatibility on a clean one: {elsewhere}"
