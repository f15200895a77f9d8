"""bmc_discover and bmc_bootstrap as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: scan
      palebluedot.gpu.bmc_discover:
        addresses: ["127.0.0.1:{{ port }}"]
        ipmi: false
      register: scan
    - name: a public range
      palebluedot.gpu.bmc_discover: {ranges: [8.8.8.0/28]}
      register: public
      ignore_errors: true
    - name: planned
      palebluedot.gpu.bmc_bootstrap: &first
        bmc_address: 127.0.0.1
        bmc_port: "{{ port }}"
        bmc_fingerprint: "{{ scan.found[0].fingerprint }}"
        credentials:
          - {username: "{{ username }}", password: "{{ lookup('ansible.builtin.env', 'LABEL') }}"}
        factory_defaults: false
        credential_file: "{{ folder }}/bmc.json"
        tries_dir: "{{ folder }}/tries"
      check_mode: true
      diff: true
      register: planned
    - name: made
      palebluedot.gpu.bmc_bootstrap: *first
      diff: true
      register: made
    - name: again
      palebluedot.gpu.bmc_bootstrap: *first
      register: again
    - name: what was made opens the BMC
      palebluedot.gpu.bmc_info:
        bmc_address: 127.0.0.1
        bmc_port: "{{ port }}"
        bmc_fingerprint: "{{ scan.found[0].fingerprint }}"
        bmc_username: "{{ (lookup('ansible.builtin.file', folder + '/bmc.json') | from_json).confirmed.username }}"
        bmc_password: "{{ (lookup('ansible.builtin.file', folder + '/bmc.json') | from_json).confirmed.password }}"
        subset: [power]
      register: info
    - name: keep
      ansible.builtin.copy:
        content: "{{ {'scan': scan, 'public': public, 'planned': planned, 'made': made, 'again': again,
                      'info': info} | to_json }}"
        dest: "{{ folder }}/kept.json"
        mode: "0600"
"""


@pytest.mark.parametrize("in_worker", [True, False], ids=["in the worker", "as a real module"])
def test_a_bmc_is_found_and_made_ours(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    config = lab_bmc.machine.config
    variables = {"port": lab_bmc.bmc.port, "username": config.bmc_username, "folder": str(tmp_path)}
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-vv", "-i", "localhost,", "-e", json.dumps(variables), tmp_path / "play.yml"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "PALEBLUEDOT_INPROC": "1" if in_worker else "0",
            "LABEL": config.bmc_password,
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert kept["scan"]["counts"]["redfish"] == 1 and kept["scan"]["found"][0]["vendor"] == "AMI"
    assert kept["public"]["error"]["code"] == "public_range"
    assert kept["planned"]["changed"] and kept["planned"]["diff"] == kept["made"]["diff"]
    assert kept["made"]["done"] == ["account made"] and not kept["again"]["changed"]
    assert kept["info"]["bmc"]["power_state"] == "Off"
    assert lab_bmc.writes() == ["POST /redfish/v1/AccountService/Accounts"]
    assert lab_bmc.sessions() == 0
    secret = json.loads((tmp_path / "bmc.json").read_text())["confirmed"]["password"]
    for word in (secret, config.bmc_password):
        assert word not in done.stdout + done.stderr + json.dumps(kept)
