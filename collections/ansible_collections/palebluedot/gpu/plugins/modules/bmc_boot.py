#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server boots from."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_boot
short_description: Set what a server boots from
version_added: 0.1.0
description:
  - Sets the boot override and the boot order of a server through its BMC, and reads them back.
  - It restarts nothing.
  - An override that holds V(once) is gone after the next boot. Running again sets it again.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  target:
    description:
      - What to boot from instead of the boot order. V(none) takes an override back.
    type: str
    choices: [pxe, http, cd, hdd, bios, none]
  uefi_target:
    description:
      - Boot this UEFI device path instead of the boot order.
      - A boot option's reference (V(Boot0003)) or display name stands for its device path.
    type: str
  persistence:
    description:
      - Whether the override holds for the next boot or for all.
    type: str
    choices: [once, always]
    default: once
  mode:
    description:
      - Firmware mode of the override. The BMC's choice when it is not set.
    type: str
    choices: [uefi, legacy]
  boot_order:
    description:
      - Boot options that come first, in this order. The others follow as they are.
      - An entry is a reference (V(Boot0003)), a display name, or V(pxe), V(http), V(cd) or V(hdd) for all options of
        that kind.
    type: list
    elements: str
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Boot from the network once
  palebluedot.gpu.bmc_boot:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    target: pxe
    mode: uefi

- name: Boot one particular drive, once
  palebluedot.gpu.bmc_boot:
    bmc_address: 192.0.2.10
    bmc_credential: service:hpe-03
    uefi_target: PciRoot(0x0)/Pci(0x3,0x2)/Pci(0x0,0x0)/NVMe(0x1,60-33-01-21-9A-38-25-00)

- name: Disks first, then the network
  palebluedot.gpu.bmc_boot:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    boot_order: [hdd, pxe]
"""

RETURN = r"""
boot:
  description: What holds for the next boot; in check mode, what would.
  returned: success
  type: dict
  contains:
    target:
      description: What is booted from instead of the boot order, V(none) without, V(uefi_target) for a device path.
      type: str
      sample: pxe
    persistence:
      description: V(once) or V(always), V(null) without an override.
      type: str
      sample: once
    mode:
      description: V(uefi) or V(legacy), V(null) where the BMC does not say.
      type: str
      sample: uefi
    uefi_target:
      description: The UEFI device path that is booted, V(null) for another target.
      type: str
    boot_order:
      description: References of the boot options in order, V(null) where the BMC does not offer it.
      type: list
      elements: str
      sample: [Boot0003, Boot0000]
diff:
  description: C(boot) before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_boot import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "target": {"type": "str", "choices": ["pxe", "http", "cd", "hdd", "bios", "none"]},
        "uefi_target": {"type": "str"},
        "persistence": {"type": "str", "choices": ["once", "always"], "default": "once"},
        "mode": {"type": "str", "choices": ["uefi", "legacy"]},
        "boot_order": {"type": "list", "elements": "str"},
        **options.bmc(),
    },
    "required_one_of": [["target", "uefi_target", "boot_order"]],
    "mutually_exclusive": [["target", "uefi_target"]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
