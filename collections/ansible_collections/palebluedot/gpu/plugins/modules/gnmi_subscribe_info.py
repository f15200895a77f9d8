#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a switch by a subscription that ends."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gnmi_subscribe_info
short_description: Read paths of a switch by a gNMI subscription
version_added: 0.1.0
description:
  - Subscribes to paths over gNMI, once or with polls, and returns what came.
  - The whole subscription has one deadline. When the switch has not said by then that this is all, the task fails.
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
  mode:
    description:
      - V(once) reads everything once. V(poll) reads everything once and then again at each poll.
    type: str
    choices: [once, poll]
    default: once
  polls:
    description:
      - How many polls follow the first reading. Only for O(mode=poll).
    type: int
    default: 1
  interval:
    description:
      - Seconds between polls. Only for O(mode=poll).
    type: float
    default: 1.0
  timeout:
    description:
      - Seconds that all of it may take.
    type: int
    default: 60
  encoding:
    description:
      - How values are written. The default is that of O(switch_dialect), V(json) for NX-OS and V(json_ietf) otherwise.
    type: str
    choices: [json, json_ietf, proto, ascii]
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
  - module: palebluedot.gpu.gnmi_get
"""

EXAMPLES = r"""
- name: Read a port's counters three times, five seconds apart
  palebluedot.gpu.gnmi_subscribe_info:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    paths:
      - /interfaces/interface[name=Ethernet7]/state/counters
    mode: poll
    polls: 2
    interval: 5
    timeout: 30
  register: counters
"""

RETURN = r"""
updates:
  description: What came, in the order in which it came.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Where., type: str, sample: "/interfaces/interface[name=Ethernet7]/state/counters/in-octets"}
    value: {description: What., type: raw, sample: "1048576"}
    timestamp: {description: When the switch says it was so in nanoseconds since 1970., type: int}
    deleted: {description: Whether it is gone., type: bool}
    poll: {description: The number of the poll it answers; the first reading is 0., type: int, sample: 0}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.raw import subscribe as run

SPEC = {
    "argument_spec": {
        "paths": {"type": "list", "elements": "str", "required": True},
        "mode": {"type": "str", "choices": ["once", "poll"], "default": "once"},
        "polls": {"type": "int", "default": 1},
        "interval": {"type": "float", "default": 1.0},
        "timeout": {"type": "int", "default": 60},
        "encoding": {"type": "str", "choices": ["json", "json_ietf", "proto", "ascii"]},
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
