#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UEFI Secure Boot of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secure_boot
short_description: Switch UEFI Secure Boot of a server, or reset its keys
version_added: 0.1.0
description:
  - Enables or disables Secure Boot for the next boot through the BMC, and reads it back.
  - Keys are reset to those of the factory, or deleted, which puts the firmware into setup mode.
  - It restarts nothing, so that there is nothing to wait for. RV(reboot_required) says whether a boot is needed.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  state:
    description:
      - Whether the next boot is a verified one. Without keys it cannot be V(enabled).
    type: str
    choices: [enabled, disabled]
  keys:
    description:
      - V(factory) resets all key databases, unless they hold the certificates of the factory already.
      - V(deleted) empties them, unless the firmware is in setup mode already.
    type: str
    choices: [factory, deleted]
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: Keys change in the next boot, and until then a second run resets them again. Where the BMC does not show
      the databases of the factory, O(keys=factory) always resets.
seealso:
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Verify what boots, with the keys that the server came with
  palebluedot.gpu.secure_boot:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: enabled
    keys: factory
  register: secure_boot

- name: Restart, if that takes it
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: reset
  when: secure_boot.reboot_required
"""

RETURN = r"""
secure_boot:
  description:
    - C(enabled) is for the next boot, C(current) of the one that runs, C(mode) is V(setup), V(user), V(audit) or
      V(deployed). What the BMC does not say is V(null).
  returned: success
  type: dict
  sample: {"enabled": true, "current": false, "mode": "user"}
reboot_required:
  description: Whether the server has to boot before it is so.
  returned: success
  type: bool
task:
  description: The BMC's task for the change, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: Secure Boot before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.secure_boot import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["enabled", "disabled"]},
        "keys": {"type": "str", "choices": ["factory", "deleted"], "no_log": False},
        **options.bmc(),
    },
    "supports_check_mode": True,
    "required_one_of": [("state", "keys")],
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
