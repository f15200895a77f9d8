#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in a virtual drive of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_virtual_media
short_description: Put an image into a virtual drive of a server, or take it out
version_added: 0.1.0
description:
  - The BMC fetches an image and presents it to its server as a CD or a USB stick.
  - It is read back until the BMC shows it. Nothing is booted; that is M(palebluedot.gpu.bmc_boot) with C(target=cd).
  - Redfish only.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  state:
    description:
      - V(inserted) puts O(image) in. A drive that has it already is left alone. An empty drive is preferred; where
        there is none, what is in the first is taken out.
      - V(ejected) takes out what is in O(device), in the drives for O(media), or in all of them.
    type: str
    choices: [inserted, ejected]
    default: inserted
  image:
    description:
      - URL of the image, as the BMC reaches it.
    type: str
  media:
    description:
      - Kind of drive. V(cd) when an image is put in and neither this nor O(device) is set.
    type: str
    choices: [cd, usb]
  device:
    description:
      - Id of the drive, where it matters which.
    type: str
  username:
    description:
      - User name for the server that has the image.
    type: str
  password:
    description:
      - Its password.
    type: str
  write_protected:
    description:
      - Whether the server may not write to the image.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait until the BMC shows it. It always is waited for, so that there is no C(wait). It disturbs
        nobody, and a boot from a drive that is empty still would.
    type: int
    default: 60
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_boot
"""

EXAMPLES = r"""
- name: Put an installer in
  palebluedot.gpu.bmc_virtual_media:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    image: http://192.0.2.1/images/rescue.iso

- name: Boot from it once
  palebluedot.gpu.bmc_boot:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    target: cd

- name: Take everything out
  palebluedot.gpu.bmc_virtual_media:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: ejected
"""

RETURN = r"""
device:
  description: Id of the drive that the image is in, V(null) with V(ejected).
  returned: success
  type: str
  sample: CD1
task:
  description: The BMC's latest task for it, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
virtual_media:
  description: All virtual drives afterwards; in check mode, as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the drive.
      type: str
      sample: CD1
    media:
      description: What it can be, V(cd) and V(usb).
      type: list
      elements: str
      sample: [cd]
    inserted:
      description: Whether something is in.
      type: bool
    image:
      description: The image, or only its file name where the BMC says no more; V(null) when nothing is in.
      type: str
    write_protected:
      description: Whether the server may not write, V(null) where the BMC does not say.
      type: bool
diff:
  description: What is in each drive, before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_virtual_media import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["inserted", "ejected"], "default": "inserted"},
        "image": {"type": "str"},
        "media": {"type": "str", "choices": ["cd", "usb"]},
        "device": {"type": "str"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "write_protected": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 60},
        **options.bmc(),
    },
    "required_if": [["state", "inserted", ["image"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
