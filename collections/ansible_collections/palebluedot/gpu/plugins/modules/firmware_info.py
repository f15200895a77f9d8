#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware of a server, read."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: firmware_info
short_description: Read the firmware versions of a server
version_added: 0.1.0
description:
  - Reads the firmware inventory of a server from its BMC.
  - Firmware that was installed before, or waits to be, is left out.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  targets:
    description:
      - Only these components, by id, by display name, or by a pattern such as C(HGX_FW_GPU_SXM_*). All of them without
        it.
      - Naming ids is quicker. A DGX H100 has sixty components, and each is a request.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.firmware
"""

EXAMPLES = r"""
- name: Read the firmware of the GPUs
  palebluedot.gpu.firmware_info:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    targets:
      - HGX_FW_GPU_SXM_*
  register: gpu_firmware
"""

RETURN = r"""
firmware:
  description:
    - The components, each with C(id), C(name), C(version) and C(updateable). What the BMC does not say is V(null).
    - An C(id) stays the same when the version changes, also on Dell.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "HostBIOS_0", "name": "HostBIOS_0", "version": "01.01.03", "updateable": true}]
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.firmware_info import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "targets": {"type": "list", "elements": "str", "default": []},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
