"""The modules as a playbook uses them: inside the worker, and as real modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.component.bmc.playing import both_ways, play
from tests.component.collection.fake_service import TOKEN, FakeService

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
    - name: info
      palebluedot.gpu.bmc_info: {subset: [power, system, gpus]}
      register: info
    - name: power planned
      palebluedot.gpu.bmc_power: {state: "on"}
      check_mode: true
      diff: true
      register: power_planned
    - name: power
      palebluedot.gpu.bmc_power: {state: "on", wait_timeout: 20}
      register: power
    - name: power again
      palebluedot.gpu.bmc_power: {state: "on"}
      register: power_again
    - name: boot
      palebluedot.gpu.bmc_boot: {target: pxe, mode: uefi}
      register: boot
    - name: boot again
      palebluedot.gpu.bmc_boot: {target: pxe, mode: uefi}
      register: boot_again
    - name: bios
      palebluedot.gpu.bios_attributes: {attributes: {SRIOVEnable: Disable}}
      register: bios
    - name: bios again
      palebluedot.gpu.bios_attributes: {attributes: {SRIOVEnable: Disable}}
      register: bios_again
    - name: metrics
      palebluedot.gpu.bmc_metrics_info:
        bmcs:
          - {name: "{{ inventory_hostname }}", address: "{{ bmc_address }}", port: "{{ bmc_port }}",
             ca_path: "{{ bmc_ca_path }}", credential: "env:LAB_BMC"}
      register: metrics
    - name: a wrong choice
      palebluedot.gpu.bmc_power: {state: sideways}
      register: wrong_choice
      ignore_errors: true
    - name: an unknown system
      palebluedot.gpu.bmc_info: {subset: [power], system_id: Nowhere}
      register: unknown_system
      ignore_errors: true
    - name: keep
      ansible.builtin.copy:
        content: "{{ {'info': info, 'power_planned': power_planned, 'power': power, 'power_again': power_again,
                      'boot': boot, 'boot_again': boot_again, 'bios': bios, 'bios_again': bios_again,
                      'metrics': metrics, 'wrong_choice': wrong_choice, 'unknown_system': unknown_system} | to_json }}"
        dest: "{{ kept }}"
        mode: "0600"
      delegate_to: localhost
"""


@both_ways
def test_a_playbook_checks_applies_and_repeats(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    results, printed = play(lab_bmc, tmp_path, PLAY, in_worker)
    found = results["info"]["bmc"]
    assert found["power_state"] == "Off" and len(found["gpus"]) == 8
    assert found["serial_number"] == lab_bmc.machine.serial_number
    assert results["power_planned"]["changed"] and results["power_planned"]["diff"]["after"] == {"power_state": "On"}
    assert results["power"]["changed"] and not results["power_again"]["changed"]
    assert results["boot"]["boot"]["target"] == "pxe" and not results["boot_again"]["changed"]
    assert results["bios"]["reboot_required"] and not results["bios_again"]["changed"]
    assert results["metrics"]["metrics"][0]["name"] == "dgx-01" and results["metrics"]["failures"] == []
    assert results["wrong_choice"]["failed"] and "sideways" in results["wrong_choice"]["msg"]
    error = results["unknown_system"]["error"]
    assert error["code"] == "not_found" and error["answer"] == "Systems: DGX, HGX_Baseboard_0"
    assert lab_bmc.resets() == ["On"] and lab_bmc.sessions() == 0
    assert lab_bmc.machine.config.bmc_password not in printed + json.dumps(results)


TWO = """
- hosts: all
  gather_facts: false
  tasks:
    - name: read two
      palebluedot.gpu.bmc_metrics_info:
        bmcs:
          - {name: dgx-02, address: 192.0.2.1, credential: "service:dgx-02"}
          - {name: "{{ inventory_hostname }}", address: "{{ bmc_address }}", port: "{{ bmc_port }}",
             ca_path: "{{ bmc_ca_path }}", credential: "service:dgx-01"}
      register: metrics
    - name: keep
      ansible.builtin.copy: {content: "{{ metrics | to_json }}", dest: "{{ kept }}", mode: "0600"}
      delegate_to: localhost
"""


@both_ways
def test_a_bmc_without_a_credential_fails_alone(lab_bmc: Any, tmp_path: Path, in_worker: bool) -> None:
    service = FakeService()
    service.password = lab_bmc.machine.config.bmc_password
    service.without_credential = {"dgx-02"}
    api = {"PALEBLUEDOT_URL": service.url, "PALEBLUEDOT_TOKEN": TOKEN}
    try:
        found, printed = play(lab_bmc, tmp_path, TWO, in_worker, environment=api)
    finally:
        service.close()
    assert [each["name"] for each in found["metrics"]] == ["dgx-01"]
    ((name, error),) = ((each["name"], each["error"]) for each in found["failures"])
    assert (name, error["host"], error["code"]) == ("dgx-02", "dgx-02", "no_credential")
    assert service.password not in printed
