"""bmc_discover and bmc_bootstrap as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.component.bmc.playing import both_ways, play

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: scan
      palebluedot.gpu.bmc_discover:
        addresses: ["{{ bmc_address }}:{{ bmc_port }}"]
        ipmi: false
      register: scan
    - name: a public range
      palebluedot.gpu.bmc_discover: {ranges: [8.8.8.0/28]}
      register: public
      ignore_errors: true
    - name: planned
      palebluedot.gpu.bmc_bootstrap: &first
        bmc_address: "{{ bmc_address }}"
        bmc_port: "{{ bmc_port }}"
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
        bmc_address: "{{ bmc_address }}"
        bmc_port: "{{ bmc_port }}"
        bmc_fingerprint: "{{ scan.found[0].fingerprint }}"
        bmc_username: "{{ (lookup('ansible.builtin.file', folder + '/bmc.json') | from_json).confirmed.username }}"
        bmc_password: "{{ (lookup('ansible.builtin.file', folder + '/bmc.json') | from_json).confirmed.password }}"
        subset: [power]
      register: info
    - name: keep
      ansible.builtin.copy:
        content: "{{ {'scan': scan, 'public': public, 'planned': planned, 'made': made, 'again': again,
                      'info': info} | to_json }}"
        dest: "{{ kept }}"
        mode: "0600"
"""


@both_ways
def test_a_bmc_is_found_and_made_ours(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    config = lab_bmc.machine.config
    variables = {"username": config.bmc_username, "folder": str(tmp_path)}
    kept, printed = play(lab_bmc, tmp_path, PLAY, in_worker, variables, {"LABEL": config.bmc_password})
    assert kept["scan"]["counts"]["redfish"] == 1 and kept["scan"]["found"][0]["vendor"] == "AMI"
    assert kept["public"]["error"]["code"] == "public_range"
    assert kept["planned"]["changed"] and kept["planned"]["diff"] == kept["made"]["diff"]
    assert kept["made"]["done"] == ["account made"] and not kept["again"]["changed"]
    assert kept["info"]["bmc"]["power_state"] == "Off"
    assert lab_bmc.writes() == ["POST /redfish/v1/AccountService/Accounts"]
    assert lab_bmc.sessions() == 0
    secret = json.loads((tmp_path / "bmc.json").read_text())["confirmed"]["password"]
    for word in (secret, config.bmc_password):
        assert word not in printed + json.dumps(kept)
