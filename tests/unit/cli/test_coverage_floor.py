"""`make coverage`: each package has to be covered by itself; a well covered one makes up for none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[3]
UTILS = "collections/ansible_collections/palebluedot/gpu/plugins/module_utils"
FILES = {
    "fleet": "fleet/clock.py",
    "scheduler": "scheduler/launchers.py",
    "api": "api/ids.py",
    UTILS: f"{UTILS}/waiting.py",
}


def make_coverage(folder: Path, low: str | None) -> subprocess.CompletedProcess[str]:
    """After a run that executed every line of one file of each package, and of one package only the first."""
    data = CoverageData(str(folder / "coverage"))
    for package, name in FILES.items():
        lines = len((ROOT / name).read_text().splitlines())
        data.add_lines({str(ROOT / name): [1] if package == low else range(1, lines + 1)})
    data.write()
    return subprocess.run(
        ["make", "coverage"],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(folder / "coverage")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_is_covered_passes(tmp_path: Path) -> None:
    done = make_coverage(tmp_path, None)
    assert done.returncode == 0, done.stdout + done.stderr
    for package in FILES:
        assert [line.split() for line in done.stdout.splitlines() if line.startswith(f"{package} ")] == [
            [package, "100"]
        ]


@pytest.mark.parametrize("low", FILES)
def test_one_package_that_is_not_fails_and_is_named(low: str, tmp_path: Path) -> None:
    done = make_coverage(tmp_path, low)
    assert done.returncode != 0, done.stdout
    assert f"too low: {low}\n" in done.stderr
