"""Accounts, virtual media, restart and network as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.component.bmc.playing import both_ways, play

SECRET, ROTATED = "Monitoring-Secret.1", "Rotated-Secret.16"
IMAGE = "http://192.0.2.1/rescue.iso"

PLAY = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/palebluedot.gpu.bmc:
      bmc_address: "{{ bmc_address }}"
      bmc_port: "{{ bmc_port }}"
      bmc_ca_path: "{{ bmc_ca_path }}"
      bmc_credential: env:LAB_BMC
      bmc_protocol: redfish
      bmc_timeout: 10
  tasks:
    - palebluedot.gpu.bmc_user: &user {username: monitoring, password: "{{ secret }}", role: readonly}
      check_mode: true
      diff: true
      register: user_planned
    - palebluedot.gpu.bmc_user: *user
      diff: true
      register: user
    - palebluedot.gpu.bmc_user: *user
      register: user_again
    - palebluedot.gpu.bmc_virtual_media: &media {image: "http://192.0.2.1/rescue.iso"}
      register: media
    - palebluedot.gpu.bmc_virtual_media: *media
      register: media_again
    - palebluedot.gpu.bmc_network: &network {hostname: bmc-01, ntp_servers: [192.0.2.123]}
      check_mode: true
      register: network_planned
    - palebluedot.gpu.bmc_network: *network
      register: network
    - palebluedot.gpu.bmc_network: *network
      register: network_again
    - palebluedot.gpu.bmc_reset: {wait_timeout: 30}
      register: reset
    - palebluedot.gpu.bmc_user: {username: other, password: short}
      register: refused
      ignore_errors: true
    - palebluedot.gpu.bmc_user: {credential: env:LAB_ROTATED, rotate: true}
      register: rotated
    - palebluedot.gpu.bmc_user: {credential: env:LAB_ROTATED, rotate: true}
      register: rotated_again
    - ansible.builtin.copy:
        content: "{{ {'user_planned': user_planned, 'user': user, 'user_again': user_again, 'media': media,
                      'media_again': media_again, 'network_planned': network_planned, 'network': network,
                      'network_again': network_again, 'reset': reset, 'rotated': rotated,
                      'rotated_again': rotated_again, 'refused': refused} | to_json }}"
        dest: "{{ kept }}"
        mode: "0600"
      delegate_to: localhost
"""


@both_ways
def test_a_playbook_checks_applies_and_repeats(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    params = lab_bmc.params()
    own = params["bmc_username"]
    results, printed = play(lab_bmc, tmp_path, PLAY, in_worker, {"secret": SECRET}, {"LAB_ROTATED": f"{own}:{ROTATED}"})
    for name in ("user", "media", "network", "rotated"):
        assert results[name]["changed"] and not results[f"{name}_again"]["changed"], name
    for name in ("user", "network"):
        assert results[f"{name}_planned"]["changed"]
    assert results["user"]["diff"] == results["user_planned"]["diff"]
    assert results["media"]["device"] == "CD1" and results["network"]["network"]["hostname"] == "bmc-01"
    assert results["reset"]["manager"]["away_s"] is not None
    error = results["refused"]["error"]
    assert error["code"] == "password_not_allowed" and "13 to 20" in error["answer"]
    accounts = lab_bmc.machine.bmc.accounts
    assert accounts.check("monitoring", SECRET) and accounts.check(own, ROTATED)
    said = printed + json.dumps(results)
    assert not [secret for secret in (ROTATED, params["bmc_password"]) if secret in said]
    assert SECRET not in json.dumps({name: value for name, value in results.items() if name.startswith("user")})
