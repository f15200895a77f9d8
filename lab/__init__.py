"""A simulated data centre of GPU servers, seen only through its protocols.

``start`` runs one in a process of its own::

    with lab.start(directory, servers=2, delays="none") as process:
        print(process.facts["control_url"])
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class LabError(Exception):
    """The lab did not start; the message holds what it said."""


class LabProcess:
    """A running lab. ``facts`` is the content of its lab.json."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.facts: dict[str, Any] = {}

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    directory: Path | str,
    *,
    servers: int = 8,
    speed: float = 1.0,
    delays: str = "none",
    ipmi: bool = False,
    vendor: str = "ami",
    switches: Sequence[str] = (),
    timeout_s: float = START_TIMEOUT_S,
) -> LabProcess:
    """Start a lab that ends with this process at the latest, and wait until everything listens. ``switches`` is what
    each switch runs.

    Raises LabError when it ends before that or takes longer than ``timeout_s``.
    """
    directory = Path(directory).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    facts_file, output_file = directory / "lab.json", directory / "lab.log"
    facts_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lab", "run", "--dir", str(directory), "--servers", str(servers)]
    command += ["--speed", str(speed), "--delays", delays, "--vendor", vendor, "--parent", str(os.getpid())]
    if ipmi:
        command.append("--ipmi")
    if switches:
        command += ["--switches", ",".join(switches)]
    with output_file.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=Path(__file__).parent.parent, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    lab = LabProcess(process, directory)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if facts_file.exists():
            lab.facts = json.loads(facts_file.read_text())
            return lab
        if process.poll() is not None:
            break
        time.sleep(0.02)
    lab.stop()
    said = output_file.read_text(errors="replace")[-2000:].strip()
    raise LabError(f"the lab did not start within {timeout_s:g} s: {' '.join(command)}\n{said}")
