#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a switch says over gNMI."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gnmi_get
short_description: Read any path of a switch over gNMI
version_added: 0.1.0
description:
  - Reads paths over gNMI and returns their values as the switch cuts them, names with their modules.
  - More paths than the switch takes in one request are asked for in several.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  paths:
    description:
      - What to read, as gNMI paths like C(/interfaces/interface[name=Ethernet7]/state).
      - An origin stands in front of the first slash, as in C(cli:/show version). Without one it is that of
        O(switch_dialect).
    type: list
    elements: str
    required: true
  datatype:
    description:
      - What kind of data to read.
    type: str
    choices: [all, config, state, operational]
    default: all
  encoding:
    description:
      - How values are written. The default is that of O(switch_dialect), V(json) for NX-OS and V(json_ietf) otherwise.
    type: str
    choices: [json, json_ietf, ascii]
  target:
    description:
      - The target that the request's prefix names. The default is that of O(switch_dialect), V(OC-YANG) for SONiC and
        none otherwise.
    type: str
extends_documentation_fragment:
  - palebluedot.gpu.switch
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.switch
requirements:
  - pygnmi >= 0.8.15
seealso:
  - module: palebluedot.gpu.gnmi_set
  - module: palebluedot.gpu.gnmi_subscribe_info
  - module: palebluedot.gpu.switch_port_info
"""

EXAMPLES = r"""
- name: Read which VLANs a leaf has
  palebluedot.gpu.gnmi_get:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    paths:
      - /network-instances/network-instance[name=default]/vlans
    datatype: config
  register: vlans
"""

RETURN = r"""
values:
  description: What was found, in the order of the answer. A path that the switch does not have is a failure.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Where., type: str, sample: "/interfaces/interface[name=Ethernet7]/state/oper-status"}
    value: {description: What., type: raw, sample: UP}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.raw import get as run

SPEC = {
    "argument_spec": {
        "paths": {"type": "list", "elements": "str", "required": True},
        "datatype": {"type": "str", "choices": ["all", "config", "state", "operational"], "default": "all"},
        "encoding": {"type": "str", "choices": ["json", "json_ietf", "ascii"]},
        "target": {"type": "str"},
        **options.switch(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
