"""``palebluedot lab replay`` as a process: what it prints reaches it, and Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

CLI = [sys.executable, "-m", "cli.main", "lab", "replay"]


def capture(folder: Path) -> Path:
    root = {"@odata.id": "/redfish/v1", "Id": "RootService", "Systems": {"@odata.id": "/redfish/v1/Systems"}}
    systems = {"@odata.id": "/redfish/v1/Systems", "Name": "Systems", "Members": [], "Members@odata.count": 0}
    for path, body in (("redfish/v1", root), ("redfish/v1/Systems", systems)):
        (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / path / "index.json").write_text(json.dumps(body))
    return folder


def test_a_capture_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    argv = [*CLI, str(capture(tmp_path)), "--username", "root", "--json"]
    env = {**os.environ, "PALEBLUEDOT_REPLAY_PASSWORD": "calvin calvin"}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            assert (facts["bmc_username"], facts["bmc_password"]) == ("root", "calvin calvin")
            with requests.Session() as session:
                session.trust_env = False
                url = f"https://{facts['bmc_address']}:{facts['bmc_port']}/redfish/v1/Systems"
                answer = session.get(url, auth=("root", "calvin calvin"), verify=facts["bmc_ca_path"], timeout=5)
                assert answer.json()["Members"] == []
                assert (
                    session.get(url, auth=("root", "wrong"), verify=facts["bmc_ca_path"], timeout=5).status_code == 401
                )
        finally:
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=10)
    assert process.returncode == 0, output
    assert not Path(facts["bmc_ca_path"]).exists()


def test_what_is_no_capture_is_refused_with_a_reason(tmp_path: Path) -> None:
    done = subprocess.run([*CLI, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "no capture" in done.stderr and "palebluedot lab capture" in done.stderr
