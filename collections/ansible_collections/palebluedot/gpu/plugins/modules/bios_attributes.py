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
  - It restarts nothing. RV(reboot_required) says whether a boot is needed.
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
      - When they take effect. V(immediate) is refused where the BMC does not offer it.
    type: str
    choices: [on_reset, immediate]
    default: on_reset
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
"""

RETURN = r"""
pending:
  description: The attributes whose wanted value waits for a boot.
  returned: success
  type: dict
  sample: {"SRIOVEnable": "Enable"}
reboot_required:
  description: Whether the server has to boot before all attributes have their value.
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
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
