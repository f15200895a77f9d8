#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firmware of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: firmware
short_description: Update firmware of a server
version_added: 0.1.0
description:
  - Brings firmware components of a server to a version through its BMC.
  - The versions are read first. Where all are the wanted ones, nothing is sent.
  - An image that is a file is uploaded, once and never again on a lost answer. One that is a URL is fetched by the BMC.
  - It waits for the BMC's task, and reads the versions back. A BMC that calls the update a success and goes on showing
    the old version is an error, with the code V(version_old).
  - It restarts nothing. A BMC that restarts itself for its own firmware is waited for.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  image:
    description:
      - The image that brings the version. A file of the machine that runs this, or a URL that the BMC can reach.
      - Needed only when a version differs.
    type: str
  targets:
    description:
      - What is updated, by id, by display name, or by a pattern such as C(HGX_FW_GPU_SXM_*).
      - The name of a part that is updated as a whole works too, such as C(HGX_0) for the GPU tray of a DGX. Its
        versions go into O(versions) then.
      - Without it the BMC reads from the image what it is for.
    type: list
    elements: str
    default: []
  version:
    description:
      - The version that each of O(targets) should have.
      - Where the BMC adds words to a version, as iLO does in C(A42 v2.60 (08/11/2022)), one of the words is enough.
    type: str
  versions:
    description:
      - Versions by component, for an image that brings several. The keys are ids, display names or patterns.
    type: dict
  apply_time:
    description:
      - V(immediate) expects the versions as soon as the BMC's task has ended.
      - V(on_reset) leaves them to the next restart of the server and does not read them back. A BMC that offers no
        choice writes the image at once, and the machine runs it after the restart.
    type: str
    choices: [immediate, on_reset]
    default: immediate
  wait:
    description:
      - Whether to wait for the BMC's task, and for the version.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds for the upload, the task and the version together.
    type: int
    default: 3600
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: With O(apply_time=on_reset) the versions are the old ones until the server has restarted, so a second run
      before that sends the image again.
seealso:
  - module: palebluedot.gpu.firmware_info
  - module: palebluedot.gpu.hardware_profile
"""

EXAMPLES = r"""
- name: Update the BMC, which restarts itself
  palebluedot.gpu.firmware:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    image: /srv/firmware/nvfw_DGX_240405.1.0.fwpkg
    targets: [HostBMC_0]
    version: 24.01.05

- name: Update the GPU tray from a web server, to take effect with the next restart
  palebluedot.gpu.firmware:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    image: https://192.0.2.5/firmware/nvfw_HGX_DGXH100-H200x8_240405.fwpkg
    versions:
      HGX_FW_BMC_0: HGX-22.10-1-rc67
      HGX_FW_GPU_SXM_*: 96.00.99.00.01
    apply_time: on_reset
"""

RETURN = r"""
firmware:
  description:
    - The components that this was about, each with C(id), C(name), C(version) and C(updateable), as they are now.
    - In check mode, with the versions that they would have.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "HostBMC_0", "name": "HostBMC_0", "version": "24.01.05", "updateable": true}]
reboot_required:
  description: Whether the server has to restart before it runs the versions.
  returned: success
  type: bool
task:
  description: The BMC's task for the update, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: The versions before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.firmware import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "image": {"type": "str"},
        "targets": {"type": "list", "elements": "str", "default": []},
        "version": {"type": "str"},
        "versions": {"type": "dict"},
        "apply_time": {"type": "str", "choices": ["immediate", "on_reset"], "default": "immediate"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        **options.bmc(),
    },
    "supports_check_mode": True,
    "mutually_exclusive": [("version", "versions")],
    "required_one_of": [("version", "versions")],
    "required_by": {"version": "targets"},
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
