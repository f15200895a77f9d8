"""`palebluedot demo`: the whole way, its one line of JSON, and that nothing survives it, whatever ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import children
from cli.demo.command import demo
from cli.stage import Stage

pytestmark = pytest.mark.e2e

DEADLINE_S = 240.0


def survivors(directory: Path) -> list[str]:
    """Command lines of every living process that was started with that directory for temporary files."""
    marker = f"TMPDIR={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    # the caller's own site must not matter to a demo
    env = children.environment(
        {"TMPDIR": str(directory), "PALEBLUEDOT_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/x"}
    )
    return subprocess.Popen(
        children.command("demo", *arguments),
        env=env,
        cwd=children.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=as_at_a_terminal,
    )


def as_at_a_terminal() -> None:
    """A shell that puts a job into the background has it ignore Ctrl-C, and its children with it: not at a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_whole_way(tmp_path: Path) -> None:
    run = start(tmp_path, "--json", "--delays", "none")
    out, err = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0, err
    (line,) = out.splitlines()
    told = json.loads(line)
    assert set(told) == {"servers", "gpus", "discover_s", "allocate_s", "release_s", "states"}
    assert (told["servers"], told["gpus"]) == (8, 64)
    assert all(told[name] > 0 for name in ("discover_s", "allocate_s", "release_s"))
    states = told["states"]
    assert (states["allocation_active"], states["allocation"]) == ("active", "released")
    assert states["servers"] == {"available": 8}
    (wipe,) = states["wipes"]
    assert wipe["drives"]
    assert set(wipe["drives"]) <= set(wipe["verified"])
    # each step was shown as it happened, and the server could be logged in to
    assert err.index("provision              gpu-001    running") < err.index(
        "hand_over              gpu-001    succeeded"
    )
    assert err.count("GPU 7: NVIDIA H100") == 1
    assert survivors(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_it_ends_everything(signum: signal.Signals, tmp_path: Path) -> None:
    run = start(tmp_path, "--delays", "none", "--servers", "1")
    assert run.stdout is not None
    deadline = time.monotonic() + DEADLINE_S
    for line in run.stdout:
        if "provision              gpu-001    running" in line:
            break
        assert time.monotonic() < deadline
    assert len(survivors(tmp_path)) > 4
    run.send_signal(signum)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted" in err
    assert survivors(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_told_with_the_ends_of_the_logs_and_leaves_nothing(tmp_path: Path) -> None:
    run = start(tmp_path, "--delays", "none", "--servers", "1")
    assert run.stdout is not None
    seen = ""
    for line in run.stdout:
        seen += line
        if "API and scheduler run" in line:
            break
    for pid, words in _commands(tmp_path):
        if words[-2:] == ["cli.main", "api"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    try:
        out, err = run.communicate(timeout=DEADLINE_S)
    finally:
        if run.poll() is None:
            run.kill()
    assert run.returncode == 3, out + err
    assert "error:" in err
    assert "The whole logs are kept in" in out
    assert survivors(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_second_ctrl_c_while_it_ends_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed_again() -> set[int]:
        os.kill(os.getpid(), signal.SIGINT)
        return set()

    def pressed(play: object) -> None:
        assert list(tmp_path.iterdir()) != []
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Stage, "__enter__", pressed)
    monkeypatch.setattr(children, "end_orphans", pressed_again)
    assert CliRunner().invoke(demo, []).exit_code != 0
    assert list(tmp_path.iterdir()) == []


def _commands(directory: Path) -> list[tuple[int, list[str]]]:
    marker = f"TMPDIR={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_text().rstrip("\0").split("\0")
                found.append((int(entry.name), words))
        except OSError:
            continue
    return found
