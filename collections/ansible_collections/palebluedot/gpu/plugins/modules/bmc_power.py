#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_power
short_description: Switch a server on or off, or restart it
version_added: 0.1.0
description:
  - Brings the power of a server to a state through its BMC, and reads it back.
  - The state is read first. A server that is in it already is left alone.
  - A command whose answer is lost is never sent again blindly, the power state is looked up instead.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  state:
    description:
      - V(on) and V(off) switch the power at once.
      - V(graceful) asks the operating system to shut down. It fails when the system does not within O(wait_timeout).
      - V(cycle) takes the power away and gives it back, as one command where the BMC has it, else by off and on.
      - V(reset) restarts without taking the power away.
      - A server that is off is switched on by V(cycle) and V(reset). These two always change something.
    type: str
    required: true
    choices: ["on", "off", graceful, cycle, reset]
  wait:
    description:
      - Whether to wait until the state is read back.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for the state.
    type: int
    default: 300
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: V(cycle) and V(reset) are about what happens on the way and always change something.
seealso:
  - module: palebluedot.gpu.bmc_boot
"""

EXAMPLES = r"""
- name: Switch on
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: "on"

- name: Shut down, and give the operating system ten minutes
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: graceful
    wait_timeout: 600
"""

RETURN = r"""
power_state:
  description: The power state afterwards; in check mode, the one that would be reached.
  returned: success
  type: str
  sample: "On"
task:
  description: The BMC's task for the command, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: The power state before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_power import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "required": True, "choices": ["on", "off", "graceful", "cycle", "reset"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
