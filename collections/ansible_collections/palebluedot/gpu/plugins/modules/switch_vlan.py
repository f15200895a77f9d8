#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VLAN of a switch."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: switch_vlan
short_description: Create or remove a VLAN of a switch
version_added: 0.1.0
description:
  - Creates a VLAN with its name and its VNI, or removes it with its VNI, over gNMI.
  - A VNI that still belongs to another VLAN is taken from it first, in the same transaction. When that VLAN has ports
    in it, nothing is touched.
  - A VLAN that ports are in is not removed.
  - The VLAN is read back afterwards.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  vlan:
    description:
      - The VLAN, 1 to 4094.
    type: int
    required: true
  state:
    description:
      - Whether it is there, and active, or not there.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Its name. When it is not set, a name that is there stays. SONiC and SR Linux keep it as a description.
    type: str
  vni:
    description:
      - The VXLAN network that it is extended by, 1 to 16777215. When it is not set, a map that is there stays.
      - Not for O(switch_dialect=openconfig), which has no path for it.
      - EVPN (route targets) is not configured.
    type: int
  wait_timeout:
    description:
      - Seconds in which the VLAN must be as wanted.
    type: int
    default: 30
extends_documentation_fragment:
  - palebluedot.gpu.switch
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.switch
requirements:
  - pygnmi >= 0.8.15
notes:
  - SONiC wants the VLAN and its VNI in two requests. When the second fails, a VLAN that the first made is removed
    again.
seealso:
  - module: palebluedot.gpu.switch_port
"""

EXAMPLES = r"""
- name: Make a tenant's VLAN, extended over the fabric
  palebluedot.gpu.switch_vlan:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    vlan: 1207
    name: tenant-207
    vni: 11207

- name: Remove it when the tenant has gone
  palebluedot.gpu.switch_vlan:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    vlan: 1207
    state: absent
"""

RETURN = r"""
vlan:
  description: The VLAN, as it is (in check mode, as it would be); null when it is absent.
  returned: success
  type: dict
  contains:
    id: {description: Its number., type: int, sample: 1207}
    name: {description: Its name., type: str, sample: tenant-207}
    active: {description: Whether it forwards., type: bool, sample: true}
    vni: {description: Its VNI; null as well when O(vni) was not set and nobody asked., type: int, sample: 11207}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.vlan import run

SPEC = {
    "argument_spec": {
        "vlan": {"type": "int", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "name": {"type": "str"},
        "vni": {"type": "int"},
        "wait_timeout": {"type": "int", "default": 30},
        **options.switch(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
