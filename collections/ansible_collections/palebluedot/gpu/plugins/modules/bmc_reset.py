#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart of a BMC."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_reset
short_description: Restart a BMC
version_added: 0.1.0
description:
  - Restarts the BMC itself. The server runs on.
  - With O(wait) it returns when the BMC has been seen to go away, or to have forgotten its sessions, and answers to a
    new login. A BMC that takes the order and stays is a failure.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  kind:
    description:
      - V(graceful) lets the BMC end what it is doing, V(force) does not. Over IPMI they are the warm and the cold
        reset.
      - When it is not set, the gentlest that Redfish offers is taken (an iDRAC only has V(graceful), a DGX only
        V(force)), or the cold reset of IPMI, which every BMC has.
    type: str
    choices: [graceful, force]
  wait:
    description:
      - Whether to wait until the BMC is back.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait in all.
    type: int
    default: 600
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: none
    details: A restart is about what happens on the way and always changes something.
seealso:
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Restart the BMC
  palebluedot.gpu.bmc_reset:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01

- name: Restart one that hangs, over IPMI
  palebluedot.gpu.bmc_reset:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    bmc_protocol: ipmi
    kind: force
"""

RETURN = r"""
manager:
  description: The BMC afterwards.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the Manager, V(null) over IPMI.
      type: str
      sample: BMC
    firmware_version:
      description: Version of its firmware.
      type: str
    state:
      description: Its state in Redfish's words, V(null) where it does not say.
      type: str
      sample: Enabled
    reset:
      description: What was ordered, in the protocol's words; in check mode, what would be.
      type: str
      sample: ForceRestart
    away_s:
      description: Seconds from when it was missed until it was back, V(null) when that was not waited for.
      type: float
task:
  description: The BMC's task for the restart, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: What is restarted, and how.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_reset import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "kind": {"type": "str", "choices": ["graceful", "force"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 600},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
