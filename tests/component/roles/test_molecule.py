"""The molecule scenarios of the roles, run against a lab of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCENARIOS = sorted(path.parent.parent.parent.name for path in ROOT.glob("roles/*/molecule/default/molecule.yml"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", SCENARIOS)
def test_scenario(role: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("molecule")), "test"],
        cwd=ROOT / "roles" / role,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def test_there_is_a_scenario() -> None:
    assert SCENARIOS
