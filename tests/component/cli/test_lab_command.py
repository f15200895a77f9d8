"""`palebluedot lab`: start, look, break, stop; and that it only ever ends its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli import lab

if TYPE_CHECKING:
    from tests.component.cli.conftest import Palebluedot


@pytest.fixture
def running(palebluedot: Palebluedot) -> Iterator[dict[str, Any]]:
    ran = palebluedot("lab", "start", "--servers", "2", "--delays", "none")
    assert ran.exit_code == 0, ran.output
    directory = palebluedot.directory / "data" / "lab"
    facts = lab.running(directory)
    assert facts is not None
    yield facts
    lab.stop_lab(directory)


def test_from_start_to_stop(palebluedot: Palebluedot, running: dict[str, Any]) -> None:
    assert Path(running["fleet_file"]).exists()
    again = palebluedot("lab", "start")
    assert again.exit_code == 1
    assert "runs already" in again.output

    ran = palebluedot("lab", "status", "--json")
    assert [machine["name"] for machine in json.loads(ran.output)] == ["gpu-001", "gpu-002"]

    assert "gpu-002" in palebluedot("lab", "status").output

    fault = ["gpu-001", "redfish", "--match", "GET /redfish/*", "--kind", "status", "--value", "503", "--count", "2"]
    ran = palebluedot("lab", "fault", "add", *fault)
    assert ran.exit_code == 0, ran.output
    listed = json.loads(palebluedot("lab", "fault", "list").output)
    (fault_now,) = listed["items"] if isinstance(listed, dict) else listed
    assert (fault_now["machine"], fault_now["layer"], fault_now["value"]) == ("gpu-001", "redfish", 503)
    assert palebluedot("lab", "fault", "clear").exit_code == 0
    listed = json.loads(palebluedot("lab", "fault", "list").output)
    assert not (listed["items"] if isinstance(listed, dict) else listed)
    assert palebluedot("lab", "log").exit_code == 0

    assert palebluedot("lab", "stop").exit_code == 0
    assert not Path(f"/proc/{running['pid']}").exists()
    assert "No lab was running" in palebluedot("lab", "stop").output


def test_a_fault_on_a_machine_that_is_not_there_is_refused_in_the_labs_words(
    palebluedot: Palebluedot, running: dict[str, Any]
) -> None:
    ran = palebluedot("lab", "fault", "add", "gpu-099", "redfish", "--kind", "hang")
    assert ran.exit_code == 1
    assert "The lab refused" in ran.output
    assert "gpu-099" in ran.output


def test_without_a_lab_it_says_how_to_start_one(palebluedot: Palebluedot) -> None:
    ran = palebluedot("lab", "status")
    assert ran.exit_code == 3
    assert "palebluedot lab start" in ran.output


def test_a_process_that_only_has_the_labs_number_is_left_alone(palebluedot: Palebluedot) -> None:
    """Process ids are used again: after a crash, the one in lab.json may be anybody's."""
    directory = palebluedot.directory / "data" / "lab"
    directory.mkdir(parents=True)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "lab", "run"])
    try:
        (directory / "lab.json").write_text(json.dumps({"pid": stranger.pid}))
        assert "No lab was running" in palebluedot("lab", "stop").output
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(5)


def test_only_the_lab_of_that_directory_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    sleeper = "import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", sleeper, "lab", "run", "--dir", str(tmp_path / "a")])
    try:
        deadline = time.monotonic() + 5
        while not lab.is_lab(process.pid, tmp_path / "a"):  # until it has become that program
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not lab.is_lab(process.pid, tmp_path / "b")
    finally:
        process.kill()
        process.wait(5)
    assert not lab.is_lab(process.pid, tmp_path / "a")
    assert not lab.is_lab(os.getpid(), tmp_path / "a")
