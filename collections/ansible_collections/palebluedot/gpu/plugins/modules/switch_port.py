#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a switch port."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: switch_port
short_description: Put a switch port into a VLAN
version_added: 0.1.0
description:
  - Makes a port an untagged (access) member of one VLAN and of no other, over gNMI.
  - A VLAN that the switch does not have, or has suspended, is made active in the same transaction.
  - With O(expect_neighbor) the module looks at the cabling first (LLDP), and touches nothing when somebody else is at
    the other end.
  - The port is read back afterwards. That a switch has accepted a change does not say that the port is there.
  - When the switch did half of the change, or the port does not arrive, the former configuration is put back, and the
    error says which state the port is in.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  interface:
    description:
      - Name of the port, as the switch spells it.
    type: str
    required: true
  vlan:
    description:
      - The VLAN, 1 to 4094.
    type: int
    required: true
  network:
    description:
      - What the VLAN is for. V(provisioning) and V(tenant) demand O(expect_neighbor), because they open a network to
        whoever is at the other end; V(quarantine) closes it and does not.
    type: str
    choices: [provisioning, tenant, quarantine]
  expect_neighbor:
    description:
      - System name or MAC address that LLDP must show at the other end of the cable.
    type: str
  rollback:
    description:
      - Whether a port that was changed by half, or does not arrive, is put back to its former configuration.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds in which the neighbour must be heard, and in which the port must have moved. A port that was written to
        has at least O(switch_timeout) for its move, however long the neighbour was waited for.
    type: int
    default: 60
extends_documentation_fragment:
  - palebluedot.gpu.switch
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.switch
requirements:
  - pygnmi >= 0.8.15
notes:
  - Members of a link aggregation are not handled. Their VLAN belongs to the aggregate.
"""

EXAMPLES = r"""
- name: Put the server into its tenant's network
  palebluedot.gpu.switch_port:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    interface: Ethernet7
    vlan: 1207
    network: tenant
    expect_neighbor: "02:00:00:00:00:07"
"""

RETURN = r"""
port:
  description: The port, as it is (in check mode, as it would be).
  returned: success
  type: dict
  contains:
    interface: {description: Its name., type: str, sample: Ethernet7}
    vlan: {description: Its VLAN., type: int, sample: 1207}
    mode: {description: Its mode., type: str, sample: access}
    network: {description: What the VLAN is for according to the task., type: str, sample: tenant}
    neighbor:
      description: Who is at the other end, with C(system_name), C(chassis_id) and C(port_id); null when LLDP is silent.
      type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.port import run

SPEC = {
    "argument_spec": {
        "interface": {"type": "str", "required": True},
        "vlan": {"type": "int", "required": True},
        "network": {"type": "str", "choices": ["provisioning", "tenant", "quarantine"]},
        "expect_neighbor": {"type": "str"},
        "rollback": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 60},
        **options.switch(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
