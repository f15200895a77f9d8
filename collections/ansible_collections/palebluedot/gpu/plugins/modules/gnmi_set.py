#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any configuration of a switch over gNMI."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gnmi_set
short_description: Set any path of a switch over gNMI
version_added: 0.1.0
description:
  - Deletes, replaces and updates paths in one gNMI Set, which is one transaction and works in this order.
  - The paths are read first. When they are as they should be, nothing is set; in check mode nothing ever is.
  - They are read again afterwards. A switch that has accepted a change and does not show it is a failure.
  - A replaced container loses what is not sent. Replace the narrowest one, never C(/interfaces).
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  update:
    description:
      - What to merge into what is there.
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Where, as a gNMI path.
        type: str
        required: true
      value:
        description:
          - What, as the switch's model has it.
        type: raw
        required: true
  replace:
    description:
      - What to put in the place of what is there.
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Where, as a gNMI path.
        type: str
        required: true
      value:
        description:
          - What, as the switch's model has it.
        type: raw
        required: true
  delete:
    description:
      - What to take away. A path where nothing is counts as taken away.
    type: list
    elements: str
  wait_timeout:
    description:
      - Seconds in which the switch must show the change.
    type: int
    default: 30
  encoding:
    description:
      - How values are written. The default is that of O(switch_dialect), V(json) for NX-OS and V(json_ietf) otherwise.
    type: str
    choices: [json, json_ietf]
  target:
    description:
      - The target that the request's prefix names. The default is that of O(switch_dialect), V(OC-YANG) for SONiC and
        none otherwise.
    type: str
extends_documentation_fragment:
  - palebluedot.gpu.switch
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.switch
requirements:
  - pygnmi >= 0.8.15
notes:
  - Values are shown in the diff. Set C(no_log) on a task that sets a secret.
  - A replaced value is compared as it is written. A switch that adds defaults to it reports a change each time.
seealso:
  - module: palebluedot.gpu.gnmi_get
  - module: palebluedot.gpu.switch_port
"""

EXAMPLES = r"""
- name: Describe a port and shut it
  palebluedot.gpu.gnmi_set:
    switch_address: leaf-03.example.com
    switch_dialect: eos
    switch_credential: service:switch/leaf-03
    update:
      - path: /interfaces/interface[name=Ethernet7]/config
        value:
          description: spare
          enabled: false
"""

RETURN = r"""
results:
  description: What the switch confirmed; empty when nothing was set.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Where., type: str, sample: "/interfaces/interface[name=Ethernet7]/config"}
    op: {description: What., type: str, sample: update}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.raw import set_ as run

ENTRY = {
    "path": {"type": "str", "required": True},
    "value": {"type": "raw", "required": True},
}
SPEC = {
    "argument_spec": {
        "update": {"type": "list", "elements": "dict", "options": ENTRY},
        "replace": {"type": "list", "elements": "dict", "options": ENTRY},
        "delete": {"type": "list", "elements": "str"},
        "wait_timeout": {"type": "int", "default": 30},
        "encoding": {"type": "str", "choices": ["json", "json_ietf"]},
        "target": {"type": "str"},
        **options.switch(),
    },
    "required_one_of": [("update", "replace", "delete")],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
