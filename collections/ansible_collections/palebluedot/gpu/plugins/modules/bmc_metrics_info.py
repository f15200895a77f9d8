#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of many servers in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_metrics_info
short_description: Read power and temperatures of many servers
version_added: 0.1.0
description:
  - Reads power, inlet temperature and the GPUs' temperatures, margins and power from many BMCs in one task.
  - Run it once, on C(localhost), for all servers. A task for each server costs a hundred times as much.
  - A BMC that does not answer, or of which there is no credential, is named in RV(failures), and the task goes on.
  - With O(store=true) the readings go to the Pale Blue Dot service, and only counts and failures come back.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  bmcs:
    description:
      - The BMCs. The filter P(palebluedot.gpu.bmc_targets#filter) makes this list from hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the server, as the service knows it. The address when it is not set.
        type: str
      address:
        description:
          - Address (IPv4, IPv6 or name) of the BMC.
        type: str
        required: true
      port:
        description:
          - TCP port (Redfish) or UDP port (IPMI).
        type: int
      username:
        description:
          - Account on the BMC.
        type: str
      password:
        description:
          - Its password.
        type: str
      credential:
        description:
          - Reference to the credential, as O(palebluedot.gpu.bmc_info#module:bmc_credential).
        type: str
      protocol:
        description:
          - Protocol to speak.
        type: str
        choices: [auto, redfish, ipmi]
        default: auto
      auth:
        description:
          - How to log in to Redfish.
        type: str
        choices: [auto, session, basic]
        default: auto
      validate_certs:
        description:
          - Whether to verify the BMC's certificate.
        type: bool
        default: true
      ca_path:
        description:
          - PEM file with the authority that signed the BMC's certificate.
        type: path
      fingerprint:
        description:
          - SHA-256 fingerprint that the BMC's certificate must have.
        type: str
      timeout:
        description:
          - Seconds that reading this BMC may take, if that is less than O(timeout).
        type: int
        default: 30
      system_id:
        description:
          - Which ComputerSystem of the BMC to read, where it has several.
        type: str
  subset:
    description:
      - What to read. V(metrics) are power, temperatures and the GPUs' figures, V(state) the power state and the health.
      - V(state) alone costs one request a BMC, besides finding its System. It is returned, and not stored.
    type: list
    elements: str
    choices: [metrics, state]
    default: [metrics]
  concurrency:
    description:
      - How many BMCs are read at a time. A BMC is asked one thing at a time.
    type: int
    default: 64
  timeout:
    description:
      - Seconds that reading one BMC may take in a round.
    type: int
    default: 25
  store:
    description:
      - Whether to send the readings to the service instead of returning them.
    type: bool
    default: false
  whole_fleet:
    description:
      - Whether O(bmcs) are meant to be all servers that the service wants watched, as the group C(watched) of the
        inventory has them.
      - With O(store=true) the task then ends before its last round as soon as the service says that there are others,
        so that the next run asks them, too. A BMC that is asked and does not answer ends nothing.
    type: bool
    default: false
  rounds:
    description:
      - How many times to read. Sessions on the BMCs are kept between rounds, and ended after the last.
      - A BMC that refuses the password fails in all further rounds without being asked again, which would lock the
        account.
    type: int
    default: 1
  interval:
    description:
      - Seconds from the start of a round to the start of the next.
    type: float
    default: 30
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.service
seealso:
  - module: palebluedot.gpu.bmc_info
"""

EXAMPLES = r"""
- name: Read only power and health, of the whole fleet
  palebluedot.gpu.bmc_metrics_info:
    bmcs: "{{ groups['all'] | map('extract', hostvars) | palebluedot.gpu.bmc_targets }}"
    subset: [state]
  run_once: true
  delegate_to: localhost

- name: Read the whole fleet and store it, ten minutes long
  palebluedot.gpu.bmc_metrics_info:
    bmcs: "{{ groups['watched'] | map('extract', hostvars) | palebluedot.gpu.bmc_targets }}"
    store: true
    whole_fleet: true
    rounds: 20
    interval: 30
  run_once: true
  delegate_to: localhost

- name: Read two BMCs
  palebluedot.gpu.bmc_metrics_info:
    bmcs:
      - {name: dgx-01, address: 192.0.2.10, credential: "service:dgx-01"}
      - {name: dgx-02, address: 192.0.2.11, credential: "service:dgx-02"}
"""

RETURN = r"""
metrics:
  description: The readings of the last round, one entry for each BMC that answered.
  returned: when O(store) is false
  type: list
  elements: dict
  contains:
    name:
      description: Name of the server.
      type: str
      sample: dgx-01
    read_at:
      description: When it was read, by this machine's clock, RFC 3339 in UTC.
      type: str
      sample: "2026-11-21T10:00:00.000Z"
    power_state:
      description: Power state, with V(state) in O(subset).
      type: str
      sample: "On"
    health:
      description: Redfish's HealthRollup of the System, with V(state) in O(subset); V(null) where it is not known.
      type: str
      sample: OK
    power_watts:
      description: Power that the server takes.
      type: float
      sample: 1950
    inlet_celsius:
      description: Temperature of the air that comes in.
      type: float
      sample: 22
    gpus:
      description: Readings of each GPU; V(null) where there is none.
      type: list
      elements: dict
      contains:
        id:
          description: The BMC's name for the slot.
          type: str
          sample: GPU_SXM_1
        source:
          description: Where it was read, V(metric_report) or V(processor).
          type: str
          sample: metric_report
        temperature_celsius:
          description: Temperature of the GPU.
          type: float
          sample: 26.75
        margin_celsius:
          description: Distance to throttling. It is no temperature, and V(0) or less means that the GPU throttles.
          type: float
          sample: 60
        memory_temperature_celsius:
          description: Temperature of the GPU's memory.
          type: float
          sample: 35
        power_watts:
          description: Power that the GPU takes.
          type: float
          sample: 71.6
        stale:
          description: Whether the BMC says that its readings are old.
          type: bool
counts:
  description:
    - C(bmcs), C(rounds) that were made, readings that were C(read) and that C(failed), C(points) made of them, points
      C(stored) by the service and C(lost) because it was away, and with O(whole_fleet=true) servers C(unasked) that it
      wants watched.
  returned: success
  type: dict
  sample: {"bmcs": 100, "rounds": 1, "read": 100, "failed": 0, "points": 900, "stored": 900, "lost": 0, "unasked": 0}
failures:
  description: The BMCs that did not answer in the last round, with C(name), how often they C(failed), and C(error).
  returned: success
  type: list
  elements: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_metrics_info import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "subset": {"type": "list", "elements": "str", "choices": ["metrics", "state"], "default": ["metrics"]},
        "timeout": {"type": "int", "default": 25},
        "store": {"type": "bool", "default": False},
        "whole_fleet": {"type": "bool", "default": False},
        "rounds": {"type": "int", "default": 1},
        "interval": {"type": "float", "default": 30},
        **options.bmcs(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
