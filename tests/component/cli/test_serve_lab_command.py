"""`palebluedot serve --lab`, used as somebody in a second terminal would: allocate, status, release."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from cli import children, stage

pytestmark = pytest.mark.e2e

DEADLINE_S = 240.0


class Terminal:
    """A second terminal, with the tokens of the people that `serve --lab` made."""

    def __init__(self, directory: Path, url: str) -> None:
        self.environment = children.environment(
            {
                "PALEBLUEDOT_DATA_DIR": str(directory / "data" / "serve"),
                "PALEBLUEDOT_URL": url,
            }
        )

    def __call__(self, *arguments: str, who: str = "ada") -> subprocess.CompletedProcess[str]:
        token_file = Path(self.environment["PALEBLUEDOT_DATA_DIR"]) / f"{who}.token"
        return subprocess.run(
            children.command(*arguments),
            env={**self.environment, "PALEBLUEDOT_TOKEN_FILE": str(token_file)},
            cwd=children.ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    directory = tmp_path_factory.mktemp("serve-lab")
    port = stage.free_port()
    settings = {"PALEBLUEDOT_DATA_DIR": str(directory / "data"), "PALEBLUEDOT_API_PORT": str(port)}
    log = directory / "serve.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            children.command("serve", "--lab", "--servers", "2"),
            env=children.environment(settings),
            cwd=children.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while "The service answers" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield Terminal(directory, f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(DEADLINE_S)
    assert status == 0, log.read_text()
    assert log.read_text().rstrip().endswith("Everything has ended")
    marker = str(directory / "data").encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                assert marker not in (entry / "environ").read_bytes(), (entry / "cmdline").read_text()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue


def test_allocate_status_and_release(terminal: Terminal, tmp_path: Path) -> None:
    public_key = tmp_path / "id_ed25519.pub"
    public_key.write_text(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode())
    added = terminal("key", "add", str(public_key), "--name", "laptop")
    assert added.returncode == 0, added.stderr
    (known,) = json.loads(terminal("key", "list", "--json").stdout)
    assert known["name"] == "laptop"

    ran = terminal("allocate", "--gpus", "8", "--template", "ubuntu-24.04", "--request", "mine")
    assert ran.returncode == 0, ran.stderr
    assert "no SSH key" not in ran.stderr
    assert "hand_over" in ran.stderr  # the steps were shown
    assert "ssh -p" in ran.stdout
    allocation_id = ran.stdout.split()[0]

    again = terminal("allocate", "--gpus", "8", "--template", "ubuntu-24.04", "--request", "mine", "--json")
    assert again.returncode == 0, again.stderr
    allocation = json.loads(again.stdout)
    assert (allocation["id"], allocation["status"]) == (allocation_id, "active")

    overview = json.loads(terminal("status", "--json").stdout)
    assert (overview["quota"]["used_gpu_count"], overview["gpus_available"]) == (8, 8)
    assert [a["id"] for a in overview["allocations"]] == [allocation_id]

    one = terminal("status", allocation_id)
    assert one.returncode == 0
    assert "gpu-00" in one.stdout

    workflow = terminal("status", allocation["workflow_id"], "--watch")
    assert workflow.returncode == 0, workflow.stderr

    ran = terminal("release", allocation_id)
    assert ran.returncode == 0, ran.stderr
    assert "secure_erase" in ran.stderr
    assert f"{allocation_id} is released" in ran.stdout
    assert terminal("key", "remove", known["id"]).returncode == 0
    over = terminal("allocate", "--gpus", "8", "--template", "ubuntu-24.04", "--request", "mine")
    assert over.returncode == 1
    assert "another --request" in over.stderr
    assert "no SSH key" in over.stderr
    log = terminal("lab", "log", "--machine", allocation["servers"][0]["name"], "--json")
    assert any("erase" in json.dumps(json.loads(line)) for line in log.stdout.splitlines())


def test_a_bmc_that_breaks_fails_the_server_and_a_cleaning_brings_it_back(terminal: Terminal) -> None:
    broken = terminal("lab", "fault", "add", "*", "redfish", "--kind", "status", "--value", "401")
    assert broken.returncode == 0, broken.stderr
    try:
        ran = terminal("allocate", "--gpus", "8", "--template", "ubuntu-24.04")
    finally:
        assert terminal("lab", "fault", "clear").returncode == 0
    assert ran.returncode == 1, ran.stdout
    problem = ran.stderr[ran.stderr.index("error:") :]
    assert "host:" in problem
    assert "step:   hardware_check" in problem
    assert "next:" in problem

    (failed,) = json.loads(terminal("server", "list", "--state", "failed", "--json", who="operator").stdout)
    overview = json.loads(terminal("status", "--json").stdout)
    assert (overview["quota"]["used_gpu_count"], overview["gpus_available"]) == (0, 8)

    ran = terminal("server", "clean", failed["name"], who="operator")
    assert ran.returncode == 0, ran.stderr
    (workflow_id,) = set(re.findall(r"wf_\w+", ran.stdout))
    assert terminal("status", workflow_id, "--watch", who="operator").returncode == 0
    assert json.loads(terminal("status", failed["name"], "--json", who="operator").stdout)["state"] == "available"
