#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers, switches and networks enter the record."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_import
short_description: Register networks, switches and servers with the service
version_added: 0.1.0
description:
  - Sends an import document to the Pale Blue Dot service, which creates what it does not know and updates what it does.
  - It is what C(palebluedot server import) does with a file.
  - The whole document is checked first. A wrong entry means that nothing is written, and all wrong entries are named.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  servers:
    description:
      - Servers with C(name), C(bmc_address), C(bmc_port), C(rack), C(pool), C(nvlink_domain), C(nics) and so on.
    type: list
    elements: dict
    default: []
  switches:
    description:
      - Switches with C(name), C(address), C(grpc_port), C(dialect), C(username), C(password).
    type: list
    elements: dict
    default: []
  networks:
    description:
      - Networks with C(name), C(purpose), C(vlan), C(cidr), C(gateway).
    type: list
    elements: dict
    default: []
  neighbors:
    description:
      - What switches hear over LLDP, one mapping a switch. Interfaces that the record knows by their MAC addresses get
        their switch port by it, where the record has none. A contradiction is kept and shown, never resolved.
    type: list
    elements: dict
    default: []
    suboptions:
      switch:
        description:
          - Name of the switch.
        type: str
        required: true
      ports:
        description:
          - Its ports, in the shape of RV(palebluedot.gpu.switch_port_info#module:ports).
        type: list
        elements: dict
        required: true
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.service
attributes:
  check_mode:
    support: partial
    details: Compares servers field by field; switches, networks and neighbours count as unchanged.
seealso:
  - module: palebluedot.gpu.server
"""

EXAMPLES = r"""
- name: Register a server
  palebluedot.gpu.fleet_import:
    servers:
      - name: dgx-01
        bmc_address: 10.20.0.17
        bmc_fingerprint: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        rack: a1
        pool: training

- name: Say what a switch hears
  palebluedot.gpu.fleet_import:
    neighbors:
      - switch: leaf-01
        ports:
          - interface: Ethernet7
            neighbors:
              - {system_name: dgx-01, chassis_id: "5c:ff:35:e2:10:00", port_id: "5c:ff:35:e2:10:01"}
"""

RETURN = r"""
counts:
  description: What the service did, C(created), C(updated) and more, by kind; V(null) in check mode.
  returned: success
  type: dict
heard:
  description: For each switch, how many interfaces were C(stored), and C(unknown_macs) of none that the record knows.
  returned: success
  type: dict
diff:
  description: The servers that were created or changed, before and after, in the fields that were given.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.fleet_import import run

SPEC = {
    "argument_spec": {
        "servers": {"type": "list", "elements": "dict", "default": []},
        "switches": {"type": "list", "elements": "dict", "default": []},
        "networks": {"type": "list", "elements": "dict", "default": []},
        "neighbors": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "switch": {"type": "str", "required": True},
                "ports": {"type": "list", "elements": "dict", "required": True},
            },
        },
        **options.service(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
