"""Logs, events, raw requests and power in turns as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.component.bmc.playing import both_ways, play

PLAY = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/palebluedot.gpu.bmc:
      bmc_address: "{{ bmc_address }}"
      bmc_port: "{{ bmc_port }}"
      bmc_ca_path: "{{ bmc_ca_path }}"
      bmc_credential: env:LAB_BMC
      bmc_timeout: 10
  tasks:
    - name: power in turns
      palebluedot.gpu.bmc_power:
        {state: "on", wait_timeout: 20, stagger_s: 0.2, stagger_group: b, stagger_groups: [a, b]}
      register: power
    - name: no mains here
      palebluedot.gpu.bmc_power: {state: ac_cycle}
      register: mains
      ignore_errors: true
    - name: logs
      palebluedot.gpu.bmc_log_info: {logs: [sel, xid]}
      register: logs
    - name: logs again
      palebluedot.gpu.bmc_log_info: {logs: [sel, xid], cursor: "{{ logs.cursor }}"}
      register: logs_again
    - name: events planned
      palebluedot.gpu.bmc_event_subscription: &listener
        {destination: "http://127.0.0.1:9/x", context: c, http_headers: {Authorization: listener-s3cret}}
      check_mode: true
      register: events_planned
    - name: events
      palebluedot.gpu.bmc_event_subscription: *listener
      register: events
    - name: events again
      palebluedot.gpu.bmc_event_subscription: *listener
      register: events_again
    - name: read anything
      palebluedot.gpu.redfish_request: {path: /redfish/v1/Systems/HGX_Baseboard_0}
      register: tray
    - name: change anything, planned
      palebluedot.gpu.redfish_request: &tag {method: PATCH, path: /redfish/v1/Systems/DGX, body: {AssetTag: r12u4}}
      check_mode: true
      register: tag_planned
    - name: change anything
      palebluedot.gpu.redfish_request: *tag
      register: tag
    - name: change anything again
      palebluedot.gpu.redfish_request: *tag
      register: tag_again
    - name: a secret
      palebluedot.gpu.redfish_request:
        {method: PATCH, path: /redfish/v1/Systems/DGX, body: {Password: body-s3cret}}
      register: secret
      ignore_errors: true
    - name: outside
      palebluedot.gpu.redfish_request: {path: /cgi-bin/login}
      register: outside
      ignore_errors: true
    - name: raw ipmi, planned
      palebluedot.gpu.ipmi_raw: {netfn: 0, command: 2, data: [0]}
      check_mode: true
      register: raw_planned
    - name: raw ipmi over redfish
      palebluedot.gpu.ipmi_raw: {netfn: 6, command: 1, bmc_protocol: redfish}
      register: raw
      ignore_errors: true
    - name: keep
      ansible.builtin.copy:
        content: "{{ kept_results | to_json }}"
        dest: "{{ kept }}"
        mode: "0600"
      vars:
        names: [power, mains, logs, logs_again, events_planned, events, events_again, tray, tag_planned, tag, tag_again,
                secret, outside, raw_planned, raw]
        kept_results: "{{ dict(names | zip(names | map('extract', vars))) }}"
      delegate_to: localhost
"""


@both_ways
def test_a_playbook_checks_applies_and_repeats(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    machine = lab_bmc.machine
    lab_bmc._loop.call(lambda: machine.xid(machine.gpus[3], 79, "pid=7"))
    results, printed = play(lab_bmc, tmp_path, PLAY, in_worker)
    assert results["power"]["changed"] and results["power"]["staggered_s"] == 0.2
    assert results["mains"]["error"]["code"] == "unsupported"
    (xid,) = [entry["xid"] for entry in results["logs"]["entries"] if entry["log"] == "xid"]
    assert (xid["device"], xid["number"], xid["action"]) == ("GPU_SXM_4", 79, "reboot")
    assert results["logs_again"]["entries"] == []
    assert [results[name]["changed"] for name in ("events_planned", "events", "events_again")] == [True, True, False]
    assert results["tray"]["body"]["Id"] == "HGX_Baseboard_0"
    assert [results[name]["changed"] for name in ("tag_planned", "tag", "tag_again")] == [True, True, False]
    assert lab_bmc.bmc.asset_tag == "r12u4"
    assert results["secret"]["failed"] and results["outside"]["error"]["code"] == "invalid_input"
    assert results["raw_planned"]["changed"] and results["raw_planned"]["code"] is None
    assert results["raw"]["error"]["code"] == "protocol_unsupported"
    assert machine.power == "On" and lab_bmc.sessions() == 0
    for hidden in ("listener-s3cret", "body-s3cret", lab_bmc.machine.config.bmc_password):
        assert hidden not in printed + json.dumps(results), hidden
