"""A playbook run against one lab BMC, with the modules inside the worker or as real modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

both_ways = pytest.mark.parametrize("in_worker", [True, False], ids=["in the worker", "as a real module"])


def play(
    lab_bmc: Any,
    folder: Path,
    playbook: str,
    in_worker: bool,
    variables: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[dict[str, Any], str]:
    """What the playbook's last task wrote to ``kept``, and everything that was printed.

    The BMC stands in the inventory; its login is the credential ``env:LAB_BMC``.
    """
    kept = folder / "kept.json"
    (folder / "play.yml").write_text(playbook)
    params = lab_bmc.params()
    host = {name: params[name] for name in ("bmc_address", "bmc_port", "bmc_ca_path")}
    host |= {"kept": str(kept), "ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    host |= variables or {}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"dgx-01": host}}}))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vvv", "-i", folder / "hosts.json", folder / "play.yml"],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
            "PALEBLUEDOT_INPROC": "1" if in_worker else "0",
            "LAB_BMC": f"{params['bmc_username']}:{params['bmc_password']}",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return json.loads(kept.read_text()), done.stdout + done.stderr
