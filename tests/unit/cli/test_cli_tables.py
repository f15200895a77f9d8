"""Tables: what is piped on is whole, and a machine of the lab is one line."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from cli import lab


def test_no_id_is_cut_where_the_output_is_no_terminal() -> None:
    row = {"id": "alloc_" + "1" * 32, "status": "releasing", "username": "ada", "workflow_id": "wf_" + "2" * 32}
    program = f"from cli import console; console.out.print(console.table([{row}], {list(row)}))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert printed.stdout.splitlines()[1].split() == list(row.values())


def test_the_boots_of_a_machine_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    machine: dict[str, Any] = {"name": "gpu-001", "power": "On", "running": None, "vlan": 100}
    boots = [{"at": "2026-01-01T00:00:00Z", "device": device, "result": "booted"} for device in ("pxe", "kexec")]
    monkeypatch.setattr(lab, "control", lambda *_: [{**machine, "boots": boots}])
    assert "pxe, kexec" in CliRunner().invoke(lab.status).output
