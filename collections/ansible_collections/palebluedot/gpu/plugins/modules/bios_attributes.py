#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BIOS settings of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bios_attributes
short_description: Set BIOS attributes of a server
version_added: 0.1.0
description:
  - Stages BIOS attributes through the BMC, so that the server has them after its next boot, and reads them back.
  - An attribute is compared with the value that it will have after the next boot. What is staged already is not staged
    again, and a staged value that is not wanted is replaced.
  - Values are checked against the attribute registry of the BMC, where it has one.
  - With O(apply_time=on_reset) it restarts nothing. RV(reboot_required) says whether a boot is needed.
  - With O(apply_time=immediate) the BMC applies what differs at once, and restarts a server that runs where it takes
    that. The module waits until the BIOS runs with the attributes.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  attributes:
    description:
      - Attributes and their values, under the vendor's names.
    type: dict
    required: true
  apply_time:
    description:
      - When they take effect. V(immediate) is refused where the BMC does not offer it, before anything is written.
      - What was staged for the next boot before stays staged for it.
    type: str
    choices: [on_reset, immediate]
    default: on_reset
  wait:
    description:
      - Whether to wait, with O(apply_time=immediate), for the BMC's task and until the BIOS runs with the attributes.
        What happens with the next boot is not waited for, nor a server that is off.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait. POST of a server with eight GPUs takes ten minutes.
    type: int
    default: 3600
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Turn SR-IOV on
  palebluedot.gpu.bios_attributes:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    attributes:
      SRIOVEnable: Enable
  register: bios

- name: Restart, if that takes it
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: cycle
  when: bios.reboot_required

- name: Turn the logical processors off at once, on a BMC that restarts the server for that
  palebluedot.gpu.bios_attributes:
    bmc_address: 192.0.2.10
    bmc_credential: service:node-05
    attributes:
      LogicalProcessors: Disabled
    apply_time: immediate
    wait_timeout: 1200
"""

RETURN = r"""
pending:
  description: The attributes that do not have their wanted value yet.
  returned: success
  type: dict
  sample: {"SRIOVEnable": "Enable"}
reboot_required:
  description: Whether the server has to be booted before all attributes have their value. What the BMC applies at once
    needs no further boot.
  returned: success
  type: bool
drift:
  description:
    - The attributes that differ, each with its C(current) value, the one it had for the C(next_boot), and the one
      C(wanted).
  returned: success
  type: dict
task:
  description: The BMC's task for the change, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: The attributes for the next boot before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bios_attributes import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "attributes": {"type": "dict", "required": True},
        "apply_time": {"type": "str", "choices": ["on_reset", "immediate"], "default": "on_reset"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
