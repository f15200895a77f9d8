#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any IPMI command."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ipmi_raw
short_description: Send one IPMI command as its bytes
version_added: 0.1.0
description:
  - For what no other module does. The command is sent once, in a session with a deadline, in a process of its own.
  - What a command does is not known here, so the task always counts as a change. Use C(changed_when) where it reads.
  - A command whose answer is lost is an error and never sent again.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - pyghmi >= 1.6 for IPMI
options:
  netfn:
    description:
      - Network function of the request, such as V(6) for the BMC itself. It is even.
    type: int
    required: true
  command:
    description:
      - Number of the command.
    type: int
    required: true
  data:
    description:
      - Data bytes of the command.
    type: list
    elements: int
  accept:
    description:
      - Completion codes that are no failure.
    type: list
    elements: int
    default: [0]
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  check_mode:
    details: Nothing is sent. The bytes that would be stand in the diff.
  idempotent:
    support: none
    details: What a command does is not known here.
notes:
  - With O(bmc_protocol=auto) IPMI is asked at UDP port 623; O(bmc_port) is the Redfish service's then, as everywhere.
seealso:
  - module: palebluedot.gpu.redfish_request
"""

EXAMPLES = r"""
- name: Ask the BMC for its self test result
  palebluedot.gpu.ipmi_raw:
    bmc_address: 192.0.2.10
    bmc_credential: service:old-07
    netfn: 6
    command: 4
  register: self_test
  changed_when: false

- name: Light the identify LED for 30 seconds
  palebluedot.gpu.ipmi_raw:
    bmc_address: 192.0.2.10
    bmc_credential: service:old-07
    netfn: 0
    command: 4
    data: [30]
"""

RETURN = r"""
code:
  description: Completion code, V(null) in check mode.
  returned: success
  type: int
  sample: 0
data:
  description: Data bytes of the answer, V(null) in check mode.
  returned: success
  type: list
  elements: int
  sample: [85, 0]
hex:
  description: The same, written in hexadecimal.
  returned: success
  type: str
  sample: 55 00
diff:
  description: The request's bytes, network function first.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.ipmi_raw import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "netfn": {"type": "int", "required": True},
        "command": {"type": "int", "required": True},
        "data": {"type": "list", "elements": "int"},
        "accept": {"type": "list", "elements": "int", "default": [0]},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
