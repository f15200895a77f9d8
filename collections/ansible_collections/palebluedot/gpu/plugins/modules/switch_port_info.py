#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ports of a switch are in and how they do."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: switch_port_info
short_description: Read VLANs, neighbours, state, counters and MAC addresses of switch ports
version_added: 0.1.0
description:
  - Reads what ports are in, who is at their other end (LLDP), whether they are up, what they have counted, and which
    MAC addresses are known behind them, over gNMI, in one round trip.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  interfaces:
    description:
      - The ports, as the switch spells them. Without it all physical ports are read.
    type: list
    elements: str
extends_documentation_fragment:
  - palebluedot.gpu.switch
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.switch
requirements:
  - pygnmi >= 0.8.15
seealso:
  - module: palebluedot.gpu.switch_port
"""

EXAMPLES = r"""
- name: See what a server's port is in
  palebluedot.gpu.switch_port_info:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    interfaces: [Ethernet7]
  register: leaf
"""

RETURN = r"""
ports:
  description: The ports, in the order of O(interfaces) or of the switch. What it does not say is null.
  returned: success
  type: list
  elements: dict
  contains:
    interface: {description: Its name., type: str, sample: Ethernet7}
    mode: {description: "One of access, trunk and routed.", type: str, sample: access}
    vlan: {description: Its VLAN for frames without a tag., type: int, sample: 1207}
    trunk_vlans: {description: Its VLANs for frames with a tag; ranges are like 3..6., type: list, elements: raw}
    admin_status: {description: Whether it should be up., type: str, sample: up}
    oper_status: {description: Whether it is., type: str, sample: up}
    counters:
      description: C(in_octets), C(out_octets), C(in_errors), C(out_errors), C(carrier_transitions).
      type: dict
    neighbors:
      description: Who LLDP hears, with C(system_name), C(chassis_id) and C(port_id).
      type: list
      elements: dict
    macs:
      description:
        - MAC addresses known behind it, with C(mac), C(vlan) and C(stale). A stale one is known in a VLAN that the port
          is not in (any more).
      type: list
      elements: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.port_info import run

SPEC = {
    "argument_spec": {
        "interfaces": {"type": "list", "elements": "str"},
        **options.switch(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
