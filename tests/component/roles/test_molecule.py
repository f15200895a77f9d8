"""The molecule scenarios of the roles, each on a server of its own of one site."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/step.yml"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service on a lab; each scenario takes a server of its own."""
    with Site(tmp_path_factory.mktemp("molecule"), servers=len(ROLES), quota=8 * len(ROLES)) as started:
        yield started


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
def test_scenario(role: str, site: Site, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("molecule")), "test"],
        cwd=ROOT / "roles" / role,
        env={
            **site.playbook_environment(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-4000:]}"


def test_every_role_has_a_scenario() -> None:
    assert {path.parents[2].name for path in ROOT.glob("roles/*/molecule/default/verify.yml")} == set(ROLES)
