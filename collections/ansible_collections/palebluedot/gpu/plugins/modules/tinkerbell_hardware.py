#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tinkerbell's Hardware."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tinkerbell_hardware
short_description: Declare a machine to Tinkerbell
version_added: 0.1.0
description:
  - Makes a C(Hardware) object what O(spec) says, or removes it. C(tinkerbell.org/v1alpha1) is spoken, in the shape of
    tink 0.12 and of today.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  name:
    description:
      - Name of the object.
    type: str
    required: true
  state:
    description:
      - Whether it exists.
    type: str
    choices: [present, absent]
    default: present
  spec:
    description:
      - The whole spec, in Tinkerbell's own words. A field that is not in it is removed, unless it only holds a default.
      - The spec stays as it is when this is not set.
      - A field that the cluster's CRD does not know is an error, because it would be dropped without a word.
    type: dict
  labels:
    description:
      - Labels to set. They are merged with those that the object has; a null value removes one.
    type: dict
extends_documentation_fragment:
  - palebluedot.gpu.tinkerbell
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.tinkerbell
requirements:
  - kubernetes >= 31
notes:
  - User data, vendor data and password hashes are shown as digests in results and diffs.
seealso:
  - module: palebluedot.gpu.tinkerbell_workflow
"""

EXAMPLES = r"""
- name: Declare a machine
  palebluedot.gpu.tinkerbell_hardware:
    name: gpu-07
    namespace: tinkerbell
    spec:
      disks:
        - device: /dev/nvme0n1
      interfaces:
        - dhcp:
            mac: "02:00:00:00:00:07"
            arch: x86_64
            uefi: true
            ip: {address: 10.10.0.7, netmask: 255.255.255.0, gateway: 10.10.0.1}
          netboot: {allowPXE: false, allowWorkflow: true}
"""

RETURN = r"""
hardware:
  description: The object; null when it is absent.
  returned: success
  type: dict
  contains:
    name: {description: Its name., type: str}
    namespace: {description: Its namespace., type: str}
    labels: {description: Its labels., type: dict}
    spec: {description: Its spec., type: dict}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.simple import run_hardware as run

SPEC = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "spec": {"type": "dict"},
        "labels": {"type": "dict"},
        **options.tinkerbell(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
