#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TPM of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tpm
short_description: Enable or clear the TPM of a server
version_added: 0.1.0
description:
  - Stages the vendor's BIOS attributes that make the TPM usable, or that clear it, for the next boot.
  - A TPM is cleared for the next tenant. Everything sealed to it is lost.
  - It restarts nothing, so that there is nothing to wait for. RV(reboot_required) says whether a boot is needed.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  state:
    description:
      - V(enabled) makes it usable by the operating system.
      - V(cleared) clears it in the next boot.
    type: str
    required: true
    choices: [enabled, cleared]
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: O(state=cleared) is staged once for a boot. After that boot it would be cleared anew.
seealso:
  - module: palebluedot.gpu.bios_attributes
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Clear the TPM
  palebluedot.gpu.tpm:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: cleared
  register: tpm

- name: Restart, if that takes it
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: reset
  when: tpm.reboot_required
"""

RETURN = r"""
tpm:
  description:
    - The TPM with its C(interface), C(firmware_version) and C(status) as the System shows them, and the attributes that
      are C(pending) for the next boot. What the BMC does not say is V(null).
  returned: success
  type: dict
  sample: {"interface": "TPM2_0", "firmware_version": "15.21", "status": null, "pending": {"TpmOperation": "TPM Clear"}}
reboot_required:
  description: Whether the server has to boot before it is so.
  returned: success
  type: bool
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
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.tpm import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "required": True, "choices": ["enabled", "cleared"]},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
